//! What the server counts, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;

use crate::store::collect::Report;

/// Upper ends of the latency buckets, in seconds.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];

#[derive(Default, Clone)]
struct Series {
    requests: BTreeMap<u16, u64>,
    buckets: [u64; BUCKETS.len()],
    seconds: f64,
    count: u64,
}

/// All counters.
#[derive(Default)]
pub struct Metrics {
    in_flight: AtomicI64,
    bytes: AtomicU64,
    endpoints: Mutex<BTreeMap<&'static str, Series>>,
    collections: AtomicU64,
    collected_blobs: AtomicU64,
    collected_bytes: AtomicU64,
}

/// Counts a request as under way until it is dropped: also when the client leaves in the middle.
pub struct UnderWay<'a>(&'a AtomicI64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A request begins.
    pub fn begin(&self) -> UnderWay<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderWay(&self.in_flight)
    }

    /// A request is answered.
    pub fn end(&self, endpoint: &'static str, status: StatusCode, bytes: u64, took: Duration) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let series = endpoints.entry(endpoint).or_default();
        *series.requests.entry(status.as_u16()).or_default() += 1;
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|end| seconds <= *end) {
            series.buckets[bucket] += 1;
        }
        series.seconds += seconds;
        series.count += 1;
    }

    /// A collection is over.
    pub fn collected(&self, report: &Report) {
        self.collections.fetch_add(1, Ordering::Relaxed);
        self.collected_blobs.fetch_add(report.blobs, Ordering::Relaxed);
        self.collected_bytes.fetch_add(report.bytes, Ordering::Relaxed);
    }

    /// All of it as text. `events` are delivered and failed notifications.
    pub fn text(&self, repositories: usize, events: (u64, u64)) -> String {
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut out = String::new();
        let head = |out: &mut String, name: &str, kind: &str, help: &str| {
            // Writing to a String cannot fail.
            write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
        };
        head(&mut out, "registry_http_requests_total", "counter", "Requests by endpoint and status.");
        for (endpoint, series) in &endpoints {
            for (status, count) in &series.requests {
                writeln!(
                    out,
                    "registry_http_requests_total{{handler=\"{endpoint}\",code=\"{status}\"}} {count}"
                )
                .ok();
            }
        }
        let duration = "registry_http_request_duration_seconds";
        head(&mut out, duration, "histogram", "Time to the answer's head.");
        for (endpoint, series) in &endpoints {
            let mut sum = 0;
            for (end, count) in BUCKETS.iter().zip(series.buckets) {
                sum += count;
                writeln!(out, "{duration}_bucket{{handler=\"{endpoint}\",le=\"{end}\"}} {sum}").ok();
            }
            writeln!(out, "{duration}_bucket{{handler=\"{endpoint}\",le=\"+Inf\"}} {}", series.count).ok();
            writeln!(out, "{duration}_sum{{handler=\"{endpoint}\"}} {}", series.seconds).ok();
            writeln!(out, "{duration}_count{{handler=\"{endpoint}\"}} {}", series.count).ok();
        }
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let in_flight = self.in_flight.load(Ordering::Relaxed).max(0) as u64;
        for (name, kind, help, value) in [
            ("registry_http_in_flight_requests", "gauge", "Requests under way.", in_flight),
            ("registry_http_response_size_bytes_total", "counter", "Bytes of answers.", load(&self.bytes)),
            ("registry_repositories", "gauge", "Repositories.", repositories as u64),
            ("registry_notifications_delivered_total", "counter", "Events delivered.", events.0),
            ("registry_notifications_failed_total", "counter", "Attempts to deliver that failed.", events.1),
            ("registry_collections_total", "counter", "Garbage collections.", load(&self.collections)),
            ("registry_collected_blobs_total", "counter", "Blobs collected.", load(&self.collected_blobs)),
            ("registry_collected_bytes_total", "counter", "Bytes collected.", load(&self.collected_bytes)),
        ] {
            head(&mut out, name, kind, help);
            writeln!(out, "{name} {value}").ok();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_what_was_counted() {
        let metrics = Metrics::default();
        let under_way = metrics.begin();
        metrics.end("blob", StatusCode::OK, 10, Duration::from_millis(2));
        let text = metrics.text(3, (0, 0));
        for line in [
            "registry_http_requests_total{handler=\"blob\",code=\"200\"} 1",
            "registry_http_request_duration_seconds_bucket{handler=\"blob\",le=\"0.001\"} 0",
            "registry_http_request_duration_seconds_bucket{handler=\"blob\",le=\"0.0025\"} 1",
            "registry_http_response_size_bytes_total 10",
            "registry_http_in_flight_requests 1",
            "registry_repositories 3",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}");
        }
        drop(under_way);
        assert!(metrics.text(0, (0, 0)).contains("in_flight_requests 0"));
    }
}
