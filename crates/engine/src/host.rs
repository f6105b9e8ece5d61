//! The host's facts, looked up once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gantry_names::Platform;
use gantry_seccomp::docker::kernel_version;

use crate::bundle::apparmor::AppArmor;
use crate::bundle::{Host, capabilities};
use crate::limits::Limits;
use crate::selinux::Selinux;

/// Looks. SELinux is used where it is wanted and there; where it is wanted only, that is told.
pub(crate) fn look(selinux_wanted: bool) -> Host {
    let uname = rustix::system::uname();
    let cgroup_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let selinux = Selinux::look(selinux_wanted);
    if let Err(why) = &selinux {
        tracing::warn!("{why}");
    }
    Host {
        capabilities: own_capabilities(),
        cgroup_v2,
        limits: Limits::look(cgroup_v2),
        apparmor: AppArmor::look(),
        no_selinux: selinux.as_ref().err().cloned(),
        selinux: selinux.unwrap_or_default(),
        kernel: kernel_version(&uname.release().to_string_lossy()).unwrap_or((0, 0)),
        architecture: Platform::host().architecture,
        hostname: uname.nodename().to_string_lossy().into_owned(),
    }
}

fn own_capabilities() -> BTreeSet<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    capabilities::of_mask(mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0))
}

/// Refuses CPUs that are not online.
pub(crate) fn has_cpus(asked: &str) -> crate::error::Result<()> {
    let Ok(online) = std::fs::read_to_string("/sys/devices/system/cpu/online") else { return Ok(()) };
    let online = online.trim();
    let there = |one: &u32| ranges(online).any(|range| range.contains(one));
    if ranges(asked).flatten().all(|one| there(&one)) {
        return Ok(());
    }
    let text = format!("Requested CPUs are not available - requested {asked}, available: {online}");
    Err(crate::error::Error::Invalid(text))
}

/// The ranges in `0-3,5`; what is none is left out.
fn ranges(list: &str) -> impl Iterator<Item = std::ops::RangeInclusive<u32>> + '_ {
    list.split(',').filter_map(|part| {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        // A processor's number is small: a longer list is cut where it is wrong already.
        Some(first.parse().ok()?..=last.parse::<u32>().ok()?.min(1 << 16))
    })
}

/// How many processors there are.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Memory in bytes.
pub(crate) fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CVE-2018-20699: a list of a few bytes that names every number there is.
    #[test]
    fn processors_without_end_are_refused_at_once() {
        for asked in ["0-4294967295", "1000-4294967295", "0,65536-65536"] {
            assert!(has_cpus(asked).is_err(), "{asked}");
        }
        assert_eq!(ranges("0-4294967295").flatten().count(), (1 << 16) + 1);
        assert!(has_cpus("0").is_ok());
    }
}
