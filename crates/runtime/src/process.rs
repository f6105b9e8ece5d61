//! `process` of the configuration, read into numbers before there is a child: what is wrong is found while
//! nothing has been made, and the child only acts.

use std::ffi::CString;

use gantry_seccomp::Program;
use gantry_sys::exec::Strings;
use gantry_sys::sched;

use crate::caps::{self, Masks};
use crate::error::Step;
use crate::spec::{Process, Seccomp, Spec};
use crate::{Error, Result};

/// Everything that is done between the finished container and execve.
#[derive(Debug)]
pub(crate) struct Plan {
    pub args: Vec<String>,
    pub argv: Strings,
    pub env: Vec<String>,
    pub cwd: CString,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub umask: Option<u32>,
    pub caps: Masks,
    pub rlimits: Vec<(rustix::process::Resource, rustix::process::Rlimit, String)>,
    pub no_new_privs: bool,
    pub seccomp: Option<Program>,
    pub exec_label: Option<(Lsm, String)>,
    pub scheduler: Option<sched::Attributes>,
    pub io_priority: Option<(u32, u32)>,
    pub personality: Option<u32>,
    pub oom_score_adj: Option<i32>,
    pub preserve_fds: u32,
    pub warnings: Vec<String>,
}

/// Which security module takes the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lsm {
    AppArmor,
    Selinux,
}

impl Plan {
    /// `seccomp` is the profile and, where it has been compiled before, its program.
    pub(crate) fn of(process: &Process, seccomp: Option<&Seccomp>, compiled: Option<&[u8]>) -> Result<Plan> {
        let mut warnings = Vec::new();
        if process.args.is_empty() || process.args[0].is_empty() {
            return Err(Error::InvalidSpec("args must not be empty".into()));
        }
        if !process.cwd.starts_with('/') {
            return Err(Error::InvalidSpec(format!("Cwd must be an absolute path: {:?}", process.cwd)));
        }
        let seccomp = match (compiled, seccomp) {
            (Some(bytes), _) => Some(Program::from_bytes(bytes)?),
            (None, Some(profile)) => Some(gantry_seccomp::compile(profile)?),
            (None, None) => None,
        };
        // No capabilities named are no capabilities given.
        let none = crate::spec::Capabilities::default();
        let caps =
            caps::masks(process.capabilities.as_ref().unwrap_or(&none), caps::available(), &mut warnings);
        Ok(Plan {
            argv: Strings::new(process.args.iter().map(String::as_str)).step(|| "reading process.args")?,
            args: process.args.clone(),
            env: process.env.clone(),
            cwd: CString::new(process.cwd.as_str())
                .map_err(|_| Error::InvalidSpec("process.cwd has a zero byte in it".into()))?,
            uid: process.user.uid,
            gid: process.user.gid,
            groups: process.user.additional_gids.clone(),
            umask: process.user.umask,
            caps,
            rlimits: process.rlimits.iter().map(rlimit).collect::<Result<_>>()?,
            no_new_privs: process.no_new_privileges,
            seccomp,
            exec_label: label(process)?,
            scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
            io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
            personality: None,
            oom_score_adj: process.oom_score_adj,
            preserve_fds: 0,
            warnings,
        })
    }
}

/// Whether AppArmor decides on this host.
pub(crate) fn has_apparmor() -> bool {
    std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.starts_with('Y'))
}

/// Whether SELinux decides on this host.
pub(crate) fn has_selinux() -> bool {
    std::path::Path::new("/sys/fs/selinux/enforce").exists()
}

