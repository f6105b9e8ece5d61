//! The first half of a container's birth: everything up to the point where only `execve` is left.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use gantry_cgroups::{Cgroup, Host, Saved};
use gantry_sys::clone::{Clone, Cloned, clone3, exit_now};
use gantry_sys::signals;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::Step;
use crate::hooks::{self, State};
use crate::init::{self, Birth};
use crate::record::Record;
use crate::spec::Spec;
use crate::wire::{Kind, Line};
use crate::{
    Container, Error, Result, RootMount, Stdio, gate, mounts, namespaces, notify, process, reap, time,
    user_namespace,
};

/// What [`create`] needs.
#[derive(Debug)]
pub struct Create<'a> {
    /// Names the cgroup where the configuration names none, and the hooks' state.
    pub id: &'a str,
    /// The folder that relative paths of the configuration start from.
    pub bundle: &'a Path,
    pub spec: &'a Spec,
    pub root: &'a RootMount,
    pub stdio: Stdio,
    pub gate: Gate<'a>,
    /// MS_MOVE instead of pivot_root, for a root on an initramfs.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// Descriptors 3..3+n stay open in the container.
    pub preserve_fds: u32,
    /// The compiled form of `linux.seccomp` (`gantry_seccomp::Program::to_bytes`), so that it need not be
    /// compiled again. Absent: it is compiled here.
    pub seccomp: Option<&'a [u8]>,
}

/// How the created process is told to go on.
#[derive(Debug, Clone, Copy)]
pub enum Gate<'a> {
    /// By the handle that [`create`] returns, in this process.
    Here,
    /// By any process, through two FIFOs made in this folder: see [`Container::keep`] and [`Container::attach`].
    Folder(&'a Path),
}

/// Makes the container's first process: namespaces, cgroup, root, mounts, limits, rights. It waits for
/// [`Container::start`]. On an error nothing is left behind.
///
/// The returned handle's process is a child of the caller, to be reaped by the caller.
pub fn create(request: Create<'_>) -> Result<Container> {
    let spec = request.spec;
    let linux = spec.linux();
    let declared = check(&request)?;
    let namespaces = namespaces::Plan::of(linux)?;
    let mut plan = process::Plan::of(declared, linux.seccomp.as_ref(), request.seccomp)?;
    plan.personality = process::personality(spec)?;
    plan.preserve_fds = request.preserve_fds;
    let warnings = std::mem::take(&mut plan.warnings);
    let program = plan.seccomp.as_ref().map(gantry_seccomp::Program::to_bytes);
    let host = Host::detect()?;
    let cgroup = Cgroup::locate(&host, linux.cgroups_path.as_deref(), request.id)?;
    let (root, rootfs) = mounts::root(spec, request.bundle, request.root)?;
    let lend_devices = (namespaces.new | namespaces.joined()) & namespaces::USER != 0;
    let (waiting, telling) = gate::make(request.gate)?;
    let (ours, theirs) = Line::pair()?;
    let (new, joined) = (namespaces.new, namespaces.joined());
    let birth = Birth {
        id: request.id,
        spec,
        bundle: request.bundle,
        mounts: mounts::plan(spec, request.bundle)?,
        device_trees: if lend_devices { init::lend_devices(spec)? } else { Vec::new() },
        process: plan,
        root,
        rootfs: rootfs.clone(),
        joined: namespaces.needs_between(),
        // What is in a user namespace may not touch the host's cgroups, not even to go into its own.
        joins_cgroup: !host.is_unified() && !lend_devices && !namespaces.needs_between(),
        namespaces,
        host: &host,
        cgroup: &cgroup,
        stdio: request.stdio,
        no_pivot: request.no_pivot,
        no_new_keyring: request.no_new_keyring,
        line: theirs,
        gate: waiting,
    };
    let mut newborn = Newborn { cgroup: &cgroup, made_cgroup: false, process: None };
    let made = newborn.bring_up(birth, ours, telling.as_ref().map(|_| ()), warnings);
    let (pid, pidfd, line, console, warnings) = match made {
        Ok(made) => made,
        Err(e) => {
            newborn.undo();
            if let Gate::Folder(folder) = request.gate {
                let _ = gate::remove(folder);
            }
            return Err(e);
        }
    };
    let record = Record {
        id: request.id.to_owned(),
        bundle: request.bundle.to_owned(),
        annotations: spec.annotations.clone(),
        pid,
        start_time: crate::record::start_time(pid).unwrap_or_default(),
        namespaces: new | joined,
        cgroup: cgroup.save(),
        process: declared.clone(),
        seccomp: linux.seccomp.clone(),
        hooks: spec.hooks.clone().unwrap_or_default(),
        rootfs,
        oci_version: spec.oci_version.clone(),
    };
    let (folder, line) = match request.gate {
        Gate::Here => (None, None),
        Gate::Folder(folder) => (Some(folder.to_owned()), Some(line)),
    };
    Ok(Container {
        record,
        pidfd,
        cgroup,
        console,
        warnings,
        telling,
        line,
        folder,
        seccomp: program,
        ended: false,
    })
}

