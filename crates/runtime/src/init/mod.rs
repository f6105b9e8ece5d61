//! What the new process does to itself, from its birth in new namespaces to execve.
//!
//! The order has a because: first what needs the host's rights and paths (namespaces, keyring, root, mounts,
//! devices), then pivot_root, then what takes rights away (limits, labels, capabilities, user, seccomp). Every
//! failure is told to the creating process and ends this one. The process is a copy of a single-threaded one,
//! so it may allocate, but it has little reason to: everything was read and opened before it was born.

mod cgroup_mounts;
mod console;
mod copy_up;
mod devices;
mod finish;
mod masks;
mod mount;
mod root;
mod sysctl;

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use gantry_cgroups::{Cgroup, Host};
use gantry_sys::clone::exit_now;
use gantry_sys::{keyring, link, signals};

use crate::error::Step;
use crate::gate::Waiting;
use crate::hooks::{self, State};
use crate::inside::Inside;
use crate::mounts::Planned;
use crate::spec::Spec;
use crate::wire::{Kind, Line};
use crate::{Error, Result, Stdio, namespaces, process};

pub(crate) use console::give as give_stdio;
pub(crate) use devices::trees as lend_devices;
pub(crate) use finish::{Door, finish};
pub(crate) use sysctl::check as check_sysctl;

/// Everything the new process was born with.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    pub id: &'a str,
    pub spec: &'a Spec,
    pub bundle: &'a std::path::Path,
    pub process: process::Plan,
    pub mounts: Vec<Planned<'a>>,
    /// The root file system, detached, and where to attach it.
    pub root: OwnedFd,
    pub rootfs: PathBuf,
    /// Device nodes that a user namespace cannot make, as copies of the host's.
    pub device_trees: Vec<Option<OwnedFd>>,
    pub namespaces: namespaces::Plan,
    /// The namespaces to join were joined by the process between.
    pub joined: bool,
    /// The process goes into its cgroup itself, once it is there.
    pub joins_cgroup: bool,
    pub host: &'a Host,
    pub cgroup: &'a Cgroup,
    pub stdio: Stdio,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    pub line: Line,
    pub gate: Waiting,
}

/// Never comes back: the process becomes the container's, or ends.
pub(crate) fn run(birth: Birth<'_>) -> ! {
    // A panic must not unwind into the parent's half of the program.
    let _ = catch_unwind(AssertUnwindSafe(|| live(birth)));
    exit_now(255)
}

fn live(mut birth: Birth<'_>) {
    if let Err(error) = build(&mut birth) {
        // Nobody listening any more is the only way this fails.
        let _ = birth.line.tell_failed(&error);
        exit_now(1);
    }
    let (spec, bundle, id) = (birth.spec, birth.bundle, birth.id);
    let in_user_namespace = birth.namespaces.new & namespaces::USER != 0;
    finish(birth.process, birth.line, Door::Gate(birth.gate), in_user_namespace).execute(|| {
        let Some(hooks) = spec.hooks.as_ref().filter(|h| !h.start_container.is_empty()) else {
            return Ok(());
        };
        let state = State {
            oci_version: &spec.oci_version,
            id,
            status: "created",
            pid: Some(1),
            bundle,
            annotations: &spec.annotations,
        };
        hooks::run("startContainer", &hooks.start_container, &state)
    })
}

fn build(birth: &mut Birth<'_>) -> Result<()> {
    signals::reset().step(|| "resetting signals")?;
    die_with_creator()?;
    rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::setsid().step(|| "starting a session")?;
    if birth.namespaces.new & namespaces::USER != 0 {
        birth.line.wait_for(Kind::Mapped)?;
    }
    if (birth.namespaces.new | birth.namespaces.joined()) & namespaces::USER != 0 {
        become_root()?;
        // The kernel forgets it when the user changes.
        die_with_creator()?;
    }
    if !birth.joined {
        birth.namespaces.enter()?;
    }
    if !birth.no_new_keyring {
        new_keyring(birth.id)?;
    }
    let new = birth.namespaces.new;
    name_host(birth.spec, new)?;
    if new & namespaces::NET != 0 {
        link::loopback_up().step(|| "setting the loopback interface up")?;
    }
    root::build(birth)?;
    if let Some(persona) = birth.process.personality {
        gantry_sys::ids::personality(persona).step(|| "setting the personality")?;
    }
    Ok(())
}

/// A process that is half a container, and whatever hook it waits for, ends with whoever makes it.
fn die_with_creator() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .step(|| "tying the process to the one that makes it")
}

/// Inside a new user namespace nobody is anybody until they say so.
pub(crate) fn become_root() -> Result<()> {
    gantry_sys::ids::set_gid(0).step(|| "becoming root of the user namespace")?;
    gantry_sys::ids::set_uid(0).step(|| "becoming root of the user namespace")?;
    // Groups of the host that have no number in here; a namespace that denies setgroups keeps them.
    match gantry_sys::ids::set_groups(&[]) {
        Err(e) if e.raw_os_error() != Some(1) => Err(Error::setup("leaving the host's groups", e)),
        _ => Ok(()),
    }
}

/// A session keyring of the container's own. A kernel without keyrings has none to keep apart.
pub(crate) fn new_keyring(id: &str) -> Result<()> {
    let name = std::ffi::CString::new(format!("_ses.{id}")).unwrap_or_default();
    match keyring::join_new_session(&name) {
        Err(e) if e.raw_os_error() != Some(38) => Err(Error::setup("joining a new session keyring", e)),
        _ => Ok(()),
    }
}

/// A terminal in the devpts of the container that an exec session has just entered.
pub(crate) fn terminal(size: Option<crate::spec::ConsoleSize>, line: &Line) -> Result<Stdio> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let root =
        rustix::fs::open("/", flags, rustix::fs::Mode::empty()).step(|| "opening the container's root")?;
    let slave = console::open(&Inside::new(&root), size, line)?;
    three(slave)
}

/// The terminal as stdin, stdout and stderr.
pub(crate) fn three(slave: OwnedFd) -> Result<Stdio> {
    let copy = || slave.try_clone().step(|| "giving the terminal");
    Ok(Stdio::Files { stdin: copy()?, stdout: copy()?, stderr: slave })
}

fn name_host(spec: &Spec, new: u32) -> Result<()> {
    let has_uts = spec.linux().namespace("uts").is_some();
    for (name, what) in [(&spec.hostname, "hostname"), (&spec.domainname, "domainname")] {
        let Some(name) = name.as_ref().filter(|n| !n.is_empty()) else { continue };
        if !has_uts {
            return Err(Error::InvalidSpec(format!("unable to set {what} without a private UTS namespace")));
        }
        if new & namespaces::UTS == 0 {
            continue; // A joined one has its name already.
        }
        match what {
            "hostname" => rustix::system::sethostname(name.as_bytes()),
            _ => rustix::system::setdomainname(name.as_bytes()),
        }
        .step(|| format!("setting the {what} \"{name}\""))?;
    }
    Ok(())
}
