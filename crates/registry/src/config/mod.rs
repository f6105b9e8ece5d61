//! The server's settings: Docker's `config.yml`, its `REGISTRY_*` variables, the first registry's flavors, and our
//! own section `gantry`.
//!
//! An existing file must start: settings that have no meaning here, and those nobody knows, are told in the log
//! ([`unheard`]). Only what would make the registry less safe than its file says is refused.

mod first;
pub mod flavor;
pub mod tree;
mod unheard;
pub mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

pub use tree::ConfigError;
use units::{Period, Size, Text};

/// All settings.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What is logged.
    pub log: Log,
    /// Where bytes lie: one driver's name with its settings, and a few words besides.
    pub storage: Value,
    /// Who may do what, by whose word.
    pub auth: Auth,
    /// The listener.
    pub http: Http,
    /// Whom to tell of pushes and pulls.
    pub notifications: Notifications,
    /// Another registry whose content this one caches.
    pub proxy: Option<Proxy>,
    /// Rules about what manifests may say.
    pub validation: Validation,
    /// Ours.
    pub gantry: Gantry,
    /// What the settings say that is not acted on.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// `log`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Log {
    /// error, warn, info, debug.
    pub level: Option<String>,
    /// text or json (logstash counts as json).
    pub formatter: Option<String>,
    /// The access log.
    pub accesslog: AccessLog,
}

/// `log.accesslog`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccessLog {
    /// No line per request.
    pub disabled: bool,
}

/// `auth`: the first that is there counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// A file of users.
    pub htpasswd: Option<Htpasswd>,
    /// Tokens somebody signs.
    pub token: Option<Token>,
}

/// `auth.htpasswd`.
#[derive(Debug, Deserialize)]
pub struct Htpasswd {
    /// The realm named to the client.
    #[serde(default)]
    pub realm: Option<String>,
    /// The file; bcrypt lines.
    pub path: PathBuf,
}

/// `auth.token`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Token {
    /// Where tokens are given.
    pub realm: String,
    /// Whom tokens must be for.
    pub service: String,
    /// Who must have signed.
    pub issuer: String,
    /// Certificates of the signers, PEM.
    pub rootcertbundle: Option<PathBuf>,
    /// Keys of the signers, JWKS.
    pub jwks: Option<PathBuf>,
    /// `realm` is the host the client asked, with `autoredirectpath`.
    pub autoredirect: bool,
    /// See `autoredirect`; `/auth/token` when it is not set.
    pub autoredirectpath: Option<String>,
}

/// `http`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Http {
    /// `host:port`; `:5000` when it is not set.
    pub addr: Option<Text>,
    /// What stands before every path, `/images/`.
    pub prefix: Option<String>,
    /// Locations without host.
    pub relativeurls: bool,
    /// The name clients know us by, as a URL.
    pub host: Option<String>,
    /// Headers added to every answer.
    pub headers: BTreeMap<String, Vec<Text>>,
    /// How long requests under way may take at the end.
    pub draintimeout: Option<Period>,
    /// Certificates.
    pub tls: Tls,
    /// A listener for operators.
    pub debug: Debug,
}

/// `http.tls`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// The chain, PEM.
    pub certificate: Option<PathBuf>,
    /// The key, PEM.
    pub key: Option<PathBuf>,
    /// Clients must show a certificate of one of these.
    pub clientcas: Vec<PathBuf>,
    /// tls1.2 (the least there is) or tls1.3.
    pub minimumtls: Option<String>,
}

/// `http.debug`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Debug {
    /// `host:port` for `/debug/health` and `/metrics` apart from clients.
    pub addr: Option<Text>,
}

/// `notifications`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Notifications {
    /// The receivers.
    pub endpoints: Vec<Endpoint>,
}

/// One receiver of events.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// Its name in logs.
    pub name: String,
    /// Nothing is sent.
    pub disabled: bool,
    /// Where to post.
    pub url: String,
    /// Headers of the request.
    pub headers: BTreeMap<String, Vec<Text>>,
    /// How long one attempt may take.
    pub timeout: Option<Period>,
    /// How long to wait before the next attempt.
    pub backoff: Option<Period>,
    /// Content types nothing is said of.
    pub ignoredmediatypes: Vec<String>,
    /// More of the same.
    pub ignore: Ignore,
}

