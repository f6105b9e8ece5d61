//! From a registry's name to the addresses where it may answer: mirrors first, then itself; with TLS, and where it is
//! allowed, without.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::http::{Proxies, Tls, TlsError};

/// Docker Hub's name in references.
pub const HUB: &str = "docker.io";
/// Where Docker Hub's images are.
const HUB_HOST: &str = "registry-1.docker.io";
/// The key of Docker Hub's credentials in `config.json`.
pub const HUB_INDEX: &str = "https://index.docker.io/v1/";
/// Addresses that are insecure without anybody saying so: this machine.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// The engine's settings about registries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `--registry-mirror`: asked first, for every registry.
    pub mirrors: Vec<String>,
    /// `--insecure-registry`: hosts, `host:port`s and networks.
    pub insecure: Vec<String>,
    /// Directories with a directory per host (`certs.d`).
    pub certificates: Vec<PathBuf>,
    /// Proxies.
    pub proxies: Proxies,
    /// `--max-concurrent-downloads`.
    pub downloads: usize,
    /// `--max-concurrent-uploads`.
    pub uploads: usize,
    /// `--max-download-attempts`.
    pub attempts: u32,
    /// What requests call themselves.
    pub agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            insecure: Vec::new(),
            certificates: vec![PathBuf::from("/etc/docker/certs.d"), PathBuf::from("/etc/gantry/certs.d")],
            proxies: Proxies::from_environment(),
            downloads: 3,
            uploads: 5,
            attempts: 5,
            agent: concat!("gantry/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// One address of a registry.
#[derive(Clone)]
pub struct Endpoint {
    /// `https://host:port`, without a slash at the end.
    pub base: String,
    /// Its TLS settings.
    pub tls: Arc<Tls>,
    /// Whose content is asked for, when this is a mirror.
    pub mirror_of: Option<String>,
}

/// Settings, and TLS settings per host once they were needed.
pub struct Resolver {
    settings: Settings,
    tls: Mutex<HashMap<(String, bool), Opened>>,
}

/// TLS settings, and the files they were made of.
type Opened = (Files, Arc<Tls>);

/// The certificates of a host as they lay in its directory: path, size, time.
type Files = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl Resolver {
    /// A resolver with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, tls: Mutex::new(HashMap::new()) }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where to pull from: mirrors, then the registry.
    pub async fn pull_endpoints(&self, domain: &str) -> Result<Vec<Endpoint>, TlsError> {
        let mut endpoints = Vec::new();
        for mirror in &self.settings.mirrors {
            let base = mirror.trim_end_matches('/');
            let base = if base.contains("://") { base.to_owned() } else { format!("https://{base}") };
            let host = base.split_once("://").map_or("", |(_, host)| host);
            let insecure = self.insecure(host).await;
            endpoints.push(Endpoint {
                tls: self.tls(host, insecure)?,
                mirror_of: Some(domain.to_owned()),
                base,
            });
        }
        endpoints.extend(self.push_endpoints(domain).await?);
        Ok(endpoints)
    }

    /// Where to push to: only the registry itself.
    pub async fn push_endpoints(&self, domain: &str) -> Result<Vec<Endpoint>, TlsError> {
        let host = if domain == HUB { HUB_HOST } else { domain };
        let insecure = domain != HUB && self.insecure(host).await;
        let tls = self.tls(host, insecure)?;
        let with = |scheme: &str| Endpoint {
            base: format!("{scheme}://{host}"),
            tls: Arc::clone(&tls),
            mirror_of: None,
        };
        Ok(if insecure { vec![with("https"), with("http")] } else { vec![with("https")] })
    }

    /// Whether a host may be spoken to without verified TLS. Its name is looked up only when a network is configured
    /// that it may belong to.
    pub async fn insecure(&self, host: &str) -> bool {
        let name = host
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok())
            .map_or(host, |(name, _)| name);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let rules: Vec<&str> = self.settings.insecure.iter().map(String::as_str).chain(LOOPBACK).collect();
        if rules.iter().any(|rule| *rule == host || *rule == name) {
            return true;
        }
        let addresses: Vec<IpAddr> = match name.parse() {
            Ok(address) => vec![address],
            Err(_) if name == "localhost" => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            Err(_) if !self.settings.insecure.iter().any(|rule| rule.contains('/')) => return false,
            Err(_) => match tokio::net::lookup_host((name, 443)).await {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(_) => return false,
            },
        };
        addresses.iter().any(|address| rules.iter().any(|rule| in_network(rule, *address)))
    }

    /// The TLS settings of a host.
    pub fn tls(&self, host: &str, insecure: bool) -> Result<Arc<Tls>, TlsError> {
        let directory =
            self.settings.certificates.iter().map(|all| all.join(host)).find(|path| path.is_dir());
        let now = directory.as_deref().map(files).unwrap_or_default();
        let mut known = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        // A certificate that was put there meanwhile counts from now on.
        if let Some((_, tls)) = known.get(&(host.to_owned(), insecure)).filter(|(before, _)| *before == now) {
            return Ok(Arc::clone(tls));
        }
        let tls = Arc::new(Tls::open(directory.as_deref(), insecure)?);
        known.insert((host.to_owned(), insecure), (now, Arc::clone(&tls)));
        Ok(tls)
    }
}

