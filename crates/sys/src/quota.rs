//! Project quotas: a directory becomes a project, and the file system keeps how much the project may hold.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// `struct fs_disk_quota` of linux/dqblk_xfs.h; blocks of 512 bytes.
#[repr(C)]
#[derive(Default)]
struct DiskQuota {
    version: i8,
    kind: i8,
    fields: u16,
    id: u32,
    hard_blocks: u64,
    soft_blocks: u64,
    hard_inodes: u64,
    soft_inodes: u64,
    blocks: u64,
    inodes: u64,
    inode_timer: i32,
    block_timer: i32,
    inode_warnings: u16,
    block_warnings: u16,
    timers_high: [i8; 3],
    padding: i8,
    realtime_hard: u64,
    realtime_soft: u64,
    realtime_blocks: u64,
    realtime_timer: i32,
    realtime_warnings: u16,
    padding_3: i16,
    padding_4: [u8; 8],
}

const FS_IOC_FSGETXATTR: libc::c_ulong = 0x801c_581f;
const FS_IOC_FSSETXATTR: libc::c_ulong = 0x401c_5820;
const PROJECT_INHERITED: u32 = 0x200;
// `FS_DQUOT_VERSION`, `FS_PROJ_QUOTA`, `FS_DQ_BHARD`.
const VERSION: i8 = 1;
const PROJECT: i8 = 2;
const HARD: u16 = 1 << 3;
/// `QCMD(Q_XSETQLIM, PRJQUOTA)`.
const SET_LIMIT: libc::c_int = ((b'X' as libc::c_int) << 8 | 4) << 8 | 2;

/// Makes an empty directory the top of a project: what is made below it belongs to it, too.
pub fn set_project(directory: BorrowedFd<'_>, project: u32) -> io::Result<()> {
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes one `struct fsxattr`, which `Attributes` is in size and layout.
    let got = unsafe { libc::ioctl(directory.as_raw_fd(), FS_IOC_FSGETXATTR, &raw mut attributes) };
    super::check(libc::c_long::from(got))?;
    attributes.flags |= PROJECT_INHERITED;
    attributes.project = project;
    // SAFETY: the kernel reads one `struct fsxattr`.
    let set = unsafe { libc::ioctl(directory.as_raw_fd(), FS_IOC_FSSETXATTR, &raw const attributes) };
    super::check(libc::c_long::from(set)).map(drop)
}

/// Lets a project of the file system that holds `place` have at most `bytes` (quotactl_fd(2), Linux 5.14).
pub fn limit(place: BorrowedFd<'_>, project: u32, bytes: u64) -> io::Result<()> {
    let quota = DiskQuota {
        version: VERSION,
        kind: PROJECT,
        fields: HARD,
        id: project,
        hard_blocks: bytes.div_ceil(512),
        ..DiskQuota::default()
    };
    // SAFETY: the kernel reads one `struct fs_disk_quota`, which `DiskQuota` is in size and layout.
    let result = unsafe {
        libc::syscall(libc::SYS_quotactl_fd, place.as_raw_fd(), SET_LIMIT, project, &raw const quota)
    };
    super::check(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_sizes() {
        assert_eq!((size_of::<Attributes>(), size_of::<DiskQuota>()), (28, 112));
    }
}
