//! A create body becomes a container's spec.
//!
//! In this order, because each step leans on the one before: what the asked version did not know is taken out or
//! moved (`legacy`), what can never work is refused in Docker's words (`validate`), and the rest is parsed into
//! types (`spec`).

mod binds;
mod legacy;
mod mounts;
mod spec;
mod validate;

pub(crate) use spec::{endpoint, resources, restart, run_config};

use crate::failure::Failure;
use gantry_api::container::{ContainerCreate, HostConfig};
use gantry_api::network::NetworkingConfig;
use gantry_api::version::ApiVersion;
use gantry_engine::spec::ContainerSpec;
use gantry_names::Platform;
use serde_json::Value;

/// A container asked for, and what the client should be told besides.
pub(crate) struct Asked {
    pub(crate) spec: ContainerSpec,
    pub(crate) warnings: Vec<String>,
}

/// Reads a create body.
///
/// # Errors
/// 400 with Docker's text for what can never be made.
pub(crate) fn asked(body: Value, version: ApiVersion, platform: Option<Platform>) -> Result<Asked, Failure> {
    if !mentions_config(&body) {
        return Err(Failure::invalid("config cannot be empty in order to create a container"));
    }
    let mut create: ContainerCreate =
        gantry_api::decode_value(body).map_err(|e| Failure::invalid(format!("invalid JSON: {e}")))?;
    let mut host = create.host_config.take().unwrap_or_default();
    let mut networking = create.networking_config.take().unwrap_or_default();
    validate::decoded(&create.config, &host)?;
    default_network(&mut host, &mut networking);
    let warnings = legacy::adapt(&mut create.config, &mut host, &mut networking, version)?;
    validate::settings(&create.config, &host)?;
    let mut spec = spec::spec(create.config, host, networking)?;
    spec.platform = platform;
    Ok(Asked { spec, warnings })
}

/// Whether the body has any key of a container's config. Docker calls one that has none empty.
fn mentions_config(body: &Value) -> bool {
    let known = serde_json::to_value(gantry_api::container::Config {
        // What is left out when empty counts as well.
        mac_address: "x".into(),
        stop_signal: "x".into(),
        network_disabled: true,
        args_escaped: true,
        stop_timeout: Some(0),
        healthcheck: Some(Default::default()),
        shell: Some(vec![]),
        exposed_ports: [(String::new(), Default::default())].into(),
        ..Default::default()
    })
    .unwrap_or_default();
    let known = known.as_object().into_iter().flat_map(|known| known.keys());
    body.as_object().is_some_and(|body| {
        known.into_iter().any(|known| body.keys().any(|key| key.eq_ignore_ascii_case(known)))
    })
}

