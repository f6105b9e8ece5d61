//! Limits in version 2's words. Kernel: Documentation/admin-guide/cgroup-v2.rst.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{number, read_maybe, write, write_raw};
use crate::spec::{BlockIo, Cpu, Memory, Resources};
use crate::{Error, Result, devices, limits_v1::rdma_line};

/// Makes the folder, handing every controller down from the mount to it. A controller that cannot be handed
/// down is missed when a limit needs it.
pub(crate) fn make(mount: &Path, folder: &Path) -> Result<()> {
    let mut chain: Vec<PathBuf> =
        folder.ancestors().take_while(|a| *a != mount).map(Path::to_path_buf).collect();
    chain.reverse();
    let mut parent = mount.to_path_buf();
    for level in chain {
        let has = read_maybe(&parent, "cgroup.controllers").unwrap_or_default();
        let given = read_maybe(&parent, "cgroup.subtree_control").unwrap_or_default();
        let missing: Vec<String> = has
            .split_whitespace()
            .filter(|c| !given.split_whitespace().any(|g| g == *c))
            .map(|c| format!("+{c}"))
            .collect();
        if !missing.is_empty() && write_raw(&parent, "cgroup.subtree_control", &missing.join(" ")).is_err() {
            for one in &missing {
                // All at once failed for one of them: give the others, and let the limit that needs it tell.
                let _ = write_raw(&parent, "cgroup.subtree_control", one);
            }
        }
        match fs::create_dir(&level) {
            Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::Io { what: format!("failed to make cgroup {}", level.display()), cause });
            }
            _ => parent = level,
        }
    }
    Ok(())
}

pub(crate) fn set(folder: &Path, ask: &Resources, warnings: &mut Vec<String>) -> Result<()> {
    if !ask.devices.is_empty() {
        devices::set_v2(folder, &ask.devices)?;
    }
    if let Some(m) = &ask.memory {
        memory(folder, m, warnings)?;
    }
    if let Some(c) = &ask.cpu {
        cpu(folder, c, warnings)?;
    }
    if let Some(limit) = ask.pids.as_ref().and_then(|p| p.limit).filter(|l| *l != 0) {
        write(folder, "pids.max", &or_max(limit))?;
    }
    if let Some(b) = &ask.block_io {
        block_io(folder, b, warnings)?;
    }
    for huge in &ask.hugepage_limits {
        write(folder, &format!("hugetlb.{}.max", huge.page_size), &huge.limit.to_string())?;
        let reserved = format!("hugetlb.{}.rsvd.max", huge.page_size);
        if folder.join(&reserved).exists() {
            write(folder, &reserved, &huge.limit.to_string())?;
        }
    }
    for (device, limits) in &ask.rdma {
        write(folder, "rdma.max", &rdma_line(device, limits))?;
    }
    if ask.network.as_ref().is_some_and(|n| n.class_id.is_some() || !n.priorities.is_empty()) {
        return Err(Error::Unsupported("net_cls and net_prio do not exist in cgroup v2".into()));
    }
    for (file, value) in &ask.unified {
        if file.contains('/') || !file.contains('.') {
            return Err(Error::Invalid(format!(
                "unified resource \"{file}\" must be a file name without any slashes"
            )));
        }
        // A file like io.max takes one line a write.
        for line in value.split('\n').filter(|l| !l.is_empty()) {
            write_raw(folder, file, line).map_err(|cause| {
                let controller = file.split('.').next().unwrap_or_default();
                let available = read_maybe(folder, "cgroup.controllers").unwrap_or_default();
                let known = controller == "cgroup" || available.split_whitespace().any(|c| c == controller);
                if known {
                    Error::Io { what: format!("unable to set unified resource \"{file}\""), cause }
                } else {
                    Error::Unsupported(format!(
                        "unified resource \"{file}\" can't be set: controller \"{controller}\" not available"
                    ))
                }
            })?;
        }
    }
    Ok(())
}

fn or_max(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}

