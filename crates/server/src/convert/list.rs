//! A container in a line.

use super::inspect::{command, mount_point};
use super::{networks, state};
use gantry_api::container::{ContainerSummary, NetworkSettingsSummary, Port, PortMap, SummaryHostConfig};
use gantry_api::version::ApiVersion;
use gantry_engine::Listed;
use jiff::Timestamp;

/// One entry of the list.
pub(crate) fn summary(listed: &Listed, now: Timestamp, version: ApiVersion) -> ContainerSummary {
    let record = &listed.record;
    let size = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let mut names = vec![format!("/{}", record.name)];
    names.extend(listed.names.iter().cloned());
    ContainerSummary {
        id: record.id.to_string(),
        names: Some(names),
        image: listed.image.clone(),
        image_id: record.image.to_string(),
        image_manifest_descriptor: None,
        command: command_line(command(record)),
        created: record.created.as_second(),
        ports: Some(ports(networks::ports(record))),
        size_rw: listed.size.map_or(0, |(rw, _)| size(rw)),
        size_root_fs: listed.size.map_or(0, |(_, all)| size(all)),
        labels: Some(record.spec.labels.clone()),
        state: record.state.status().into(),
        status: state::status(record, now),
        host_config: SummaryHostConfig {
            network_mode: record.spec.network_mode.to_string(),
            annotations: if version.before(46) {
                Default::default()
            } else {
                record.spec.annotations.clone()
            },
        },
        network_settings: Some(NetworkSettingsSummary { networks: Some(networks::endpoints(record)) }),
        mounts: Some(record.mounts.iter().map(mount_point).collect()),
    }
}

/// Words with a space in them are quoted, and nothing else.
fn command_line((program, args): (String, Vec<String>)) -> String {
    let quoted = |arg: String| if arg.contains(' ') { format!("'{arg}'") } else { arg };
    std::iter::once(program).chain(args.into_iter().map(quoted)).collect::<Vec<_>>().join(" ")
}

fn ports(map: PortMap) -> Vec<Port> {
    let mut ports = Vec::new();
    for (port, bindings) in map {
        let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
        let private_port = number.parse().unwrap_or_default();
        let bare = Port { private_port, r#type: protocol.into(), ..Default::default() };
        match bindings.filter(|bindings| !bindings.is_empty()) {
            None => ports.push(bare),
            Some(bindings) => ports.extend(bindings.into_iter().map(|binding| Port {
                ip: binding.host_ip,
                public_port: binding.host_port.parse().unwrap_or_default(),
                ..bare.clone()
            })),
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_api::container::PortBinding;

    #[test]
    fn command_lines_quote_what_has_spaces() {
        let words = ("sh".to_owned(), vec!["-c".to_owned(), "echo hi".to_owned()]);
        assert_eq!(command_line(words), "sh -c 'echo hi'");
    }

    #[test]
    fn exposed_ports_have_no_host_side() {
        let bound = PortBinding { host_ip: "0.0.0.0".into(), host_port: "8080".into() };
        let map = PortMap::from([("80/tcp".into(), Some(vec![bound])), ("81/udp".into(), None)]);
        let json = serde_json::to_value(ports(map)).unwrap();
        let wanted = serde_json::json!([
            {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"PrivatePort": 81, "Type": "udp"},
        ]);
        assert_eq!(json, wanted);
    }
}
