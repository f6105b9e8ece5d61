//! From a service to what the engine is asked to make.

mod host;
mod mounts;
mod network;
mod ports;
mod resources;

use std::collections::BTreeMap;

use gantry_compose_file::project::{Healthcheck, Project, Service};
use serde_json::{Map, Value, json};

pub use mounts::Kept;
pub use network::body as network_body;

use crate::labels;
use crate::names::{self, Separator};

/// What cannot be asked of an engine.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unconvertible {
    /// A security option is no option.
    #[error("invalid security-opt: {0:?}")]
    SecurityOption(String),
    /// A seccomp profile cannot be read.
    #[error("opening seccomp profile ({0}) failed: {1}")]
    Seccomp(String, String),
    /// A port is no port.
    #[error("invalid port {0:?} of service {1}")]
    Port(String, String),
    /// A secret or config that only a cluster has.
    #[error("unsupported external {kind} {name}")]
    External {
        /// `secret` or `config`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A driver that only a cluster has.
    #[error("Docker Compose does not support {0}s.*.{1}")]
    Driver(&'static str, &'static str),
    /// Two addresses for one interface.
    #[error("the service-level mac_address should have the same value as network {0}")]
    MacAddress(String),
}

/// A container to be made.
pub struct Making<'a> {
    /// The project.
    pub project: &'a Project,
    /// The service, with references to other services resolved.
    pub service: &'a Service,
    /// Which of the service's; none for a container of `run`.
    pub number: Option<u32>,
    /// What stands in names.
    pub separator: Separator,
    /// The image's id, where it is known.
    pub image_id: &'a str,
    /// The hash of the service's settings.
    pub hash: &'a str,
    /// Labels besides the service's own and the usual ones.
    pub labels: Vec<(&'static str, String)>,
    /// Whether our input will go to it.
    pub attach_stdin: bool,
    /// Whether it goes away when it ends.
    pub auto_remove: bool,
    /// Whether others find it under the service's name.
    pub aliases: bool,
    /// Links to other containers: `container:alias`.
    pub links: &'a [String],
    /// Anonymous volumes of the container that it replaces.
    pub kept: &'a [Kept],
    /// Variables for its way out.
    pub proxies: &'a [(String, String)],
    /// Whether the engine sees this machine's files.
    pub local: bool,
    /// Whether the engine takes several networks at once (API 1.44).
    pub all_networks: bool,
}

impl Making<'_> {
    /// The body of `POST /containers/create`.
    pub fn body(&self) -> Result<Value, Unconvertible> {
        let s = self.service;
        let mut body = Map::new();
        let mut set = |key: &str, value: Value| {
            body.insert(key.to_owned(), value);
        };
        set("Hostname", json!(s.hostname));
        set("Domainname", json!(s.domainname));
        set("User", json!(s.user));
        set("ExposedPorts", ports::exposed(s)?);
        set("Tty", json!(s.tty));
        set("OpenStdin", json!(s.stdin_open));
        set("StdinOnce", json!(self.attach_stdin && s.stdin_open));
        set("AttachStdin", json!(self.attach_stdin));
        set("AttachStdout", json!(true));
        set("AttachStderr", json!(true));
        set("Cmd", json!(s.command));
        set("Image", json!(names::image(&self.project.name, s, self.separator)));
        set("WorkingDir", json!(s.working_dir));
        set("Entrypoint", json!(s.entrypoint));
        set("NetworkDisabled", json!(s.network_mode == "disabled"));
        set("Labels", json!(self.labels()));
        set("StopSignal", json!(s.stop_signal));
        set("Env", json!(self.environment()));
        if let Some(check) = &s.healthcheck {
            set("Healthcheck", healthcheck(check));
        }
        if let Some(patience) = s.stop_grace_period {
            set("StopTimeout", json!(patience.seconds()));
        }
        set("HostConfig", host::host_config(self)?);
        if let Some(networking) = network::networking(self)? {
            set("NetworkingConfig", networking);
        }
        Ok(Value::Object(body))
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let mut all = self.service.labels.clone();
        all.extend(labels::of_service(self.project, &self.service.name));
        all.insert(labels::CONFIG_HASH.into(), self.hash.into());
        if let Some(number) = self.number {
            all.insert(labels::NUMBER.into(), number.to_string());
        }
        let needs = self.service.depends_on.iter();
        let needs: Vec<String> =
            needs.map(|(name, d)| format!("{name}:{}:{}", d.condition.as_str(), d.restart)).collect();
        all.insert(labels::DEPENDS_ON.into(), needs.join(","));
        if !self.image_id.is_empty() {
            all.insert(labels::IMAGE.into(), self.image_id.into());
        }
        all.extend(self.labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        all
    }

    fn environment(&self) -> Vec<String> {
        let mut all: BTreeMap<&str, Option<&str>> =
            self.proxies.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
        all.extend(self.service.environment.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
        all.into_iter()
            .map(|(name, value)| value.map_or(name.to_owned(), |v| format!("{name}={v}")))
            .collect()
    }

    /// The engine's names of the networks that a create of an older engine could not name, with their settings.
    pub fn further_networks(&self) -> Result<Vec<(String, Value)>, Unconvertible> {
        network::further(self)
    }
}

fn healthcheck(check: &Healthcheck) -> Value {
    let mut test = check.test.clone();
    if check.disable {
        test = vec!["NONE".to_owned()];
    }
    let mut body = Map::new();
    if !test.is_empty() {
        body.insert("Test".into(), json!(test));
    }
    for (key, span) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ] {
        if let Some(span) = span {
            body.insert(key.into(), json!(span.0));
        }
    }
    if let Some(retries) = check.retries {
        body.insert("Retries".into(), json!(retries));
    }
    Value::Object(body)
}

/// A volume's body for `POST /volumes/create`.
pub fn volume_body(project: &Project, key: &str, hash: &str) -> Value {
    let volume = &project.volumes[key];
    let mut all = volume.labels.clone();
    all.insert(labels::VOLUME.into(), key.to_owned());
    all.insert(labels::PROJECT.into(), project.name.clone());
    all.insert(labels::VERSION.into(), labels::SPOKEN.into());
    all.insert(labels::CONFIG_HASH.into(), hash.to_owned());
    json!({"Name": volume.name, "Driver": volume.driver, "DriverOpts": volume.driver_opts, "Labels": all})
}
