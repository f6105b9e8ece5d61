//! What is refused before anything is made, in Docker's words. Pure but for the count of CPUs.

use crate::bundle::{capabilities, security};
use crate::error::{Error, Result};
use crate::signal;
use crate::spec::{ContainerSpec, Healthcheck, MountKind, NetworkMode, Resources, RestartPolicy, UtsMode};

/// The least memory a container can be given.
const LEAST_MEMORY: i64 = 6 << 20;

pub(super) fn spec(spec: &ContainerSpec, cpus: usize) -> Result<()> {
    let invalid = |text: String| Err(Error::Invalid(text));
    if !spec.working_dir.is_empty() && !spec.working_dir.starts_with('/') {
        return invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            spec.working_dir
        ));
    }
    if let Some(word) = spec.env.iter().find(|word| word.is_empty() || word.starts_with('=')) {
        return invalid(format!("invalid environment variable: {word}"));
    }
    if !spec.stop_signal.is_empty() && signal::parse(&spec.stop_signal).is_none() {
        return invalid(format!("invalid signal: {}", spec.stop_signal));
    }
    if spec.auto_remove && spec.restart != RestartPolicy::No {
        return invalid("can't create 'AutoRemove' container with restart policy".to_owned());
    }
    if spec.shm_size < 0 {
        return invalid("SHM size can not be less than 0".to_owned());
    }
    if !(-1000..=1000).contains(&spec.oom_score_adj) {
        return invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            spec.oom_score_adj
        ));
    }
    if !matches!(spec.isolation.as_str(), "" | "default") {
        return invalid(format!(
            "invalid isolation ({}): linux containers only support default",
            spec.isolation
        ));
    }
    if spec.uts_mode == UtsMode::Host && !(spec.hostname.is_empty() && spec.domainname.is_empty()) {
        return invalid("conflicting options: hostname and the UTS mode".to_owned());
    }
    if spec.hostname.len() > 63 || spec.hostname.contains(['/', ' ', '\0']) {
        return invalid(format!("invalid hostname: {}", spec.hostname));
    }
    if matches!(spec.network_mode, NetworkMode::Container(_)) {
        container_network(spec)?;
    }
    for rule in &spec.resources.device_cgroup_rules {
        if crate::bundle::parse_device_rule(rule).is_none() {
            return invalid(format!("invalid device cgroup rule format: '{rule}'"));
        }
    }
    if let Some(request) = spec.resources.device_requests.first() {
        let wanted = request.capabilities.iter().map(|all| format!("[{}]", all.join(" ")));
        return invalid(format!(
            "could not select device driver \"{}\" with capabilities: [{}]",
            request.driver,
            wanted.collect::<Vec<_>>().join(" ")
        ));
    }
    for name in spec.storage_opts.keys() {
        if name != "size" {
            return invalid(format!("unknown option in CreateOpts: {name}"));
        }
    }
    capabilities::validate(&spec.cap_add, &spec.cap_drop).map_err(|err| Error::Invalid(err.to_string()))?;
    security::Security::parse(&spec.security_opts).map_err(|err| Error::Invalid(err.to_string()))?;
    if let Some(health) = &spec.healthcheck {
        healthcheck(health)?;
    }
    mounts(spec)?;
    resources(&spec.resources, cpus)
}

fn container_network(spec: &ContainerSpec) -> Result<()> {
    let what = if !spec.hostname.is_empty() {
        "hostname"
    } else if !spec.dns.is_empty() || !spec.dns_search.is_empty() || !spec.dns_options.is_empty() {
        "dns"
    } else if !spec.extra_hosts.is_empty() {
        "custom host-to-IP mapping"
    } else if !spec.port_bindings.is_empty() || spec.publish_all_ports {
        "port publishing"
    } else if !spec.links.is_empty() {
        "links"
    } else {
        return Ok(());
    };
    Err(Error::Invalid(format!("conflicting options: {what} and the network mode")))
}

