//! References of one service to another's containers: `network_mode: service:db` becomes `container:<id>`.

use gantry_compose_file::project::{NetworkMode, Service};

use crate::failed::Failed;

/// The service with each reference replaced; `first` tells the id of a service's first container.
pub(crate) fn resolve(service: &Service, first: impl Fn(&str) -> Option<String>) -> Result<Service, Failed> {
    let mut resolved = service.clone();
    let find = |name: &str, what: &'static str| {
        first(name).ok_or_else(|| Failed::NothingToShare { what, service: name.to_owned() })
    };
    for from in &mut resolved.volumes_from {
        let (name, access) = match from.strip_prefix("container:") {
            Some(rest) => {
                *from = rest.to_owned();
                continue;
            }
            None => from.split_once(':').unwrap_or((from, "")),
        };
        let id = find(name, "volume")?;
        *from = if access.is_empty() { id } else { format!("{id}:{access}") };
    }
    if let NetworkMode::Service(name) = service.network() {
        resolved.network_mode = format!("container:{}", find(&name, "network namespace")?);
    }
    if let Some(name) = service.ipc.strip_prefix("service:") {
        resolved.ipc = format!("container:{}", find(name, "IPC namespace")?);
    }
    if let Some(name) = service.pid.strip_prefix("service:") {
        resolved.pid = format!("container:{}", find(name, "PID namespace")?);
    }
    Ok(resolved)
}

/// The services whose containers this one's are bound to by id.
pub(crate) fn parents(service: &Service) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for mode in [&service.network_mode, &service.ipc, &service.pid] {
        all.extend(mode.strip_prefix("service:").map(str::to_owned));
    }
    let from = service.volumes_from.iter().filter(|from| !from.starts_with("container:"));
    all.extend(from.filter_map(|from| from.split(':').next()).map(str::to_owned));
    all
}