/// What a receiver does not want to hear of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ignore {
    /// Content types.
    pub mediatypes: Vec<String>,
    /// push, pull, mount, delete.
    pub actions: Vec<String>,
}

/// `proxy`.
#[derive(Debug, Clone, Deserialize)]
pub struct Proxy {
    /// The upstream.
    pub remoteurl: String,
    /// As whom to ask there.
    #[serde(default)]
    pub username: Option<Text>,
    /// With which password.
    #[serde(default)]
    pub password: Option<Text>,
    /// How long what is cached stays unasked for; a week when not set, "0" for ever.
    #[serde(default)]
    pub ttl: Option<Period>,
}

/// `validation`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Validation {
    /// Rules for manifests.
    pub manifests: Manifests,
}

/// `validation.manifests`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Manifests {
    /// Rules for indexes.
    pub indexes: Indexes,
}

/// `validation.manifests.indexes`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Indexes {
    /// `none` lets an index point to manifests that are not here.
    pub platforms: Option<String>,
}

/// Our own section.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Gantry {
    /// With users: reading needs no login.
    pub anonymouspull: bool,
    /// Who may do what where; the first rule whose repositories and user fit counts.
    pub access: Vec<Access>,
    /// Our own token service, at `/auth/token`, for the users of `auth.htpasswd`.
    pub tokenservice: bool,
    /// `repository-pattern:tag-pattern` of tags that never move.
    pub immutabletags: Vec<String>,
    /// Limits per repository.
    pub quotas: Vec<Quota>,
    /// Which tags go by themselves.
    pub retention: Vec<Retention>,
    /// When content that nobody names goes.
    pub collect: Collect,
    /// Without fsync a power failure may cost acknowledged pushes.
    pub nosync: bool,
    /// With a far storage: the directory on this machine for uploads under way; `/var/lib/registry` when not set.
    pub workdirectory: Option<PathBuf>,
    /// A client that sends no byte of its request for so long is gone; a minute when not set.
    pub patience: Option<Period>,
    /// Most connections at once.
    pub maxconnections: Option<usize>,
}

/// One rule of `gantry.access`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Patterns of repositories; none means all.
    pub repositories: Vec<String>,
    /// Users; `*` is anybody who logged in; none means all, logged in or not.
    pub users: Vec<Text>,
    /// pull, push, delete.
    pub actions: Vec<String>,
}

/// One limit of `gantry.quotas`.
#[derive(Debug, Clone, Deserialize)]
pub struct Quota {
    /// Pattern of repositories.
    pub repositories: String,
    /// Bytes each may hold.
    pub size: Size,
}

/// One rule of `gantry.retention`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Pattern of repositories.
    pub repositories: Option<String>,
    /// Pattern of tags.
    pub tags: Option<String>,
    /// Newest that stay.
    pub keeplast: usize,
    /// Only what is older goes.
    pub olderthan: Option<Period>,
}

/// `gantry.collect`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Collect {
    /// How often; never when it is "0", six hours when not set.
    pub interval: Option<Period>,
    /// What is younger stays; an hour when not set.
    pub grace: Option<Period>,
    /// Manifests without a tag go too.
    pub deleteuntagged: bool,
}

/// Words under `storage` that are not drivers.
const NOT_DRIVERS: [&str; 5] = ["delete", "maintenance", "cache", "redirect", "tag"];

