//! The one crate that may contain unsafe code: the system calls that `rustix` does not wrap.
//!
//! What this is: thin safe functions over single system calls, each unsafe block with its proof; [`overlay`], the one
//! mount that every kernel wants to be asked for in another way; [`tree`], a removal that no container can make too deep.
//! What it is not: policy. Nothing here decides in which order a container is built.
//! Start reading at [`clone`], then [`seccomp`] and [`bpf`]; everything that rustix offers is used from there.
//!
//! The functions that change the calling process as a whole ([`clone::clone3`], [`caps`], [`ids`]) act on the
//! calling *thread* as the kernel does; they are meant for processes that have exactly one.

pub mod bpf;
pub mod caps;
pub mod clone;
pub mod exec;
pub mod fds;
pub mod ids;
pub mod keyring;
pub mod link;
pub mod mount;
pub mod overlay;
pub mod quota;
pub mod sched;
pub mod seccomp;
pub mod signals;
pub mod terminal;
pub mod tree;
pub mod writeback;

use std::io;

/// Turns the C library's -1 into its errno.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
