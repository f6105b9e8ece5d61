//! A further process beside the first one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use gantry_cgroups::Cgroup;
use gantry_sys::clone::{Clone, Cloned, clone3, exit_now};
use gantry_sys::signals;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::create::oom_score;
use crate::error::Step;
use crate::spec::Process;
use crate::wire::{Kind, Line};
use crate::{Container, Error, Result, Status, Stdio, init, namespaces, process, reap};

/// A further process for a running container.
#[derive(Debug)]
pub struct Exec<'a> {
    /// Absent capabilities are the container's own.
    pub process: &'a Process,
    pub stdio: Stdio,
    /// Compiled seccomp program, as in [`Create`](crate::Create); absent, the container's own profile is compiled.
    pub seccomp: Option<&'a [u8]>,
    /// Descriptors 3..3+n stay open.
    pub preserve_fds: u32,
    /// A folder below the container's cgroup to run in.
    pub sub_cgroup: Option<&'a str>,
}

/// A process put beside the first one. It is a child of the caller, to be reaped by the caller.
#[derive(Debug)]
pub struct Session {
    pid: i32,
    pidfd: OwnedFd,
    console: Option<OwnedFd>,
    warnings: Vec<String>,
}

impl Session {
    /// In the caller's pid namespace.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable when the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The terminal's master, once, when there is one.
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// What could not be done as asked and was not worth failing for, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// What the child of an exec was born with.
struct Birth<'a> {
    plan: process::Plan,
    stdio: Stdio,
    size: Option<crate::spec::ConsoleSize>,
    init: OwnedFd,
    namespaces: u32,
    keyring: String,
    cgroup: Option<&'a Cgroup>,
    sub_cgroup: Option<&'a str>,
    line: Line,
}

impl Container {
    /// Runs a further process; returns when the kernel has accepted its command, or why not.
    pub fn exec(&self, exec: Exec<'_>) -> Result<Session> {
        match self.status()? {
            Status::Running | Status::Created => {}
            Status::Paused => return Err(Error::WrongState("cannot exec in a paused container".into())),
            Status::Stopped => return Err(Error::WrongState("cannot exec in a stopped container".into())),
        }
        let mut process = exec.process.clone();
        if process.capabilities.is_none() {
            process.capabilities = self.record.process.capabilities.clone();
        }
        let compiled = exec.seccomp.or(self.seccomp.as_deref());
        let mut plan = process::Plan::of(&process, self.record.seccomp.as_ref(), compiled)?;
        plan.preserve_fds = exec.preserve_fds;
        let warnings = std::mem::take(&mut plan.warnings);
        let (ours, theirs) = Line::pair()?;
        let birthplace = self.cgroup.birthplace(exec.sub_cgroup)?;
        let birth = Birth {
            plan,
            stdio: exec.stdio,
            size: process.console_size,
            init: self.pidfd.try_clone().step(|| "keeping the container's descriptor")?,
            namespaces: self.record.namespaces,
            keyring: self.record.id.clone(),
            // In version 2 it is born there.
            cgroup: (birthplace.is_none() && !self.cgroup.is_empty()).then_some(&self.cgroup),
            sub_cgroup: exec.sub_cgroup,
            line: theirs,
        };
        let (pid, pidfd) = self.born_inside(birth, birthplace.as_ref().map(AsFd::as_fd))?;
        let up = (|| {
            let mut console = None;
            loop {
                match ours.hear()? {
                    // The line is closed: the command was accepted.
                    None => return Ok(console),
                    Some((Kind::Console, fd)) => console = fd,
                    Some((Kind::Notify, Some(fd))) => {
                        if let Some(seccomp) = &self.record.seccomp {
                            crate::notify::hand_over(seccomp, &self.state("running"), pid, &fd)?;
                        }
                    }
                    _ => {
                        return Err(Error::setup(
                            "exec",
                            std::io::Error::other("the process ended without a word"),
                        ));
                    }
                }
            }
        })();
        match up {
            Ok(console) => Ok(Session { pid, pidfd, console, warnings }),
            Err(e) => {
                // The first cause is what the caller hears.
                let _ = signals::send(&pidfd, 9);
                let _ = reap::wait(&pidfd);
                Err(e)
            }
        }
    }

    /// A child in the container's pid namespace. What a process joins of pid namespaces is only for its children,
    /// so it is joined, and left again at once.
    fn born_inside(&self, birth: Birth<'_>, cgroup: Option<BorrowedFd<'_>>) -> Result<(i32, OwnedFd)> {
        let joins_pid = birth.namespaces & namespaces::PID != 0;
        let doing = || "joining the container's pid namespace";
        let own = match joins_pid {
            true => {
                let own = rustix::process::pidfd_open(
                    rustix::process::getpid(),
                    rustix::process::PidfdFlags::empty(),
                )
                .step(doing)?;
                move_into_thread_name_spaces(self.pidfd.as_fd(), ThreadNameSpaceType::PROCESS_ID)
                    .step(doing)?;
                Some(own)
            }
            false => None,
        };
        let cloned = clone3(Clone { flags: 0, cgroup });
        if let Ok(Cloned::Child) = cloned {
            // A panic must not unwind into the parent's half of the program.
            let _ = catch_unwind(AssertUnwindSafe(|| live(birth)));
            exit_now(255)
        }
        if let Some(own) = own {
            move_into_thread_name_spaces(own.as_fd(), ThreadNameSpaceType::PROCESS_ID)
                .step(|| "leaving the container's pid namespace")?;
        }
        match cloned.step(|| "clone3 for the exec process")? {
            Cloned::Parent { pid, pidfd } => Ok((pid, pidfd)),
            Cloned::Child => exit_now(255),
        }
    }
}

fn live(mut birth: Birth<'_>) {
    if let Err(error) = enter(&mut birth) {
        let _ = birth.line.tell_failed(&error);
        exit_now(1);
    }
    init::finish(birth.plan, birth.line, init::Door::Open, false).execute(|| Ok(()))
}

fn enter(birth: &mut Birth<'_>) -> Result<()> {
    signals::reset().step(|| "resetting signals")?;
    rustix::process::setsid().step(|| "starting a session")?;
    // While the host's own folders are still there.
    if let Some(adjust) = birth.plan.oom_score_adj {
        oom_score("self", adjust)?;
    }
    if let Some(cgroup) = birth.cgroup {
        cgroup.join_self(birth.sub_cgroup)?;
    }
    // Processes of the container see us from the moment we are among them: nothing of ours is theirs to look at
    // (CVE-2016-9962).
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .step(|| "hiding from the container")?;
    let join = birth.namespaces & !namespaces::PID;
    if join != 0 {
        move_into_thread_name_spaces(birth.init.as_fd(), ThreadNameSpaceType::from_bits_retain(join))
            .step(|| "joining the container's namespaces")?;
    }
    if join & namespaces::USER != 0 {
        init::become_root()?;
    }
    init::new_keyring(&birth.keyring)?;
    let mut stdio = std::mem::take(&mut birth.stdio);
    if matches!(stdio, Stdio::Terminal) {
        stdio = init::terminal(birth.size, &birth.line)?;
    }
    init::give_stdio(stdio, &birth.plan)
}
