//! What `info` and `version` tell of the machine and of this process.

use crate::convert::info::Machine;
use std::fs;

/// Looks at the machine. What cannot be read is empty: `info` never fails for it.
pub(crate) fn look() -> Machine {
    let uname = rustix::system::uname();
    let text = |s: &std::ffi::CStr| s.to_string_lossy().into_owned();
    let release =
        fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    let release = release.unwrap_or_default();
    let field = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    let count = |dir: &str| fs::read_dir(dir).map_or(0, |entries| entries.count() as i64);
    let forwarding = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|on| on.trim() == "1");
    Machine {
        kernel: text(uname.release()),
        os: field("PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
        os_version: field("VERSION_ID").unwrap_or_default(),
        architecture: text(uname.machine()),
        host_name: text(uname.nodename()),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as i64),
        memory: memory(),
        descriptors: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        ipv4_forwarding: forwarding,
    }
}

/// The machine's name.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The kernel's release.
pub(crate) fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The architecture in Go's words.
pub(crate) fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// Bytes of memory.
fn memory() -> i64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
    kib.unwrap_or(0) * 1024
}
