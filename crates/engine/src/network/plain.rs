//! The three files under `/etc` of a container without a network of the engine's.

use gantry_network::SandboxFiles;

use crate::error::{Error, Result};
use crate::record::ContainerRecord;
use crate::spec::NetworkMode;

const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\t\
                     ip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

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
    let mut resolv = String::new();
    if record.spec.dns.is_empty() {
        resolv = host("/etc/resolv.conf");
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
    let name = format!("{}\n", record.spec.hostname);
    for (path, text) in [(&files.hosts, hosts), (&files.hostname, name), (&files.resolv_conf, resolv)] {
        std::fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))?;
    }
    Ok(())
}
