//! From a registry's name to the addresses where it may answer: those appointed and mirrors first, then itself; with TLS,
//! and where it is allowed, without.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderMap;

use crate::hosts::{API, Can, Host, Hosts, folders};
use crate::http::{Proxies, Tls, TlsError, Trust};

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
    /// A password is shown to no token service but the registry's own.
    pub own_realms: bool,
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
            own_realms: false,
        }
    }
}

/// For whom an address answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the registry.
    Itself,
    /// It mirrors whatever registry it is asked for, if it knows of more than one: it has to say which it answers for.
    Mirror(String),
    /// `hosts.toml` says that it answers for this registry.
    Appointed(String),
}

/// One address of a registry.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// `https://host:port`, without a slash at the end.
    pub base: String,
    /// The path of its API, `/v2` as a rule.
    pub api: String,
    /// Its TLS settings.
    pub tls: Arc<Tls>,
    /// For whom it answers.
    pub standing: Standing,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// What it may be asked.
    pub can: Can,
    /// How long a connection may take; the usual time where nothing is said.
    pub dial: Option<Duration>,
}

/// Settings, and TLS settings per host once they were needed.
pub(crate) struct Resolver {
    settings: Settings,
    tls: Mutex<HashMap<(Trust, bool), Opened>>,
}

/// TLS settings, and the files they were made of.
type Opened = (Files, Arc<Tls>);

/// Certificates as they lay there: size and time of each.
type Files = Vec<(u64, Option<SystemTime>)>;

impl Resolver {
    /// A resolver with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, tls: Mutex::new(HashMap::new()) }
    }

    /// Where to pull from: those that `hosts.toml` appoints, mirrors, then the registry.
    pub async fn pull_endpoints(&self, domain: &str) -> Result<Vec<Endpoint>, TlsError> {
        let hosts = Hosts::find(&self.settings.certificates, domain)?;
        let mut endpoints = self.appointed(domain, hosts.as_ref(), |can| can.pull || can.resolve).await?;
        for mirror in &self.settings.mirrors {
            let base = mirror.trim_end_matches('/');
            let base = if base.contains("://") { base.to_owned() } else { format!("https://{base}") };
            let host = base.split_once("://").map_or("", |(_, host)| host);
            let tls = self.tls(self.trust(host)?, self.insecure(host).await)?;
            let (api, standing) = (API.to_owned(), Standing::Mirror(domain.to_owned()));
            endpoints.push(Endpoint {
                base,
                api,
                tls,
                standing,
                headers: HeaderMap::new(),
                can: Can::READ,
                dial: None,
            });
        }
        endpoints.extend(self.own(domain, hosts.map(|hosts| hosts.server)).await?);
        Ok(endpoints)
    }

    /// Where to push to: those that are appointed for it, then the registry.
    pub async fn push_endpoints(&self, domain: &str) -> Result<Vec<Endpoint>, TlsError> {
        let hosts = Hosts::find(&self.settings.certificates, domain)?;
        let mut endpoints = self.appointed(domain, hosts.as_ref(), |can| can.push).await?;
        endpoints.extend(self.own(domain, hosts.map(|hosts| hosts.server)).await?);
        Ok(endpoints)
    }

    /// The registry itself.
    pub async fn own_endpoints(&self, domain: &str) -> Result<Vec<Endpoint>, TlsError> {
        let hosts = Hosts::find(&self.settings.certificates, domain)?;
        self.own(domain, hosts.map(|hosts| hosts.server)).await
    }

    async fn appointed(
        &self,
        domain: &str,
        hosts: Option<&Hosts>,
        fits: impl Fn(Can) -> bool,
    ) -> Result<Vec<Endpoint>, TlsError> {
        let mut endpoints = Vec::new();
        for host in hosts.iter().flat_map(|hosts| &hosts.before).filter(|host| fits(host.can)) {
            let Some(base) = host.base.clone() else { continue };
            endpoints.push(self.endpoint(host, base, Standing::Appointed(domain.to_owned())).await?);
        }
        Ok(endpoints)
    }

    async fn own(&self, domain: &str, server: Option<Host>) -> Result<Vec<Endpoint>, TlsError> {
        let name = if domain == HUB { HUB_HOST } else { domain };
        let server = server.unwrap_or_else(Host::itself);
        if let Some(base) = server.base.clone() {
            return Ok(vec![self.endpoint(&server, base, Standing::Itself).await?]);
        }
        let secure = self.endpoint(&server, format!("https://{name}"), Standing::Itself).await?;
        // Docker Hub is spoken to by TLS alone.
        let plain = domain != HUB && self.insecure(name).await;
        let plain = plain.then(|| Endpoint { base: format!("http://{name}"), ..secure.clone() });
        Ok([secure].into_iter().chain(plain).collect())
    }

    async fn endpoint(&self, host: &Host, base: String, standing: Standing) -> Result<Endpoint, TlsError> {
        let name = base.split_once("://").map_or("", |(_, name)| name);
        let unverified = match host.unverified {
            Some(told) => told,
            None => name != HUB_HOST && self.insecure(name).await,
        };
        let tls = self.tls(host.trust.clone().and(self.trust(name)?), unverified)?;
        let (api, headers) = (host.api.clone(), host.headers.clone());
        Ok(Endpoint { base, api, tls, standing, headers, can: host.can, dial: host.dial })
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

    /// The certificates that lie in a host's folder.
    fn trust(&self, host: &str) -> Result<Trust, TlsError> {
        let mut named = self.settings.certificates.iter().flat_map(|root| folders(root, host));
        Ok(named
            .find(|path| path.is_dir())
            .map(|path| Trust::of_folder(&path))
            .transpose()?
            .unwrap_or_default())
    }

    /// TLS settings with these certificates. One that was changed meanwhile counts from now on.
    fn tls(&self, trust: Trust, unverified: bool) -> Result<Arc<Tls>, TlsError> {
        let now: Files = trust.files().map(|path| stamp(path)).collect();
        let mut known = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (trust, unverified);
        if let Some((_, tls)) = known.get(&key).filter(|(before, _)| *before == now) {
            return Ok(Arc::clone(tls));
        }
        let tls = Arc::new(Tls::open(&key.0, unverified)?);
        known.insert(key, (now, Arc::clone(&tls)));
        Ok(tls)
    }
}

/// A file that is not there has no size; that it cannot be read is told when it is.
fn stamp(path: &Path) -> (u64, Option<SystemTime>) {
    std::fs::metadata(path).map_or((0, None), |meta| (meta.len(), meta.modified().ok()))
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
