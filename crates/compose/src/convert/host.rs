//! `HostConfig`.

use std::fs;
use std::path::Path;

use gantry_compose_file::project::{Service, seccomp_file};
use serde_json::{Value, json};

use super::{Making, Unconvertible, mounts, network, ports, resources};

pub(super) fn host_config(making: &Making<'_>) -> Result<Value, Unconvertible> {
    let s = making.service;
    let (binds, mounts) = mounts::mounts(making)?;
    let (security, unconfined) = security_options(making)?;
    let tmpfs = s.tmpfs.iter().map(|t| t.split_once(':').unwrap_or((t, "")));
    let hosts = s.extra_hosts.iter().flat_map(|(name, all)| all.iter().map(move |at| format!("{name}:{at}")));
    let mut body = json!({
        "AutoRemove": making.auto_remove,
        "Annotations": s.annotations,
        "Binds": binds,
        "Mounts": mounts,
        "CapAdd": s.cap_add,
        "CapDrop": s.cap_drop,
        "NetworkMode": network::mode(making),
        "Init": s.init,
        "IpcMode": s.ipc,
        "CgroupnsMode": s.cgroup,
        "ReadonlyRootfs": s.read_only,
        "RestartPolicy": restart_policy(s),
        "ShmSize": s.shm_size.0,
        "Sysctls": s.sysctls,
        "PortBindings": ports::bindings(s),
        "VolumesFrom": s.volumes_from,
        "Dns": s.dns,
        "DnsSearch": s.dns_search,
        "DnsOptions": s.dns_opt,
        "ExtraHosts": hosts.collect::<Vec<_>>(),
        "SecurityOpt": security,
        "StorageOpt": s.storage_opt,
        "UsernsMode": s.userns_mode,
        "UTSMode": s.uts,
        "Privileged": s.privileged,
        "PidMode": s.pid,
        "Tmpfs": tmpfs.collect::<std::collections::BTreeMap<_, _>>(),
        "Isolation": s.isolation,
        "Runtime": s.runtime,
        "GroupAdd": s.group_add,
        "Links": making.links,
        "OomScoreAdj": s.oom_score_adj,
    });
    if let Some(logging) = &s.logging {
        body["LogConfig"] = json!({"Type": logging.driver, "Config": logging.options});
    }
    if unconfined {
        body["MaskedPaths"] = json!([]);
        body["ReadonlyPaths"] = json!([]);
    }
    resources::add(s, &mut body);
    Ok(body)
}

/// `restart`, over which `deploy.restart_policy` has its way.
fn restart_policy(service: &Service) -> Value {
    let policy = |name: &str, count: u64| {
        let name = match name {
            "none" => "no",
            "any" => "always",
            other => other,
        };
        json!({"Name": name, "MaximumRetryCount": count})
    };
    if let Some(asked) = service.deploy.as_ref().and_then(|d| d.restart_policy.as_ref()) {
        return policy(&asked.condition, asked.max_attempts.unwrap_or(0));
    }
    let (name, count) = service.restart.split_once(':').unwrap_or((&service.restart, "0"));
    policy(name, count.parse().unwrap_or(0))
}

/// `SecurityOpt`, with profiles read, and whether the masks of `/proc` are off.
fn security_options(making: &Making<'_>) -> Result<(Vec<String>, bool), Unconvertible> {
    let mut all = Vec::new();
    let mut unconfined = false;
    for option in &making.service.security_opt {
        if option == "systempaths=unconfined" {
            unconfined = true;
            continue;
        }
        let (_, value) = match option.split_once('=').or_else(|| option.split_once(':')) {
            Some(pair) => pair,
            None if option == "no-new-privileges" => (option.as_str(), ""),
            None => return Err(Unconvertible::SecurityOption(option.clone())),
        };
        if seccomp_file(option).is_some() {
            let path = Path::new(&making.project.working_dir).join(value);
            let failed = |why: String| Unconvertible::Seccomp(value.to_owned(), why);
            let text = fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
            let profile: Value = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
            all.push(format!("seccomp={profile}"));
        } else {
            all.push(option.clone());
        }
    }
    Ok((all, unconfined))
}
