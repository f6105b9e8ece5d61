//! Device nodes and the rules of the device controller.

use gantry_runtime_lib::spec as oci;

use crate::spec::ContainerSpec;

/// A device a person asked for, looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Place in the container.
    pub path: String,
    /// Character or block.
    pub kind: NodeKind,
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Mode bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// `rwm`.
    pub permissions: String,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Character.
    Character,
    /// Block.
    Block,
}

impl NodeKind {
    fn letter(self) -> String {
        match self {
            NodeKind::Character => "c".to_owned(),
            NodeKind::Block => "b".to_owned(),
        }
    }
}

impl Device {
    pub(super) fn node(&self) -> oci::Device {
        oci::Device {
            path: self.path.clone().into(),
            kind: self.kind.letter(),
            major: self.major,
            minor: self.minor,
            file_mode: Some(self.mode),
            uid: Some(self.uid),
            gid: Some(self.gid),
        }
    }
}

fn rule(kind: &str, major: Option<i64>, minor: Option<i64>, access: &str) -> oci::DeviceRule {
    oci::DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major,
        minor,
        access: Some(access.to_owned()),
    }
}

/// Docker's list: nothing, but making nodes, the usual harmless ones, and what was asked for.
pub(super) fn rules(spec: &ContainerSpec, devices: &[Device]) -> Vec<oci::DeviceRule> {
    if spec.privileged {
        return vec![rule("a", None, None, "rwm")];
    }
    let mut all =
        vec![oci::DeviceRule { allow: false, access: Some("rwm".to_owned()), ..oci::DeviceRule::default() }];
    all.push(rule("c", None, None, "m"));
    all.push(rule("b", None, None, "m"));
    // null, zero, full, random, urandom; tty, console, ptmx; the pseudo terminals.
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] {
        all.push(rule("c", Some(major), Some(minor), "rwm"));
    }
    all.push(rule("c", Some(136), None, "rwm"));
    for device in devices {
        all.push(rule(&device.kind.letter(), Some(device.major), Some(device.minor), &device.permissions));
    }
    all.extend(spec.resources.device_cgroup_rules.iter().filter_map(|text| parse_rule(text)));
    all
}

/// `c 42:* rmw`. Validated at `create`, so a rule that does not parse is not here.
pub(crate) fn parse_rule(text: &str) -> Option<oci::DeviceRule> {
    let mut words = text.split_whitespace();
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some()
        || !matches!(kind, "a" | "b" | "c")
        || !access.bytes().all(|b| b"rwm".contains(&b))
    {
        return None;
    }
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str| {
        if text == "*" { Some(None) } else { text.parse::<u32>().ok().map(|n| Some(i64::from(n))) }
    };
    Some(rule(kind, number(major)?, number(minor)?, access))
}
