//! The last stretch, the same for a container's first process and for every exec session: limits, label,
//! descriptors, folder, rights, seccomp, the gate, execve.

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use gantry_sys::clone::exit_now;
use gantry_sys::exec::{Strings, execve};
use gantry_sys::{caps, fds, ids, sched, seccomp};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};

use crate::error::Step;
use crate::gate::Waiting;
use crate::process::{Lsm, Plan};
use crate::wire::{Kind, Line};
use crate::{Error, Result, lookup, mount_api};

/// `CAP_SYS_ADMIN`: what seccomp asks for without no_new_privs.
const SYS_ADMIN: u64 = 1 << 21;

/// A process that only has to execute its command.
#[derive(Debug)]
pub(crate) struct Finished {
    name: String,
    command: CString,
    argv: Strings,
    envp: Strings,
    door: Door,
    /// Kept open only when there is more to tell or to hear.
    line: Option<Line>,
}

/// What stands between a finished process and its command.
#[derive(Debug)]
pub(crate) enum Door {
    /// Somebody has to say go; the answer is told there.
    Gate(Waiting),
    /// Nothing: execve closes the line, and that is the answer. One way there and back less for an exec session.
    Open,
}

impl Finished {
    /// Waits at the gate, runs what has to come between, executes. Never comes back.
    pub(crate) fn execute(mut self, before: impl FnOnce() -> Result<()>) -> ! {
        if let Door::Gate(gate) = &mut self.door {
            let kept = self.line.take().is_none_or(|line| line.is_kept());
            if !kept || !gate.wait() {
                exit_now(1);
            }
        }
        let error = match before() {
            Ok(()) => lookup::refused(&self.name, &execve(&self.command, &self.argv, &self.envp)),
            Err(e) => e,
        };
        match (&mut self.door, &self.line) {
            (Door::Gate(gate), _) => gate.fail(&error),
            // Nobody listening any more is the only way this fails.
            (Door::Open, Some(line)) => drop(line.tell_failed(&error)),
            (Door::Open, None) => {}
        }
        exit_now(error.exit_code())
    }
}

/// Does everything up to the gate and tells `Ready`; on an error tells it and ends the process.
pub(crate) fn finish(plan: Plan, line: Line, door: Door, limits_are_set: bool) -> Finished {
    let first = 3 + plan.preserve_fds;
    // From here on nothing of the host is open but what the line and the gate need (CVE-2024-21626).
    let (mut line, door) = match descriptors(first, line, door) {
        Ok(kept) => kept,
        Err(_) => exit_now(1),
    };
    match rights(plan, &mut line, limits_are_set) {
        Ok((name, command, argv, envp)) => {
            let line = match &door {
                Door::Open => Some(line),
                Door::Gate(gate) => match line.tell(Kind::Ready, None) {
                    Ok(()) => gate.is_left_alone().then_some(line),
                    Err(_) => exit_now(1),
                },
            };
            Finished { name, command, argv, envp, door, line }
        }
        Err(e) => {
            let _ = line.tell_failed(&e);
            exit_now(1)
        }
    }
}

fn descriptors(first: u32, line: Line, door: Door) -> std::io::Result<(Line, Door)> {
    let kept = match door {
        Door::Gate(gate) => {
            let left_alone = gate.is_left_alone();
            let (start, result) = gate.into_fds();
            let [line, start, result] = fds::keep_only(first, [line.0, start, result])?;
            (Line(line), Door::Gate(Waiting::from_fds(start, result, left_alone)))
        }
        Door::Open => {
            let [line] = fds::keep_only(first, [line.0])?;
            (Line(line), Door::Open)
        }
    };
    for number in 3..first {
        // What is handed through stays open over execve; a number with nothing behind it is the caller's mistake.
        if let Ok(fd) = fds::adopt(number as i32) {
            rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty())?;
            std::mem::forget(fd);
        }
    }
    Ok(kept)
}

