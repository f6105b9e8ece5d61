//! The engine's configuration, typed and complete: flags and file merged, defaults filled in, checked.

use crate::options::file::{self, FileError};
use crate::options::flags::Flags;
use crate::options::{Meaning, OPTIONS, Values};
use gantry_server::{Address, AddressError};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Everything the engine is told. Names are the keys of `daemon.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Config {
    pub hosts: Vec<String>,
    pub group: Option<String>,
    pub pidfile: PathBuf,
    pub data_root: PathBuf,
    pub exec_root: PathBuf,
    pub tls: Option<bool>,
    pub tlsverify: Option<bool>,
    pub tlscacert: Option<PathBuf>,
    pub tlscert: Option<PathBuf>,
    pub tlskey: Option<PathBuf>,
    pub drop_in: bool,

    pub debug: bool,
    pub log_level: String,
    pub log_format: String,
    pub raw_logs: bool,
    pub labels: Vec<String>,
    pub experimental: bool,

    pub live_restore: bool,
    /// Seconds; negative waits for ever.
    pub shutdown_timeout: i64,

    pub log_driver: String,
    pub log_opts: BTreeMap<String, String>,
    /// Read by `gc`.
    pub builder: Value,
    pub default_runtime: String,
    pub runtimes: BTreeMap<String, Runtime>,
    pub default_shm_size: Bytes,
    pub default_ulimits: BTreeMap<String, Ulimit>,
    pub default_ipc_mode: String,
    pub default_cgroupns_mode: String,
    pub cgroup_parent: String,
    pub init: bool,
    pub no_new_privileges: bool,
    pub selinux_enabled: bool,
    pub seccomp_profile: String,

    pub storage_driver: String,
    pub storage_opts: Vec<String>,
    pub insecure_registries: Vec<String>,
    pub registry_mirrors: Vec<String>,
    pub max_concurrent_downloads: u32,
    pub max_concurrent_uploads: u32,
    pub max_download_attempts: u32,
    pub http_proxy: String,
    pub https_proxy: String,
    pub no_proxy: String,
    /// Where the configuration file is, or would be: `certs.d` is looked for beside it.
    #[serde(skip)]
    pub folder: PathBuf,

    pub bridge: String,
    pub bip: String,
    pub bip6: String,
    pub fixed_cidr: String,
    pub fixed_cidr_v6: String,
    pub default_gateway: Option<IpAddr>,
    pub default_gateway_v6: Option<IpAddr>,
    pub mtu: u32,
    pub ip: Option<IpAddr>,
    pub icc: bool,
    pub ipv6: bool,
    pub ip_forward: bool,
    pub ip_masq: bool,
    pub iptables: bool,
    pub firewall_backend: String,
    pub userland_proxy: bool,
    pub default_address_pools: Vec<Pool>,
    pub dns: Vec<IpAddr>,
    pub dns_opts: Vec<String>,
    pub dns_search: Vec<String>,
    pub host_dns: String,
    pub host_dns_suffix: String,
    pub host_gateway_ips: Vec<IpAddr>,
}

/// An OCI runtime besides our own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Runtime {
    pub path: String,
    pub runtime_args: Vec<String>,
    pub runtime_type: String,
    pub options: serde_json::Map<String, serde_json::Value>,
}

impl Runtime {
    /// The program that it stands for: by its path, or by containerd's name for runc with the options that it takes.
    pub(crate) fn program(&self) -> Result<&str, String> {
        match (self.path.as_str(), self.runtime_type.as_str()) {
            ("", "") => Err("either a runtimeType or a path must be configured".to_owned()),
            (path, "") => Ok(path),
            ("", "io.containerd.runc.v2") => {
                Ok(self.options.get("BinaryName").and_then(|name| name.as_str()).unwrap_or("runc"))
            }
            ("", other) => Err(format!(
                "runtimeType {other} is a program of containerd's, which is not here: name a path"
            )),
            _ => Err("options path and runtimeType are mutually exclusive".to_owned()),
        }
    }
}

/// A resource limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ulimit {
    pub name: String,
    pub hard: i64,
    pub soft: i64,
}

/// A pool of subnets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pool {
    pub base: String,
    pub size: u8,
}

/// A size: a number of bytes, or text such as `64m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Bytes(pub i64);

