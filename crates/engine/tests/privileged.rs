//! The engine over real images, snapshots and shims. Needs root, and the shim's program: `GANTRY_SHIM`, or a
//! `gantry-shim` beside the test's own target folder (built by the test when it is not there).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "privileged/setup.rs"]
mod setup;

#[path = "privileged/crash.rs"]
mod crash;
#[path = "privileged/files.rs"]
mod files;
#[path = "privileged/life.rs"]
mod life;
#[path = "privileged/networks.rs"]
mod networks;
#[path = "privileged/streams.rs"]
mod streams;
