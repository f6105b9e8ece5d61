//! Which namespaces are new, which are joined, and who has to do it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::Step;
use crate::spec::{Linux, Namespace};
use crate::{Error, Result};

pub(crate) const TIME: u32 = 0x80;
pub(crate) const MOUNT: u32 = 0x0002_0000;
pub(crate) const CGROUP: u32 = 0x0200_0000;
pub(crate) const UTS: u32 = 0x0400_0000;
pub(crate) const IPC: u32 = 0x0800_0000;
pub(crate) const USER: u32 = 0x1000_0000;
pub(crate) const PID: u32 = 0x2000_0000;
pub(crate) const NET: u32 = 0x4000_0000;

/// The specification's word as the kernel's bit and the kernel's file below `/proc/<pid>/ns`.
pub(crate) fn flag(kind: &str) -> Option<u32> {
    Some(match kind {
        "pid" => PID,
        "network" => NET,
        "mount" => MOUNT,
        "ipc" => IPC,
        "uts" => UTS,
        "user" => USER,
        "cgroup" => CGROUP,
        "time" => TIME,
        _ => return None,
    })
}

/// The container's namespaces, sorted by what has to be done.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Bits of the new ones.
    pub new: u32,
    /// The ones to join, opened and proven to be of their kind.
    pub join: Vec<(u32, OwnedFd)>,
}

impl Plan {
    pub(crate) fn of(linux: &Linux) -> Result<Plan> {
        let mut plan = Plan::default();
        let mut seen = 0;
        for namespace in &linux.namespaces {
            let flag = flag(&namespace.kind).ok_or_else(|| {
                Error::InvalidSpec(format!("invalid namespace type \"{}\"", namespace.kind))
            })?;
            if seen & flag != 0 {
                return Err(Error::InvalidSpec(format!(
                    "malformed spec file: duplicated ns {}",
                    namespace.kind
                )));
            }
            seen |= flag;
            match namespace.path.as_ref().filter(|p| !p.as_os_str().is_empty()) {
                None => plan.new |= flag,
                Some(_) => plan.join.extend(open(namespace, flag)?.map(|fd| (flag, fd))),
            }
        }
        if plan.new & MOUNT == 0 {
            return Err(Error::Unsupported(
                "a container without a mount namespace of its own is not supported".into(),
            ));
        }
        let mapped = !linux.uid_mappings.is_empty() && !linux.gid_mappings.is_empty();
        if plan.new & USER != 0 && !mapped {
            return Err(Error::InvalidSpec("user namespaces enabled, but no mappings found".into()));
        }
        if plan.new & TIME == 0 && !linux.time_offsets.is_empty() {
            return Err(Error::InvalidSpec(
                "time namespace offsets specified, but time namespace isn't enabled".into(),
            ));
        }
        Ok(plan)
    }

    /// Whether a process between has to do the joining: what a process joins of pid and user namespaces is for its
    /// children, and what it makes must come after.
    pub(crate) fn needs_between(&self) -> bool {
        let joined = self.joined();
        joined & (PID | USER) != 0 || (self.new & USER != 0 && joined != 0)
    }

    pub(crate) fn joined(&self) -> u32 {
        self.join.iter().fold(0, |bits, (flag, _)| bits | flag)
    }

    /// Joins everything; the user namespace last, because before it we still have the host's rights over the others.
    pub(crate) fn enter(&self) -> Result<()> {
        let of = |user: bool| self.join.iter().filter(move |(flag, _)| (*flag == USER) == user);
        for (flag, fd) in of(false).chain(of(true)) {
            move_into_link_name_space(fd.as_fd(), kind(*flag)).step(|| "joining a namespace")?;
        }
        Ok(())
    }
}

fn kind(flag: u32) -> Option<LinkNameSpaceType> {
    Some(match flag {
        TIME => LinkNameSpaceType::Time,
        MOUNT => LinkNameSpaceType::Mount,
        CGROUP => LinkNameSpaceType::ControlGroup,
        UTS => LinkNameSpaceType::HostNameAndNISDomainName,
        IPC => LinkNameSpaceType::InterProcessCommunication,
        USER => LinkNameSpaceType::User,
        PID => LinkNameSpaceType::ProcessID,
        NET => LinkNameSpaceType::Network,
        _ => return None,
    })
}

/// `None`: it is the one we are in already.
fn open(namespace: &Namespace, flag: u32) -> Result<Option<OwnedFd>> {
    let path = namespace.path.as_deref().unwrap_or_else(|| std::path::Path::new(""));
    let doing = || format!("opening the {} namespace {}", namespace.kind, path.display());
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).step(doing)?;
    let own = match flag {
        TIME => "time",
        MOUNT => "mnt",
        CGROUP => "cgroup",
        UTS => "uts",
        IPC => "ipc",
        USER => "user",
        PID => "pid",
        _ => "net",
    };
    let theirs = rustix::fs::fstat(&fd).step(doing)?;
    let ours = rustix::fs::stat(format!("/proc/self/ns/{own}")).step(doing)?;
    if theirs.st_dev != ours.st_dev {
        return Err(Error::InvalidSpec(format!("{} is not a namespace file", path.display())));
    }
    // Joining one's own is no change, and an error for the user namespace.
    Ok((theirs.st_ino != ours.st_ino).then_some(fd))
}