impl TryFrom<Value> for Bytes {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::Number(n) => n.as_i64().map(Bytes),
            Value::String(text) => bytes(text).map(Bytes),
            _ => None,
        }
        .ok_or_else(|| format!("invalid size: '{}'", crate::options::go(&value)))
    }
}

/// Go's `units.RAMInBytes`: `64m`, `1.5GiB`, `100`.
fn bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    Some((number * (1_i64 << shift) as f64) as i64)
}

impl Default for Config {
    fn default() -> Self {
        Config {
            hosts: Vec::new(),
            group: None,
            pidfile: "/run/gantry.pid".into(),
            data_root: "/var/lib/gantry".into(),
            exec_root: "/run/gantry".into(),
            tls: None,
            tlsverify: None,
            tlscacert: None,
            tlscert: None,
            tlskey: None,
            drop_in: false,
            debug: false,
            log_level: "info".into(),
            log_format: "text".into(),
            raw_logs: false,
            labels: Vec::new(),
            experimental: false,
            live_restore: false,
            shutdown_timeout: 15,
            log_driver: "json-file".into(),
            log_opts: BTreeMap::new(),
            builder: Value::Null,
            default_runtime: String::new(),
            runtimes: BTreeMap::new(),
            default_shm_size: Bytes(64 << 20),
            default_ulimits: BTreeMap::new(),
            default_ipc_mode: "private".into(),
            default_cgroupns_mode: String::new(),
            cgroup_parent: String::new(),
            init: false,
            no_new_privileges: false,
            selinux_enabled: false,
            seccomp_profile: "builtin".into(),
            storage_driver: String::new(),
            storage_opts: Vec::new(),
            insecure_registries: Vec::new(),
            registry_mirrors: Vec::new(),
            max_concurrent_downloads: 3,
            max_concurrent_uploads: 5,
            max_download_attempts: 5,
            http_proxy: String::new(),
            https_proxy: String::new(),
            no_proxy: String::new(),
            folder: PathBuf::new(),
            bridge: String::new(),
            bip: String::new(),
            bip6: String::new(),
            fixed_cidr: String::new(),
            fixed_cidr_v6: String::new(),
            default_gateway: None,
            default_gateway_v6: None,
            mtu: 0,
            ip: None,
            icc: true,
            ipv6: false,
            ip_forward: true,
            ip_masq: true,
            iptables: true,
            firewall_backend: "nftables".into(),
            userland_proxy: true,
            default_address_pools: Vec::new(),
            dns: Vec::new(),
            dns_opts: Vec::new(),
            dns_search: Vec::new(),
            host_dns: String::new(),
            host_dns_suffix: "gantry".into(),
            host_gateway_ips: Vec::new(),
        }
    }
}

/// Docker's own places and names, for `--drop-in` and when called `dockerd`.
const DROP_IN: [(&str, &str); 4] = [
    ("pidfile", "/var/run/docker.pid"),
    ("data-root", "/var/lib/docker"),
    ("exec-root", "/var/run/docker"),
    ("default-runtime", "runc"),
];

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error(transparent)]
    File(FileReason),
    /// A value of a wrong type, or one that cannot be.
    #[error("{0}")]
    Value(String),
    /// An address to listen on.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// The file's side of [`ConfigError`].
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct FileReason(#[from] FileError);

impl From<FileError> for ConfigError {
    fn from(err: FileError) -> Self {
        ConfigError::File(FileReason(err))
    }
}

/// A configuration, and what the log should say of it.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// Keys that were set, by flag or file.
    pub set: Vec<String>,
    /// One sentence for each setting that means nothing here.
    pub told: Vec<String>,
}

