//! Which limits this host can set, and what becomes of those it cannot: they are told and left out, in Docker's words.

use std::fs;
use std::path::Path;

use crate::spec::{Resources, ThrottleDevice};

/// Where the control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What can be limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the limit it is named after")]
pub struct Limits {
    pub memory: bool,
    pub swap: bool,
    pub swappiness: bool,
    pub reservation: bool,
    pub oom_kill_disable: bool,
    pub cpu_shares: bool,
    pub cpu_cfs: bool,
    pub cpuset: bool,
    pub pids: bool,
    pub blkio_weight: bool,
    pub blkio_throttle: bool,
}

impl Limits {
    /// A host that can limit everything.
    pub const ALL: Limits = Limits {
        memory: true,
        swap: true,
        swappiness: true,
        reservation: true,
        oom_kill_disable: true,
        cpu_shares: true,
        cpu_cfs: true,
        cpuset: true,
        pids: true,
        blkio_weight: true,
        blkio_throttle: true,
    };

    /// Looks.
    pub fn look(unified: bool) -> Limits {
        let root = Path::new(CGROUPS);
        if unified {
            let text = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
            let has = |name: &str| text.split_whitespace().any(|word| word == name);
            return Limits {
                memory: has("memory"),
                swap: has("memory"),
                reservation: has("memory"),
                swappiness: false,
                oom_kill_disable: false,
                cpu_shares: has("cpu"),
                cpu_cfs: has("cpu"),
                cpuset: has("cpuset"),
                pids: has("pids"),
                blkio_weight: has("io"),
                blkio_throttle: has("io"),
            };
        }
        let has = |path: &str| root.join(path).exists();
        Limits {
            memory: has("memory/memory.limit_in_bytes"),
            swap: has("memory/memory.memsw.limit_in_bytes"),
            swappiness: has("memory/memory.swappiness"),
            reservation: has("memory/memory.soft_limit_in_bytes"),
            oom_kill_disable: has("memory/memory.oom_control"),
            cpu_shares: has("cpu/cpu.shares"),
            cpu_cfs: has("cpu/cpu.cfs_quota_us"),
            cpuset: has("cpuset/cpuset.cpus"),
            pids: has("pids"),
            blkio_weight: has("blkio/blkio.weight") || has("blkio/blkio.bfq.weight"),
            blkio_throttle: has("blkio/blkio.throttle.read_bps_device"),
        }
    }

    /// Takes what cannot be set out of `asked`; what to tell about it.
    pub fn discard(&self, asked: &mut Resources) -> Vec<String> {
        let mut told = Vec::new();
        if !self.memory && asked.memory > 0 {
            told.push(missing("memory limit capabilities", "Limitation discarded."));
            (asked.memory, asked.memory_swap) = (0, 0);
        }
        if !self.swap && asked.memory > 0 && asked.memory_swap != -1 && asked.memory_swap != 0 {
            told.push(missing("swap limit capabilities", "Memory limited without swap."));
            asked.memory_swap = -1;
        }
        if !self.swappiness && asked.memory_swappiness.is_some_and(|value| value != -1) {
            told.push(missing("memory swappiness capabilities", "Memory swappiness discarded."));
            asked.memory_swappiness = None;
        }
        if !self.reservation && asked.memory_reservation > 0 {
            told.push(missing("memory soft limit capabilities", "Limitation discarded."));
            asked.memory_reservation = 0;
        }
        if asked.oom_kill_disable == Some(true) {
            if !self.oom_kill_disable {
                told.push(
                    "Your kernel does not support OomKillDisable. OomKillDisable discarded.".to_owned(),
                );
                asked.oom_kill_disable = None;
            } else if asked.memory == 0 {
                told.push(
                    "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
                     running out of resources."
                        .to_owned(),
                );
            }
        }
        if !self.pids && asked.pids_limit.is_some_and(|limit| limit > 0) {
            told.push(missing("PIDs limit capabilities", "PIDs limit discarded."));
            asked.pids_limit = None;
        }
        self.discard_cpu(asked, &mut told);
        self.discard_blkio(asked, &mut told);
        told
    }

    fn discard_cpu(&self, asked: &mut Resources, told: &mut Vec<String>) {
        if !self.cpu_shares && asked.cpu_shares > 0 {
            told.push(missing("CPU shares", "Shares discarded."));
            asked.cpu_shares = 0;
        }
        let quota = asked.cpu_period != 0 || asked.cpu_quota != 0 || asked.nano_cpus != 0;
        if !self.cpu_cfs && quota {
            told.push(
                "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.".to_owned(),
            );
            (asked.cpu_period, asked.cpu_quota, asked.nano_cpus) = (0, 0, 0);
        }
        let set = !asked.cpuset_cpus.is_empty() || !asked.cpuset_mems.is_empty();
        if !self.cpuset && set {
            told.push(missing("cpuset", "Cpuset discarded."));
            asked.cpuset_cpus.clear();
            asked.cpuset_mems.clear();
        }
    }

    fn discard_blkio(&self, asked: &mut Resources, told: &mut Vec<String>) {
        if !self.blkio_weight && asked.blkio_weight > 0 {
            told.push(missing("Block I/O weight", "Weight discarded."));
            asked.blkio_weight = 0;
        }
        if !self.blkio_weight && !asked.blkio_weight_device.is_empty() {
            told.push(missing("Block I/O weight_device", "Weight-device discarded."));
            asked.blkio_weight_device.clear();
        }
        if self.blkio_throttle {
            return;
        }
        let mut each = |list: &mut Vec<ThrottleDevice>, what: &str, lost: &str| {
            if !list.is_empty() {
                told.push(missing(what, lost));
                list.clear();
            }
        };
        each(&mut asked.blkio_read_bps, "BPS Block I/O read limit", "Block I/O BPS read limit discarded.");
        each(&mut asked.blkio_write_bps, "BPS Block I/O write limit", "Block I/O BPS write limit discarded.");
        each(&mut asked.blkio_read_iops, "IOPS Block read limit", "Block I/O IOPS read limit discarded.");
        each(&mut asked.blkio_write_iops, "IOPS Block write limit", "Block I/O IOPS write limit discarded.");
    }
}

fn missing(what: &str, lost: &str) -> String {
    format!("Your kernel does not support {what} or the cgroup is not mounted. {lost}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_cannot_limit_is_told_and_left_out() {
        let asked = || Resources {
            memory: 64 << 20,
            memory_swap: 128 << 20,
            blkio_weight: 300,
            cpu_quota: 50_000,
            pids_limit: Some(10),
            ..Resources::default()
        };
        let mut whole = asked();
        assert_eq!(Limits::ALL.discard(&mut whole), Vec::<String>::new());
        assert_eq!(whole, asked());
        let mut poor = asked();
        let host = Limits { swap: false, blkio_weight: false, pids: false, ..Limits::ALL };
        let told = host.discard(&mut poor);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.contains(&missing("Block I/O weight", "Weight discarded.")));
        let left = Resources { memory_swap: -1, blkio_weight: 0, pids_limit: None, ..asked() };
        assert_eq!(poor, left);
    }

    #[test]
    fn a_container_that_nothing_kills_is_warned_of() {
        let mut asked = Resources { oom_kill_disable: Some(true), ..Resources::default() };
        assert!(Limits::ALL.discard(&mut asked)[0].starts_with("OOM killer is disabled"));
        let host = Limits { oom_kill_disable: false, ..Limits::ALL };
        assert!(host.discard(&mut asked)[0].ends_with("OomKillDisable discarded."));
        assert_eq!(asked.oom_kill_disable, None);
    }
}
