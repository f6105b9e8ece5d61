//! The program's own file, out of a container's reach.
//!
//! Between clone and execve a process of the container runs from our file, and `/proc/<pid>/exe` leads to it: a
//! container that got it open for writing could replace the runtime on the host (CVE-2019-5736). So whoever
//! makes containers runs from a copy of the file's mount that is read-only and attached nowhere, or from a
//! sealed copy in memory.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use gantry_sys::exec::{Strings, execve_fd};
use rustix::fs::{Mode, OFlags, SealFlags, StatVfsMountFlags};

use crate::error::Step;
use crate::{Error, Result, mount_api, options};

const EXE: &str = "/proc/self/exe";
/// How often we have executed ourselves anew.
const MARK: &str = "_GANTRY_PROTECTED";

/// Whether the program's file can be written by nobody who reaches it through this process.
pub fn is_protected() -> io::Result<bool> {
    let exe = rustix::fs::open(EXE, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    if rustix::fs::fcntl_get_seals(&exe).is_ok_and(|s| s.contains(SealFlags::WRITE)) {
        return Ok(true);
    }
    Ok(rustix::fs::fstatvfs(&exe)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Call this first in a program that makes containers, while it has one thread and nothing open. Returns when the
/// program is protected; executes it anew when it is not.
pub fn ensure() -> Result<()> {
    let doing = || "protecting the runtime's own file";
    if is_protected().step(doing)? {
        return Ok(());
    }
    let tries: u32 = std::env::var(MARK).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    let argv = Strings::new(std::env::args_os().map(OsStringExt::into_vec)).step(doing)?;
    let others = std::env::vars_os().filter(|(key, _)| key != MARK).map(|(key, value)| {
        let mut pair = key.into_vec();
        pair.push(b'=');
        pair.extend(value.into_vec());
        pair
    });
    let envp = Strings::new(others.chain([format!("{MARK}={}", tries + 1).into_bytes()])).step(doing)?;
    let file = match tries {
        0 => read_only_mount().or_else(|_| in_memory()),
        1 => in_memory(),
        _ => Err(io::Error::other("it stays writable")),
    };
    Err(Error::setup(doing(), execve_fd(file.step(doing)?.as_fd(), &argv, &envp)))
}

fn read_only_mount() -> io::Result<std::os::fd::OwnedFd> {
    let tree = mount_api::copy_of(std::path::Path::new(EXE), false)?;
    mount_api::propagate(tree.as_fd(), options::PRIVATE, false)?;
    mount_api::change(tree.as_fd(), options::RDONLY, 0, false)?;
    Ok(tree)
}

fn in_memory() -> io::Result<std::os::fd::OwnedFd> {
    let exe = rustix::fs::open(EXE, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    gantry_sys::fds::sealed_copy("gantry", exe)
}
