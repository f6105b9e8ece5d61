//! sync_file_range(2): bytes go to the disk while more are still coming.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Begins to write `length` bytes from `offset` on to the disk and does not wait for them. It promises nothing about a
/// power loss: only that a later `fsync` has less left to do.
pub fn begin(file: BorrowedFd<'_>, offset: u64, length: u64) -> io::Result<()> {
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: the descriptor is borrowed and open; nothing of this process's memory is touched.
    let result =
        unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    super::check(libc::c_long::from(result)).map(drop)
}