impl Config {
    /// Reads `file` (or the built-in defaults), then the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let variables: Vec<_> = std::env::vars().collect();
        let text = match first::file(&variables).as_deref().or(file) {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|cause| ConfigError::Read { path: path.display().to_string(), cause })?,
        };
        // Without it nothing is known to be mounted.
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self::read(&text, variables, &mounts)
    }

    /// The same from text at hand.
    pub fn from_text(text: &str, variables: Vec<(String, String)>) -> Result<Self, ConfigError> {
        Self::read(text, variables, "")
    }

    fn read(text: &str, variables: Vec<(String, String)>, mounts: &str) -> Result<Self, ConfigError> {
        let mut tree = tree::parse(text)?;
        let look =
            |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        if flavor::is_old(&tree) {
            tree = flavor::modernize(&tree, &look)?;
        } else if look("SETTINGS_FLAVOR").is_some_and(|flavor| !flavor.is_empty()) {
            tree = flavor::modernize(&tree::parse(first::FLAVORS)?, &look)?;
        } else {
            first::use_its_volume(&mut tree, &variables, mounts);
        }
        tree::apply_environment(&mut tree, variables);
        drop_nulls(&mut tree);
        unheard::refuse(&tree)?;
        let warnings = unheard::warnings(&tree);
        Ok(Self { warnings, ..serde_json::from_value(tree)? })
    }

    /// The storage driver's name and settings.
    pub fn driver(&self) -> Result<(String, Map<String, Value>), ConfigError> {
        let drivers: Vec<(String, Map<String, Value>)> = match &self.storage {
            Value::Null => Vec::new(),
            Value::String(name) => vec![(name.clone(), Map::new())],
            Value::Object(map) => map
                .iter()
                .filter(|(name, _)| !NOT_DRIVERS.contains(&name.as_str()))
                .map(|(name, settings)| (name.clone(), settings.as_object().cloned().unwrap_or_default()))
                .collect(),
            _ => return Err(ConfigError::Value("storage is neither a name nor a mapping".to_owned())),
        };
        match drivers.len() {
            0 => Ok(("filesystem".to_owned(), Map::new())),
            1 => Ok(drivers.into_iter().next().expect("there is one")),
            _ => {
                let names: Vec<_> = drivers.into_iter().map(|(name, _)| name).collect();
                Err(ConfigError::Value(format!(
                    "storage names several drivers, choose one: {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// Deleting is allowed unless somebody forbade it (Docker's registry has it the other way round).
    pub fn delete_allowed(&self) -> bool {
        self.storage.pointer("/delete/enabled").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Whether clients are sent to a far store themselves; `storage.redirect.disable` keeps all traffic here.
    pub fn redirect(&self) -> bool {
        !self.storage.pointer("/redirect/disable").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Only reading.
    pub fn read_only(&self) -> bool {
        self.storage.pointer("/maintenance/readonly/enabled").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Uploads nobody has written to for so long go; `None` when they stay.
    pub fn upload_age(&self) -> Result<Option<std::time::Duration>, ConfigError> {
        let purging = self.storage.pointer("/maintenance/uploadpurging");
        if purging.and_then(|purging| purging.get("enabled")).and_then(Value::as_bool) == Some(false) {
            return Ok(None);
        }
        let age = purging.and_then(|purging| purging.get("age")).and_then(Value::as_str);
        units::period(age.unwrap_or("168h")).map(Some).map_err(ConfigError::Value)
    }
}

/// `key:` with nothing behind it is a key that is not set.
fn drop_nulls(tree: &mut Value) {
    match tree {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_images_own_file_is_understood() {
        let text = "
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";
        let config = Config::from_text(text, Vec::new()).unwrap();
        let (name, settings) = config.driver().unwrap();
        assert_eq!(
            (name.as_str(), settings["rootdirectory"].as_str()),
            ("filesystem", Some("/var/lib/registry"))
        );
        assert_eq!(config.http.addr.unwrap().0, ":5000");
        assert_eq!(config.http.headers["X-Content-Type-Options"][0].0, "nosniff");
    }

    #[test]
    fn two_storage_drivers_are_refused() {
        let config =
            Config::from_text("storage:\n  filesystem: {}\n  s3: {bucket: b}\n", Vec::new()).unwrap();
        assert!(config.driver().is_err());
    }

    #[test]
    fn numbers_are_text_where_text_is_wanted() {
        let variables = vec![
            ("REGISTRY_PROXY_REMOTEURL".to_owned(), "http://x".to_owned()),
            ("REGISTRY_PROXY_PASSWORD".to_owned(), "12345".to_owned()),
        ];
        let config = Config::from_text("", variables).unwrap();
        assert_eq!(config.proxy.unwrap().password.unwrap().0, "12345");
    }
}