fn rights(
    mut plan: Plan,
    line: &mut Line,
    limits_are_set: bool,
) -> Result<(String, CString, Strings, Strings)> {
    if !limits_are_set {
        for (which, limit, name) in &plan.rlimits {
            rustix::process::setrlimit(*which, *limit)
                .step(|| format!("error setting rlimit type {name}"))?;
        }
    }
    if let Some((lsm, label)) = &plan.exec_label {
        write_label(*lsm, label)?;
    }
    rustix::process::umask(Mode::from_raw_mode(plan.umask.unwrap_or(0o022)));
    if let Some(attributes) = plan.scheduler {
        sched::set(attributes).step(|| "setting the scheduler")?;
    }
    if let Some((class, priority)) = plan.io_priority {
        sched::set_io_priority(class, priority).step(|| "setting the io priority")?;
    }
    let home_less = !plan.env.iter().any(|e| e.starts_with("HOME=") && e.len() > 5);
    if home_less {
        plan.env.retain(|e| !e.starts_with("HOME="));
        plan.env.push(format!("HOME={}", home_of(plan.uid)));
    }
    let envp = Strings::new(plan.env.iter().map(String::as_str)).step(|| "reading process.env")?;
    // Before the change of user root may enter any folder; a folder that only the user may enter (a network
    // file system) is tried again after it.
    let entered = rustix::process::chdir(&plan.cwd);
    if plan.no_new_privs {
        rustix::thread::set_no_new_privs(true).step(|| "setting no_new_privs")?;
    }
    identity(&plan)?;
    let masks = plan.caps;
    let last =
        caps::Sets { effective: masks.effective, permitted: masks.permitted, inheritable: masks.inheritable };
    let for_seccomp = if plan.seccomp.is_some() && !plan.no_new_privs { SYS_ADMIN } else { 0 };
    let for_now = caps::Sets {
        effective: last.effective | for_seccomp,
        permitted: last.permitted | for_seccomp,
        inheritable: last.inheritable,
    };
    caps::set(for_now).step(|| "setting capabilities")?;
    caps::clear_ambient().step(|| "clearing ambient capabilities")?;
    for n in (0..64).filter(|n| masks.ambient & 1 << n != 0) {
        caps::raise_ambient(n).step(|| format!("raising ambient capability {n}"))?;
    }
    if let Err(e) = entered {
        enter_again(&plan, e)?;
    }
    verify_cwd()?;
    // From here on the line tells when whoever made us is gone, and a profile may forbid this call.
    rustix::process::set_parent_process_death_signal(None).step(|| "letting the creating process go")?;
    let name = plan.args[0].clone();
    let command = lookup::find(&name, &plan.env)?;
    if let Some(program) = &plan.seccomp {
        let notify =
            seccomp::install(&program.instructions, program.flags).step(|| "unable to init seccomp")?;
        if let Some(notify) = notify {
            line.tell(Kind::Notify, Some(notify.as_fd()))?;
        }
    }
    if for_now != last {
        // The one right that was kept for seccomp goes last.
        caps::set(last).step(|| "setting capabilities")?;
    }
    Ok((name, command, plan.argv, envp))
}

/// The bounding set while we may still change it, then groups and user, keeping what the new user is to have.
fn identity(plan: &Plan) -> Result<()> {
    for n in (0..64).take_while(|n| caps::in_bounding(*n).is_some()) {
        if plan.caps.bounding & 1 << n == 0 && caps::in_bounding(n) == Some(true) {
            caps::drop_bounding(n).step(|| format!("dropping capability {n}"))?;
        }
    }
    caps::keep_over_setuid(true).step(|| "keeping capabilities")?;
    match ids::set_groups(&plan.groups) {
        // A user namespace that denies setgroups: there is nothing to give up when nothing was asked for.
        Err(e) if !(e.raw_os_error() == Some(1) && plan.groups.is_empty()) => {
            return Err(Error::setup("setgroups", e));
        }
        _ => {}
    }
    ids::set_gid(plan.gid).step(|| format!("setgid {}", plan.gid))?;
    ids::set_uid(plan.uid).step(|| format!("setuid {}", plan.uid))?;
    caps::keep_over_setuid(false).step(|| "keeping capabilities")
}

fn enter_again(plan: &Plan, first: rustix::io::Errno) -> Result<()> {
    let second = match first {
        rustix::io::Errno::ACCESS | rustix::io::Errno::PERM => rustix::process::chdir(&plan.cwd),
        e => Err(e),
    };
    second.step(|| format!("chdir to cwd ({:?}) set in config.json failed", plan.cwd.to_string_lossy()))
}

/// A working folder that came through a descriptor of the host is outside the root (CVE-2024-21626).
fn verify_cwd() -> Result<()> {
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().starts_with(b"/") => Ok(()),
        Ok(_) | Err(rustix::io::Errno::NOENT) => {
            Err(Error::InvalidSpec("current working directory is outside of container mount namespace root -- possible container breakout detected".into()))
        }
        Err(e) => Err(Error::setup("failed to verify if current working directory is safe", e)),
    }
}

/// Through a procfs that is attached nowhere, so that nothing in the container can catch the write
/// (CVE-2019-19921, CVE-2025-52881).
fn write_label(lsm: Lsm, label: &str) -> Result<()> {
    let doing = || format!("setting the security label \"{label}\"");
    let proc = mount_api::new("proc", Some("proc"), &[] as &[&str], 0).step(doing)?;
    let open = |path: &str| -> std::result::Result<OwnedFd, rustix::io::Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        openat2(&proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), resolve)
    };
    let file = match lsm {
        // A kernel older than 5.8 has no folder for each module.
        Lsm::AppArmor => open("thread-self/attr/apparmor/exec").or_else(|_| open("thread-self/attr/exec")),
        Lsm::Selinux => open("thread-self/attr/exec"),
    };
    std::fs::File::from(file.step(doing)?).write_all(label.as_bytes()).step(doing)
}

/// The user's folder by the container's own list of users.
fn home_of(uid: u32) -> String {
    let list = list_of_users().unwrap_or_default();
    let uid = uid.to_string();
    let home = list.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next()? == uid).then(|| fields.nth(2).map(str::to_owned)).flatten()
    });
    home.filter(|h| !h.is_empty()).unwrap_or_else(|| "/".to_owned())
}

/// No list of users is longer.
const LONGEST_LIST: u64 = 1 << 20;

/// The image's `/etc/passwd`. A pipe in its place would have us wait for ever, a device read for ever: only a file
/// counts.
fn list_of_users() -> std::io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open("/etc/passwd", flags, Mode::empty())?;
    let mut text = Vec::new();
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::RegularFile {
        std::fs::File::from(file).take(LONGEST_LIST).read_to_end(&mut text)?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
