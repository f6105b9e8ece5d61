//! What the creating process and the new one tell each other over a socket pair while the container is built.
//!
//! | from the new process | meaning | answer |
//! |---|---|---|
//! | `Hooks` | the namespaces stand and the root is mounted, before pivot_root | `HooksDone` |
//! | `Console` + fd | the terminal's master | - |
//! | `Notify` + fd | the seccomp notify descriptor | - |
//! | `Ready` | only the gate and execve are left | - |
//! | `Failed` + error | the end | - |
//!
//! The other way go `Mapped` (the user namespace has its maps), `Go` (its cgroup stands) and, where another process is to
//! start the container, `Kept` (it can be found again): a process that nobody would find ends with its line.
//! One message is one packet: a kind and, for `Failed`, the error.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gantry_sys::fds;

use crate::error::Step;
use crate::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Hooks = b'H',
    HooksDone = b'h',
    Console = b'C',
    Notify = b'N',
    Ready = b'R',
    Failed = b'F',
    Mapped = b'M',
    Go = b'G',
    Kept = b'K',
}

const ALL: [Kind; 9] = [
    Kind::Hooks,
    Kind::HooksDone,
    Kind::Console,
    Kind::Notify,
    Kind::Ready,
    Kind::Failed,
    Kind::Mapped,
    Kind::Go,
    Kind::Kept,
];

/// Longer error texts are cut.
const LONGEST: usize = 8 * 1024;

/// One end of the pair.
#[derive(Debug)]
pub(crate) struct Line(pub OwnedFd);

impl Line {
    pub(crate) fn pair() -> Result<(Line, Line)> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map(|(a, b)| (Line(a), Line(b)))
            .step(|| "making the init socket pair")
    }

    pub(crate) fn tell(&self, kind: Kind, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        fds::send(&self.0, &[kind as u8], fd.as_slice())
            .step(|| "telling the other side of the init socket pair")
    }

    pub(crate) fn tell_failed(&self, error: &Error) -> io::Result<()> {
        let mut bytes = vec![Kind::Failed as u8];
        bytes.extend(encode(error));
        self.write(&bytes)
    }

    /// By write, which a seccomp profile that forbids sendmsg still allows. Whoever has nobody listening any more may
    /// end by SIGPIPE: it is a child, or a runtime that ignores the signal as Rust programs do.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.0, bytes).map(drop).map_err(Into::into)
    }

    /// The next message; `None` when the other side has gone. A `Failed` is this call's error.
    pub(crate) fn hear(&self) -> Result<Option<(Kind, Option<OwnedFd>)>> {
        let mut buffer = [0u8; LONGEST];
        // Whoever ends with something of ours unread resets the connection, and the kernel tells that before the last
        // words, which are there all the same.
        let (got, mut fds) = fds::recv(self.0.as_fd(), &mut buffer)
            .or_else(|error| match error.kind() {
                io::ErrorKind::ConnectionReset => fds::recv(self.0.as_fd(), &mut buffer),
                _ => Err(error),
            })
            .step(|| "hearing from the other side of the init socket pair")?;
        let Some((kind, rest)) = buffer[..got].split_first() else { return Ok(None) };
        match ALL.into_iter().find(|k| *k as u8 == *kind) {
            Some(Kind::Failed) => Err(decode(rest)),
            Some(kind) => Ok(Some((kind, fds.pop()))),
            None => {
                Err(Error::setup("hearing from the other side", io::Error::from(io::ErrorKind::InvalidData)))
            }
        }
    }

    /// Waits for `Kept`, by read: the seccomp profile is in force already. `false`: whoever could say it has gone.
    pub(crate) fn is_kept(&self) -> bool {
        let mut byte = [0u8; 1];
        loop {
            match rustix::io::read(&self.0, &mut byte) {
                Err(rustix::io::Errno::INTR) => continue,
                read => return read == Ok(1) && byte[0] == Kind::Kept as u8,
            }
        }
    }

    /// Waits for exactly this message.
    pub(crate) fn wait_for(&self, kind: Kind) -> Result<()> {
        match self.hear()? {
            Some((heard, _)) if heard == kind => Ok(()),
            _ => Err(Error::setup(
                "waiting for the creating process",
                io::Error::from(io::ErrorKind::BrokenPipe),
            )),
        }
    }
}

/// Kind, errno, text.
pub(crate) fn encode(error: &Error) -> Vec<u8> {
    let (kind, errno, text) = match error {
        Error::CommandNotFound(t) => (0u8, 0, t.clone()),
        Error::CommandNotExecutable(t) => (1, 0, t.clone()),
        Error::InvalidSpec(t) => (2, 0, t.clone()),
        Error::Unsupported(t) => (3, 0, t.clone()),
        Error::Setup { step, cause } => match cause.raw_os_error() {
            Some(errno) => (4, errno, step.clone()),
            None => (4, libc_eio(), format!("{step}: {cause}")),
        },
        Error::Hook { stage, index, message } => (5, *index as i32, format!("{stage}\n{message}")),
        other => (4, libc_eio(), other.to_string()),
    };
    let mut bytes = vec![kind];
    bytes.extend(errno.to_le_bytes());
    bytes.extend(text.bytes().take(LONGEST - 16));
    bytes
}

fn libc_eio() -> i32 {
    rustix::io::Errno::IO.raw_os_error()
}

/// What [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8]) -> Error {
    let (Some(kind), Some(number), Some(text)) = (bytes.first(), bytes.get(1..5), bytes.get(5..)) else {
        return Error::setup("starting the container process", io::Error::from(io::ErrorKind::UnexpectedEof));
    };
    let number = i32::from_le_bytes(number.try_into().unwrap_or_default());
    let text = String::from_utf8_lossy(text).into_owned();
    match kind {
        0 => Error::CommandNotFound(text),
        1 => Error::CommandNotExecutable(text),
        2 => Error::InvalidSpec(text),
        3 => Error::Unsupported(text),
        5 => {
            let (stage, message) = text.split_once('\n').unwrap_or(("", &text));
            Error::Hook { stage: stage.to_owned(), index: number as usize, message: message.to_owned() }
        }
        _ => Error::setup(text, io::Error::from_raw_os_error(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_crosses_the_line_with_its_kind() {
        let (a, b) = Line::pair().unwrap();
        for error in [
            Error::CommandNotFound("exec: \"x\": executable file not found in $PATH".into()),
            Error::CommandNotExecutable("exec: \"/x\": permission denied".into()),
            Error::setup("error mounting", io::Error::from_raw_os_error(2)),
            Error::Hook { stage: "createContainer".into(), index: 3, message: "no\nluck".into() },
        ] {
            a.tell_failed(&error).unwrap();
            let heard = b.hear().unwrap_err();
            assert_eq!((heard.to_string(), heard.exit_code()), (error.to_string(), error.exit_code()));
        }
    }

    #[test]
    fn kernel_words_are_gos() {
        assert_eq!(
            Error::setup("stat /x", io::Error::from_raw_os_error(2)).to_string(),
            "stat /x: no such file or directory"
        );
    }

    #[test]
    fn last_words_are_heard_also_when_ours_were_not() {
        let (ours, theirs) = Line::pair().unwrap();
        ours.tell(Kind::Go, None).unwrap();
        theirs.tell_failed(&Error::InvalidSpec("why".into())).unwrap();
        drop(theirs);
        assert_eq!(ours.hear().unwrap_err().to_string(), Error::InvalidSpec("why".into()).to_string());
    }
}