fn memory(folder: &Path, ask: &Memory, warnings: &mut Vec<String>) -> Result<()> {
    // Version 2 counts swap alone.
    let limit = ask.limit.filter(|l| *l != 0);
    let swap = match (limit, ask.swap.filter(|s| *s != 0)) {
        (_, Some(-1)) | (Some(-1), None) => Some(-1),
        (_, None) => None,
        (Some(limit), Some(both)) if limit >= 0 && both >= limit => Some(both - limit),
        (Some(-1), Some(_)) | (None, Some(_)) => {
            return Err(Error::Invalid("unable to set swap limit without memory limit".into()));
        }
        (Some(_), Some(_)) => {
            return Err(Error::Invalid("memory+swap limit should be >= memory limit".into()));
        }
    };
    if let Some(swap) = swap {
        match folder.join("memory.swap.max").exists() {
            true => write(folder, "memory.swap.max", &or_max(swap))?,
            false if swap > 0 => warnings.push("Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.".into()),
            false => {}
        }
    }
    if let Some(limit) = limit {
        if ask.check_before_update == Some(true)
            && let Some(usage) = number(folder, "memory.current")
            && limit > 0
            && (limit as u64) < usage
        {
            return Err(Error::Invalid(format!(
                "setting memory limit to {limit}: new limit is below the usage of {usage}"
            )));
        }
        write(folder, "memory.max", &or_max(limit))?;
    }
    if let Some(r) = ask.reservation.filter(|r| *r != 0) {
        write(folder, "memory.low", &or_max(r))?;
    }
    if ask.kernel.is_some_and(|k| k > 0) || ask.kernel_tcp.is_some_and(|k| k > 0) {
        warnings.push("cgroup v2 has no kernel memory limit: it was discarded".into());
    }
    if ask.swappiness.is_some() {
        warnings.push("Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.".into());
    }
    if ask.disable_oom_killer == Some(true) {
        warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".into());
    }
    Ok(())
}

/// Version 1's 2..262144 to version 2's 1..10000 on a logarithmic scale, so that the defaults 1024 and 100 meet
/// (the formula that runc 1.3.2 and crun 1.23 use).
fn weight_of(shares: u64) -> u64 {
    let log = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    (10f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

fn cpu(folder: &Path, ask: &Cpu, warnings: &mut Vec<String>) -> Result<()> {
    if let Some(shares) = ask.shares.filter(|s| *s != 0) {
        write(folder, "cpu.weight", &weight_of(shares).to_string())?;
    }
    let burst = ask.burst.map(|b| b.to_string());
    let burst_first = burst.as_ref().is_some_and(|b| write_raw(folder, "cpu.max.burst", b).is_ok());
    let (quota, period) = (ask.quota.filter(|q| *q != 0), ask.period.filter(|p| *p != 0));
    if quota.is_some() || period.is_some() {
        let now = read_maybe(folder, "cpu.max").unwrap_or_default();
        let now = now.split(' ').next().filter(|n| !n.is_empty()).unwrap_or("max").to_owned();
        let quota = quota.map_or(now, or_max);
        write(folder, "cpu.max", &format!("{quota} {}", period.unwrap_or(100_000)))?;
    }
    if let Some(burst) = burst.filter(|_| !burst_first) {
        write(folder, "cpu.max.burst", &burst)?;
    }
    if ask.realtime_period.is_some_and(|p| p != 0) || ask.realtime_runtime.is_some_and(|r| r != 0) {
        warnings.push("cgroup v2 has no real-time limits: they were discarded".into());
    }
    if let Some(idle) = ask.idle {
        write(folder, "cpu.idle", &idle.to_string())?;
    }
    for (file, value) in [("cpuset.cpus", &ask.cpus), ("cpuset.mems", &ask.mems)] {
        if let Some(value) = value.as_ref().filter(|v| !v.is_empty()) {
            write(folder, file, value)?;
        }
    }
    Ok(())
}

fn block_io(folder: &Path, ask: &BlockIo, warnings: &mut Vec<String>) -> Result<()> {
    let bfq = folder.join("io.bfq.weight").exists();
    // 10..1000 to 1..10000; bfq keeps version 1's scale.
    let scaled = |w: u16| if bfq { u64::from(w) } else { 1 + (u64::from(w).saturating_sub(10)) * 9999 / 990 };
    let file = if bfq { "io.bfq.weight" } else { "io.weight" };
    let mut discarded = false;
    if let Some(weight) = ask.weight.filter(|w| *w != 0) {
        match folder.join(file).exists() {
            true => write(folder, file, &scaled(weight).to_string())?,
            false => discarded = true,
        }
    }
    for d in &ask.weight_device {
        let Some(weight) = d.weight.filter(|w| *w != 0) else { continue };
        match folder.join(file).exists() {
            true => write(folder, file, &format!("{}:{} {}", d.major, d.minor, scaled(weight)))?,
            false => discarded = true,
        }
    }
    if discarded {
        warnings.push(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
                .into(),
        );
    }
    for (word, list) in [
        ("rbps", &ask.throttle_read_bps_device),
        ("wbps", &ask.throttle_write_bps_device),
        ("riops", &ask.throttle_read_iops_device),
        ("wiops", &ask.throttle_write_iops_device),
    ] {
        for d in list {
            let rate = if d.rate == 0 { "max".to_owned() } else { d.rate.to_string() };
            write(folder, "io.max", &format!("{}:{} {word}={rate}", d.major, d.minor))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_map_to_weights_with_their_ends_and_their_middle() {
        assert_eq!([weight_of(2), weight_of(1024), weight_of(262_144)], [1, 100, 10_000]);
        assert!(weight_of(512) < weight_of(1024));
    }
}
