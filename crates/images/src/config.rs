//! The image's config document: Docker's and OCI's (image spec, config.md). The bytes are the truth, an image's id is
//! their digest; what is here is a view of them, and the way to write new ones.

use std::collections::BTreeMap;

use gantry_names::{ChainId, DiffId, Platform};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The whole document. Fields are in the order Docker writes them: alphabetical.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `amd64`, `arm64`, ...
    #[serde(default, deserialize_with = "nullable")]
    pub architecture: String,
    /// Who made it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// The message of its commit or import.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// How a container of it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<RunConfig>,
    /// The container it was committed from.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// That container's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_config: Option<RunConfig>,
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Which engine made it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
    /// How it came to be, oldest first.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// `linux`.
    #[serde(default, deserialize_with = "nullable")]
    pub os: String,
    /// Windows features.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// Windows build.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Its layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<RootFs>,
    /// CPU variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What else stands there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The layers by the digests of their uncompressed tars, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The layers.
    #[serde(default, deserialize_with = "nullable")]
    pub diff_ids: Vec<DiffId>,
}

/// One step of the image's making.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// By whom.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Why.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether it made no layer.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// What else stands there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How a container of the image runs, keys and order as Docker writes them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the Engine API documents these keys; nothing is to be added")]
pub struct RunConfig {
    #[serde(deserialize_with = "nullable")]
    pub hostname: String,
    #[serde(deserialize_with = "nullable")]
    pub domainname: String,
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    #[serde(deserialize_with = "nullable")]
    pub attach_stdin: bool,
    #[serde(deserialize_with = "nullable")]
    pub attach_stdout: bool,
    #[serde(deserialize_with = "nullable")]
    pub attach_stderr: bool,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Value>,
    #[serde(deserialize_with = "nullable")]
    pub tty: bool,
    #[serde(deserialize_with = "nullable")]
    pub open_stdin: bool,
    #[serde(deserialize_with = "nullable")]
    pub stdin_once: bool,
    pub env: Option<Vec<String>>,
    #[serde(deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    #[serde(deserialize_with = "nullable")]
    pub image: String,
    pub volumes: Option<BTreeMap<String, Value>>,
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
    #[serde(deserialize_with = "words")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "std::ops::Not::not")]
    pub network_disabled: bool,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    pub on_build: Option<Vec<String>>,
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A health probe; times in nanoseconds, zero for inherited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "the Engine API documents these keys; nothing is to be added")]
pub struct Healthcheck {
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// One change of a run configuration: what a Dockerfile instruction of `--change` does, already parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigChange {
    /// `CMD`.
    Cmd(Vec<String>),
    /// `ENTRYPOINT`; also forgets an inherited command, as Docker does.
    Entrypoint(Vec<String>),
    /// `ENV name value`.
    Env(String, String),
    /// `EXPOSE`, as `80/tcp`.
    Expose(String),
    /// `LABEL name value`.
    Label(String, String),
    /// `ONBUILD`, the instruction's text.
    OnBuild(String),
    /// `USER`.
    User(String),
    /// `VOLUME`.
    Volume(String),
    /// `WORKDIR`; a relative one is below the present one.
    WorkingDir(String),
    /// `STOPSIGNAL`.
    StopSignal(String),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `SHELL`.
    Shell(Vec<String>),
}

impl ImageConfig {
    /// The layers, lowest first.
    pub fn diff_ids(&self) -> &[DiffId] {
        self.rootfs.as_ref().map_or(&[], |rootfs| &rootfs.diff_ids)
    }

    /// The name of the snapshot that shows the whole image; `None` for an image without layers.
    pub fn chain_id(&self) -> Option<ChainId> {
        ChainId::of(self.diff_ids())
    }

    /// When it was made, if it says so and it can be read.
    pub fn created(&self) -> Option<Timestamp> {
        parse_time(self.created.as_deref())
    }

    /// What it runs on; empty fields are this machine's.
    pub fn platform(&self) -> Platform {
        let host = Platform::host();
        let or = |mine: &str, host: String| if mine.is_empty() { host } else { mine.to_owned() };
        Platform {
            architecture: or(&self.architecture, host.architecture),
            os: or(&self.os, host.os),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone().filter(|v| !v.is_empty()),
        }
    }

