//! Hooks: programs of the configuration, run at the named points with the container's state on stdin.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::spec::Hook;
use crate::{Error, Result};

/// The state of the container as hooks and `state` see it (runtime.md, "State").
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State<'a> {
    pub oci_version: &'a str,
    pub id: &'a str,
    pub status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    pub bundle: &'a Path,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub annotations: &'a std::collections::BTreeMap<String, String>,
}

/// How much of a failed hook's stderr is told.
const STDERR_TOLD: u64 = 4096;

/// Runs the hooks in order; the first failure ends it.
pub(crate) fn run(stage: &'static str, hooks: &[Hook], state: &State<'_>) -> Result<()> {
    hooks.iter().enumerate().try_for_each(|(index, hook)| {
        one(hook, state).map_err(|message| Error::Hook { stage: stage.to_owned(), index, message })
    })
}

fn one(hook: &Hook, state: &State<'_>) -> std::result::Result<(), String> {
    let text = serde_json::to_vec(state).map_err(|e| e.to_string())?;
    let mut command = Command::new(&hook.path);
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    for pair in &hook.env {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        command.env(key, value);
    }
    let mut child =
        command.spawn().map_err(|e| format!("{}: {}", hook.path.display(), crate::error::plain(&e)))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that does not read its state is free not to.
        let _ = stdin.write_all(&text);
    }
    let deadline = hook.timeout.filter(|t| *t > 0).map(|t| Instant::now() + Duration::from_secs(t as u64));
    if let Some(deadline) = deadline
        && !ends_before(&child, deadline)?
    {
        let _ = gantry_sys::signals::kill(-(child.id() as i32), 9);
        let _ = child.wait();
        return Err(format!(
            "{} did not end within {} s",
            hook.path.display(),
            hook.timeout.unwrap_or_default()
        ));
    }
    let mut told = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(STDERR_TOLD).read_to_string(&mut told);
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{status}, stdout: , stderr: {}", told.trim_end())),
    }
}

fn ends_before(child: &std::process::Child, deadline: Instant) -> std::result::Result<bool, String> {
    use rustix::event::{PollFd, PollFlags, poll};
    let pid = rustix::process::Pid::from_child(child);
    let pidfd =
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).map_err(|e| e.to_string())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left =
            rustix::event::Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.to_string()),
        }
    }
}
