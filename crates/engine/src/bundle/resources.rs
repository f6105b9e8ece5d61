//! Docker's limits as OCI `linux.resources`.

use gantry_runtime_lib::spec as oci;

use crate::spec::{Resources, ThrottleDevice};

/// Looks up a device node: type, major, minor.
pub type DeviceNumbers<'a> = &'a dyn Fn(&str) -> std::io::Result<(char, i64, i64)>;

/// The limits that can be changed while the container runs, too. Devices come beside.
pub fn limits(asked: &Resources, devices: DeviceNumbers<'_>) -> std::io::Result<oci::Resources> {
    let positive = |value: i64| (value != 0).then_some(value);
    let unsigned = |value: i64| u64::try_from(value).ok().filter(|value| *value != 0);
    let memory_swap = match (asked.memory, asked.memory_swap) {
        // As much swap as memory again, when only the memory is limited.
        (memory, 0) if memory > 0 => Some(memory.saturating_mul(2)),
        (_, swap) => positive(swap),
    };
    let memory = oci::Memory {
        limit: positive(asked.memory),
        reservation: positive(asked.memory_reservation),
        swap: memory_swap,
        kernel_tcp: positive(asked.kernel_memory_tcp),
        swappiness: asked.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: asked.oom_kill_disable.filter(|disabled| *disabled),
        ..oci::Memory::default()
    };
    let (quota, period) = if asked.nano_cpus > 0 {
        const PERIOD: i64 = 100_000;
        (Some(asked.nano_cpus.saturating_mul(PERIOD) / 1_000_000_000), Some(PERIOD as u64))
    } else {
        (positive(asked.cpu_quota), unsigned(asked.cpu_period))
    };
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let cpu = oci::Cpu {
        shares: unsigned(asked.cpu_shares),
        quota,
        period,
        realtime_period: unsigned(asked.cpu_realtime_period),
        realtime_runtime: positive(asked.cpu_realtime_runtime),
        cpus: text(&asked.cpuset_cpus),
        mems: text(&asked.cpuset_mems),
        ..oci::Cpu::default()
    };
    let throttle = |asked: &[ThrottleDevice]| -> std::io::Result<Vec<oci::ThrottleDevice>> {
        let each = asked.iter().map(|device| {
            let (_, major, minor) = devices(&device.path)?;
            Ok(oci::ThrottleDevice { major, minor, rate: device.rate })
        });
        each.collect()
    };
    let weights: std::io::Result<Vec<_>> = asked
        .blkio_weight_device
        .iter()
        .map(|device| {
            let (_, major, minor) = devices(&device.path)?;
            Ok(oci::WeightDevice { major, minor, weight: Some(device.weight), leaf_weight: None })
        })
        .collect();
    let block_io = oci::BlockIo {
        weight: (asked.blkio_weight != 0).then_some(asked.blkio_weight),
        leaf_weight: None,
        weight_device: weights?,
        throttle_read_bps_device: throttle(&asked.blkio_read_bps)?,
        throttle_write_bps_device: throttle(&asked.blkio_write_bps)?,
        throttle_read_iops_device: throttle(&asked.blkio_read_iops)?,
        throttle_write_iops_device: throttle(&asked.blkio_write_iops)?,
    };
    Ok(oci::Resources {
        memory: (memory != oci::Memory::default()).then_some(memory),
        cpu: (cpu != oci::Cpu::default()).then_some(cpu),
        pids: asked.pids_limit.filter(|limit| *limit != 0).map(|limit| oci::Pids { limit: Some(limit) }),
        block_io: (block_io != oci::BlockIo::default()).then_some(block_io),
        ..oci::Resources::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asked: Resources) -> oci::Resources {
        limits(&asked, &|_| Ok(('b', 8, 0))).unwrap()
    }

    #[test]
    fn nothing_asked_is_nothing_limited() {
        assert_eq!(of(Resources::default()), oci::Resources::default());
    }

    #[test]
    fn cpus_become_a_quota_and_memory_doubles_into_swap() {
        let limits = of(Resources { nano_cpus: 1_500_000_000, memory: 1 << 20, ..Resources::default() });
        let cpu = limits.cpu.unwrap();
        assert_eq!((cpu.quota, cpu.period), (Some(150_000), Some(100_000)));
        let memory = limits.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(1 << 20), Some(2 << 20)));
    }

    #[test]
    fn devices_are_named_by_their_numbers() {
        let rate = vec![ThrottleDevice { path: "/dev/sda".into(), rate: 5 }];
        let limits = of(Resources { blkio_read_bps: rate, ..Resources::default() });
        let device = &limits.block_io.unwrap().throttle_read_bps_device[0];
        assert_eq!((device.major, device.minor, device.rate), (8, 0, 5));
    }
}