fn label(process: &Process) -> Result<Option<(Lsm, String)>> {
    if let Some(profile) = process.apparmor_profile.as_deref().filter(|p| !p.is_empty()) {
        if has_apparmor() {
            return Ok(Some((Lsm::AppArmor, format!("exec {profile}"))));
        }
        if profile != "unconfined" {
            return Err(Error::Unsupported(
                "apparmor is not enabled on this host, but a profile was asked for".into(),
            ));
        }
    }
    if let Some(label) = process.selinux_label.as_deref().filter(|l| !l.is_empty()) {
        if has_selinux() {
            return Ok(Some((Lsm::Selinux, label.to_owned())));
        }
        return Err(Error::Unsupported(
            "selinux label is specified in config, but selinux is disabled or not supported".into(),
        ));
    }
    Ok(None)
}

fn rlimit(ask: &crate::spec::Rlimit) -> Result<(rustix::process::Resource, rustix::process::Rlimit, String)> {
    use rustix::process::{Resource, Rlimit};
    let which = match ask.kind.as_str() {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        other => return Err(Error::InvalidSpec(format!("invalid rlimit type: {other}"))),
    };
    let limit = |n: u64| (n != u64::MAX).then_some(n);
    Ok((which, Rlimit { current: limit(ask.soft), maximum: limit(ask.hard) }, ask.kind.clone()))
}

/// The same for another process, from outside.
pub(crate) fn set_rlimit_of(pid: i32, ask: &crate::spec::Rlimit) -> Result<()> {
    let (which, limit, name) = rlimit(ask)?;
    rustix::process::prlimit(rustix::process::Pid::from_raw(pid), which, limit)
        .map(drop)
        .step(|| format!("error setting rlimit type {name}"))
}

fn scheduler(ask: &crate::spec::Scheduler) -> Result<sched::Attributes> {
    let policy = match ask.policy.as_str() {
        "SCHED_OTHER" | "" => 0,
        "SCHED_FIFO" => 1,
        "SCHED_RR" => 2,
        "SCHED_BATCH" => 3,
        "SCHED_ISO" => 4,
        "SCHED_IDLE" => 5,
        "SCHED_DEADLINE" => 6,
        other => return Err(Error::InvalidSpec(format!("invalid scheduler policy: {other}"))),
    };
    let mut flags = 0;
    for flag in &ask.flags {
        flags |= match flag.as_str() {
            "SCHED_FLAG_RESET_ON_FORK" => 0x01,
            "SCHED_FLAG_RECLAIM" => 0x02,
            "SCHED_FLAG_DL_OVERRUN" => 0x04,
            "SCHED_FLAG_KEEP_POLICY" => 0x08,
            "SCHED_FLAG_KEEP_PARAMS" => 0x10,
            "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
            "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
            other => return Err(Error::InvalidSpec(format!("invalid scheduler flag: {other}"))),
        };
    }
    let mut attributes = sched::Attributes::default();
    attributes.policy = policy;
    attributes.flags = flags;
    attributes.nice = ask.nice;
    attributes.priority = ask.priority.max(0) as u32;
    attributes.runtime = ask.runtime;
    attributes.deadline = ask.deadline;
    attributes.period = ask.period;
    Ok(attributes)
}

fn io_priority(ask: &crate::spec::IoPriority) -> Result<(u32, u32)> {
    let class = match ask.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => return Err(Error::InvalidSpec(format!("invalid ioPriority.Class: {other}"))),
    };
    match u32::try_from(ask.priority).ok().filter(|p| *p <= 7) {
        Some(priority) => Ok((class, priority)),
        None => Err(Error::InvalidSpec(format!("ioPriority.Priority must be 0 to 7, not {}", ask.priority))),
    }
}

/// `linux.personality` as the kernel's number.
pub(crate) fn personality(spec: &Spec) -> Result<Option<u32>> {
    let Some(ask) = &spec.linux().personality else { return Ok(None) };
    if !ask.flags.is_empty() {
        return Err(Error::InvalidSpec("additional personality flags are not supported".into()));
    }
    match ask.domain.as_str() {
        "LINUX" => Ok(Some(0)),
        "LINUX32" => Ok(Some(8)),
        other => Err(Error::InvalidSpec(format!("invalid personality domain {other}"))),
    }
}