/// Where [`create`] will make the cgroup: to be written down before, so that [`forget`] finds it when the creator was
/// killed half way.
pub fn cgroup_of(spec: &Spec, id: &str) -> Result<Saved> {
    Ok(Cgroup::locate(&Host::detect()?, spec.linux().cgroups_path.as_deref(), id)?.save())
}

/// Removes the cgroup of a container whose creator was killed before it had a record. Its process has ended with its
/// creator: whoever is in there still is somebody else, and the folder is left to them.
pub fn forget(cgroup: &Saved) -> Result<()> {
    let cgroup = Cgroup::restore(cgroup);
    match cgroup.remove() {
        Err(_) if cgroup.processes().is_ok_and(|others| !others.is_empty()) => Ok(()),
        other => Ok(other?),
    }
}

/// What can be refused before anything is made.
fn check<'a>(request: &Create<'a>) -> Result<&'a crate::spec::Process> {
    let spec = request.spec;
    let linux = spec.linux();
    if linux.intel_rdt.is_some() {
        return Err(Error::Unsupported("linux.intelRdt is not supported by this runtime".into()));
    }
    init::check_sysctl(linux)?;
    let process =
        spec.process.as_ref().ok_or_else(|| Error::InvalidSpec("the configuration has no process".into()))?;
    if process.exec_cpu_affinity.is_some() {
        return Err(Error::Unsupported("process.execCPUAffinity is not supported by this runtime".into()));
    }
    match (&request.stdio, process.terminal) {
        (Stdio::Terminal, false) => {
            Err(Error::InvalidSpec("a terminal was given, but process.terminal is false".into()))
        }
        (Stdio::Files { .. } | Stdio::Inherit, true) => {
            Err(Error::InvalidSpec("process.terminal is true, but no terminal was asked for".into()))
        }
        _ => Ok(process),
    }
}

/// What has come into being so far, and is taken back when a later step fails.
struct Newborn<'a> {
    cgroup: &'a Cgroup,
    made_cgroup: bool,
    process: Option<OwnedFd>,
}

type Up = (i32, OwnedFd, Line, Option<OwnedFd>, Vec<String>);

impl Newborn<'_> {
    fn bring_up(
        &mut self,
        birth: Birth<'_>,
        line: Line,
        _here: Option<()>,
        mut warnings: Vec<String>,
    ) -> Result<Up> {
        let (spec, host, id, bundle) = (birth.spec, birth.host, birth.id, birth.bundle);
        let joins_itself = birth.joins_cgroup;
        let linux = spec.linux();
        let new = birth.namespaces.new;
        // Version 2: the child is born in its cgroup. Version 1: the folders are made while the child is busy.
        let birthplace = if host.is_unified() {
            self.make_cgroup(host, spec, &mut warnings)?;
            self.cgroup.birthplace(None)?
        } else {
            None
        };
        let (process, oom) = (spec.process.as_ref(), birth.process.oom_score_adj);
        let (pid, pidfd, line) = time::in_new(new & namespaces::TIME != 0, &linux.time_offsets, || {
            spawn(birth, birthplace.as_ref().map(AsFd::as_fd), line)
        })?;
        let pidfd = self.process.insert(pidfd).try_clone().step(|| "keeping the process's descriptor")?;
        if new & namespaces::USER != 0 {
            user_namespace::map(pid, &linux.uid_mappings, &linux.gid_mappings)
                .step(|| "writing the user namespace's maps")?;
            // The child has no rights over the host's limits any more.
            for limit in process.map(|p| p.rlimits.as_slice()).unwrap_or_default() {
                process::set_rlimit_of(pid, limit)?;
            }
            tell(&line, Kind::Mapped)?;
        }
        if let Some(adjust) = oom {
            oom_score(&pid.to_string(), adjust)?;
        }
        if birthplace.is_none() {
            self.make_cgroup(host, spec, &mut warnings)?;
            if !joins_itself {
                self.cgroup.join(pid, None)?;
            }
        }
        tell(&line, Kind::Go)?;
        let mut console = None;
        let state = |status| State {
            oci_version: &spec.oci_version,
            id,
            status,
            pid: Some(pid),
            bundle,
            annotations: &spec.annotations,
        };
        loop {
            match line.hear()? {
                Some((Kind::Ready, _)) => break,
                Some((Kind::Console, fd)) => console = fd,
                Some((Kind::Notify, Some(fd))) => {
                    if let Some(seccomp) = &linux.seccomp {
                        notify::hand_over(seccomp, &state("creating"), pid, &fd)?;
                    }
                }
                Some((Kind::Hooks, _)) => {
                    if let Some(all) = &spec.hooks {
                        hooks::run("prestart", &all.prestart, &state("creating"))?;
                        hooks::run("createRuntime", &all.create_runtime, &state("creating"))?;
                    }
                    tell(&line, Kind::HooksDone)?;
                }
                Some(_) | None => {
                    return Err(Error::setup(
                        "starting the container process",
                        std::io::Error::other("it ended without a word"),
                    ));
                }
            }
        }
        Ok((pid, pidfd, line, console, warnings))
    }

    fn make_cgroup(&mut self, host: &Host, spec: &Spec, warnings: &mut Vec<String>) -> Result<()> {
        self.cgroup.create(host)?;
        self.made_cgroup = true;
        let mut resources = spec.linux().resources.clone().unwrap_or_default();
        resources.devices = gantry_cgroups::device_rules_for_container(&resources.devices);
        warnings.extend(self.cgroup.set(&resources)?);
        Ok(())
    }

    /// The first cause is what the caller hears; what fails here is found again by `delete`.
    fn undo(&self) {
        if let Some(pidfd) = &self.process {
            let _ = signals::send(pidfd, 9);
            let _ = reap::wait(pidfd);
        }
        if self.made_cgroup {
            let _ = self.cgroup.remove();
        }
    }
}

