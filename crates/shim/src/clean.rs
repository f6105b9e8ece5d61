//! The undertaker: ends what a killed keeper left.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use gantry_logs::now_ns;
use gantry_shim_protocol::{ExitRecord, RuntimeSpec, ShimConfig, bundle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::{Fatal, runtime};

/// What a container that was killed exits with.
const KILLED: i32 = 137;
const SIGKILL: i32 = 9;

/// Kills the container's processes, removes its cgroup and the runtime's state, and writes an exit record if there is
/// none. A container whose keeper lives is left alone, and so is an empty bundle.
pub(crate) fn clean(path: &Path) -> Result<(), Fatal> {
    let path = fs::canonicalize(path)?;
    rustix::process::chdir(&path)?;
    if keeper_lives() {
        return Err("the container's shim is alive".into());
    }
    let text = match fs::read(bundle::SHIM_CONFIG) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let config: ShimConfig = serde_json::from_slice(&text)?;
    match &config.runtime {
        RuntimeSpec::Own { .. } => runtime::end_recorded(&path, config.id.as_str())?,
        RuntimeSpec::Foreign { path: program, args, root } => {
            runtime::end_foreign(&path, config.id.as_str(), program.as_os_str(), args, root)?;
        }
    }
    runtime::close(&path, &config);
    if !matches!(ExitRecord::read(&path), Ok(Some(_))) {
        let record = ExitRecord { code: KILLED, signal: Some(SIGKILL), at_ns: now_ns(), oom: false };
        record.write(&path)?;
    }
    for left in [bundle::SOCKET, bundle::PID] {
        let _ = fs::remove_file(path.join(left));
    }
    Ok(())
}

/// Somebody listens, and it is the keeper: what it was making when it was killed may hold the socket for a moment longer.
fn keeper_lives() -> bool {
    let Ok(socket) = UnixStream::connect(bundle::SOCKET) else { return false };
    let Ok(listener) = rustix::net::sockopt::socket_peercred(&socket) else { return true };
    let Ok(process) = pidfd_open(listener.pid, PidfdFlags::empty()) else { return false };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    !matches!(poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&now)), Ok(1..))
}
