//! Making and changing a container.

use super::{Config, HostConfig, RestartPolicy};
use crate::network::NetworkingConfig;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The body of `POST /containers/create`: a [`Config`] with two more keys beside its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerCreate {
    #[serde(flatten)]
    pub config: Config,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_config: Option<HostConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networking_config: Option<NetworkingConfig>,
}

/// Read in two passes over one value: serde's `flatten` would lose the leniency of [`crate::decode`].
impl<'de> Deserialize<'de> for ContainerCreate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Beside {
            host_config: Option<HostConfig>,
            networking_config: Option<NetworkingConfig>,
        }
        let value = Value::deserialize(deserializer)?;
        let beside: Beside = crate::decode_value(value.clone()).map_err(serde::de::Error::custom)?;
        let config: Config = crate::decode_value(value).map_err(serde::de::Error::custom)?;
        Ok(ContainerCreate {
            config,
            host_config: beside.host_config,
            networking_config: beside.networking_config,
        })
    }
}

/// The answer of `POST /containers/create`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerCreated {
    pub id: String,
    pub warnings: Option<Vec<String>>,
}

/// The body of `POST /containers/{id}/update`: resources and the restart policy. Zero means unchanged.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerUpdate {
    /// Only its resources are read.
    #[serde(flatten)]
    pub resources: HostConfig,
}

impl ContainerUpdate {
    /// The policy to change to; an empty name leaves it.
    pub fn restart_policy(&self) -> &RestartPolicy {
        &self.resources.restart_policy
    }
}

impl<'de> Deserialize<'de> for ContainerUpdate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(ContainerUpdate { resources: HostConfig::deserialize(deserializer)? })
    }
}

/// The answer of `POST /containers/{id}/update`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerUpdated {
    pub warnings: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_body_is_read_as_go_reads_it() {
        let body: ContainerCreate = crate::decode(
            br#"{"image":"busybox","Cmd":"true","Env":null,"ExposedPorts":{"80/tcp":{}},"Volumes":{"/a":{}},
                "HostConfig":{"PortBindings":null,"networkmode":"host","RestartPolicy":{"Name":"no"},
                              "LogConfig":{"Type":"","Config":{"a":null}},"ConsoleSize":[0,0],"Mounts":null,
                              "Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],"PidsLimit":null},
                "NetworkingConfig":{"EndpointsConfig":{"n":null,"m":{"IPAMConfig":{"IPv4Address":"10.0.0.1"}}}}}"#,
        )
        .unwrap();
        assert_eq!(body.config.image, "busybox");
        assert_eq!(body.config.cmd.as_deref(), Some(&["true".to_owned()][..]));
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode, "host");
        assert_eq!(host.log_config.config.unwrap()["a"], "");
        let nets = body.networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(nets["n"], None);
        assert_eq!(nets["m"].as_ref().unwrap().ipam_config.as_ref().unwrap().ipv4_address, "10.0.0.1");
    }

    #[test]
    fn an_empty_host_config_prints_every_key_docker_prints() {
        let json = serde_json::to_value(HostConfig::default()).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        for key in
            ["Binds", "CapAdd", "BlkioDeviceReadIOps", "CpuShares", "MaskedPaths", "Ulimits", "UTSMode"]
        {
            assert!(keys.contains(&key), "{key}");
        }
        assert!(json["Binds"].is_null() && json["PidsLimit"].is_null());
        assert!(!keys.contains(&"Init") && !keys.contains(&"Mounts") && !keys.contains(&"Runtime"));
    }

    #[test]
    fn what_a_client_writes_a_server_reads() {
        let mut create = ContainerCreate { host_config: Some(HostConfig::default()), ..Default::default() };
        create.config.image = "a".into();
        create.config.entrypoint = Some(vec![]);
        let text = serde_json::to_vec(&create).unwrap();
        assert_eq!(crate::decode::<ContainerCreate>(&text).unwrap(), create);
    }
}