    /// Its labels; none if it has no run configuration.
    pub fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.config.as_ref()?.labels.as_ref()
    }
}

impl RunConfig {
    /// Applies changes in order.
    pub fn apply(&mut self, changes: &[ConfigChange]) {
        for change in changes {
            self.change(change.clone());
        }
    }

    fn change(&mut self, change: ConfigChange) {
        match change {
            ConfigChange::Cmd(words) => self.cmd = Some(words),
            ConfigChange::Entrypoint(words) => {
                self.entrypoint = Some(words);
                self.cmd = None;
            }
            ConfigChange::Env(name, value) => self.set_env(&name, &value),
            ConfigChange::Expose(port) => {
                self.exposed_ports.insert(port, Value::Object(Map::new()));
            }
            ConfigChange::Label(name, value) => {
                self.labels.get_or_insert_default().insert(name, value);
            }
            ConfigChange::OnBuild(text) => self.on_build.get_or_insert_default().push(text),
            ConfigChange::User(user) => self.user = user,
            ConfigChange::Volume(path) => {
                self.volumes.get_or_insert_default().insert(path, Value::Object(Map::new()));
            }
            ConfigChange::WorkingDir(path) if path.starts_with('/') => self.working_dir = path,
            ConfigChange::WorkingDir(path) => {
                self.working_dir = format!("{}/{path}", self.working_dir.trim_end_matches('/'));
            }
            ConfigChange::StopSignal(signal) => self.stop_signal = signal,
            ConfigChange::Healthcheck(check) => self.healthcheck = Some(check),
            ConfigChange::Shell(words) => self.shell = Some(words),
        }
    }

    fn set_env(&mut self, name: &str, value: &str) {
        let env = self.env.get_or_insert_default();
        let line = format!("{name}={value}");
        match env.iter_mut().find(|old| old.split('=').next() == Some(name)) {
            Some(old) => *old = line,
            None => env.push(line),
        }
    }
}

impl Default for RootFs {
    fn default() -> RootFs {
        RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// RFC 3339 as Go writes it; Go's zero time is no time.
pub(crate) fn parse_time(text: Option<&str>) -> Option<Timestamp> {
    let at: Timestamp = text?.parse().ok()?;
    (!text?.starts_with("0001-01-01T00:00:00Z")).then_some(at)
}

/// `null` is as good as absent: Go writes it for every nil slice and map.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// A list of words, or (old images) one word by itself.
fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Many(Vec<String>),
        One(String),
    }
    Ok(Option::<Words>::deserialize(from)?.map(|words| match words {
        Words::Many(words) => words,
        Words::One(word) => vec![word],
    }))
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_unknown_keys_survive() {
        let text = r#"{"architecture":"amd64","config":{"Env":null,"Cmd":"sh","Labels":null,"X":1},"history":null,"os":"linux",
            "rootfs":{"type":"layers","diff_ids":null},"moby.x":{"a":1}}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.config.as_ref().unwrap().cmd, Some(vec!["sh".to_owned()]));
        assert_eq!(config.other["moby.x"]["a"], 1);
        assert_eq!(config.config.as_ref().unwrap().other["X"], 1);
        assert!(config.diff_ids().is_empty());
        assert_eq!(config.chain_id(), None);
    }

    #[test]
    fn changes_are_dockers() {
        let mut run =
            RunConfig { cmd: Some(vec!["old".into()]), working_dir: "/a".into(), ..RunConfig::default() };
        run.apply(&[
            ConfigChange::Env("A".into(), "1".into()),
            ConfigChange::Env("A".into(), "2".into()),
            ConfigChange::Entrypoint(vec!["/e".into()]),
            ConfigChange::WorkingDir("b".into()),
            ConfigChange::Expose("80/tcp".into()),
        ]);
        assert_eq!(run.env, Some(vec!["A=2".to_owned()]));
        assert_eq!(run.cmd, None);
        assert_eq!(run.working_dir, "/a/b");
        assert!(run.exposed_ports.contains_key("80/tcp"));
    }

    #[test]
    fn gos_zero_time_is_no_time() {
        assert_eq!(parse_time(Some("0001-01-01T00:00:00Z")), None);
        assert_eq!(parse_time(Some("2024-01-02T03:04:05.000000006Z")).unwrap().subsec_nanosecond(), 6);
    }
}
