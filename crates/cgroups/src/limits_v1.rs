//! Limits in version 1's words. Kernel: Documentation/admin-guide/cgroup-v1/.

use std::path::{Path, PathBuf};

use crate::files::{number, read, read_maybe, write, write_raw};
use crate::spec::{BlockIo, Cpu, Memory, Resources};
use crate::{Cgroup, Error, Result, devices};

/// A new cpuset has no processors and lets nobody in: copy the parent's down to the new folder.
pub(crate) fn inherit_cpuset(mount: &Path, folder: &Path) -> Result<()> {
    let mut chain: Vec<PathBuf> =
        folder.ancestors().take_while(|a| *a != mount).map(Path::to_path_buf).collect();
    chain.reverse();
    for level in chain {
        let parent = level.parent().unwrap_or(mount);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if read(&level, file)?.is_empty() {
                write(&level, file, &read(parent, file)?)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn set(group: &Cgroup, ask: &Resources, warnings: &mut Vec<String>) -> Result<()> {
    if !ask.unified.is_empty() {
        return Err(Error::Unsupported("invalid configuration: cannot use unified on cgroup v1".into()));
    }
    let need = |controller: &str| {
        group.folder(controller).ok_or_else(|| {
            Error::Unsupported(format!("cgroup controller \"{controller}\" is not available on this host"))
        })
    };
    if !ask.devices.is_empty() {
        match group.folder("devices") {
            Some(folder) => devices::set_v1(folder, &ask.devices)?,
            None => {
                return Err(Error::Unsupported(
                    "the devices cgroup is not available: device rules cannot be held".into(),
                ));
            }
        }
    }
    if let Some(m) = ask.memory.as_ref().filter(|m| **m != Memory::default()) {
        memory(need("memory")?, m, warnings)?;
    }
    if let Some(c) = &ask.cpu {
        if (Cpu { cpus: None, mems: None, ..c.clone() }) != Cpu::default() {
            cpu(need("cpu")?, c)?;
        }
        for (file, value) in [("cpuset.cpus", &c.cpus), ("cpuset.mems", &c.mems)] {
            if let Some(value) = value.as_ref().filter(|v| !v.is_empty()) {
                write(need("cpuset")?, file, value)?;
            }
        }
    }
    if let Some(limit) = ask.pids.as_ref().and_then(|p| p.limit).filter(|l| *l != 0) {
        let value = if limit < 0 { "max".to_owned() } else { limit.to_string() };
        write(need("pids")?, "pids.max", &value)?;
    }
    if let Some(b) = ask.block_io.as_ref().filter(|b| **b != BlockIo::default()) {
        block_io(need("blkio")?, b, warnings)?;
    }
    for huge in &ask.hugepage_limits {
        write(
            need("hugetlb")?,
            &format!("hugetlb.{}.limit_in_bytes", huge.page_size),
            &huge.limit.to_string(),
        )?;
    }
    for (device, limits) in &ask.rdma {
        write(need("rdma")?, "rdma.max", &rdma_line(device, limits))?;
    }
    if let Some(network) = &ask.network {
        if let Some(class) = network.class_id {
            write(need("net_cls")?, "net_cls.classid", &class.to_string())?;
        }
        for p in &network.priorities {
            write(need("net_prio")?, "net_prio.ifpriomap", &format!("{} {}", p.name, p.priority))?;
        }
    }
    Ok(())
}

pub(crate) fn rdma_line(device: &str, limits: &crate::spec::Rdma) -> String {
    let mut line = device.to_owned();
    if let Some(n) = limits.hca_handles {
        line.push_str(&format!(" hca_handle={n}"));
    }
    if let Some(n) = limits.hca_objects {
        line.push_str(&format!(" hca_object={n}"));
    }
    line
}

fn memory(folder: &Path, ask: &Memory, warnings: &mut Vec<String>) -> Result<()> {
    const LIMIT: &str = "memory.limit_in_bytes";
    const SWAP: &str = "memory.memsw.limit_in_bytes";
    // Memory and swap have no limit of their own once memory has none.
    let swap = match (ask.limit, ask.swap) {
        (Some(-1), None | Some(0)) => Some(-1),
        (_, swap) => swap.filter(|s| *s != 0),
    };
    let limit = ask.limit.filter(|l| *l != 0);
    let mut steps: Vec<(&str, i64)> = Vec::new();
    steps.extend(limit.map(|l| (LIMIT, l)));
    if let Some(swap) = swap {
        match number(folder, SWAP) {
            None => {
                if ask.swap.is_some_and(|s| s > 0) {
                    warnings.push("Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.".into());
                }
            }
            // The kernel holds limit <= limit with swap at every moment: raise the outer one first, lower it last.
            Some(now) if swap < 0 || swap as u64 > now => steps.insert(0, (SWAP, swap)),
            Some(_) => steps.push((SWAP, swap)),
        }
    }
    for (file, value) in steps {
        write_raw(folder, file, &value.to_string()).map_err(|cause| {
            let usage = number(folder, "memory.usage_in_bytes").unwrap_or_default();
            let peak = number(folder, "memory.max_usage_in_bytes").unwrap_or_default();
            let what = if cause.raw_os_error() == Some(16) {
                format!("unable to set memory limit to {value} (current usage: {usage}, peak usage: {peak})")
            } else {
                format!("failed to write \"{value}\" to {}", folder.join(file).display())
            };
            Error::Io { what, cause }
        })?;
    }
    if let Some(r) = ask.reservation.filter(|r| *r != 0) {
        write(folder, "memory.soft_limit_in_bytes", &r.to_string())?;
    }
    for (file, value) in
        [("memory.kmem.limit_in_bytes", ask.kernel), ("memory.kmem.tcp.limit_in_bytes", ask.kernel_tcp)]
    {
        let Some(value) = value.filter(|v| *v != 0) else { continue };
        if let Err(e) = write_raw(folder, file, &value.to_string()) {
            warnings.push(format!("the kernel memory limit {file} was not set: {e}"));
        }
    }
    if let Some(s) = ask.swappiness {
        if s > 100 {
            return Err(Error::Invalid(format!(
                "invalid memory swappiness value: {s} (valid range is 0-100)"
            )));
        }
        write(folder, "memory.swappiness", &s.to_string())?;
    }
    match ask.disable_oom_killer {
        Some(true) => write(folder, "memory.oom_control", "1")?,
        Some(false)
            if read_maybe(folder, "memory.oom_control").is_some_and(|t| t.contains("oom_kill_disable 1")) =>
        {
            write(folder, "memory.oom_control", "0")?;
        }
        _ => {}
    }
    if ask.use_hierarchy == Some(true) && number(folder, "memory.use_hierarchy") == Some(0) {
        write(folder, "memory.use_hierarchy", "1")?;
    }
    Ok(())
}

fn cpu(folder: &Path, ask: &Cpu) -> Result<()> {
    if let Some(shares) = ask.shares.filter(|s| *s != 0) {
        write(folder, "cpu.shares", &shares.to_string())?;
        let now = number(folder, "cpu.shares").unwrap_or(shares);
        if shares > now {
            return Err(Error::Invalid(format!("the maximum allowed cpu-shares is {now}")));
        }
        if shares < now {
            return Err(Error::Invalid(format!("the minimum allowed cpu-shares is {now}")));
        }
    }
    // Period and quota are checked against each other and against the parent: a quota that only fits the
    // new period has to come after it, and the other way round.
    let period = ask.period.filter(|p| *p != 0).map(|p| p.to_string());
    let quota = ask.quota.filter(|q| *q != 0).map(|q| q.to_string());
    let mut period_later = false;
    if let Some(period) = &period
        && let Err(e) = write_raw(folder, "cpu.cfs_period_us", period)
    {
        if e.raw_os_error() != Some(22) || quota.is_none() {
            return Err(Error::Io {
                what: format!("failed to write \"{period}\" to cpu.cfs_period_us"),
                cause: e,
            });
        }
        period_later = true;
    }
    // The burst may not be above the quota: lower it before, raise it after.
    let burst = ask.burst.map(|b| b.to_string());
    let burst_first = burst.as_ref().is_some_and(|b| write_raw(folder, "cpu.cfs_burst_us", b).is_ok());
    if let Some(quota) = &quota {
        write(folder, "cpu.cfs_quota_us", quota)?;
    }
    if let Some(period) = period.filter(|_| period_later) {
        write(folder, "cpu.cfs_period_us", &period)?;
    }
    if let Some(burst) = burst.filter(|_| !burst_first) {
        write(folder, "cpu.cfs_burst_us", &burst)?;
    }
    if let Some(period) = ask.realtime_period.filter(|p| *p != 0) {
        write(folder, "cpu.rt_period_us", &period.to_string())?;
    }
    if let Some(runtime) = ask.realtime_runtime.filter(|r| *r != 0) {
        write(folder, "cpu.rt_runtime_us", &runtime.to_string())?;
    }
    if let Some(idle) = ask.idle {
        write(folder, "cpu.idle", &idle.to_string())?;
    }
    Ok(())
}

fn block_io(folder: &Path, ask: &BlockIo, warnings: &mut Vec<String>) -> Result<()> {
    let has = |file: &str| folder.join(file).exists();
    let weight_file = ["blkio.weight", "blkio.bfq.weight"].into_iter().find(|f| has(f));
    if let Some(weight) = ask.weight.filter(|w| *w != 0) {
        match weight_file {
            Some(file) => write(folder, file, &weight.to_string())?,
            None => warnings.push("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.".into()),
        }
    }
    if let Some(weight) = ask.leaf_weight.filter(|w| *w != 0) {
        match has("blkio.leaf_weight") {
            true => write(folder, "blkio.leaf_weight", &weight.to_string())?,
            false => {
                warnings.push("this kernel has no blkio.leaf_weight: the leaf weight was discarded".into())
            }
        }
    }
    for device in &ask.weight_device {
        let Some(weight) = device.weight.filter(|w| *w != 0) else { continue };
        match ["blkio.weight_device", "blkio.bfq.weight_device"].into_iter().find(|f| has(f)) {
            Some(file) => write(folder, file, &format!("{}:{} {weight}", device.major, device.minor))?,
            None => warnings.push(
                "Your kernel does not support Block I/O weight_device. Weight-device discarded.".into(),
            ),
        }
    }
    for (file, list) in [
        ("blkio.throttle.read_bps_device", &ask.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", &ask.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", &ask.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", &ask.throttle_write_iops_device),
    ] {
        for d in list {
            write(folder, file, &format!("{}:{} {}", d.major, d.minor, d.rate))?;
        }
    }
    Ok(())
}