/// Tells the child; when it has gone, its own last words are the better error.
fn tell(line: &Line, kind: Kind) -> Result<()> {
    line.tell(kind, None).map_err(|e| line.hear().err().unwrap_or(e))
}

/// A negative value needs CAP_SYS_RESOURCE, and a container that believes it is protected and is not would be worse.
pub(crate) fn oom_score(pid: &str, adjust: i32) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/oom_score_adj"))
        .and_then(|mut file| file.write_all(adjust.to_string().as_bytes()))
        .step(|| format!("write /proc/self/oom_score_adj {adjust}"))
}

/// The child is born by us, or by a process between that joins namespaces first and gives it to us. It closes its copy
/// of our end of the line: with that open it would never hear that we are gone, and wait for us for ever.
fn spawn(birth: Birth<'_>, cgroup: Option<BorrowedFd<'_>>, line: Line) -> Result<(i32, OwnedFd, Line)> {
    const CLONE_PARENT: u64 = 0x8000;
    // The cgroup namespace is made by the child itself, once it is in its cgroup; time is the spawner's.
    let flags = u64::from(birth.namespaces.new & !(namespaces::CGROUP | namespaces::TIME));
    let doing = || "clone3 for the container process";
    if !birth.namespaces.needs_between() {
        return match clone3(Clone { flags, cgroup }).step(doing)? {
            Cloned::Child => {
                drop(line);
                init::run(birth)
            }
            Cloned::Parent { pid, pidfd } => Ok((pid, pidfd, line)),
        };
    }
    let (from_between, to_parent) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step(doing)?;
    match clone3(Clone { flags: 0, cgroup: None }).step(doing)? {
        Cloned::Child => {
            drop(line);
            let born = birth
                .namespaces
                .enter()
                .and_then(|()| clone3(Clone { flags: flags | CLONE_PARENT, cgroup }).step(doing));
            match born {
                Ok(Cloned::Child) => init::run(birth),
                Ok(Cloned::Parent { pid, .. }) => {
                    let _ = std::fs::File::from(to_parent).write_all(&pid.to_le_bytes());
                }
                Err(e) => {
                    let _ = birth.line.tell_failed(&e);
                }
            }
            exit_now(0)
        }
        Cloned::Parent { pidfd, .. } => {
            drop(to_parent);
            // Our copy of the child's end would keep the line open.
            drop(birth);
            let mut number = [0u8; 4];
            let got = std::fs::File::from(from_between).read_exact(&mut number);
            reap::wait(&pidfd).step(doing)?;
            if got.is_err() {
                line.hear()?;
                return Err(Error::setup(
                    doing(),
                    std::io::Error::other("the process between ended without a word"),
                ));
            }
            let pid = i32::from_le_bytes(number);
            let child =
                Pid::from_raw(pid).ok_or_else(|| Error::setup(doing(), std::io::Error::other("no pid")))?;
            Ok((pid, pidfd_open(child, PidfdFlags::empty()).step(doing)?, line))
        }
    }
}