fn healthcheck(health: &Healthcheck) -> Result<()> {
    const MILLISECOND: i64 = 1_000_000;
    for (name, value) in [
        ("Interval", health.interval_ns),
        ("Timeout", health.timeout_ns),
        ("StartPeriod", health.start_period_ns),
        ("StartInterval", health.start_interval_ns),
    ] {
        if value != 0 && value < MILLISECOND {
            return Err(Error::Invalid(format!("{name} in Healthcheck cannot be less than one millisecond")));
        }
    }
    if health.retries < 0 {
        return Err(Error::Invalid("Retries in Healthcheck cannot be negative".to_owned()));
    }
    Ok(())
}

fn mounts(spec: &ContainerSpec) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    let mut place = |target: &str| {
        if !target.starts_with('/') {
            return Err(Error::Invalid(format!(
                "invalid mount path: '{target}' mount path must be absolute"
            )));
        }
        let clean = super::mounts::clean(target);
        if clean == "/" {
            return Err(Error::Invalid("invalid specification: destination can't be '/'".to_owned()));
        }
        if !seen.insert(clean) {
            return Err(Error::Invalid(format!("Duplicate mount point: {target}")));
        }
        Ok(())
    };
    for bind in &spec.binds {
        place(&bind.target)?;
    }
    for mount in &spec.mounts {
        place(&mount.target)?;
        let kind = match &mount.kind {
            MountKind::Bind(_) => "bind",
            MountKind::Volume(_) => "volume",
            MountKind::Tmpfs(_) => "tmpfs",
            MountKind::Image(_) => "image",
        };
        let refuse =
            |why: &str| Err(Error::Invalid(format!("invalid mount config for type \"{kind}\": {why}")));
        match &mount.kind {
            MountKind::Bind(_) if mount.source.is_empty() => return refuse("field Source must not be empty"),
            MountKind::Bind(_) if !mount.source.starts_with('/') => {
                return refuse(&format!(
                    "invalid mount path: '{}' mount path must be absolute",
                    mount.source
                ));
            }
            MountKind::Bind(options)
                if !options.create_source && !std::path::Path::new(&mount.source).exists() =>
            {
                return refuse(&format!("bind source path does not exist: {}", mount.source));
            }
            MountKind::Tmpfs(_) if !mount.source.is_empty() => {
                return refuse("field Source must not be specified");
            }
            MountKind::Image(_) if mount.source.is_empty() => {
                return refuse("field Source must not be empty");
            }
            _ => {}
        }
    }
    spec.tmpfs.keys().try_for_each(|target| place(target))?;
    spec.tmpfs.values().try_for_each(|options| tmpfs_options(options))
}

/// The words of a mount that are flags, and a tmpfs' own with their values.
fn tmpfs_options(options: &str) -> Result<()> {
    const FLAGS: [&str; 35] = [
        "defaults",
        "ro",
        "rw",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "exec",
        "noexec",
        "sync",
        "async",
        "dirsync",
        "remount",
        "mand",
        "nomand",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "bind",
        "rbind",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
        "unbindable",
        "runbindable",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "iversion",
        "noiversion",
    ];
    const VALUES: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];
    for word in options.split(',').filter(|word| !word.is_empty() && !FLAGS.contains(word)) {
        if !word.split_once('=').is_some_and(|(key, _)| VALUES.contains(&key)) {
            return Err(Error::Invalid(format!("invalid tmpfs option {word:?}")));
        }
    }
    Ok(())
}

