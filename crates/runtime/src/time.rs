//! A time namespace has to get its offsets before anybody lives in it, so the process that makes the container
//! makes it, and goes back to its own.

use std::collections::BTreeMap;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd;

use crate::error::Step;
use crate::spec::TimeOffset;
use crate::{Error, Result};

/// Runs `make`; children that it makes are in a new time namespace when `wanted`.
pub(crate) fn in_new<T>(
    wanted: bool,
    offsets: &BTreeMap<String, TimeOffset>,
    make: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if !wanted {
        return make();
    }
    let doing = || "making the time namespace";
    let own = rustix::fs::open("/proc/self/ns/time", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .step(doing)?;
    gantry_sys::clone::unshare(crate::namespaces::TIME).step(doing)?;
    let made = set(offsets).and_then(|()| make());
    let back = move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Time))
        .step(|| "leaving the time namespace");
    let made = made?;
    back.map(|()| made)
}

fn set(offsets: &BTreeMap<String, TimeOffset>) -> Result<()> {
    let mut text = String::new();
    for (clock, offset) in offsets {
        if clock != "monotonic" && clock != "boottime" {
            return Err(Error::InvalidSpec(format!("invalid clock {clock:?} in timeOffsets")));
        }
        text.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
    }
    if text.is_empty() {
        return Ok(());
    }
    std::fs::write("/proc/self/timens_offsets", text).step(|| "setting the time namespace's offsets")
}
