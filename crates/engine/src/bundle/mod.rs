//! A container's record and the host's facts to an OCI `config.json`. Pure: whatever must be looked up is looked up
//! before and comes in by [`Inputs`].
//!
//! Start at [`build`]; each part of the spec has its file.

pub mod apparmor;
pub mod capabilities;
mod devices;
mod environment;
mod mounts;
pub mod resources;
pub mod security;
pub mod user;

pub(crate) use devices::parse_rule as parse_device_rule;
pub use devices::{Device, NodeKind};
pub use environment::Environment;
pub use mounts::BoundMount;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gantry_runtime_lib::spec as oci;
use gantry_seccomp::docker::{Facts, Profile};

use crate::limits::Limits;
use crate::record::ContainerRecord;
use crate::selinux::Selinux;
use crate::spec::{CgroupnsMode, ContainerSpec, IpcMode, PidMode, UtsMode};
use security::{SeccompChoice, Security};
use user::ResolvedUser;

/// What is true of this host.
#[derive(Debug, Clone)]
pub struct Host {
    /// The engine's own bounding set.
    pub capabilities: BTreeSet<String>,
    /// Only the unified hierarchy is there.
    pub cgroup_v2: bool,
    /// What there is of AppArmor.
    pub apparmor: apparmor::AppArmor,
    /// What is done with SELinux.
    pub selinux: Selinux,
    /// Why nothing is, although it was asked for.
    pub no_selinux: Option<String>,
    /// What can be limited.
    pub limits: Limits,
    /// The kernel's version.
    pub kernel: (u32, u32),
    /// Go's name of the machine.
    pub architecture: String,
    /// The host's own name.
    pub hostname: String,
}

/// Where the network namespace comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetNamespace {
    /// The host's.
    Host,
    /// A new one with nothing but loopback.
    Fresh,
    /// One that the engine or another container owns.
    Join(PathBuf),
}

/// Everything the spec is made from.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The container.
    pub record: &'a ContainerRecord,
    /// The host.
    pub host: &'a Host,
    /// Ids to run with.
    pub user: &'a ResolvedUser,
    /// The mounts a person asked for, with sources on the host, and the engine's own files.
    pub mounts: Vec<BoundMount>,
    /// The network namespace.
    pub network: NetNamespace,
    /// The process whose ipc namespace is joined.
    pub ipc_of: Option<i32>,
    /// The process whose pid namespace is joined.
    pub pid_of: Option<i32>,
    /// Device nodes beside the default ones.
    pub devices: Vec<Device>,
    /// The limits, without devices.
    pub limits: oci::Resources,
    /// The cgroup's path below each hierarchy.
    pub cgroup: String,
    /// Further environment (links), before the container's own.
    pub extra_env: Vec<String>,
    /// The init program on the host, when one is wanted.
    pub init: Option<PathBuf>,
    /// The engine's own seccomp profile in Docker's format; `None` is the built-in one.
    pub seccomp_profile: Option<&'a str>,
    /// `--no-new-privileges` of the engine.
    pub no_new_privileges: bool,
    /// `--default-ulimit` of the engine.
    pub default_ulimits: &'a [crate::spec::Ulimit],
}

