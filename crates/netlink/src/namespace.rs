//! Network namespaces as descriptors: open, make, enter on a thread of their own.
//!
//! `setns(2)` and `unshare(2)` change one thread. A thread that changed never goes back to other work: it does its job and
//! ends, so no caller ever runs in a namespace it did not choose. A namespace lives as long as a process, a descriptor
//! or a mount of its file holds it.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::error::{Error, Result};
use crate::socket::{Service, Socket};

/// This thread's namespace. `/proc/self` would be the main thread's.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, held open.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// The calling thread's namespace.
    pub fn current() -> Result<Namespace> {
        Namespace::at(Path::new(OWN))
    }

    /// A namespace by its file: a mount made by [`Namespace::create`], or `/proc/<pid>/ns/net`.
    pub fn at(path: &Path) -> Result<Namespace> {
        File::open(path).map(Namespace).map_err(|e| Error::from(e).doing(format!("open {}", path.display())))
    }

    /// The namespace of a process.
    pub fn of_process(pid: i32) -> Result<Namespace> {
        Namespace::at(Path::new(&format!("/proc/{pid}/ns/net")))
    }

    /// Another handle on the same namespace.
    pub fn duplicate(&self) -> Result<Namespace> {
        Ok(Namespace(self.0.try_clone()?))
    }

    /// A fresh namespace, held by the returned descriptor only.
    pub fn fresh() -> Result<Namespace> {
        on_thread(|| {
            unshare_network()?;
            Namespace::current()
        })
    }

    /// A fresh namespace, mounted at `path` so that it lives until [`Namespace::unmount`]; `setup` runs inside it first.
    pub fn create<T: Send>(path: &Path, setup: impl FnOnce() -> Result<T> + Send) -> Result<(Namespace, T)> {
        File::create(path).map_err(|e| Error::from(e).doing(format!("create {}", path.display())))?;
        let made = on_thread(|| {
            unshare_network()?;
            let value = setup()?;
            mount_bind(OWN, path).map_err(|e| Error::from(e).doing(format!("mount {}", path.display())))?;
            Ok((Namespace::current()?, value))
        });
        if made.is_err() {
            let _ = std::fs::remove_file(path);
        }
        made
    }

    /// Mounts this namespace at `path`, so that it outlives its processes until [`Namespace::unmount`].
    pub fn mount(&self, path: &Path) -> Result<()> {
        let doing = |what: &str| format!("{what} {}", path.display());
        File::create(path).map_err(|e| Error::from(e).doing(doing("create")))?;
        let own = format!("/proc/thread-self/fd/{}", self.0.as_raw_fd());
        mount_bind(own, path).map_err(|e| {
            let _ = std::fs::remove_file(path);
            Error::from(e).doing(doing("mount"))
        })
    }

    /// Takes the mount at `path` away; the kernel tears the namespace down in its own time once nothing else holds it.
    pub fn unmount(path: &Path) -> Result<()> {
        match unmount(path, UnmountFlags::DETACH) {
            // Not a mount point: a file left by a crash between making it and mounting on it.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::from(errno).doing(format!("unmount {}", path.display()))),
        }
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::from(e).doing(format!("remove {}", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Runs `work` inside this namespace, on a thread made for it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_thread(|| {
            self.enter()?;
            work()
        })
    }

    /// Opens a netlink socket inside this namespace.
    pub fn open_socket(&self, service: Service) -> Result<Socket> {
        self.run(|| Socket::open(service))
    }

    /// Moves the calling thread into this namespace, for good. For threads that end with their work.
    pub fn enter(&self) -> Result<()> {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| Error::from(e).doing("enter network namespace"))
    }

    /// Whether two handles are the same namespace.
    pub fn is(&self, other: &Namespace) -> Result<bool> {
        let (a, b) = (rustix::fs::fstat(&self.0)?, rustix::fs::fstat(&other.0)?);
        Ok((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Moves the calling thread into a fresh network namespace, for good.
pub fn unshare_network() -> Result<()> {
    #[expect(
        deprecated,
        reason = "its unsafe heir differs only for CLONE_FILES, which is not asked for here"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNET).map_err(|e| Error::from(e).doing("make network namespace"))
}

fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
