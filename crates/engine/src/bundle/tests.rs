use super::*;
use crate::record::State;
use crate::spec::{DeviceMapping, NetworkMode, ReadOnly, Ulimit};
use gantry_names::{ContainerId, ContainerName, Digest, ImageId, Platform};

fn host() -> Host {
    Host {
        capabilities: capabilities::of_mask(u64::MAX),
        cgroup_v2: false,
        apparmor: apparmor::AppArmor::Off,
        selinux: Selinux::Off,
        no_selinux: None,
        limits: Limits::ALL,
        kernel: (6, 1),
        architecture: "amd64".into(),
        hostname: "host".into(),
    }
}

fn record(spec: ContainerSpec) -> ContainerRecord {
    ContainerRecord {
        id: ContainerId::random(),
        name: ContainerName::parse("web").unwrap(),
        created: jiff::Timestamp::UNIX_EPOCH,
        image: ImageId(Digest::sha256_of(b"x")),
        platform: Platform::host(),
        spec: ContainerSpec { command: Some(vec!["true".into()]), hostname: "web".into(), ..spec },
        mounts: Vec::new(),
        snapshot_driver: "overlay".into(),
        state: State::Created { failure: None },
        restart_count: 0,
        stopped_by_hand: false,
        health: None,
        network: Default::default(),
        selinux: Default::default(),
    }
}

