//! Handing the seccomp notify descriptor to the agent that the configuration names (config-linux.md, "The
//! seccomp listener": one message with the container process's state and the descriptor).

use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::error::Step;
use crate::hooks::State;
use crate::spec::Seccomp;
use crate::{Error, Result};

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'static str; 1],
    pid: i32,
    metadata: &'a str,
    state: &'a State<'a>,
}

pub(crate) fn hand_over(seccomp: &Seccomp, state: &State<'_>, pid: i32, notify: &OwnedFd) -> Result<()> {
    let path = seccomp
        .listener_path
        .as_deref()
        .ok_or_else(|| Error::InvalidSpec("seccomp SCMP_ACT_NOTIFY needs a listenerPath".into()))?;
    let doing = || format!("handing the seccomp descriptor to {path}");
    let metadata = seccomp.listener_metadata.as_deref().unwrap_or("");
    let told = ProcessState { oci_version: state.oci_version, fds: ["seccompFd"], pid, metadata, state };
    let text = serde_json::to_vec(&told).map_err(|e| Error::setup(doing(), std::io::Error::other(e)))?;
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).step(doing)?;
    connect(&socket, &SocketAddrUnix::new(path).step(doing)?).step(doing)?;
    gantry_sys::fds::send(&socket, &text, &[notify.as_fd()]).step(doing)
}
