//! `hosts.toml` in a registry's folder of `certs.d`: where to ask instead of the registry, and how.
//!
//! Source: containerd's `docs/hosts.md`. Unlike containerd, which passes over a file that it cannot read, we refuse:
//! whoever wrote it meant something by it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use indexmap::IndexMap;
use serde::Deserialize;

use crate::http::{TlsError, Trust};

/// The file's name.
const FILE: &str = "hosts.toml";
/// The folder that speaks for every registry without one of its own.
const DEFAULT: &str = "_default";
/// Where the API is on a host of whom nothing else is said.
pub(crate) const API: &str = "/v2";

/// What a host may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Can {
    /// Content by its digest.
    pub pull: bool,
    /// Which digest a tag has.
    pub resolve: bool,
    /// To take content.
    pub push: bool,
}

impl Can {
    pub const ALL: Can = Can { pull: true, resolve: true, push: true };
    pub const READ: Can = Can { pull: true, resolve: true, push: false };
}

/// One address, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// `https://host:port`; none where the registry's own is meant.
    pub base: Option<String>,
    /// Where the API is, `/v2` if nothing else is said; without a slash at its end.
    pub api: String,
    pub can: Can,
    pub headers: HeaderMap,
    /// Authorities and certificates of its own.
    pub trust: Trust,
    /// Whether anybody's certificate will do; where nothing is said, the engine's settings decide.
    pub unverified: Option<bool>,
    /// How long a connection may take.
    pub dial: Option<Duration>,
}

impl Host {
    /// The registry, where no file speaks of it.
    pub fn itself() -> Host {
        Host {
            base: None,
            api: API.to_owned(),
            can: Can::ALL,
            headers: HeaderMap::new(),
            trust: Trust::default(),
            unverified: None,
            dial: None,
        }
    }
}

/// A file, read: whom to ask first, in order, and the registry itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hosts {
    pub before: Vec<Host>,
    pub server: Host,
}

#[derive(Deserialize)]
struct File {
    server: Option<String>,
    #[serde(default)]
    host: IndexMap<String, Settings>,
    #[serde(flatten)]
    own: Settings,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    capabilities: Vec<String>,
    ca: Option<OneOrMany<PathBuf>>,
    client: Option<OneOrMany<Pair>>,
    skip_verify: Option<bool>,
    header: IndexMap<String, OneOrMany<String>>,
    override_path: bool,
    dial_timeout: Option<String>,
    #[serde(flatten)]
    unknown: IndexMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// A certificate with its key in the same file, or in another.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pair {
    Together(PathBuf),
    Apart(PathBuf, PathBuf),
}

impl Hosts {
    /// The file that speaks for a registry, in the first of these folders that has one.
    pub fn find(roots: &[PathBuf], domain: &str) -> Result<Option<Hosts>, TlsError> {
        let named = roots.iter().flat_map(|root| folders(root, domain));
        let general = roots.iter().map(|root| root.join(DEFAULT));
        let Some(path) = named.chain(general).map(|folder| folder.join(FILE)).find(|path| path.is_file())
        else {
            return Ok(None);
        };
        let wrong = |cause: String| TlsError::File { path: path.clone(), cause };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        Hosts::parse(&text, folder).map(Some).map_err(wrong)
    }

    fn parse(text: &str, folder: &Path) -> Result<Hosts, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let before = file.host.into_iter().map(|(name, settings)| host(Some(&name), settings, folder));
        Ok(Hosts {
            before: before.collect::<Result<_, _>>()?,
            server: host(file.server.as_deref().filter(|server| !server.is_empty()), file.own, folder)?,
        })
    }
}

/// A registry's folder, as containerd names it (`host_port_`) and as Docker does (`host:port`).
pub(crate) fn folders(root: &Path, host: &str) -> impl Iterator<Item = PathBuf> {
    let containerds = host.rsplit_once(':').map(|(name, port)| root.join(format!("{name}_{port}_")));
    containerds.into_iter().chain([root.join(host)])
}

fn host(name: Option<&str>, settings: Settings, folder: &Path) -> Result<Host, String> {
    for unknown in settings.unknown.keys() {
        tracing::warn!(folder = %folder.display(), setting = unknown, "a setting of hosts.toml is not acted on");
    }
    let (base, api) = match name {
        Some(name) => address(name, settings.override_path).map(|(base, api)| (Some(base), api))?,
        None => (None, API.to_owned()),
    };
    let absolute = |path: PathBuf| folder.join(path);
    let identities = settings.client.map(OneOrMany::into_vec).unwrap_or_default();
    let identities = identities.into_iter().map(|pair| match pair {
        Pair::Together(file) => (absolute(file.clone()), absolute(file)),
        Pair::Apart(certificate, key) if key.as_os_str().is_empty() => {
            (absolute(certificate.clone()), absolute(certificate))
        }
        Pair::Apart(certificate, key) => (absolute(certificate), absolute(key)),
    });
    let trust = Trust {
        authorities: settings
            .ca
            .map(OneOrMany::into_vec)
            .unwrap_or_default()
            .into_iter()
            .map(absolute)
            .collect(),
        identities: identities.collect(),
    };
    let headers = headers(settings.header)?;
    Ok(Host {
        base,
        api,
        can: can(&settings.capabilities)?,
        headers,
        trust,
        unverified: settings.skip_verify,
        dial: settings.dial_timeout.as_deref().map(span).transpose()?,
    })
}