/// What cannot be turned into a spec.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A capability's name.
    #[error(transparent)]
    Capability(#[from] capabilities::Unknown),
    /// A security option.
    #[error(transparent)]
    Security(#[from] security::Unknown),
    /// A seccomp profile.
    #[error(transparent)]
    Seccomp(#[from] gantry_seccomp::Error),
    /// Nothing to run.
    #[error("no command specified")]
    NoCommand,
}

/// Nothing of later versions is asked for, and runtimes of some years ago (crun 1.8) refuse to read those.
const OCI_VERSION: &str = "1.0.2";
/// Where the init program is inside the container.
const INIT_TARGET: &str = "/sbin/docker-init";
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Docker's masked paths.
const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Docker's read-only paths.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The defaults `inspect` shows for a container that is not privileged.
pub fn default_masked_paths() -> Vec<String> {
    static THROTTLES: LazyLock<Vec<String>> =
        LazyLock::new(|| throttles(Path::new("/sys/devices/system/cpu")));
    MASKED.iter().map(|path| (*path).to_owned()).chain(THROTTLES.iter().cloned()).collect()
}

/// Where the host's processors tell how hot they are, and so what others do (GHSA-6fw5-f8r9-fgfm).
fn throttles(cpus: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(cpus).into_iter().flatten().flatten();
    let number =
        |entry: &std::fs::DirEntry| entry.file_name().to_str()?.strip_prefix("cpu")?.parse::<u32>().ok();
    let numbers: BTreeSet<u32> = entries.filter_map(|entry| number(&entry)).collect();
    let paths = numbers.into_iter().map(|number| cpus.join(format!("cpu{number}/thermal_throttle")));
    paths.filter(|path| path.exists()).map(|path| path.display().to_string()).collect()
}

/// See [`default_masked_paths`].
pub fn default_readonly_paths() -> Vec<String> {
    READ_ONLY.iter().map(|path| (*path).to_owned()).collect()
}

/// Builds `config.json`.
pub fn build(inputs: Inputs<'_>) -> Result<oci::Spec, BundleError> {
    let spec = &inputs.record.spec;
    let security = Security::parse(&spec.security_opts)?;
    let capabilities =
        capabilities::choose(spec.privileged, &spec.cap_add, &spec.cap_drop, &inputs.host.capabilities)?;
    let process = process(&inputs, &security, &capabilities)?;
    let seccomp = seccomp(&inputs, &security, &capabilities)?;
    let own_network = !matches!(inputs.network, NetNamespace::Host);
    let mut resources = inputs.limits.clone();
    resources.devices = devices::rules(spec, &inputs.devices);
    let unmasked = spec.privileged || security.unconfined_paths;
    let paths = |asked: &Option<Vec<String>>, default: fn() -> Vec<String>| match asked {
        _ if unmasked => Vec::new(),
        Some(paths) => paths.clone(),
        None => default(),
    };
    let linux = oci::Linux {
        sysctl: sysctls(spec, &inputs.network),
        cgroups_path: Some(inputs.cgroup.clone()),
        namespaces: namespaces(&inputs),
        devices: inputs.devices.iter().map(Device::node).collect(),
        resources: Some(resources),
        seccomp,
        masked_paths: paths(&spec.masked_paths, default_masked_paths),
        readonly_paths: paths(&spec.readonly_paths, default_readonly_paths),
        rootfs_propagation: mounts::root_propagation(&inputs.mounts),
        mount_label: inputs.host.selinux.applied(&inputs.record.selinux.mount),
        ..oci::Linux::default()
    };
    let own_uts = spec.uts_mode == UtsMode::Default;
    Ok(oci::Spec {
        oci_version: OCI_VERSION.to_owned(),
        process: Some(process),
        root: Some(oci::Root { path: "rootfs".into(), readonly: spec.read_only_rootfs }),
        hostname: own_uts.then(|| spec.hostname.clone()),
        domainname: (own_uts && !spec.domainname.is_empty()).then(|| spec.domainname.clone()),
        mounts: mounts::all(&inputs, own_network, &security),
        hooks: None,
        annotations: spec.annotations.clone(),
        linux: Some(linux),
    })
}

/// Entrypoint and command, with the init before them.
pub fn arguments(spec: &ContainerSpec, init: bool) -> Vec<String> {
    let mut args = Vec::new();
    if init {
        args.extend([INIT_TARGET.to_owned(), "--".to_owned()]);
    }
    args.extend(spec.entrypoint.iter().flatten().cloned());
    args.extend(spec.command.iter().flatten().cloned());
    args
}

fn process(
    inputs: &Inputs<'_>,
    security: &Security,
    capabilities: &BTreeSet<String>,
) -> Result<oci::Process, BundleError> {
    let spec = &inputs.record.spec;
    let args = arguments(spec, inputs.init.is_some());
    if arguments(spec, false).is_empty() {
        return Err(BundleError::NoCommand);
    }
    let caps: Vec<String> = capabilities.iter().cloned().collect();
    let [height, width] = spec.console_size;
    let small = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    Ok(oci::Process {
        terminal: spec.tty,
        console_size: (spec.tty && height > 0 && width > 0)
            .then(|| oci::ConsoleSize { height: small(height), width: small(width) }),
        user: oci::User {
            uid: inputs.user.uid,
            gid: inputs.user.gid,
            umask: None,
            additional_gids: inputs.user.groups.clone(),
        },
        args,
        env: environment(spec, &inputs.extra_env, &inputs.user.home).into_words(),
        cwd: if spec.working_dir.is_empty() { "/".to_owned() } else { spec.working_dir.clone() },
        capabilities: Some(oci::Capabilities {
            bounding: caps.clone(),
            effective: caps.clone(),
            permitted: caps,
            ..oci::Capabilities::default()
        }),
        rlimits: rlimits(spec, inputs.default_ulimits),
        no_new_privileges: security.no_new_privileges.unwrap_or(inputs.no_new_privileges),
        apparmor_profile: apparmor::profile(security, spec.privileged, inputs.host),
        selinux_label: inputs.host.selinux.applied(&inputs.record.selinux.process),
        oom_score_adj: Some(spec.oom_score_adj),
        ..oci::Process::default()
    })
}

/// The process' environment: Docker's own words first, each overridden by the container's.
pub fn environment(spec: &ContainerSpec, extra: &[String], home: &str) -> Environment {
    let mut env = Environment::default();
    env.set(DEFAULT_PATH);
    env.set(format!("HOSTNAME={}", spec.hostname));
    if spec.tty {
        env.set("TERM=xterm");
    }
    // A bare key takes away what Docker or a link says, never what is asked for beside it.
    let (asked, taken): (Vec<_>, Vec<_>) = spec.env.iter().partition(|word| word.contains('='));
    for word in extra.iter().chain(taken).chain(asked) {
        env.set(word);
    }
    if !env.has("HOME") {
        env.set(format!("HOME={home}"));
    }
    env
}

fn rlimits(spec: &ContainerSpec, defaults: &[crate::spec::Ulimit]) -> Vec<oci::Rlimit> {
    // -1 is unlimited, which is all ones for the kernel.
    let value = |limit: i64| limit.cast_unsigned();
    let asked = &spec.resources.ulimits;
    let inherited = defaults.iter().filter(|limit| !asked.iter().any(|own| own.name == limit.name));
    let all = asked.iter().chain(inherited).map(|limit| oci::Rlimit {
        kind: format!("RLIMIT_{}", limit.name.to_ascii_uppercase()),
        soft: value(limit.soft),
        hard: value(limit.hard),
    });
    all.collect()
}

fn seccomp(
    inputs: &Inputs<'_>,
    security: &Security,
    capabilities: &BTreeSet<String>,
) -> Result<Option<oci::Seccomp>, BundleError> {
    let host = inputs.host;
    let capabilities: Vec<String> = capabilities.iter().cloned().collect();
    let facts = Facts { capabilities: &capabilities, architecture: &host.architecture, kernel: host.kernel };
    let read = |json: &str| Ok(Some(Profile::parse(json.as_bytes())?.resolve(&facts)?));
    match (&security.seccomp, inputs.seccomp_profile) {
        _ if inputs.record.spec.privileged => Ok(None),
        (SeccompChoice::Unconfined, _) | (SeccompChoice::Default, Some("unconfined")) => Ok(None),
        (SeccompChoice::Profile(json), _) => read(json),
        (SeccompChoice::Default, Some(json)) => read(json),
        (SeccompChoice::Default, None) => Ok(Some(gantry_seccomp::docker::default().resolve(&facts)?)),
    }
}

fn sysctls(spec: &ContainerSpec, network: &NetNamespace) -> std::collections::BTreeMap<String, String> {
    let mut all = spec.sysctls.clone();
    let owns_network = !matches!(network, NetNamespace::Host) && !spec.network_mode_is_container();
    if owns_network {
        // An unprivileged process may serve port 80 and ping, in a network of its own.
        for (name, value) in
            [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")]
        {
            all.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    all
}

fn namespaces(inputs: &Inputs<'_>) -> Vec<oci::Namespace> {
    let spec = &inputs.record.spec;
    let own = |kind: &str| oci::Namespace { kind: kind.to_owned(), path: None };
    let join = |kind: &str, path: PathBuf| oci::Namespace { kind: kind.to_owned(), path: Some(path) };
    let of = |kind: &str, name: &str, pid: i32| join(kind, format!("/proc/{pid}/ns/{name}").into());
    let mut all = vec![own("mount")];
    match &inputs.network {
        NetNamespace::Host => {}
        NetNamespace::Fresh => all.push(own("network")),
        NetNamespace::Join(path) => all.push(join("network", path.clone())),
    }
    if spec.uts_mode == UtsMode::Default {
        all.push(own("uts"));
    }
    match (&spec.pid_mode, inputs.pid_of) {
        (PidMode::Host, _) => {}
        (PidMode::Container(_), Some(pid)) => all.push(of("pid", "pid", pid)),
        _ => all.push(own("pid")),
    }
    match (&spec.ipc_mode, inputs.ipc_of) {
        (IpcMode::Host, _) => {}
        (IpcMode::Container(_), Some(pid)) => all.push(of("ipc", "ipc", pid)),
        _ => all.push(own("ipc")),
    }
    let private_cgroup = match spec.cgroupns_mode {
        CgroupnsMode::Private => true,
        CgroupnsMode::Host => false,
        CgroupnsMode::Default => inputs.host.cgroup_v2 && !spec.privileged,
    };
    if private_cgroup {
        all.push(own("cgroup"));
    }
    all
}

#[cfg(test)]
mod tests;
