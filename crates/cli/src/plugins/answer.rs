//! What a program says when it is run, for as long and as much as that is reasonable.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The most that is taken of an answer.
const MOST: usize = 1 << 20;

/// Runs `path` with one word and gives what it prints. It is killed at `until`; what it leaves running is not waited for.
pub(super) fn answer(path: &Path, word: &str, until: Instant) -> Result<Vec<u8>, String> {
    let told = |error: io::Error| crate::terminal::io_text(&error);
    let mut command = Command::new(path);
    command.arg(word).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(told)?;
    let said = match child.stdout.take() {
        Some(stdout) => listen(&child, stdout, until).map_err(told),
        None => Ok(Vec::new()),
    };
    if said.is_err() {
        // It may have ended by itself meanwhile.
        child.kill().ok();
    }
    let status = child.wait().map_err(told)?;
    match said {
        Ok(_) if !status.success() => Err(status.to_string()),
        said => said,
    }
}

/// Reads until the program has ended and nothing of what it said is left.
fn listen(child: &Child, mut stdout: ChildStdout, until: Instant) -> io::Result<Vec<u8>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    let end = pidfd_open(pid, PidfdFlags::empty())?;
    let (mut said, mut piece, mut open) = (Vec::new(), vec![0; 64 << 10], true);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut waited = vec![PollFd::new(&end, PollFlags::IN)];
        if open {
            waited.push(PollFd::new(&stdout, PollFlags::IN));
        }
        match poll(&mut waited, Some(&left)) {
            Ok(0) => return Err(io::Error::other("it did not answer in time")),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let ended = !waited[0].revents().is_empty();
        let readable = waited.get(1).is_some_and(|stdout| !stdout.revents().is_empty());
        if readable {
            let read = stdout.read(&mut piece)?;
            open = read > 0;
            said.extend_from_slice(&piece[..read]);
            if said.len() > MOST {
                return Err(io::Error::other(format!("its answer is longer than {MOST} bytes")));
            }
        } else if ended {
            return Ok(said);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    fn said(script: &str, patience: Duration) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        // A shell reads it: a file that was just written cannot always be executed while others fork.
        let path = dir.path().join("plugin");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let until = Instant::now() + patience;
        answer(Path::new("/bin/sh"), &path.display().to_string(), until)
            .map(|said| String::from_utf8(said).unwrap())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_program_that_ends_has_said_all_of_it() {
        assert_eq!(said("echo hello", LONG), Ok("hello\n".into()));
        let many = said("head -c 900000 /dev/zero", LONG).unwrap();
        assert_eq!(many.len(), 900_000);
        assert_eq!(said("exit 3", LONG), Err("exit status: 3".into()));
        assert_eq!(said("exec >&-; sleep 0.1", LONG), Ok(String::new()));
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        // It holds the pipe for longer than anybody waits.
        assert_eq!(said("sleep 60 & echo hello", LONG), Ok("hello\n".into()));
    }

    #[test]
    fn one_that_hangs_or_never_stops_talking_is_no_answer() {
        let patience = Duration::from_millis(200);
        assert_eq!(said("exec sleep 60", patience), Err("it did not answer in time".into()));
        assert_eq!(said("exec >&-; exec sleep 60", patience), Err("it did not answer in time".into()));
        let long = said("exec cat /dev/zero", LONG).unwrap_err();
        assert!(long.starts_with("its answer is longer than"), "{long}");
    }
}
