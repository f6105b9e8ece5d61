//! `stats`: one sample of raw counters; who streams them compares two.

use std::collections::BTreeMap;
use std::fs;

use gantry_cgroups::{BlockIoStats, Cgroup, Host};
use jiff::Timestamp;

use crate::config::EngineConfig;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::host;
use crate::record::ContainerRecord;
use crate::spec::NetworkMode;

/// A container's counters at one moment; zeros when it does not run. Times in nanoseconds, sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The container.
    pub id: String,
    /// Its name with a slash.
    pub name: String,
    /// When.
    pub read: Option<Timestamp>,
    /// Whether it runs.
    pub running: bool,
    /// Processes.
    pub pids: u64,
    /// Their limit; 0 without one.
    pub pids_limit: u64,
    /// CPU time.
    pub cpu_total: u64,
    /// In the kernel.
    pub cpu_kernel: u64,
    /// Outside of it.
    pub cpu_user: u64,
    /// By processor, where the host counts so.
    pub cpu_per_cpu: Vec<u64>,
    /// CPU time of the whole host.
    pub system_cpu: u64,
    /// Processors.
    pub online_cpus: u32,
    /// Periods with a quota.
    pub throttle_periods: u64,
    /// Those in which it was used up.
    pub throttled_periods: u64,
    /// How long it waited.
    pub throttled_time: u64,
    /// Memory.
    pub memory_usage: u64,
    /// The most there was.
    pub memory_max: u64,
    /// Its limit, or the host's memory.
    pub memory_limit: u64,
    /// How often the limit was hit.
    pub memory_failcnt: u64,
    /// The kernel's `memory.stat`.
    pub memory_stat: BTreeMap<String, u64>,
    /// Device (major, minor), operation, bytes.
    pub blkio_bytes: Vec<(u64, u64, String, u64)>,
    /// Device (major, minor), operation, count.
    pub blkio_ops: Vec<(u64, u64, String, u64)>,
    /// By interface.
    pub networks: BTreeMap<String, NetworkCounters>,
}

/// An interface's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    /// Received.
    pub rx_bytes: u64,
    /// Received.
    pub rx_packets: u64,
    /// Received.
    pub rx_errors: u64,
    /// Received.
    pub rx_dropped: u64,
    /// Sent.
    pub tx_bytes: u64,
    /// Sent.
    pub tx_packets: u64,
    /// Sent.
    pub tx_errors: u64,
    /// Sent.
    pub tx_dropped: u64,
}

impl Engine {
    /// A container's counters now.
    pub async fn container_stats(&self, name: &str) -> Result<Sample> {
        let container = self.find(name)?;
        let record = container.record();
        let config = self.config();
        blocking(move || sample(&record, &config)).await
    }

    /// Ends when the container's removal begins: who streams its counters ends with it, before the removal is answered.
    pub fn container_leaving(&self, name: &str) -> Result<impl Future<Output = ()> + Send + use<>> {
        let container = self.find(name)?;
        let (mut moment, following) = (container.moment(), container.follow());
        Ok(async move {
            let _following = following;
            // An error is a container that nobody holds any more.
            let _gone = moment.wait_for(|moment| moment.leaving).await;
        })
    }
}

fn sample(record: &ContainerRecord, config: &EngineConfig) -> Result<Sample> {
    let mut sample =
        Sample { id: record.id.to_string(), name: format!("/{}", record.name), ..Sample::default() };
    let Some(process) = record.state.process() else { return Ok(sample) };
    let failed = |err: gantry_cgroups::Error| Error::Unavailable(err.to_string());
    let host = Host::detect().map_err(failed)?;
    let path = match process.cgroup.as_str() {
        "" => config.cgroup_of(record),
        known => known.to_owned(),
    };
    let cgroup = Cgroup::locate(&host, Some(&path), record.id.as_str()).map_err(failed)?;
    let stats = cgroup.stats().map_err(failed)?;
    sample.running = true;
    sample.read = Some(Timestamp::now());
    sample.pids = stats.pids.current;
    sample.pids_limit = stats.pids.limit.unwrap_or(0);
    sample.cpu_total = stats.cpu.usage_ns;
    sample.cpu_kernel = stats.cpu.system_ns;
    sample.cpu_user = stats.cpu.user_ns;
    sample.cpu_per_cpu = stats.cpu.per_cpu_ns;
    sample.system_cpu = system_cpu_ns(&fs::read_to_string("/proc/stat").unwrap_or_default());
    sample.online_cpus = u32::try_from(host::cpus()).unwrap_or(u32::MAX);
    sample.throttle_periods = stats.cpu.periods;
    sample.throttled_periods = stats.cpu.throttled_periods;
    sample.throttled_time = stats.cpu.throttled_ns;
    sample.memory_usage = stats.memory.usage;
    sample.memory_max = stats.memory.max_usage.unwrap_or(0);
    let memory = host::memory();
    sample.memory_limit = stats.memory.limit.unwrap_or(memory).min(memory);
    sample.memory_failcnt = stats.memory.failures;
    sample.memory_stat = stats.memory.stat;
    let device = |io: &BlockIoStats, value: u64| (io.major, io.minor, io.op.clone(), value);
    sample.blkio_bytes = stats.block_io.iter().map(|io| device(io, io.bytes)).collect();
    sample.blkio_ops = stats.block_io.iter().map(|io| device(io, io.operations)).collect();
    if !matches!(record.spec.network_mode, NetworkMode::Host | NetworkMode::Container(_)) {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", process.pid)).unwrap_or_default();
        sample.networks = interfaces(&table);
    }
    Ok(sample)
}

/// The host's CPU time: all but the guest columns, which are counted in user time already.
fn system_cpu_ns(stat: &str) -> u64 {
    const NS_PER_TICK: u64 = 10_000_000;
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse::<u64>().ok());
    ticks.sum::<u64>() * NS_PER_TICK
}

/// `/proc/net/dev` without loopback.
fn interfaces(table: &str) -> BTreeMap<String, NetworkCounters> {
    let mut all = BTreeMap::new();
    for line in table.lines().skip(2) {
        let Some((name, numbers)) = line.split_once(':') else { continue };
        let n: Vec<u64> = numbers.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [
            rx_bytes,
            rx_packets,
            rx_errors,
            rx_dropped,
            _,
            _,
            _,
            _,
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
            ..,
        ] = n[..]
        else {
            continue;
        };
        if name.trim() != "lo" {
            let counters = NetworkCounters {
                rx_bytes,
                rx_packets,
                rx_errors,
                rx_dropped,
                tx_bytes,
                tx_packets,
                tx_errors,
                tx_dropped,
            };
            all.insert(name.trim().to_owned(), counters);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_read() {
        assert_eq!(system_cpu_ns("cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1"), 36 * 10_000_000);
        let table = "Inter-|\n face |\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 0 1 0 0 0 0 20 3 0 0 0 0 0 0\n";
        let all = interfaces(table);
        assert_eq!(all.len(), 1);
        assert_eq!((all["eth0"].rx_bytes, all["eth0"].tx_packets, all["eth0"].rx_dropped), (10, 3, 1));
    }
}
