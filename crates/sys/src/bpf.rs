//! bpf(2), as far as cgroup version 2 needs it: a device program, loaded, attached, replaced.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// One instruction of extended BPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u8,
    /// Destination register in the low half, source in the high half.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

const PROG_LOAD: u32 = 5;
const PROG_ATTACH: u32 = 8;
const PROG_DETACH: u32 = 9;
const PROG_GET_FD_BY_ID: u32 = 13;
const PROG_QUERY: u32 = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

/// The longest form of `union bpf_attr` used here, all zeroes where a command needs less.
#[repr(C)]
#[derive(Default)]
struct Attr {
    words: [u64; 16],
}

fn bpf(command: u32, attr: &mut Attr) -> io::Result<i64> {
    // SAFETY: `attr` is 128 bytes of plain numbers laid out for the command by the callers below; every pointer in
    // it is to memory that the caller keeps alive across the call and of the length the attr tells.
    super::check(unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<Attr>()) })
}

fn low_high(low: u32, high: u32) -> u64 {
    if cfg!(target_endian = "little") {
        u64::from(low) | u64::from(high) << 32
    } else {
        u64::from(high) | u64::from(low) << 32
    }
}

/// Loads a program that decides on device access.
pub fn load_device_program(program: &[Instruction]) -> io::Result<OwnedFd> {
    let licence = c"Apache-2.0";
    let mut attr = Attr::default();
    attr.words[0] = low_high(PROG_TYPE_CGROUP_DEVICE, program.len() as u32);
    attr.words[1] = program.as_ptr() as u64;
    attr.words[2] = licence.as_ptr() as u64;
    let fd = bpf(PROG_LOAD, &mut attr)?;
    // SAFETY: PROG_LOAD succeeded: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches the program to the cgroup folder, beside what is there.
pub fn attach_device_program(cgroup: impl AsFd, program: impl AsFd) -> io::Result<()> {
    let mut attr = Attr::default();
    attr.words[0] = low_high(cgroup.as_fd().as_raw_fd() as u32, program.as_fd().as_raw_fd() as u32);
    attr.words[1] = low_high(ATTACH_CGROUP_DEVICE, ALLOW_MULTI);
    bpf(PROG_ATTACH, &mut attr).map(drop)
}

/// Takes a program away from the cgroup folder.
pub fn detach_device_program(cgroup: impl AsFd, program: impl AsFd) -> io::Result<()> {
    let mut attr = Attr::default();
    attr.words[0] = low_high(cgroup.as_fd().as_raw_fd() as u32, program.as_fd().as_raw_fd() as u32);
    attr.words[1] = low_high(ATTACH_CGROUP_DEVICE, 0);
    bpf(PROG_DETACH, &mut attr).map(drop)
}

/// The device programs attached to this cgroup folder itself.
pub fn device_programs(cgroup: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    const MOST: usize = 64;
    let mut ids = [0u32; MOST];
    let mut attr = Attr::default();
    attr.words[0] = low_high(cgroup.as_fd().as_raw_fd() as u32, ATTACH_CGROUP_DEVICE);
    attr.words[2] = ids.as_mut_ptr() as u64;
    attr.words[3] = low_high(MOST as u32, 0);
    bpf(PROG_QUERY, &mut attr)?;
    let count =
        if cfg!(target_endian = "little") { attr.words[3] as u32 } else { (attr.words[3] >> 32) as u32 };
    let mut programs = Vec::new();
    for &id in &ids[..(count as usize).min(MOST)] {
        let mut attr = Attr::default();
        attr.words[0] = low_high(id, 0);
        let fd = bpf(PROG_GET_FD_BY_ID, &mut attr)?;
        // SAFETY: the command succeeded: a new descriptor that nobody else owns.
        programs.push(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    }
    Ok(programs)
}