fn files(directory: &Path) -> Files {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Files = entries
        .filter_map(|entry| {
            let meta = std::fs::metadata(entry.path()).ok()?;
            Some((entry.path(), meta.len(), meta.modified().ok()))
        })
        .collect();
    found.sort();
    found
}

/// Whether an address lies in `network/bits` (or is that address).
pub(crate) fn in_network(network: &str, address: IpAddr) -> bool {
    let (base, bits) = network.split_once('/').unwrap_or((network, ""));
    let bits = if bits.is_empty() { Some(128) } else { bits.parse::<u32>().ok() };
    let (Ok(base), Some(bits)) = (base.parse::<IpAddr>(), bits) else { return false };
    let (base, address, width) = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => (widen(base), widen(address), 32),
        (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let free = width - bits.min(width);
    // Shifting by the whole width would leave everything as it is.
    free >= 128 || base >> free == address >> free
}

fn widen(address: Ipv4Addr) -> u128 {
    u128::from(address.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(mirrors: &[&str], insecure: &[&str]) -> Resolver {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let (mirrors, insecure) = (owned(mirrors), owned(insecure));
        Resolver::new(Settings { mirrors, insecure, certificates: Vec::new(), ..Settings::default() })
    }

    async fn bases(resolver: &Resolver, domain: &str) -> Vec<String> {
        resolver.pull_endpoints(domain).await.unwrap().into_iter().map(|endpoint| endpoint.base).collect()
    }

    #[tokio::test]
    async fn mirrors_come_first_and_plain_http_only_where_allowed() {
        let resolver = resolver(&["http://127.0.0.1:5000/"], &["old.example:80", "10.0.0.0/8"]);
        assert_eq!(bases(&resolver, HUB).await, ["http://127.0.0.1:5000", "https://registry-1.docker.io"]);
        assert_eq!(
            bases(&resolver, "old.example:80").await[1..],
            ["https://old.example:80", "http://old.example:80"]
        );
        assert_eq!(bases(&resolver, "10.1.2.3:5000").await.len(), 3);
        assert_eq!(bases(&resolver, "localhost:5000").await.len(), 3);
        assert_eq!(bases(&resolver, "11.1.2.3:5000").await.len(), 2);
    }

    #[test]
    fn networks_hold_their_addresses() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(in_network("127.0.0.0/8", address("127.9.9.9")));
        assert!(!in_network("127.0.0.0/8", address("128.0.0.1")));
        assert!(in_network("0.0.0.0/0", address("1.2.3.4")));
        assert!(in_network("::1/128", address("::1")));
        assert!(in_network("fd00::/8", address("fd12::1")));
        assert!(!in_network("nonsense/8", address("1.2.3.4")));
    }
}
