use super::{Extensions, Size};

/// `blkio_config`: shares of block devices and their limits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Blkio {
    /// 10 to 1000; 0: not given.
    pub weight: u16,
    /// Weights of single devices.
    pub weight_device: Vec<WeightOfDevice>,
    /// Bytes a second.
    pub device_read_bps: Vec<Throttle>,
    /// Operations a second.
    pub device_read_iops: Vec<Throttle>,
    /// Bytes a second.
    pub device_write_bps: Vec<Throttle>,
    /// Operations a second.
    pub device_write_iops: Vec<Throttle>,
    /// The user's own.
    pub extensions: Extensions,
}

/// One device's weight.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WeightOfDevice {
    /// The device's path.
    pub path: String,
    /// 10 to 1000.
    pub weight: u16,
}

/// One device's limit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Throttle {
    /// The device's path.
    pub path: String,
    /// Bytes or operations a second.
    pub rate: Size,
}
