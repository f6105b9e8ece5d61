use std::collections::BTreeMap;

use super::{
    Blkio, Build, Data, Dependency, Deploy, Develop, Device, DeviceRequest, Duration, EnvFile, Extensions,
    Grant, Healthcheck, Hook, MaybePairs, Mount, Pairs, Port, Size, Ulimit,
};

/// A service: what its containers are made of.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(
    missing_docs,
    reason = "the attributes carry the file's own names; the Compose specification explains them"
)]
pub struct Service {
    pub name: String,
    pub profiles: Vec<String>,
    pub annotations: Pairs,
    /// Whether `up` shows its output; not given: yes.
    pub attach: Option<bool>,
    pub build: Option<Build>,
    pub develop: Option<Develop>,
    pub blkio_config: Option<Blkio>,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub cgroup_parent: String,
    pub cgroup: String,
    pub cpu_count: i64,
    pub cpu_percent: f32,
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpu_rt_period: i64,
    pub cpu_rt_runtime: i64,
    pub cpus: f32,
    pub cpuset: String,
    pub cpu_shares: i64,
    /// Not given: the image's; empty: none.
    pub command: Option<Vec<String>>,
    pub configs: Vec<Grant>,
    pub container_name: String,
    pub credential_spec: Option<CredentialSpec>,
    pub depends_on: BTreeMap<String, Dependency>,
    pub deploy: Option<Deploy>,
    pub device_cgroup_rules: Vec<String>,
    pub devices: Vec<Device>,
    pub dns: Vec<String>,
    pub dns_opt: Vec<String>,
    pub dns_search: Vec<String>,
    pub domainname: String,
    /// Not given: the image's; empty: none.
    pub entrypoint: Option<Vec<String>>,
    pub provider: Option<Provider>,
    /// With the `env_file`s' values in it; a name without a value is unset in the container.
    pub environment: MaybePairs,
    pub env_file: Vec<EnvFile>,
    pub expose: Vec<String>,
    pub external_links: Vec<String>,
    /// Addresses by host name.
    pub extra_hosts: BTreeMap<String, Vec<String>>,
    pub group_add: Vec<String>,
    pub gpus: Vec<DeviceRequest>,
    pub hostname: String,
    pub healthcheck: Option<Healthcheck>,
    pub image: String,
    pub init: Option<bool>,
    pub ipc: String,
    pub isolation: String,
    pub labels: Pairs,
    pub label_file: Vec<String>,
    pub links: Vec<String>,
    pub logging: Option<Logging>,
    pub mem_limit: Size,
    pub mem_reservation: Size,
    pub memswap_limit: Size,
    /// 0 to 100; not given: the kernel's.
    pub mem_swappiness: Size,
    pub mac_address: String,
    pub models: BTreeMap<String, Option<ServiceModel>>,
    /// As written: [`Service::network`] reads it.
    pub network_mode: String,
    /// Nothing for a network that takes no options.
    pub networks: BTreeMap<String, Option<NetworkOfService>>,
    pub oom_kill_disable: bool,
    pub oom_score_adj: i64,
    pub pid: String,
    pub pids_limit: i64,
    pub platform: String,
    pub ports: Vec<Port>,
    pub privileged: bool,
    /// As written: [`Service::pull`] reads it.
    pub pull_policy: String,
    pub pull_refresh_after: String,
    pub read_only: bool,
    /// As written: [`Service::restart_policy`] reads it.
    pub restart: String,
    pub runtime: String,
    pub scale: Option<i64>,
    pub secrets: Vec<Grant>,
    pub security_opt: Vec<String>,
    pub shm_size: Size,
    pub stdin_open: bool,
    pub stop_grace_period: Option<Duration>,
    pub stop_signal: String,
    pub storage_opt: Pairs,
    pub sysctls: Pairs,
    pub tmpfs: Vec<String>,
    pub tty: bool,
    pub ulimits: BTreeMap<String, Ulimit>,
    pub use_api_socket: bool,
    pub user: String,
    pub userns_mode: String,
    pub uts: String,
    pub volumes: Vec<Mount>,
    pub volumes_from: Vec<String>,
    pub working_dir: String,
    pub post_start: Vec<Hook>,
    pub pre_stop: Vec<Hook>,
    pub extensions: Extensions,
}

