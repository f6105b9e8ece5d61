use super::{Extensions, Pairs};

/// A device of the host in the container.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Device {
    /// The host's path, or a CDI name such as `vendor.com/class=name`.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Of `r`, `w`, `m`.
    pub permissions: String,
    /// The user's own.
    pub extensions: Extensions,
}

/// A device that a driver gives, such as a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceRequest {
    /// Such as `gpu`.
    pub capabilities: Vec<String>,
    /// The driver's name.
    pub driver: String,
    /// How many; -1: all; 0: not given.
    pub count: i64,
    /// Which ones.
    pub device_ids: Vec<String>,
    /// The driver's own options.
    pub options: Pairs,
}