fn built_with(spec: ContainerSpec, change: impl FnOnce(&mut Inputs<'_>)) -> oci::Spec {
    let (record, host, user) =
        (record(spec), host(), ResolvedUser { home: "/root".into(), ..Default::default() });
    let mut inputs = Inputs {
        record: &record,
        host: &host,
        user: &user,
        mounts: Vec::new(),
        network: NetNamespace::Fresh,
        ipc_of: None,
        pid_of: None,
        devices: Vec::new(),
        limits: oci::Resources::default(),
        cgroup: "/gantry/x".into(),
        extra_env: Vec::new(),
        init: None,
        seccomp_profile: None,
        no_new_privileges: false,
        default_ulimits: &[],
    };
    change(&mut inputs);
    build(inputs).unwrap()
}

fn built(spec: ContainerSpec) -> oci::Spec {
    built_with(spec, |_| ())
}

fn kinds(spec: &oci::Spec) -> Vec<&str> {
    spec.linux().namespaces.iter().map(|namespace| namespace.kind.as_str()).collect()
}

#[test]
fn a_plain_container_has_dockers_defaults() {
    let spec = built(ContainerSpec::default());
    assert_eq!(kinds(&spec), ["mount", "network", "uts", "pid", "ipc"]);
    let process = spec.process.as_ref().unwrap();
    assert_eq!(process.capabilities.as_ref().unwrap().bounding.len(), 14);
    assert_eq!(process.env[1], "HOSTNAME=web");
    assert_eq!(process.env.last().unwrap(), "HOME=/root");
    assert_eq!(process.cwd, "/");
    let linux = spec.linux();
    assert!(linux.seccomp.is_some());
    assert!(linux.masked_paths.contains(&"/proc/kcore".to_owned()));
    assert_eq!(linux.sysctl["net.ipv4.ip_unprivileged_port_start"], "0");
    assert!(!linux.resources.as_ref().unwrap().devices[0].allow);
    assert!(spec.mounts.iter().any(|mount| mount.destination == std::path::Path::new("/dev/shm")));
}

#[test]
fn privilege_lifts_every_mask() {
    let spec = built(ContainerSpec { privileged: true, ..Default::default() });
    let linux = spec.linux();
    assert!(linux.seccomp.is_none() && linux.masked_paths.is_empty() && linux.readonly_paths.is_empty());
    assert_eq!(linux.resources.as_ref().unwrap().devices.len(), 1);
    let sys = spec.mounts.iter().find(|mount| mount.destination == std::path::Path::new("/sys")).unwrap();
    assert!(sys.options.contains(&"rw".to_owned()));
}

#[test]
fn the_hosts_namespaces_are_not_made_anew() {
    let asked = ContainerSpec {
        pid_mode: PidMode::Host,
        ipc_mode: IpcMode::Host,
        uts_mode: UtsMode::Host,
        network_mode: NetworkMode::Host,
        ..Default::default()
    };
    let spec = built_with(asked, |inputs| inputs.network = NetNamespace::Host);
    assert_eq!(kinds(&spec), ["mount"]);
    assert_eq!(spec.hostname, None);
    assert!(spec.linux().sysctl.is_empty());
}

#[test]
fn another_containers_namespaces_are_joined_by_its_process() {
    let asked = ContainerSpec { pid_mode: PidMode::Container("x".into()), ..Default::default() };
    let spec = built_with(asked, |inputs| inputs.pid_of = Some(77));
    let pid = spec.linux().namespace("pid").unwrap();
    assert_eq!(pid.path.as_deref(), Some(std::path::Path::new("/proc/77/ns/pid")));
}

#[test]
fn a_persons_mount_takes_the_place_of_a_default_and_parents_come_first() {
    let bind = |target: &str| BoundMount::Bind {
        source: "/src".into(),
        target: target.into(),
        read_only: ReadOnly::Yes,
        propagation: None,
        non_recursive: false,
    };
    let spec = built_with(ContainerSpec::default(), |inputs| {
        inputs.mounts = vec![bind("/a/b/c"), bind("/dev/shm"), bind("/a")];
    });
    let targets: Vec<_> = spec.mounts.iter().map(|mount| mount.destination.to_str().unwrap()).collect();
    assert_eq!(targets.iter().filter(|target| **target == "/dev/shm").count(), 1);
    let place = |wanted: &str| targets.iter().position(|target| *target == wanted).unwrap();
    assert!(place("/a") < place("/a/b/c"));
    assert_eq!(spec.mounts.last().unwrap().options, ["rbind", "rro", "rprivate"]);
}

#[test]
fn init_is_bound_and_runs_first() {
    let spec =
        built_with(ContainerSpec::default(), |inputs| inputs.init = Some("/usr/bin/gantry-shim".into()));
    assert_eq!(spec.process.unwrap().args, ["/sbin/docker-init", "--", "true"]);
    assert_eq!(spec.mounts.last().unwrap().destination, std::path::Path::new("/sbin/docker-init"));
}

#[test]
fn tmpfs_words_override_the_defaults() {
    let spec = built_with(ContainerSpec::default(), |inputs| {
        inputs.mounts = vec![BoundMount::Tmpfs { target: "/t".into(), options: "exec,size=1m".into() }];
    });
    assert_eq!(spec.mounts.last().unwrap().options, ["nosuid", "nodev", "exec", "size=1m"]);
}

#[test]
fn limits_and_devices_reach_the_spec() {
    let mut asked = ContainerSpec::default();
    asked.resources.ulimits = vec![Ulimit { name: "nofile".into(), soft: 10, hard: -1 }];
    asked.resources.devices = vec![DeviceMapping::default()];
    asked.resources.device_cgroup_rules = vec!["c 42:* rw".into()];
    let spec = built(asked);
    let limit = &spec.process.as_ref().unwrap().rlimits[0];
    assert_eq!((limit.kind.as_str(), limit.soft, limit.hard), ("RLIMIT_NOFILE", 10, u64::MAX));
    let last = spec.linux().resources.as_ref().unwrap().devices.last().unwrap().clone();
    assert_eq!((last.major, last.minor, last.access.as_deref()), (Some(42), None, Some("rw")));
}

#[test]
fn the_environment_can_be_overridden_and_taken_away() {
    let spec = ContainerSpec {
        env: vec!["PATH=/x".into(), "HOSTNAME".into(), "HOME=/h".into()],
        tty: true,
        ..Default::default()
    };
    assert_eq!(
        environment(&spec, &["LINK=1".into()], "/root").into_words(),
        ["PATH=/x", "TERM=xterm", "LINK=1", "HOME=/h"]
    );
}

#[test]
fn what_tells_how_hot_a_processor_is_is_masked() {
    let cpus = tempfile::tempdir().unwrap();
    for name in ["cpu10/thermal_throttle", "cpu2/thermal_throttle", "cpu3", "cpufreq/thermal_throttle"] {
        std::fs::create_dir_all(cpus.path().join(name)).unwrap();
    }
    let at = |number: u32| cpus.path().join(format!("cpu{number}/thermal_throttle")).display().to_string();
    assert_eq!(throttles(cpus.path()), [at(2), at(10)]);
}
