//! The tiny init of `--init`: starts one command, hands signals on, reaps whoever is orphaned, exits with the command's
//! code.
//!
//! It takes tini's arguments, because people write them: `-g` signals the command's whole group, `-v` and `-s` are
//! accepted and change nothing, `--` ends the options.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;

use gantry_sys::signals::{SignalFd, kill};
use rustix::process::{WaitOptions, wait};

use crate::fresh;

const SIGCHLD: i32 = 17;
/// Signals that tell of a fault in ourselves: they are not for anybody else, and must not be blocked.
const FAULTS: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];
/// Cannot be blocked, or are the C library's own.
const UNTOUCHABLE: [i32; 4] = [9, 19, 32, 33];

pub(crate) fn run(myself: &OsStr, args: &[OsString]) -> ExitCode {
    let (group, command) = options(args);
    let Some((program, rest)) = command.split_first() else {
        eprintln!("usage: gantry-init [-g] -- COMMAND [ARGUMENT...]");
        return ExitCode::from(1);
    };
    match live(myself, group, program, rest) {
        Ok(code) => ExitCode::from(code),
        Err(err) => {
            eprintln!("[FATAL gantry-init ({})] {err}", std::process::id());
            ExitCode::FAILURE
        }
    }
}

fn options(args: &[OsString]) -> (bool, &[OsString]) {
    let mut group = false;
    for (place, arg) in args.iter().enumerate() {
        match arg.to_str() {
            Some("--") => return (group, &args[place + 1..]),
            Some("-g") => group = true,
            Some("-v" | "-vv" | "-vvv" | "-s") => {}
            _ => return (group, &args[place..]),
        }
    }
    (group, &[])
}

fn live(myself: &OsStr, group: bool, program: &OsString, args: &[OsString]) -> io::Result<u8> {
    let ours = |signal: &i32| !FAULTS.contains(signal) && !UNTOUCHABLE.contains(signal);
    let signals = SignalFd::new(&(1..=64).filter(ours).collect::<Vec<_>>())?;
    // A group of its own, so that what is typed at a terminal reaches it once, not once from the terminal and once
    // from us.
    let child = fresh::command(myself, fresh::GROUP).arg(program).args(args).spawn()?;
    let pid = child.id() as i32;
    loop {
        wait_readable(&signals)?;
        while let Some(received) = signals.read()? {
            if received.signal != SIGCHLD {
                // The command may be gone: then its end is in the next signal.
                let _ = kill(if group { -pid } else { pid }, received.signal);
            }
        }
        while let Ok(Some((dead, status))) = wait(WaitOptions::NOHANG) {
            if dead.as_raw_nonzero().get() == pid {
                let code =
                    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
                return Ok(code.unwrap_or(1) as u8);
            }
        }
    }
}

fn wait_readable(signals: &SignalFd) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(signals, PollFlags::IN)], None))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_the_command() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(options(&words("-g -- sh -c x")), (true, &words("sh -c x")[..]));
        assert_eq!(options(&words("sh -g")), (false, &words("sh -g")[..]));
        assert_eq!(options(&words("-s --")), (false, &[][..]));
    }
}