/// Merges flags and file. `drop_in` is true when the program was called by Docker's name.
pub(crate) fn load(flags: &Flags, drop_in: bool) -> Result<Loaded, ConfigError> {
    let drop_in = drop_in || flags.values.get("drop-in") == Some(&Value::Bool(true));
    let default_file = Path::new(if drop_in { "/etc/docker/daemon.json" } else { "/etc/gantry/daemon.json" });
    let path = flags.config_file.as_deref().unwrap_or(default_file);
    let mut values = file::load(path, flags.config_file.is_some(), &flags.values)?;
    for (key, value) in &flags.values {
        match (values.get_mut(key), value) {
            // Runtimes of both add up; the file's word stands.
            (Some(Value::Object(there)), Value::Object(more)) => {
                for (name, runtime) in more {
                    there.entry(name.clone()).or_insert_with(|| runtime.clone());
                }
            }
            _ => drop(values.insert(key.clone(), value.clone())),
        }
    }
    let set: Vec<String> = values.keys().cloned().collect();
    let told = meanings(&values)?;
    if drop_in {
        values.insert("drop-in".into(), Value::Bool(true));
        for (key, value) in DROP_IN {
            values.entry(key).or_insert_with(|| value.into());
        }
    }
    let mut config: Config = serde_json::from_value(Value::Object(values.clone()))
        .map_err(|e| ConfigError::Value(named(&values, &e.to_string())))?;
    config.check()?;
    config.folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
    config.labels = without_conflicts(&config.labels)?;
    if config.hosts.is_empty() {
        let socket = if drop_in { "unix:///var/run/docker.sock" } else { "unix:///run/gantry.sock" };
        config.hosts.push(socket.into());
    }
    Ok(Loaded { config, set, told })
}

/// Refuses what must not be used and says what means nothing.
fn meanings(values: &Values) -> Result<Vec<String>, ConfigError> {
    let mut told = Vec::new();
    for setting in OPTIONS {
        let Some(value) = values.get(setting.key) else { continue };
        let off = matches!(value, Value::Bool(false)) || *value == "" || *value == Value::Array(vec![]);
        match setting.meaning {
            Meaning::Kept => {}
            Meaning::Told(why) => told.push(format!("--{} has no effect: {why}", setting.flag)),
            Meaning::Refused(_) if off => {}
            Meaning::Refused(why) => return Err(ConfigError::Value(format!("--{}: {why}", setting.flag))),
        }
    }
    Ok(told)
}

/// One label a key; the same pair twice is one.
fn without_conflicts(labels: &[String]) -> Result<Vec<String>, ConfigError> {
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for label in labels {
        let Some((key, value)) = label.split_once('=') else { continue };
        if let Some(other) = known.insert(key, value).filter(|other| *other != value) {
            return Err(ConfigError::Value(format!("conflict labels for {key}={value} and {key}={other}")));
        }
    }
    Ok(known.into_iter().map(|(key, value)| format!("{key}={value}")).collect())
}

impl Config {
    /// Where to listen.
    pub fn addresses(&self) -> Result<Vec<Address>, AddressError> {
        let tls = self.uses_tls();
        self.hosts.iter().map(|host| Address::parse(host, tls)).collect()
    }

    /// Whether TCP speaks TLS.
    pub fn uses_tls(&self) -> bool {
        self.tls.unwrap_or(false) || self.tlsverify.is_some()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let bad = |text: String| Err(ConfigError::Value(text));
        let level = self.log_level.to_ascii_lowercase();
        if !matches!(level.as_str(), "panic" | "fatal" | "error" | "warn" | "info" | "debug" | "trace") {
            return bad(format!("invalid logging level: {}", self.log_level));
        }
        if !matches!(self.log_format.as_str(), "text" | "json") {
            return bad(format!("invalid log format: {}", self.log_format));
        }
        for label in &self.labels {
            if !label.contains('=') {
                return bad(format!("invalid label '{label}': must be in the form key=value"));
            }
        }
        if !matches!(self.default_ipc_mode.as_str(), "" | "private" | "shareable") {
            return bad(format!(
                "IPC mode \"{}\" is not supported as default value; use \"shareable\" or \"private\"",
                self.default_ipc_mode
            ));
        }
        if !matches!(self.default_cgroupns_mode.as_str(), "" | "private" | "host") {
            return bad(format!(
                "invalid default cgroup namespace ({}): use \"host\" or \"private\"",
                self.default_cgroupns_mode
            ));
        }
        if !matches!(self.firewall_backend.as_str(), "" | "nftables" | "iptables") {
            return bad(format!("invalid firewall-backend \"{}\"", self.firewall_backend));
        }
        for (name, runtime) in &self.runtimes {
            if let Err(why) = runtime.program() {
                return bad(format!("runtime {name}: {why}"));
            }
        }
        if !self.bridge.is_empty() && !self.bip.is_empty() {
            return bad(
                "You specified -b & --bip, mutually exclusive options. Please specify only one".into()
            );
        }
        self.addresses()?;
        Ok(())
    }
}

