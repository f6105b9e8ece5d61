//! Kernel settings below /proc/sys/net. They are those of the calling thread's network namespace.

use std::path::{Component, Path, PathBuf};

use crate::failure::Error;

fn path(key: &str) -> Option<PathBuf> {
    let key = Path::new(key);
    key.components()
        .all(|part| matches!(part, Component::Normal(_)))
        .then(|| Path::new("/proc/sys").join(key))
}

/// Reads `net/ipv4/ip_forward`; `None` when this kernel has no such setting.
pub fn read(key: &str) -> Option<String> {
    std::fs::read_to_string(path(key)?).ok().map(|text| text.trim().to_owned())
}

/// Writes a setting that must take.
pub fn write(key: &str, value: &str) -> Result<(), Error> {
    let io = |cause| Error::Io { what: format!("set {key} to {value}"), cause };
    let path = path(key).ok_or_else(|| io(std::io::ErrorKind::InvalidInput.into()))?;
    std::fs::write(path, value).map_err(io)
}

/// Writes a setting where this kernel has it (IPv6 may be away altogether), and only when it differs.
pub fn write_if_there(key: &str, value: &str) -> Result<(), Error> {
    match read(key) {
        Some(present) if present != value => write(key, value),
        _ => Ok(()),
    }
}

/// The host's ephemeral port range.
pub fn ephemeral_ports() -> Option<(u16, u16)> {
    let text = read("net/ipv4/ip_local_port_range")?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => Some((first, last)),
        _ => None,
    }
}
