//! What a control group has counted.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{keyed, number, read_maybe};
use crate::group::Place;
use crate::{Cgroup, Result};

/// What a control group has counted. Times in nanoseconds, sizes in bytes; what the host does not count is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub cpu: CpuStats,
    pub memory: MemoryStats,
    pub pids: PidsStats,
    pub block_io: Vec<BlockIoStats>,
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuStats {
    pub usage_ns: u64,
    pub user_ns: u64,
    pub system_ns: u64,
    /// By processor; version 1 only.
    pub per_cpu_ns: Vec<u64>,
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_ns: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryStats {
    pub usage: u64,
    pub max_usage: Option<u64>,
    /// `None`: no limit.
    pub limit: Option<u64>,
    pub failures: u64,
    pub swap_usage: Option<u64>,
    pub swap_limit: Option<u64>,
    pub kernel_usage: Option<u64>,
    /// How often the kernel has killed in here for want of memory.
    pub oom_kills: Option<u64>,
    /// `memory.stat` as the kernel names it.
    pub stat: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PidsStats {
    pub current: u64,
    /// `None`: no limit.
    pub limit: Option<u64>,
}

/// One line of the block layer's books.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockIoStats {
    pub major: u64,
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`.
    pub op: String,
    pub bytes: u64,
    pub operations: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HugetlbStats {
    pub usage: u64,
    pub max_usage: u64,
    pub failures: u64,
}

/// The kernel's "no limit" of version 1: the largest multiple of a page.
const V1_UNLIMITED: u64 = 0x7fff_ffff_ffff_f000;
/// `cpuacct.stat` counts in hundredths of a second on every Linux.
const TICK_NS: u64 = 10_000_000;

impl Cgroup {
    /// Everything this host counts.
    pub fn stats(&self) -> Result<Stats> {
        Ok(match &self.place {
            Place::V1(_) => self.stats_v1(),
            Place::V2(folder) => stats_v2(folder),
        })
    }

    fn stats_v1(&self) -> Stats {
        let mut stats = Stats::default();
        if let Some(f) = self.folder("cpuacct") {
            stats.cpu.usage_ns = number(f, "cpuacct.usage").unwrap_or_default();
            let split = read_maybe(f, "cpuacct.stat").unwrap_or_default();
            stats.cpu.user_ns = keyed(&split, "user").unwrap_or_default() * TICK_NS;
            stats.cpu.system_ns = keyed(&split, "system").unwrap_or_default() * TICK_NS;
            stats.cpu.per_cpu_ns = read_maybe(f, "cpuacct.usage_percpu")
                .map(|t| t.split_whitespace().filter_map(|n| n.parse().ok()).collect())
                .unwrap_or_default();
        }
        if let Some(text) = self.folder("cpu").and_then(|f| read_maybe(f, "cpu.stat")) {
            stats.cpu.periods = keyed(&text, "nr_periods").unwrap_or_default();
            stats.cpu.throttled_periods = keyed(&text, "nr_throttled").unwrap_or_default();
            stats.cpu.throttled_ns = keyed(&text, "throttled_time").unwrap_or_default();
        }
        if let Some(f) = self.folder("memory") {
            let limited = |file| number(f, file).filter(|l| *l < V1_UNLIMITED);
            stats.memory = MemoryStats {
                usage: number(f, "memory.usage_in_bytes").unwrap_or_default(),
                max_usage: number(f, "memory.max_usage_in_bytes"),
                limit: limited("memory.limit_in_bytes"),
                failures: number(f, "memory.failcnt").unwrap_or_default(),
                swap_usage: number(f, "memory.memsw.usage_in_bytes"),
                swap_limit: limited("memory.memsw.limit_in_bytes"),
                kernel_usage: number(f, "memory.kmem.usage_in_bytes"),
                oom_kills: self.oom_kills(),
                stat: table(f, "memory.stat"),
            };
        }
        if let Some(f) = self.folder("pids") {
            stats.pids = pids(f);
        }
        if let Some(f) = self.folder("blkio") {
            let first = |files: [&str; 2]| files.iter().find_map(|n| read_maybe(f, n)).unwrap_or_default();
            let bytes =
                first(["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"]);
            let operations = first(["blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced"]);
            stats.block_io = merge_v1(&bytes, &operations);
        }
        if let Some(f) = self.folder("hugetlb") {
            stats.hugetlb = hugetlb(f, ".usage_in_bytes", ".max_usage_in_bytes", ".failcnt");
        }
        stats
    }
}

fn stats_v2(f: &Path) -> Stats {
    let cpu = read_maybe(f, "cpu.stat").unwrap_or_default();
    let us = |key| keyed(&cpu, key).unwrap_or_default() * 1000;
    let events = read_maybe(f, "memory.events").unwrap_or_default();
    Stats {
        cpu: CpuStats {
            usage_ns: us("usage_usec"),
            user_ns: us("user_usec"),
            system_ns: us("system_usec"),
            per_cpu_ns: Vec::new(),
            periods: keyed(&cpu, "nr_periods").unwrap_or_default(),
            throttled_periods: keyed(&cpu, "nr_throttled").unwrap_or_default(),
            throttled_ns: us("throttled_usec"),
        },
        memory: MemoryStats {
            usage: number(f, "memory.current").unwrap_or_default(),
            max_usage: number(f, "memory.peak"),
            limit: number(f, "memory.max"),
            failures: keyed(&events, "max").unwrap_or_default(),
            swap_usage: number(f, "memory.swap.current"),
            swap_limit: number(f, "memory.swap.max"),
            kernel_usage: None,
            oom_kills: keyed(&events, "oom_kill"),
            stat: table(f, "memory.stat"),
        },
        pids: pids(f),
        block_io: io_v2(&read_maybe(f, "io.stat").unwrap_or_default()),
        hugetlb: hugetlb(f, ".current", ".max", ".events"),
    }
}

fn pids(f: &Path) -> PidsStats {
    PidsStats { current: number(f, "pids.current").unwrap_or_default(), limit: number(f, "pids.max") }
}

fn table(f: &Path, file: &str) -> BTreeMap<String, u64> {
    let text = read_maybe(f, file).unwrap_or_default();
    text.lines()
        .filter_map(|l| l.split_once(' '))
        .filter_map(|(k, v)| Some((k.to_owned(), v.parse().ok()?)))
        .collect()
}

/// `8:0 Read 4096`; the grand total at the end has no device and is left out.
fn merge_v1(bytes: &str, operations: &str) -> Vec<BlockIoStats> {
    let rows = |text: &str| -> Vec<(u64, u64, String, u64)> {
        text.lines()
            .filter_map(|line| {
                let mut parts = line.split(' ');
                let (major, minor) = parts.next()?.split_once(':')?;
                let op = parts.next()?.to_owned();
                Some((major.parse().ok()?, minor.parse().ok()?, op, parts.next()?.parse().ok()?))
            })
            .collect()
    };
    let operations = rows(operations);
    rows(bytes)
        .into_iter()
        .map(|(major, minor, op, bytes)| {
            let same = operations.iter().find(|o| o.0 == major && o.1 == minor && o.2 == op);
            BlockIoStats { major, minor, op, bytes, operations: same.map_or(0, |o| o.3) }
        })
        .collect()
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn io_v2(text: &str) -> Vec<BlockIoStats> {
    let mut all = Vec::new();
    for line in text.lines() {
        let Some((device, rest)) = line.split_once(' ') else { continue };
        let Some((major, minor)) = device.split_once(':') else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        let of = |key: &str| -> u64 {
            let found = rest.split(' ').find_map(|p| p.strip_prefix(key)?.strip_prefix('=')?.parse().ok());
            found.unwrap_or_default()
        };
        for (op, bytes, operations) in
            [("Read", "rbytes", "rios"), ("Write", "wbytes", "wios"), ("Discard", "dbytes", "dios")]
        {
            all.push(BlockIoStats {
                major,
                minor,
                op: op.into(),
                bytes: of(bytes),
                operations: of(operations),
            });
        }
    }
    all
}

fn hugetlb(f: &Path, usage: &str, max: &str, failures: &str) -> BTreeMap<String, HugetlbStats> {
    let Ok(entries) = std::fs::read_dir(f) else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let size = name.strip_prefix("hugetlb.")?.strip_suffix(usage)?.to_owned();
            if size.contains('.') {
                return None;
            }
            let of = |suffix: &str| number(f, &format!("hugetlb.{size}{suffix}"));
            let failed =
                of(failures).or_else(|| keyed(&read_maybe(f, &format!("hugetlb.{size}{failures}"))?, "max"));
            let stats = HugetlbStats {
                usage: of(usage).unwrap_or_default(),
                max_usage: of(max).unwrap_or_default(),
                failures: failed.unwrap_or_default(),
            };
            Some((size, stats))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_books_of_the_block_layer_read_alike() {
        let v1 = merge_v1("8:0 Read 10\n8:0 Write 20\nTotal 30\n", "8:0 Read 1\n8:0 Write 2\nTotal 3\n");
        let v2 = io_v2("8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n");
        assert_eq!(v1, v2[..2]);
    }
}
