//! Capability names to bits, and what of them this host has.

use crate::spec::Capabilities;

/// In the kernel's order: the place is the number (linux/capability.h).
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The five sets as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    pub bounding: u64,
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

/// The names as bits, without what is unknown and what the host itself has not (`available`): a container
/// cannot get what its maker lacks, and that is told in `warnings`.
pub(crate) fn masks(ask: &Capabilities, available: u64, warnings: &mut Vec<String>) -> Masks {
    let mut lacking: Vec<&str> = Vec::new();
    let mut mask = |names: &Vec<String>| {
        let mut bits = 0;
        for name in names {
            match NAMES.iter().position(|n| n == name) {
                Some(n) if available & 1 << n != 0 => bits |= 1u64 << n,
                Some(n) if !lacking.contains(&NAMES[n]) => lacking.push(NAMES[n]),
                Some(_) => {}
                None => warnings.push(format!("unknown capability \"{name}\" was ignored")),
            }
        }
        bits
    };
    let masks = Masks {
        bounding: mask(&ask.bounding),
        effective: mask(&ask.effective),
        permitted: mask(&ask.permitted),
        inheritable: mask(&ask.inheritable),
        ambient: mask(&ask.ambient),
    };
    warnings.sort();
    warnings.dedup();
    if !lacking.is_empty() {
        warnings.push(format!("this host does not have {}: the container does without", lacking.join(", ")));
    }
    masks
}

/// What the calling process could give.
pub(crate) fn available() -> u64 {
    (0..64).filter(|n| gantry_sys::caps::in_bounding(*n) == Some(true)).fold(0, |bits, n| bits | 1 << n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_lacks_is_left_out_and_told() {
        let names = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        let all = names(&["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_NOPE"]);
        let ask = Capabilities { bounding: all.clone(), effective: all, ..Default::default() };
        let mut told = Vec::new();
        let masks = masks(&ask, !(1 << 24), &mut told);
        assert_eq!((masks.bounding, masks.effective, masks.ambient), (1, 1, 0));
        assert_eq!(told.len(), 2, "{told:?}");
    }
}