/// A complaint with the key whose value is wrong: the one that cannot be read by itself, either.
fn named(values: &Map<String, Value>, complaint: &str) -> String {
    let alone = |key: &str, value: &Value| {
        serde_json::from_value::<Config>(Value::Object(Map::from_iter([(key.to_owned(), value.clone())])))
    };
    let wrong = values.iter().find(|(key, value)| alone(key, value).is_err());
    wrong.map_or_else(|| complaint.to_owned(), |(key, _)| format!("{key}: {complaint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flags(values: Value, file: &Path) -> Flags {
        Flags { values: values.as_object().unwrap().clone(), config_file: Some(file.into()), validate: false }
    }

    fn with_file(content: &str, values: Value) -> Result<Loaded, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("daemon.json");
        std::fs::write(&file, content).unwrap();
        load(&flags(values, &file), false)
    }

    #[test]
    fn flags_and_file_make_one_configuration() {
        let loaded = with_file(
            r#"{"labels": ["a=b", "a=b"], "default-shm-size": "1g", "runtimes": {"x": {"path": "/x"}}, "icc": false}"#,
            json!({"debug": true, "runtimes": {"y": {"path": "/y"}}, "containerd": "/x"}),
        )
        .unwrap();
        let config = loaded.config;
        assert_eq!(config.labels, ["a=b"]);
        assert_eq!(config.default_shm_size, Bytes(1 << 30));
        assert_eq!(config.runtimes.len(), 2);
        assert!(config.debug && !config.icc && config.ip_masq);
        assert_eq!(config.hosts, ["unix:///run/gantry.sock"]);
        assert_eq!(loaded.told.len(), 1, "{:?}", loaded.told);
    }

    #[test]
    fn what_would_be_unsafe_to_ignore_is_refused() {
        let err = with_file("{}", json!({"authorization-plugins": ["x"]})).unwrap_err();
        assert!(err.to_string().starts_with("--authorization-plugin: "));
        assert!(with_file(r#"{"userns-remap": ""}"#, json!({})).is_ok());
        assert!(with_file(r#"{"userns-remap": "default"}"#, json!({})).is_err());
    }

    #[test]
    fn wrong_values_are_told() {
        for (file, text) in [
            (r#"{"log-level": "loud"}"#, "invalid logging level: loud"),
            (r#"{"log-format": "xml"}"#, "invalid log format: xml"),
            (r#"{"labels": ["a=b", "a=c"]}"#, "conflict labels for a=c and a=b"),
            (r#"{"hosts": ["udp://x"]}"#, "invalid bind address (udp://x)"),
            (r#"{"default-shm-size": "x"}"#, "default-shm-size: invalid size: 'x'"),
            (r#"{"bridge": "br0", "bip": "10.0.0.1/8"}"#, "You specified -b & --bip"),
        ] {
            let err = with_file(file, json!({})).unwrap_err().to_string();
            assert!(err.starts_with(text), "{err}");
        }
        assert!(with_file(r#"{"debug": "yes"}"#, json!({})).is_err());
    }

    #[test]
    fn a_drop_in_takes_dockers_places() {
        let config = with_file("{}", json!({"drop-in": true, "data-root": "/mine"})).unwrap().config;
        assert_eq!(config.hosts, ["unix:///var/run/docker.sock"]);
        assert_eq!(config.data_root, Path::new("/mine"));
        assert_eq!(config.exec_root, Path::new("/var/run/docker"));
    }

    #[test]
    fn sizes_in_words() {
        for (text, n) in
            [("64m", 64 << 20), ("1.5k", 1536), ("2GiB", 2 << 30), ("100", 100), ("3 MB", 3 << 20)]
        {
            assert_eq!(bytes(text), Some(n), "{text}");
        }
        assert_eq!(bytes("m"), None);
        assert_eq!(bytes("1x"), None);
    }
}
