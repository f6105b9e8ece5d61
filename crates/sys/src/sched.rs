//! Scheduling and input/output priority of the calling thread.

use std::io;

/// sched_setattr(2), in the kernel's words.
#[derive(Debug, Default, Clone, Copy)]
#[repr(C)]
pub struct Attributes {
    size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
    util_min: u32,
    util_max: u32,
}

/// Sets the calling thread's scheduling.
pub fn set(mut attributes: Attributes) -> io::Result<()> {
    attributes.size = size_of::<Attributes>() as u32;
    // SAFETY: the structure is a sched_attr of the size it tells and is only read.
    super::check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) }).map(drop)
}

/// ioprio_set(2) for the calling process; class 1 real time, 2 best effort, 3 idle.
pub fn set_io_priority(class: u32, priority: u32) -> io::Result<()> {
    const WHO_PROCESS: i32 = 1;
    const CLASS_SHIFT: u32 = 13;
    // SAFETY: plain numbers.
    super::check(unsafe {
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, class << CLASS_SHIFT | priority)
    })
    .map(drop)
}
