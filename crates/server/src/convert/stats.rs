//! Samples of a container's use on the wire.

use crate::timestamp::rfc3339_nano;
use gantry_api::ZERO_TIME;
use gantry_api::container::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, Throttling,
};
use gantry_engine::{NetworkCounters, Sample};

/// A sample with the processor part of the one before.
pub(crate) fn stats(now: &Sample, before: Option<&Sample>) -> Stats {
    let time = |sample: &Sample| sample.read.map_or_else(|| ZERO_TIME.into(), rfc3339_nano);
    if !now.running {
        return Stats {
            name: now.name.clone(),
            id: now.id.clone(),
            read: ZERO_TIME.into(),
            preread: ZERO_TIME.into(),
            ..Default::default()
        };
    }
    Stats {
        name: now.name.clone(),
        id: now.id.clone(),
        read: time(now),
        preread: before.map_or_else(|| ZERO_TIME.into(), time),
        pids_stats: PidsStats { current: now.pids, limit: now.pids_limit },
        blkio_stats: BlkioStats {
            io_service_bytes_recursive: Some(entries(&now.blkio_bytes)),
            // cgroup v2 counts bytes only.
            io_serviced_recursive: Some(entries(&now.blkio_ops)).filter(|list| !list.is_empty()),
            ..Default::default()
        },
        cpu_stats: cpu(now),
        precpu_stats: before.map(cpu).unwrap_or_default(),
        memory_stats: MemoryStats {
            usage: now.memory_usage,
            max_usage: now.memory_max,
            stats: now.memory_stat.clone(),
            failcnt: now.memory_failcnt,
            limit: now.memory_limit,
            ..Default::default()
        },
        networks: now.networks.iter().map(|(name, counters)| (name.clone(), network(counters))).collect(),
        ..Default::default()
    }
}

fn cpu(sample: &Sample) -> CpuStats {
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: sample.cpu_total,
            percpu_usage: sample.cpu_per_cpu.clone(),
            usage_in_kernelmode: sample.cpu_kernel,
            usage_in_usermode: sample.cpu_user,
        },
        system_cpu_usage: sample.system_cpu,
        online_cpus: sample.online_cpus,
        throttling_data: Throttling {
            periods: sample.throttle_periods,
            throttled_periods: sample.throttled_periods,
            throttled_time: sample.throttled_time,
        },
    }
}

fn entries(list: &[(u64, u64, String, u64)]) -> Vec<BlkioEntry> {
    let entry = |(major, minor, op, value): &(u64, u64, String, u64)| BlkioEntry {
        major: *major,
        minor: *minor,
        op: op.clone(),
        value: *value,
    };
    list.iter().map(entry).collect()
}

fn network(counters: &NetworkCounters) -> NetworkStats {
    NetworkStats {
        rx_bytes: counters.rx_bytes,
        rx_packets: counters.rx_packets,
        rx_errors: counters.rx_errors,
        rx_dropped: counters.rx_dropped,
        tx_bytes: counters.tx_bytes,
        tx_packets: counters.tx_packets,
        tx_errors: counters.tx_errors,
        tx_dropped: counters.tx_dropped,
    }
}