/// What a service's network is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// Networks of the project, the default one where none are named.
    Project,
    /// Another service's containers' network.
    Service(String),
    /// Another container's network.
    Container(String),
    /// `host`, `none`, `bridge`, or a network of the engine.
    Engine(String),
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Before each `up`.
    Always,
    /// Never: it has to be there.
    Never,
    /// When it is not there.
    Missing,
    /// It is built.
    Build,
    /// When it was pulled longer ago than this.
    Refresh(Duration),
}

/// When the engine starts a container again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// Whenever it ends.
    Always,
    /// When it fails, at most so often; 0: without end.
    OnFailure(u64),
    /// Whenever it ends, unless somebody stopped it.
    UnlessStopped,
}

/// A service's place in a network.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs, reason = "the attributes carry the file's own names")]
pub struct NetworkOfService {
    pub aliases: Vec<String>,
    pub driver_opts: Pairs,
    pub gw_priority: i64,
    pub interface_name: String,
    pub ipv4_address: String,
    pub ipv6_address: String,
    pub link_local_ips: Vec<String>,
    pub mac_address: String,
    pub priority: i64,
    pub extensions: Extensions,
}

/// Where the output goes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Logging {
    /// Empty: the engine's.
    pub driver: String,
    /// The driver's options.
    pub options: Pairs,
    /// The user's own.
    pub extensions: Extensions,
}

/// Windows' managed account.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs, reason = "the attributes carry the file's own names")]
pub struct CredentialSpec {
    pub config: String,
    pub file: String,
    pub registry: String,
    pub extensions: Extensions,
}

/// A program of the user's that stands in for containers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provider {
    /// The program.
    pub kind: String,
    /// Its options.
    pub options: BTreeMap<String, Vec<Data>>,
    /// The user's own.
    pub extensions: Extensions,
}

/// How a service is told of a language model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceModel {
    /// The variable with its address.
    pub endpoint_var: String,
    /// The variable with its name.
    pub model_var: String,
    /// The user's own.
    pub extensions: Extensions,
}

impl Service {
    /// The image it runs: its own, or the one that is built for it.
    pub fn image_name(&self, project: &str) -> String {
        if self.image.is_empty() { format!("{project}-{}", self.name) } else { self.image.clone() }
    }

    /// How many containers.
    pub fn replicas(&self) -> i64 {
        self.scale.or_else(|| self.deploy.as_ref()?.replicas).unwrap_or(1)
    }

    /// Its network.
    pub fn network(&self) -> NetworkMode {
        let mode = self.network_mode.as_str();
        if let Some(service) = mode.strip_prefix("service:") {
            return NetworkMode::Service(service.to_owned());
        }
        if let Some(container) = mode.strip_prefix("container:") {
            return NetworkMode::Container(container.to_owned());
        }
        match mode {
            "" => NetworkMode::Project,
            _ => NetworkMode::Engine(mode.to_owned()),
        }
    }

    /// When its image is pulled; an image that is built is not pulled unless that is said.
    pub fn pull(&self) -> PullPolicy {
        const DAY: i64 = 86_400_000_000_000;
        match self.pull_policy.as_str() {
            "always" => PullPolicy::Always,
            "never" => PullPolicy::Never,
            "build" => PullPolicy::Build,
            "daily" => PullPolicy::Refresh(Duration(DAY)),
            "weekly" => PullPolicy::Refresh(Duration(7 * DAY)),
            other => other
                .strip_prefix("every_")
                .and_then(|span| Duration::parse(span).ok())
                .map_or(PullPolicy::Missing, PullPolicy::Refresh),
        }
    }

    /// When the engine starts its containers again: `restart`, or else `deploy.restart_policy`.
    pub fn restart_policy(&self) -> Restart {
        let policy = self.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
        match (self.restart.as_str(), policy) {
            ("", Some(policy)) => match policy.condition.as_str() {
                "none" | "no" => Restart::No,
                "on-failure" => Restart::OnFailure(policy.max_attempts.unwrap_or(0)),
                "unless-stopped" => Restart::UnlessStopped,
                _ => Restart::Always,
            },
            ("always", _) => Restart::Always,
            ("unless-stopped", _) => Restart::UnlessStopped,
            (text, _) => match text.split_once(':').unwrap_or((text, "")) {
                ("on-failure", count) => Restart::OnFailure(count.parse().unwrap_or(0)),
                _ => Restart::No,
            },
        }
    }
}
