//! The small languages of Docker's flags: ports, mounts, sizes, durations, ... Pure, one a file.

pub mod csv;
pub mod devices;
pub mod duration;
pub mod env;
pub mod filters;
pub mod gpus;
pub mod hosts;
pub mod mounts;
pub mod network;
pub mod numbers;
pub mod platform;
pub mod ports;
pub mod security;
pub mod size;
pub mod time;
pub mod ulimits;
pub mod volumes;
