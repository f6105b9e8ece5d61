//! What a fresh keeper does to itself before it touches the container.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;

use gantry_sys::fds;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit};

/// Closes what our parent has left open by accident, leaves its session and its tree, and takes the descriptor that
/// the spawner talks to us by (our standard input, if it is a socket).
pub(crate) fn settle(bundle: &Path) -> io::Result<Option<OwnedFd>> {
    close_inherited()?;
    // We may be the leader of a group already, when a person starts us by hand: then there is no session to make.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::process::umask(Mode::from_bits_truncate(0o022));
    rustix::process::chdir(bundle)?;
    // We are executed by a descriptor's name; a person who looks at a process list wants ours.
    rustix::thread::set_name(c"gantry-shim")?;
    take_spawner()
}

fn close_inherited() -> io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    // The folder's own descriptor is among them and is closed by now: adopting it fails, and that is fine.
    for fd in open {
        drop(fds::adopt(fd));
    }
    Ok(())
}

fn take_spawner() -> io::Result<Option<OwnedFd>> {
    let stdin = io::stdin();
    let is_socket = rustix::fs::fstat(&stdin)
        .map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket)?;
    let spawner = if is_socket { Some(stdin.as_fd().try_clone_to_owned()?) } else { None };
    let null = dev_null()?;
    fds::dup_onto(null.as_fd(), 0)?;
    Ok(spawner)
}

pub(crate) fn dev_null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Makes the kernel prefer (negative: spare) us when memory is short. Without the right to be spared, we are not.
pub(crate) fn set_oom_score(adj: i32) {
    if let Err(err) = std::fs::write("/proc/self/oom_score_adj", adj.to_string()) {
        eprintln!("oom_score_adj {adj}: {err}");
    }
}

/// So many descriptors may be open here, and in what is made here, unless it asks for more. Without the right to say so, it stays
/// as it is.
pub(crate) fn set_soft_descriptors(soft: u64) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if let Err(err) = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(soft), ..limit }) {
        eprintln!("soft limit of descriptors {soft}: {err}");
    }
}