/// Docker's checks of limits; also of `update`.
pub(super) fn resources(asked: &Resources, cpus: usize) -> Result<()> {
    let invalid = |text: &str| Err(Error::Invalid(text.to_owned()));
    if asked.memory != 0 && asked.memory < LEAST_MEMORY {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if asked.memory > 0 && asked.memory_swap > 0 && asked.memory_swap < asked.memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if asked.memory == 0 && asked.memory_swap > 0 {
        return invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if asked.memory_reservation != 0 && asked.memory_reservation < LEAST_MEMORY {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if asked.memory > 0 && asked.memory_reservation > 0 && asked.memory < asked.memory_reservation {
        return invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    if let Some(value) = asked.memory_swappiness.filter(|value| !(-1..=100).contains(value)) {
        return Err(Error::Invalid(format!(
            "Invalid value: {value}, valid memory swappiness range is 0-100"
        )));
    }
    if asked.nano_cpus > 0 && asked.cpu_period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if asked.nano_cpus > 0 && asked.cpu_quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    let most = i64::try_from(cpus).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    if asked.nano_cpus < 0 || asked.nano_cpus > most {
        return Err(Error::Invalid(format!(
            "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )));
    }
    if asked.cpu_shares < 0 {
        return Err(Error::Invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            asked.cpu_shares
        )));
    }
    if asked.cpu_period != 0 && !(1000..=1_000_000).contains(&asked.cpu_period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if asked.cpu_quota > 0 && asked.cpu_quota < 1000 {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if asked.blkio_weight != 0 && !(10..=1000).contains(&asked.blkio_weight) {
        return invalid("Range of blkio weight is from 10 to 1000");
    }
    for (what, list) in [("cpus", &asked.cpuset_cpus), ("mems", &asked.cpuset_mems)] {
        if !is_set(list) {
            return Err(Error::Invalid(format!(
                "Invalid value {list} for cpuset {what}: invalid format: {list}"
            )));
        }
    }
    for limit in &asked.ulimits {
        let wrong = limit.hard != -1 && (limit.soft > limit.hard || limit.soft == -1);
        if wrong {
            return invalid("ulimit soft limit must be less than or equal to hard limit");
        }
    }
    Ok(())
}

/// `0-3,7`, or nothing.
fn is_set(text: &str) -> bool {
    text.is_empty()
        || text.split(',').all(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if first <= last)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(change: impl FnOnce(&mut ContainerSpec)) -> String {
        let mut asked = ContainerSpec::default();
        change(&mut asked);
        spec(&asked, 2).map_or_else(|err| err.to_string(), |()| String::new())
    }

    #[test]
    fn a_plain_spec_is_fine() {
        assert_eq!(told(|_| ()), "");
    }

    #[test]
    fn refusals_are_dockers() {
        assert_eq!(told(|s| s.resources.memory = 1024), "Minimum memory limit allowed is 6MB");
        assert_eq!(
            told(|s| s.resources.nano_cpus = 3_000_000_000),
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"
        );
        assert_eq!(
            told(|s| s.resources.cpuset_cpus = "x".into()),
            "Invalid value x for cpuset cpus: invalid format: x"
        );
        assert_eq!(told(|s| s.stop_signal = "SIGNOPE".into()), "invalid signal: SIGNOPE");
        assert_eq!(
            told(|s| s.working_dir = "rel".into()),
            "the working directory 'rel' is invalid, it needs to be an absolute path"
        );
        assert_eq!(
            told(|s| (s.auto_remove, s.restart) = (true, RestartPolicy::Always)),
            "can't create 'AutoRemove' container with restart policy"
        );
        assert_eq!(
            told(|s| {
                s.tmpfs.insert("/a".into(), String::new());
                s.tmpfs.insert("/a/".into(), String::new());
            }),
            "Duplicate mount point: /a/"
        );
        let missing = crate::spec::MountRequest {
            kind: MountKind::Bind(Default::default()),
            source: "/no/such/place".into(),
            target: "/x".into(),
            read_only: false,
            consistency: String::new(),
        };
        assert_eq!(
            told(|s| s.mounts.push(missing)),
            "invalid mount config for type \"bind\": bind source path does not exist: /no/such/place"
        );
    }
}