/// `default` and nothing mean the default network, here and in the endpoints.
fn default_network(host: &mut HostConfig, networking: &mut NetworkingConfig) {
    if matches!(host.network_mode.as_str(), "" | "default") {
        host.network_mode = "bridge".into();
        let endpoints = networking.endpoints_config.get_or_insert_default();
        if let Some(endpoint) = endpoints.remove("default") {
            endpoints.insert("bridge".into(), endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_api::version::NEWEST;
    use gantry_engine::spec::{BindSource, NetworkMode, RestartPolicy};
    use proptest::prelude::*;
    use serde_json::json;

    fn ask(body: Value) -> Result<Asked, Failure> {
        asked(body, NEWEST, None)
    }

    #[test]
    fn a_body_of_the_docker_client() {
        let asked = ask(json!({
            "Image": "busybox", "Cmd": ["sh", "-c", "true"], "Env": ["A=b"], "Tty": true,
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}, "Labels": {"a": "b"},
            "HostConfig": {
                "Binds": ["/tmp:/mnt:ro,Z", "vol:/vol"], "NetworkMode": "host", "AutoRemove": true,
                "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080-8090"}], "81/udp": null},
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Memory": 5_000_000_u64,
                "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}], "VolumesFrom": ["data:ro"],
            },
            "NetworkingConfig": {"EndpointsConfig": {}}
        }))
        .unwrap();
        let spec = asked.spec;
        assert_eq!(spec.command.as_deref().map(<[_]>::len), Some(3));
        assert_eq!(spec.network_mode, NetworkMode::Host);
        assert_eq!(spec.binds.len(), 2);
        assert_eq!(spec.binds[1].source, BindSource::Volume("vol".into()));
        assert_eq!(spec.resources.memory, 5_000_000);
        let ports = &spec.port_bindings[&"80/tcp".parse().unwrap()];
        assert_eq!(ports[0].ports, Some((8080, 8090)));
        assert_eq!(spec.port_bindings[&"81/udp".parse().unwrap()].len(), 0);
        assert_eq!(spec.restart, RestartPolicy::No);
        assert_eq!(spec.volumes_from[0].read_only, Some(true));
        assert!(spec.auto_remove && asked.warnings.is_empty());
    }

    #[test]
    fn a_body_without_config_is_empty() {
        for body in [json!({}), json!({"HostConfig": {}}), json!({"Nonsense": 1})] {
            let err = ask(body).err().unwrap();
            assert_eq!(err.message, "config cannot be empty in order to create a container");
        }
    }

    #[test]
    fn refusals_speak_docker() {
        let cases = [
            (
                json!({"RestartPolicy": {"Name": "sometimes"}}),
                "invalid restart policy: unknown policy 'sometimes'",
            ),
            (
                json!({"NetworkMode": "container:"}),
                "invalid network mode: invalid container format container:<name|id>",
            ),
            (json!({"IpcMode": "x"}), "invalid IPC mode: x"),
            (json!({"PidMode": "x"}), "invalid PID mode: x"),
            (json!({"Binds": ["a:b:c:d"]}), "invalid volume specification: 'a:b:c:d'"),
            (json!({"Binds": ["/a:/b:nope"]}), "invalid mode: nope"),
            (json!({"PortBindings": {"x/tcp": []}}), "invalid port specification: \"x\""),
            (
                json!({"AutoRemove": true, "RestartPolicy": {"Name": "always"}}),
                "can't create 'AutoRemove' container with restart policy",
            ),
            (json!({"Isolation": "hyperv"}), "invalid isolation (hyperv): linux only supports 'default'"),
            (
                json!({"Mounts": [{"Type": "bind", "Target": "/a"}]}),
                "invalid mount config for type \"bind\": field Source must not be empty",
            ),
            (
                json!({"Mounts": [{"Type": "volume", "Target": "/"}]}),
                "invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
            ),
        ];
        for (host, text) in cases {
            let err = ask(json!({"Image": "a", "HostConfig": host})).err().unwrap();
            assert_eq!(err.status, 400, "{text}");
            assert!(err.message.starts_with(text), "{} is not {text}", err.message);
        }
    }

    #[test]
    fn old_clients_get_what_their_version_had() {
        let body = json!({"Image": "a", "MacAddress": "02:42:ac:11:00:02",
            "HostConfig": {"AutoRemove": true, "Annotations": {"a": "b"}}});
        let old = asked(body.clone(), ApiVersion::new(1, 24), None).unwrap().spec;
        assert!(!old.auto_remove && old.annotations.is_empty());
        assert_eq!(old.endpoints["bridge"].mac_address, "02:42:ac:11:00:02");
        let new = ask(body).unwrap();
        assert_eq!(new.spec.endpoints["bridge"].mac_address, "02:42:ac:11:00:02");
        assert_eq!(new.warnings.len(), 1);
        let two = json!({"Image": "a", "NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": null}}});
        assert!(asked(two.clone(), ApiVersion::new(1, 43), None).is_err());
        assert_eq!(ask(two).unwrap().spec.endpoints.len(), 2);
    }

    /// JSON that looks like a body: real keys, values of any kind in any place.
    fn any_body() -> impl Strategy<Value = Value> {
        let full = json!({
            "Config": gantry_api::container::Config::default(),
            "HostConfig": gantry_api::container::HostConfig::default(),
            "NetworkingConfig": gantry_api::network::NetworkingConfig::default(),
            "Endpoint": gantry_api::network::EndpointSettings::default(),
            "More": {"Type": "", "Source": "", "Target": "", "ReadOnly": "", "BindOptions": "", "VolumeOptions": "",
                     "TmpfsOptions": "", "Subpath": "", "Options": "", "Mounts": "", "Healthcheck": "", "Test": "",
                     "Interval": "", "ExposedPorts": "", "MacAddress": "", "Sysctls": "", "HostIp": "", "HostPort": "",
                     "Name": "", "MaximumRetryCount": "", "80/tcp": "", "net.ipv4.conf.eth0.x": "", "bridge": ""},
        });
        let mut keys = Vec::new();
        for (key, group) in full.as_object().unwrap() {
            keys.push(key.clone());
            keys.extend(group.as_object().unwrap().keys().cloned());
        }
        let words = [
            "",
            "/",
            "/a:/b:ro",
            "v:/c",
            "bind",
            "volume",
            "tmpfs",
            "container:",
            "host",
            "80/tcp",
            "1-0",
            "::1",
            "none",
            "\u{0}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::sample::select(words.to_vec()).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        let key = prop::sample::select(keys);
        leaf.prop_recursive(5, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_body_is_too_strange(mut body in any_body(), host in any_body(), minor in 24_u16..=51) {
            if let Some(body) = body.as_object_mut() {
                body.insert("Image".into(), "a".into());
                body.insert("HostConfig".into(), host);
            }
            if let Ok(asked) = asked(body, ApiVersion::new(1, minor), None) {
                // What is taken can be shown, and taken again.
                let host = crate::convert::host_config::host_config(&asked.spec);
                let config = crate::convert::config::config(&asked.spec);
                let again = gantry_api::container::ContainerCreate {
                    config, host_config: Some(host), networking_config: None,
                };
                let again = ask(serde_json::to_value(again).unwrap());
                prop_assert!(again.is_ok(), "{:?}", again.err());
            }
        }
    }
}
