//! A container on `none` or `host`: an endpoint that carries nothing, and the three files under `/etc`.

use gantry_names::{Digest, EndpointId};
use gantry_network::{Driver, Endpoint, Network, SandboxFiles};

use crate::error::{Error, Result};
use crate::record::ContainerRecord;
use crate::spec::NetworkMode;

const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\t\
                     ip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The network of this mode: `none` or `host`.
pub(super) fn network(mode: &NetworkMode) -> Option<&'static str> {
    match mode {
        NetworkMode::None => Some("none"),
        NetworkMode::Host => Some("host"),
        _ => None,
    }
}

/// The endpoint of a container on such a network. No row keeps it, so its id follows from who is where.
pub(super) fn endpoint(record: &ContainerRecord, network: &Network) -> Option<Endpoint> {
    let here = matches!(
        (&record.spec.network_mode, network.driver),
        (NetworkMode::None, Driver::Null) | (NetworkMode::Host, Driver::Host)
    );
    let digest = Digest::sha256_of(format!("{} {}", record.id, network.id).as_bytes());
    let id = EndpointId::parse(digest.hex()).ok().filter(|_| here)?;
    Some(Endpoint::bare(id, network.id.clone(), record.id.clone(), record.name.to_string()))
}

/// The namespace as a file that tools can enter; the host's is that of this engine.
pub(super) fn namespace(record: &ContainerRecord) -> Option<String> {
    let process = record.state.process()?;
    network(&record.spec.network_mode).map(|_| format!("/proc/{}/ns/net", process.pid))
}

/// Writes them, unless they are another container's.
pub(super) fn write_files(files: &SandboxFiles, record: &ContainerRecord) -> Result<()> {
    if record.spec.network_mode_is_container() {
        return Ok(());
    }
    let host = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut hosts = match record.spec.network_mode {
        NetworkMode::Host => host("/etc/hosts"),
        _ => HOSTS.to_owned(),
    };
    for extra in &record.spec.extra_hosts {
        if let Some((name, address)) = extra.split_once([':', '=']) {
            hosts.push_str(&format!("{address}\t{name}\n"));
        }
    }
    let name = format!("{}\n", record.spec.hostname);
    for (path, text) in
        [(&files.hosts, hosts), (&files.hostname, name), (&files.resolv_conf, resolver(record))]
    {
        std::fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))?;
    }
    Ok(())
}

/// Whether a container's resolver file is as it was written.
pub(super) fn resolver_is_untouched(files: &SandboxFiles, record: &ContainerRecord) -> bool {
    std::fs::read_to_string(&files.resolv_conf).is_ok_and(|text| text == resolver(record))
}

fn resolver(record: &ContainerRecord) -> String {
    let mut resolv = String::new();
    if record.spec.dns.is_empty() {
        resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    }
    for server in &record.spec.dns {
        resolv.push_str(&format!("nameserver {server}\n"));
    }
    if !record.spec.dns_search.is_empty() {
        resolv.push_str(&format!("search {}\n", record.spec.dns_search.join(" ")));
    }
    if !record.spec.dns_options.is_empty() {
        resolv.push_str(&format!("options {}\n", record.spec.dns_options.join(" ")));
    }
    resolv
}
