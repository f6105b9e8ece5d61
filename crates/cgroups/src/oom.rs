//! Deaths for want of memory.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Mode, OFlags, inotify};

use crate::files::{keyed, read_maybe, write};
use crate::group::Place;
use crate::{Cgroup, Error, Result};

impl Cgroup {
    /// How often the kernel has killed in here; `None` where it does not count.
    pub fn oom_kills(&self) -> Option<u64> {
        let folder = self.folder("memory")?;
        match self.place {
            Place::V1(_) => keyed(&read_maybe(folder, "memory.oom_control")?, "oom_kill"),
            Place::V2(_) => keyed(&read_maybe(folder, "memory.events")?, "oom_kill"),
        }
    }

    /// A descriptor that becomes readable when memory has run out (and, in version 1, when the group is
    /// removed). Ask [`oom_kills`](Self::oom_kills) then.
    pub fn oom_watch(&self) -> Result<OwnedFd> {
        let folder = self.folder("memory").ok_or_else(|| {
            Error::Unsupported("cgroup controller \"memory\" is not available on this host".into())
        })?;
        let told = |e: rustix::io::Errno| Error::Io {
            what: "failed to watch for out of memory".into(),
            cause: e.into(),
        };
        match self.place {
            Place::V1(_) => {
                let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(told)?;
                let control = rustix::fs::open(
                    folder.join("memory.oom_control"),
                    OFlags::RDONLY | OFlags::CLOEXEC,
                    Mode::empty(),
                )
                .map_err(told)?;
                write(
                    folder,
                    "cgroup.event_control",
                    &format!("{} {}", event.as_raw_fd(), control.as_raw_fd()),
                )?;
                Ok(event)
            }
            Place::V2(_) => {
                let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
                    .map_err(told)?;
                inotify::add_watch(&watch, folder.join("memory.events"), inotify::WatchFlags::MODIFY)
                    .map_err(told)?;
                Ok(watch)
            }
        }
    }
}
