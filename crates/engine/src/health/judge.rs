//! What a probe's result means. Pure.

use std::time::Duration;

use crate::record::{Health, HealthStatus, ProbeResult};
use crate::spec::Healthcheck;

/// Results that are kept.
const KEPT: usize = 5;

/// A check's numbers, with Docker's defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    interval: Duration,
    pub(super) timeout: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

impl Settings {
    pub(super) fn of(check: &Healthcheck) -> Settings {
        let or = |ns: i64, default_s: u64| match u64::try_from(ns) {
            Ok(ns) if ns > 0 => Duration::from_nanos(ns),
            _ => Duration::from_secs(default_s),
        };
        Settings {
            interval: or(check.interval_ns, 30),
            timeout: or(check.timeout_ns, 30),
            start_period: or(check.start_period_ns, 0),
            start_interval: or(check.start_interval_ns, 5),
            retries: u32::try_from(check.retries).ok().filter(|retries| *retries > 0).unwrap_or(3),
        }
    }

    /// How long to the next probe.
    pub(super) fn wait(&self, since_start: Duration, status: HealthStatus) -> Duration {
        if status == HealthStatus::Starting && since_start < self.start_period {
            self.start_interval.min(self.interval)
        } else {
            self.interval
        }
    }

    /// The health after a probe.
    pub(super) fn judge(&self, before: &Health, result: ProbeResult, since_start: Duration) -> Health {
        let mut after = before.clone();
        let good = result.exit_code == 0;
        after.log.push(result);
        let surplus = after.log.len().saturating_sub(KEPT);
        after.log.drain(..surplus);
        if good {
            after.failing_streak = 0;
            after.status = HealthStatus::Healthy;
            return after;
        }
        // A failure while it is still coming up does not count.
        if before.status == HealthStatus::Starting && since_start < self.start_period {
            return after;
        }
        after.failing_streak += 1;
        if after.failing_streak >= self.retries {
            after.status = HealthStatus::Unhealthy;
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn result(exit_code: i32) -> ProbeResult {
        ProbeResult {
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH,
            exit_code,
            output: String::new(),
        }
    }

    fn fresh() -> Health {
        Health { status: HealthStatus::Starting, failing_streak: 0, log: Vec::new() }
    }

    #[test]
    fn so_many_failures_in_a_row_are_unhealthy_and_one_success_is_healthy() {
        let settings = Settings::of(&Healthcheck { retries: 2, ..Healthcheck::default() });
        let one = settings.judge(&fresh(), result(1), Duration::ZERO);
        assert_eq!((one.status, one.failing_streak), (HealthStatus::Starting, 1));
        let two = settings.judge(&one, result(1), Duration::ZERO);
        assert_eq!(two.status, HealthStatus::Unhealthy);
        let well = settings.judge(&two, result(0), Duration::ZERO);
        assert_eq!((well.status, well.failing_streak), (HealthStatus::Healthy, 0));
    }

    #[test]
    fn failures_in_the_start_period_do_not_count_and_probes_come_faster() {
        let check = Healthcheck {
            start_period_ns: 60_000_000_000,
            start_interval_ns: 1_000_000_000,
            ..Default::default()
        };
        let settings = Settings::of(&check);
        let mut health = fresh();
        for _ in 0..9 {
            health = settings.judge(&health, result(1), Duration::from_secs(3));
        }
        assert_eq!(
            (health.status, health.failing_streak, health.log.len()),
            (HealthStatus::Starting, 0, KEPT)
        );
        assert_eq!(settings.wait(Duration::from_secs(3), HealthStatus::Starting), Duration::from_secs(1));
        assert_eq!(settings.wait(Duration::from_secs(99), HealthStatus::Starting), Duration::from_secs(30));
        assert_eq!(settings.wait(Duration::from_secs(3), HealthStatus::Healthy), Duration::from_secs(30));
    }
}
