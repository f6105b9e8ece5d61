use super::{DeviceRequest, Duration, Extensions, Pairs, Size};

/// `deploy`: how many and within what limits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deploy {
    /// `replicated`, `global`, ...
    pub mode: String,
    /// How many containers.
    pub replicas: Option<i64>,
    /// Labels of the service, not of its containers.
    pub labels: Pairs,
    /// How an update rolls.
    pub update_config: Option<RollingUpdate>,
    /// How the way back rolls.
    pub rollback_config: Option<RollingUpdate>,
    /// Limits and reservations.
    pub resources: Resources,
    /// When a container is started again.
    pub restart_policy: Option<RestartPolicy>,
    /// Where in a cluster.
    pub placement: Placement,
    /// `vip` or `dnsrr`.
    pub endpoint_mode: String,
    /// The user's own.
    pub extensions: Extensions,
}

/// How an update rolls over the containers of a service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RollingUpdate {
    /// How many at a time; 0: all.
    pub parallelism: Option<u64>,
    /// Between two groups.
    pub delay: Duration,
    /// `continue`, `rollback` or `pause`.
    pub failure_action: String,
    /// How long to watch each one for failure.
    pub monitor: Duration,
    /// Failures to tolerate.
    pub max_failure_ratio: f32,
    /// Whether the old one goes first.
    pub order: Option<UpdateOrder>,
    /// The user's own.
    pub extensions: Extensions,
}

/// Which goes first in an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOrder {
    /// The new container is there before the old one goes.
    StartFirst,
    /// The old container goes before the new one comes.
    StopFirst,
}

impl UpdateOrder {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartFirst => "start-first",
            Self::StopFirst => "stop-first",
        }
    }
}

/// What containers may use, and what must be there for them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resources {
    /// At most.
    pub limits: Option<Resource>,
    /// At least.
    pub reservations: Option<Resource>,
    /// The user's own.
    pub extensions: Extensions,
}

/// Processor time, memory, processes, devices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// Processors, such as 0.5; 0: not given.
    pub cpus: f32,
    /// 0: not given.
    pub memory: Size,
    /// 0: not given.
    pub pids: i64,
    /// Devices that drivers give, such as GPUs.
    pub devices: Vec<DeviceRequest>,
    /// A cluster's counted resources.
    pub generic_resources: Vec<GenericResource>,
    /// The user's own.
    pub extensions: Extensions,
}

/// A counted resource of a cluster's node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GenericResource {
    /// Its name, such as `SSD`.
    pub kind: String,
    /// How many.
    pub value: i64,
}

/// When a container is started again.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RestartPolicy {
    /// `none`, `on-failure`, `any` (and Docker's restart words).
    pub condition: String,
    /// Before each start.
    pub delay: Option<Duration>,
    /// How often.
    pub max_attempts: Option<u64>,
    /// How long it has to run to count as started.
    pub window: Option<Duration>,
    /// The user's own.
    pub extensions: Extensions,
}

/// Where in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// Such as `node.role == manager`.
    pub constraints: Vec<String>,
    /// Labels to spread over.
    pub spread: Vec<String>,
    /// 0: no limit.
    pub max_replicas_per_node: u64,
}
