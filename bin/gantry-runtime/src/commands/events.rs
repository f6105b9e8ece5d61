//! `events`: statistics once or again and again, and deaths for want of memory, one JSON object a line.

use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result};
use gantry_cgroups::{BlockIoStats, Stats};
use gantry_runtime_lib::{Container, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::args::{Args, Global};
use crate::state::Folder;

pub fn events(global: &Global, words: Vec<String>) -> Result<u8> {
    let args = Args::parse(words, &[("stats", '\0', false), ("interval", '\0', true)])?;
    let id = args.id()?.to_owned();
    // The lock goes at once: whoever watches does not hold the container.
    let (_, container) = Folder::open(global, &id)?.load()?;
    if container.status()? == Status::Stopped {
        anyhow::bail!("container with id {id} is not running");
    }
    if args.has("stats") {
        println!("{}", stats_event(&id, &container)?);
        return Ok(0);
    }
    watch(&id, &container, interval(args.value("interval").unwrap_or("5s"))?)
}

fn watch(id: &str, container: &Container, every: Duration) -> Result<u8> {
    let oom = container.cgroup().oom_watch()?;
    let mut seen = container.oom_kills().unwrap_or(0);
    let timeout = Timespec { tv_sec: every.as_secs() as i64, tv_nsec: every.subsec_nanos().into() };
    loop {
        let pidfd = container.pidfd();
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN), PollFd::new(&oom, PollFlags::IN)];
        let ready = match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.context("waiting for events")?,
        };
        let (ended, told) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if told {
            let mut buffer = [0u8; 4096];
            let _ = rustix::io::read(oom.as_fd(), &mut buffer);
            let kills = container.oom_kills().unwrap_or(seen);
            if kills > seen {
                seen = kills;
                println!("{}", json!({"type": "oom", "id": id}));
            }
        }
        if ended {
            return Ok(0);
        }
        if ready == 0 {
            println!("{}", stats_event(id, container)?);
        }
    }
}

/// Go's durations, as far as anybody writes them here: `5s`, `500ms`, `1m`.
fn interval(text: &str) -> Result<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let n: u64 = text[..at].parse().with_context(|| format!("invalid interval {text:?}"))?;
    let duration = match &text[at..] {
        "ms" => Duration::from_millis(n),
        "" | "s" => Duration::from_secs(n),
        "m" => Duration::from_secs(n * 60),
        "h" => Duration::from_secs(n * 3600),
        _ => anyhow::bail!("invalid interval {text:?}"),
    };
    anyhow::ensure!(!duration.is_zero(), "duration interval must be greater than 0");
    Ok(duration)
}

fn stats_event(id: &str, container: &Container) -> Result<Value> {
    Ok(json!({"type": "stats", "id": id, "data": data(&container.stats()?)}))
}

/// runc's shape.
fn data(stats: &Stats) -> Value {
    let memory = &stats.memory;
    let entry = |pick: fn(&BlockIoStats) -> u64| -> Vec<Value> {
        stats
            .block_io
            .iter()
            .map(|s| json!({"major": s.major, "minor": s.minor, "op": s.op, "value": pick(s)}))
            .collect()
    };
    let hugetlb: serde_json::Map<String, Value> = stats
        .hugetlb
        .iter()
        .map(|(size, h)| (size.clone(), json!({"usage": h.usage, "max": h.max_usage, "failcnt": h.failures})))
        .collect();
    json!({
        "cpu": {
            "usage": {
                "total": stats.cpu.usage_ns,
                "percpu": stats.cpu.per_cpu_ns,
                "kernel": stats.cpu.system_ns,
                "user": stats.cpu.user_ns,
            },
            "throttling": {
                "periods": stats.cpu.periods,
                "throttledPeriods": stats.cpu.throttled_periods,
                "throttledTime": stats.cpu.throttled_ns,
            },
        },
        "memory": {
            "cache": memory.stat.get("cache").or(memory.stat.get("file")).copied().unwrap_or(0),
            "usage": {
                "limit": memory.limit.unwrap_or(u64::MAX),
                "usage": memory.usage,
                "max": memory.max_usage.unwrap_or(0),
                "failcnt": memory.failures,
            },
            "swap": {
                "limit": memory.swap_limit.unwrap_or(u64::MAX),
                "usage": memory.swap_usage.unwrap_or(0),
                "failcnt": 0,
            },
            "kernel": {"limit": 0, "usage": memory.kernel_usage.unwrap_or(0), "failcnt": 0},
            "raw": memory.stat,
        },
        "pids": {"current": stats.pids.current, "limit": stats.pids.limit.unwrap_or(0)},
        "blkio": {
            "ioServiceBytesRecursive": entry(|s| s.bytes),
            "ioServicedRecursive": entry(|s| s.operations),
        },
        "hugetlb": hugetlb,
        "intel_rdt": {},
        "network_interfaces": null,
    })
}
