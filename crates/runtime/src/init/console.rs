//! The terminal, and the three descriptors every program starts with.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

use super::Birth;
use crate::error::Step;
use crate::inside::{self, Inside};
use crate::process;
use crate::spec::ConsoleSize;
use crate::wire::{Kind, Line};
use crate::{Error, Result, Stdio, mount_api};

/// Makes the terminal in the container's own devpts, hands the master over and shows the slave as `/dev/console`.
pub(crate) fn prepare(birth: &Birth<'_>, inside: &Inside<'_>) -> Result<Option<OwnedFd>> {
    if !matches!(birth.stdio, Stdio::Terminal) {
        return Ok(None);
    }
    let size = birth.spec.process.as_ref().and_then(|p| p.console_size);
    let slave = open(inside, size, &birth.line)?;
    let console = inside.file(Path::new("/dev/console")).step(|| "making /dev/console")?;
    if inside::magic(&console).step(|| "looking at /dev/console")? == inside::PROC {
        return Err(Error::InvalidSpec("/dev/console leads into /proc".into()));
    }
    let tree = mount_api::copy_of_fd(&slave, false).step(|| "showing the terminal as /dev/console")?;
    mount_api::attach(&tree, &console).step(|| "showing the terminal as /dev/console")?;
    Ok(Some(slave))
}

/// A new terminal: the master goes over the line, the slave is answered. The `ptmx` must really be devpts's
/// (CVE-2025-52565).
pub(crate) fn open(inside: &Inside<'_>, size: Option<ConsoleSize>, line: &Line) -> Result<OwnedFd> {
    let doing = || "making a terminal in the container's /dev/pts";
    let ptmx = inside
        .open(Path::new("/dev/pts/ptmx"), OFlags::RDWR | OFlags::NOCTTY, ResolveFlags::empty())
        .step(doing)?;
    if inside::magic(&ptmx).step(doing)? != inside::DEVPTS {
        return Err(Error::InvalidSpec(
            "/dev/pts of the container is not a devpts: no terminal can be made".into(),
        ));
    }
    let (master, slave) = gantry_sys::terminal::open_pair(ptmx).step(doing)?;
    if let Some(size) = size.filter(|s| s.height != 0 || s.width != 0) {
        let size =
            rustix::termios::Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, size).step(doing)?;
    }
    line.tell(Kind::Console, Some(master.as_fd()))?;
    gantry_sys::terminal::control(&slave).step(|| "taking the terminal")?;
    Ok(slave)
}

/// Puts the three in their places and gives them to the process's user.
pub(crate) fn give_stdio(birth: &mut Birth<'_>) -> Result<()> {
    give(std::mem::take(&mut birth.stdio), &birth.process)
}

pub(crate) fn give(stdio: Stdio, plan: &process::Plan) -> Result<()> {
    if let Stdio::Files { stdin, stdout, stderr } = stdio {
        for (fd, number) in [(&stdin, 0), (&stdout, 1), (&stderr, 2)] {
            gantry_sys::fds::dup_onto(fd.as_fd(), number).step(|| "giving stdin, stdout and stderr")?;
        }
    }
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for fd in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        let is_null = stat.st_rdev == rustix::fs::makedev(1, 3);
        if is_null || stat.st_uid == plan.uid {
            continue;
        }
        match rustix::fs::fchown(fd, Some(rustix::fs::Uid::from_raw(plan.uid)), None) {
            // A file that cannot be given away is still open.
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => {}
            Err(e) => return Err(Error::setup("giving stdin, stdout and stderr to the user", e)),
        }
    }
    Ok(())
}
