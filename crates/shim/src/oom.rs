//! Whether the kernel has killed in the container for want of memory.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;

/// A watch on the memory cgroup of a process.
#[derive(Debug)]
pub(crate) struct OomWatch {
    counter: PathBuf,
    /// Readable when the counter may have changed.
    wake: OwnedFd,
    /// Version 1 needs the counter's file to stay open.
    _event_source: Option<fs::File>,
    told: u64,
}

impl OomWatch {
    /// Watches the cgroup that a process is in. `None` where memory is not accounted.
    pub fn of(pid: i32) -> Option<OomWatch> {
        let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let (folder, version_1) = memory_folder(&membership)?;
        let watch = if version_1 { version_1_watch(&folder) } else { version_2_watch(&folder) };
        let (counter, wake, source) = watch.ok()?;
        let told = kills(&counter).unwrap_or(0);
        Some(OomWatch { counter, wake, _event_source: source, told })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Whether the kernel has killed since the last call.
    pub fn take(&mut self) -> bool {
        let mut bytes = [0; 1024];
        while rustix::io::read(&self.wake, &mut bytes).is_ok_and(|got| got > 0) {}
        // The folder may be gone with the container: then nothing was counted since.
        let now = kills(&self.counter).unwrap_or(self.told);
        std::mem::replace(&mut self.told, now) < now
    }
}

/// The folder of the memory controller, and whether it is a version 1 hierarchy. cgroups(7): lines
/// `number:controllers:path`, version 2 is `0::path`.
fn memory_folder(membership: &str) -> Option<(PathBuf, bool)> {
    let fields = || membership.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let below = |root: &str, path: &str| Path::new(root).join(path.trim_start_matches('/'));
    if let Some((_, path)) = fields().find(|(controllers, _)| controllers.split(',').any(|c| c == "memory")) {
        return Some((below("/sys/fs/cgroup/memory", path), true));
    }
    let (_, path) = fields().find(|(controllers, _)| controllers.is_empty())?;
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .map(|root| below(root, path))
        .into_iter()
        .find(|folder| folder.join("memory.events").exists())
        .map(|folder| (folder, false))
}

type Parts = (PathBuf, OwnedFd, Option<fs::File>);

fn version_1_watch(folder: &Path) -> io::Result<Parts> {
    let counter = folder.join("memory.oom_control");
    let source = fs::File::open(&counter)?;
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let order = format!("{} {}", wake.as_raw_fd(), source.as_raw_fd());
    fs::write(folder.join("cgroup.event_control"), order)?;
    Ok((counter, wake, Some(source)))
}

fn version_2_watch(folder: &Path) -> io::Result<Parts> {
    let counter = folder.join("memory.events");
    let wake = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&wake, &counter, inotify::WatchFlags::MODIFY)?;
    Ok((counter, wake, None))
}

/// The `oom_kill` line, which both versions have.
fn kills(counter: &Path) -> Option<u64> {
    let text = fs::read_to_string(counter).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_hierarchy_is_found_in_version_1_and_hybrid() {
        let hybrid = "12:cpu,cpuacct:/a\n5:memory:/gantry/c1\n0::/u\n";
        let expected = PathBuf::from("/sys/fs/cgroup/memory/gantry/c1");
        assert_eq!(memory_folder(hybrid), Some((expected, true)));
        assert_eq!(memory_folder("3:pids:/x\n"), None);
    }
}
