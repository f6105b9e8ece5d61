//! User namespaces: writing the maps of a new one, and one that exists only for its maps.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use gantry_sys::clone::{Clone, Cloned, clone3, exit_now};
use rustix::fs::{Mode, OFlags};

use crate::spec::IdMapping;

const CLONE_NEWUSER: u64 = 0x1000_0000;

/// Writes `/proc/<pid>/uid_map` and `gid_map`, once and for all.
pub(crate) fn map(pid: i32, uids: &[IdMapping], gids: &[IdMapping]) -> io::Result<()> {
    let write = |file: &str, maps: &[IdMapping]| {
        let mut text = String::new();
        for m in maps {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {} {}", m.container_id, m.host_id, m.size);
        }
        // The kernel takes one write of everything.
        OpenOptions::new().write(true).open(format!("/proc/{pid}/{file}"))?.write_all(text.as_bytes())
    };
    write("uid_map", uids)?;
    write("gid_map", gids)
}

/// A user namespace with these maps and nobody in it.
pub(crate) fn with_maps(uids: &[IdMapping], gids: &[IdMapping]) -> io::Result<OwnedFd> {
    let (pid, pidfd) = match clone3(Clone { flags: CLONE_NEWUSER, cgroup: None })? {
        Cloned::Child => loop {
            // Killed by the parent below, or with it gone by the reaper of its pid namespace.
            match rustix::process::getppid() {
                Some(_) => rustix::event::pause(),
                None => exit_now(0),
            }
        },
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let made = map(pid, uids, gids).and_then(|()| {
        rustix::fs::open(format!("/proc/{pid}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(Into::into)
    });
    gantry_sys::signals::send(&pidfd, 9)?;
    crate::reap::wait(&pidfd)?;
    made
}
