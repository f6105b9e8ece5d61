//! `exec`: a further process in a running container.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gantry_runtime_lib::spec::{Capabilities, Process};
use gantry_runtime_lib::{Exec, Stdio, protect};

use crate::args::{Args, Flag, Global};
use crate::state::{Folder, Saved, write_pid_file};
use crate::{console, foreground, log};

const FLAGS: &[Flag] = &[
    ("console-socket", '\0', true),
    ("pidfd-socket", '\0', true),
    ("cwd", '\0', true),
    ("env", 'e', true),
    ("tty", 't', false),
    ("user", 'u', true),
    ("additional-gids", 'g', true),
    ("process", 'p', true),
    ("detach", 'd', false),
    ("pid-file", '\0', true),
    ("process-label", '\0', true),
    ("apparmor", '\0', true),
    ("no-new-privs", '\0', false),
    ("cap", 'c', true),
    ("preserve-fds", '\0', true),
    ("cgroup", '\0', true),
    ("ignore-paused", '\0', false),
    ("no-subreaper", '\0', false),
];

/// An exec that did not come to run its command.
#[derive(Debug)]
pub struct Failed(String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

pub fn exec(global: &Global, words: Vec<String>) -> Result<u8> {
    protect::ensure()?;
    let args = Args::parse(words, FLAGS)?;
    match inner(global, &args) {
        Ok(code) => Ok(code),
        Err(e) => Err(Failed(format!("exec failed: {e:#}")).into()),
    }
}

fn inner(global: &Global, args: &Args) -> Result<u8> {
    let folder = Folder::open(global, args.id()?)?;
    let (saved, container) = folder.load()?;
    let seccomp = folder.seccomp()?;
    if seccomp.is_none() && saved.record.seccomp.is_some() {
        bail!("the container's compiled seccomp profile is missing");
    }
    // Several execs at once do not wait for each other.
    drop(folder);
    let process = process(args, &saved)?;
    let detach = args.has("detach");
    let socket = args.value("console-socket").map(PathBuf::from);
    if detach && process.terminal && socket.is_none() {
        bail!("cannot allocate tty if runc will detach without setting console socket");
    }
    if !process.terminal && socket.is_some() {
        bail!("cannot use console socket if runc will not detach or allocate tty");
    }
    if args.has("ignore-paused") && container.cgroup().is_frozen()? {
        bail!("--ignore-paused is not supported: the process would stand still at once");
    }
    let signals = if detach { None } else { Some(foreground::prepare()?) };
    let cgroup = sub_cgroup(args)?;
    let mut session = container
        .exec(Exec {
            process: &process,
            stdio: if process.terminal { Stdio::Terminal } else { Stdio::Inherit },
            seccomp: seccomp.as_deref(),
            preserve_fds: args.number("preserve-fds")?.unwrap_or(0),
            sub_cgroup: cgroup.as_deref(),
        })
        .context("unable to start container process")?;
    session.warnings().iter().for_each(|w| log::warn(global, w));
    let mut master = session.take_console();
    if let (Some(socket), Some(fd)) = (&socket, master.take_if(|_| socket.is_some())) {
        console::send(socket, &fd)?;
    }
    if let Some(file) = args.value("pid-file") {
        write_pid_file(Path::new(file), session.pid())?;
    }
    match signals {
        None => Ok(0),
        Some(signals) => foreground::stay(session.pidfd(), master, &signals),
    }
}

/// `[controller:]path`; a controller of version 1 cannot be chosen alone here.
fn sub_cgroup(args: &Args) -> Result<Option<String>> {
    match args.value("cgroup") {
        None => Ok(None),
        Some(text) if text.contains(':') => {
            bail!("--cgroup with a controller is not supported: give a path alone")
        }
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// From the file, or the container's own process with the flags' changes.
fn process(args: &Args, saved: &Saved) -> Result<Process> {
    if let Some(file) = args.value("process") {
        let text = std::fs::read(file).with_context(|| format!("read {file}"))?;
        return serde_json::from_slice(&text).with_context(|| format!("{file} is not valid"));
    }
    if args.rest.len() < 2 {
        bail!("process args cannot be empty");
    }
    let mut process = saved.record.process.clone();
    process.args = args.rest[1..].to_vec();
    process.terminal = args.has("tty");
    if let Some(cwd) = args.value("cwd") {
        process.cwd = cwd.to_owned();
    }
    if let Some(label) = args.value("process-label") {
        process.selinux_label = Some(label.to_owned());
    }
    if let Some(profile) = args.value("apparmor") {
        process.apparmor_profile = Some(profile.to_owned());
    }
    if args.has("no-new-privs") {
        process.no_new_privileges = true;
    }
    process.env.extend(args.all("env").iter().cloned());
    if let Some(user) = args.value("user") {
        let (uid, gid) = user.split_once(':').unwrap_or((user, ""));
        process.user.uid = uid.parse().with_context(|| format!("parsing {uid} as int for uid failed"))?;
        if !gid.is_empty() {
            process.user.gid = gid.parse().with_context(|| format!("parsing {gid} as int for gid failed"))?;
        }
    }
    for gid in args.all("additional-gids") {
        process
            .user
            .additional_gids
            .push(gid.parse().with_context(|| format!("parsing {gid} as int for gid failed"))?);
    }
    add_caps(&mut process, args.all("cap"));
    Ok(process)
}

fn add_caps(process: &mut Process, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let caps = process.capabilities.get_or_insert_with(Capabilities::default);
    for name in names {
        for set in [&mut caps.bounding, &mut caps.effective, &mut caps.permitted] {
            if !set.contains(name) {
                set.push(name.clone());
            }
        }
        // Ambient needs inheritable: only what the container's processes can hand on already.
        if caps.inheritable.contains(name) && !caps.ambient.contains(name) {
            caps.ambient.push(name.clone());
        }
    }
}