/// `https://host/path` as the address of the host and the path of its API.
fn address(name: &str, path_is_api: bool) -> Result<(String, String), String> {
    let url = if name.contains("://") { name.to_owned() } else { format!("https://{name}") };
    let uri: Uri = url.parse().map_err(|error| format!("{name:?} is no address of a host: {error}"))?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("{name:?} is no address of a host: it is neither http nor https"));
    };
    let path = uri.path().trim_end_matches('/');
    let api = if path_is_api || path.ends_with(API) { path.to_owned() } else { format!("{path}{API}") };
    Ok((format!("{scheme}://{authority}"), api))
}

/// A time span as Go writes it: `500ms`, `1m30s`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time span like 500ms or 10s");
    let (mut rest, mut seconds) = (text.trim(), 0.0);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| c.is_alphabetic()).ok_or_else(wrong)?);
        let end = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        let factor = match &behind[..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        seconds += number.parse::<f64>().map_err(|_| wrong())? * factor;
        rest = &behind[end..];
    }
    let span = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    if span.is_zero() { Err(wrong()) } else { Ok(span) }
}

fn can(words: &[String]) -> Result<Can, String> {
    if words.is_empty() {
        return Ok(Can::ALL);
    }
    let mut can = Can { pull: false, resolve: false, push: false };
    for word in words {
        match word.to_lowercase().as_str() {
            "pull" => can.pull = true,
            "resolve" => can.resolve = true,
            "push" => can.push = true,
            _ => return Err(format!("unknown capability {word}")),
        }
    }
    Ok(can)
}

fn headers(told: IndexMap<String, OneOrMany<String>>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in told {
        let wrong = || format!("{name:?} is no header");
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        for value in values.into_vec() {
            headers.append(key.clone(), HeaderValue::from_str(&value).map_err(|_| wrong())?);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
server = "https://registry.example/team"
skip_verify = false

[host."http://10.0.0.1:5000"]
  capabilities = ["Pull", "resolve"]
  [host."http://10.0.0.1:5000".header]
    x-site = "one"
    x-many = ["a", "b"]

[host."mirror.example"]
  ca = "mirror.pem"
  dial_timeout = "1m0.5s"
  client = [["a.cert", "a.key"], ["/b.pem", ""]]
  skip_verify = true

[host."https://old.example/api/images/"]
  override_path = true
  client = "both.pem"
"#;

    #[test]
    fn a_file_in_containerds_shape_is_read_in_its_order() {
        let hosts = Hosts::parse(WHOLE, Path::new("/certs.d/x")).unwrap();
        let bases: Vec<_> = hosts.before.iter().map(|host| host.base.as_deref().unwrap()).collect();
        assert_eq!(bases, ["http://10.0.0.1:5000", "https://mirror.example", "https://old.example"]);
        let apis: Vec<_> = hosts.before.iter().map(|host| host.api.as_str()).collect();
        assert_eq!(apis, ["/v2", "/v2", "/api/images"]);
        assert_eq!(hosts.server.base.as_deref(), Some("https://registry.example"));
        assert_eq!((hosts.server.api.as_str(), hosts.server.unverified), ("/team/v2", Some(false)));
        assert_eq!((hosts.before[0].can, hosts.before[1].can), (Can::READ, Can::ALL));
        assert_eq!(hosts.before[0].headers.get_all("x-many").iter().count(), 2);
        let trust = &hosts.before[1].trust;
        assert_eq!(trust.authorities, [PathBuf::from("/certs.d/x/mirror.pem")]);
        let pair = |a: &str, b: &str| (PathBuf::from(a), PathBuf::from(b));
        assert_eq!(
            trust.identities,
            [pair("/certs.d/x/a.cert", "/certs.d/x/a.key"), pair("/b.pem", "/b.pem")]
        );
        assert_eq!(hosts.before[1].unverified, Some(true));
        let dials: Vec<_> = hosts.before.iter().map(|host| host.dial).collect();
        assert_eq!(dials, [None, Some(Duration::from_millis(60_500)), None]);
        let both = "/certs.d/x/both.pem";
        assert_eq!(hosts.before[2].trust.identities, [pair(both, both)]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        for (text, why) in [
            ("capabilities = ['eat']", "unknown capability eat"),
            ("[host.'ftp://x']", "neither http nor https"),
            ("[host.x.header]\n'a b' = 'c'", "is no header"),
            ("server = ", "TOML parse error"),
            ("ca = 5", "data did not match"),
            ("dial_timeout = 'soon'", "is not a time span"),
            ("dial_timeout = '0s'", "is not a time span"),
        ] {
            let said = Hosts::parse(text, Path::new("/")).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn the_folder_is_the_registrys_own_or_everybodys() {
        let root = tempfile::tempdir().unwrap();
        let write = |folder: &str, server: &str| {
            let folder = root.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(FILE), format!("server = '{server}'")).unwrap();
        };
        let roots = [root.path().join("none"), root.path().to_owned()];
        let server = |domain: &str| Hosts::find(&roots, domain).unwrap().and_then(|found| found.server.base);
        assert_eq!(server("a:1"), None);
        write(DEFAULT, "http://everybody");
        write("a:1", "http://docker");
        assert_eq!(server("a:1").as_deref(), Some("http://docker"));
        write("a_1_", "http://containerd");
        assert_eq!(server("a:1").as_deref(), Some("http://containerd"));
        assert_eq!(server("b").as_deref(), Some("http://everybody"));
    }
}
