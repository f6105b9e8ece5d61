//! Staying with a process until it ends: its terminal, our signals, its exit code.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use gantry_sys::signals::{self, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::console::{self, Raw};

const SIGCHLD: i32 = 17;
const SIGWINCH: i32 = 28;
/// What is passed on to the process: everything that asks a program for something.
const PASSED: [i32; 9] = [1, 2, 3, 10, 12, 14, 15, 18, SIGWINCH];

/// Signals are held back from here on, so that none is lost before [`stay`].
pub fn prepare() -> Result<SignalFd> {
    SignalFd::new(&PASSED).context("waiting for signals")
}

/// Until the process ends; its exit code, or 128 and the signal.
pub fn stay(pidfd: BorrowedFd<'_>, master: Option<OwnedFd>, signals_fd: &SignalFd) -> Result<u8> {
    let raw = master.as_ref().map(|_| Raw::enter());
    if let Some(master) = &master {
        console::copy_size(master);
    }
    let mut stdin_open = master.is_some();
    let mut master_open = master.is_some();
    let stdin = std::io::stdin();
    loop {
        let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN), PollFd::new(signals_fd, PollFlags::IN)];
        if let Some(master) = master.as_ref().filter(|_| master_open) {
            fds.push(PollFd::new(master, PollFlags::IN));
            if stdin_open {
                fds.push(PollFd::new(&stdin, PollFlags::IN));
            }
        }
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.context("waiting for the process")?,
        };
        let ready: Vec<bool> = fds.iter().map(|f| !f.revents().is_empty()).collect();
        drop(fds);
        if ready[1] {
            pass_signals(pidfd, master.as_ref(), signals_fd)?;
        }
        if let Some(master) = &master {
            if ready.get(2) == Some(&true) {
                master_open = console::pass(master, &mut std::io::stdout());
            }
            if ready.get(3) == Some(&true) {
                stdin_open = console::pass(&stdin, &mut console::file(master)?);
            }
        }
        if ready[0] {
            if let Some(master) = master.as_ref().filter(|_| master_open) {
                console::drain(master, &mut std::io::stdout());
            }
            drop(raw);
            return exit_code(pidfd);
        }
    }
}

fn pass_signals(pidfd: BorrowedFd<'_>, master: Option<&OwnedFd>, signals_fd: &SignalFd) -> Result<()> {
    while let Some(received) = signals_fd.read()? {
        match received.signal {
            SIGWINCH => {
                if let Some(master) = master {
                    console::copy_size(master);
                }
            }
            SIGCHLD => {}
            // A process that has just ended takes no signal any more.
            signal => drop(signals::send(pidfd, signal)),
        }
    }
    Ok(())
}

/// Reaps the child.
pub fn exit_code(pidfd: BorrowedFd<'_>) -> Result<u8> {
    let status = loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => continue,
            other => break other.context("reaping the process")?,
        }
    };
    let status = status.context("reaping the process")?;
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => (128 + signal) as u8,
        (None, None) => 255,
    })
}
