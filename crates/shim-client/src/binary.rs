//! The shim's program, as a sealed copy in memory.
//!
//! A container that can write the file its shim was executed from owns the host the next time a shim is spawned
//! (CVE-2019-5736). So shims are executed from a memfd that nobody can write, made once per engine.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The sealed copy.
#[derive(Debug)]
pub(crate) struct Binary(OwnedFd);

impl Binary {
    pub(crate) fn seal(mut from: impl io::Read) -> io::Result<Binary> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Kernels before 6.3 do not know MFD_EXEC, and there every memfd may be executed.
        let fd = memfd_create("gantry-shim", flags | MemfdFlags::EXEC)
            .or_else(|_| memfd_create("gantry-shim", flags))?;
        let mut file = File::from(fd);
        io::copy(&mut from, &mut file)?;
        file.flush()?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&file, seals)?;
        Ok(Binary(file.into()))
    }

    /// A name to execute it by. Resolved in the child, whose descriptors are still its parent's.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_can_be_executed_and_not_written() {
        let binary = Binary::seal(File::open("/bin/true").unwrap()).unwrap();
        assert!(std::process::Command::new(binary.path()).status().unwrap().success());
        let err = std::fs::OpenOptions::new()
            .write(true)
            .open(binary.path())
            .and_then(|mut file| file.write_all(b"x"))
            .unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::PermissionDenied);
    }
}
