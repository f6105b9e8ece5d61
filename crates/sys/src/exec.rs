//! execve(2) with everything prepared beforehand, so that the last step allocates nothing.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// A null-terminated array of pointers into the strings it owns.
#[derive(Debug)]
pub struct Strings {
    owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    /// Refuses text with a zero byte in it.
    pub fn new<T: Into<Vec<u8>>>(items: impl IntoIterator<Item = T>) -> io::Result<Self> {
        let owned = items
            .into_iter()
            .map(|s| CString::new(s).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL)))
            .collect::<io::Result<Vec<_>>>()?;
        // A CString's bytes are on the heap and do not move with the vector.
        let pointers = owned.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
        Ok(Strings { owned, pointers })
    }

    /// The strings.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.owned.iter().map(CString::as_c_str)
    }
}

/// Replaces this program; comes back only with an error.
pub fn execve(path: &CStr, argv: &Strings, envp: &Strings) -> io::Error {
    // SAFETY: the path and both arrays are null-terminated and live across the call (`Strings` owns what it points to).
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Replaces this program by the file behind `fd`; comes back only with an error.
pub fn execve_fd(fd: BorrowedFd<'_>, argv: &Strings, envp: &Strings) -> io::Error {
    // SAFETY: as in `execve`; the empty path with AT_EMPTY_PATH names the descriptor itself.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}
