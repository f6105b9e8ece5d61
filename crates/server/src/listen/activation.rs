//! Sockets handed over by systemd: `LISTEN_FDS` of them, from descriptor 3 on (sd_listen_fds(3)).

use super::ListenError;
use rustix::process::{PidfdFlags, PidfdGetfdFlags};
use std::os::fd::OwnedFd;

/// The first descriptor that systemd passes.
const FIRST: i32 = 3;

/// The sockets that `fd://<name>` means: all for `""` and `*`, one for a descriptor's number or a name of
/// `LISTEN_FDNAMES`.
pub(crate) fn sockets(name: &str) -> Result<Vec<OwnedFd>, ListenError> {
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    if var("LISTEN_PID").parse() != Ok(std::process::id()) {
        return Err(ListenError::NotActivated);
    }
    let count: i32 = var("LISTEN_FDS").parse().unwrap_or(0);
    if count < 1 {
        return Err(ListenError::NotActivated);
    }
    let names = var("LISTEN_FDNAMES");
    let numbers = select(name, count, &names);
    if numbers.is_empty() {
        return Err(ListenError::NoSuchSocket(name.to_owned()));
    }
    numbers.into_iter().map(take).collect()
}

/// Which descriptors a name means.
fn select(name: &str, count: i32, names: &str) -> Vec<i32> {
    let all = FIRST..FIRST + count;
    match name {
        "" | "*" => all.collect(),
        name => match name.parse::<i32>() {
            Ok(number) => all.filter(|n| *n == number).collect(),
            Err(_) => all.zip(names.split(':')).filter(|(_, n)| *n == name).map(|(n, _)| n).collect(),
        },
    }
}

/// A descriptor of our own for an inherited one. Through a pidfd of ourselves, because taking a bare number as a
/// descriptor is a promise no type holds; the copy is closed on exec, which the inherited one is not.
fn take(number: i32) -> Result<OwnedFd, ListenError> {
    let failed =
        |e: rustix::io::Errno| ListenError::Socket { address: format!("fd://{number}"), cause: e.into() };
    let us = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).map_err(failed)?;
    rustix::process::pidfd_getfd(us, number, PidfdGetfdFlags::empty()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::select;

    #[test]
    fn names_and_numbers() {
        assert_eq!(select("", 2, ""), [3, 4]);
        assert_eq!(select("*", 1, ""), [3]);
        assert_eq!(select("4", 2, ""), [4]);
        assert_eq!(select("9", 2, ""), Vec::<i32>::new());
        assert_eq!(select("api", 3, "web:api:api"), [4, 5]);
    }
}
