//! The sandbox's files on disk, kept up to date as endpoints come and go.
//!
//! They are bind-mounted into the container, so they are written in place: a renamed file would leave the container with
//! the old one. A reader may see a file half written for a moment, as with Docker.

use std::path::Path;

use gantry_names::ContainerId;

use super::Shared;
use crate::failure::Error;
use crate::files::hosts::{self, Entry};
use crate::files::resolv;
use crate::record::Endpoint;
use crate::spec::{SandboxFiles, SandboxMode, SandboxSpec};

fn write(path: &Path, content: &str) -> Result<(), Error> {
    std::fs::write(path, content)
        .map_err(|cause| Error::Io { what: format!("write {}", path.display()), cause })
}

impl Shared {
    /// Writes all three files of a new sandbox.
    pub(super) fn write_files(&self, spec: &SandboxSpec) -> Result<(), Error> {
        let Some(files) = &spec.files else { return Ok(()) };
        let mut entries = Vec::new();
        for extra in &spec.extra_hosts {
            entries.extend(hosts::extra(extra, &self.host_gateway())?);
        }
        let hosts = match (spec.mode, std::fs::read_to_string("/etc/hosts")) {
            // In the host's namespace the host's names are true.
            (SandboxMode::Host, Ok(host)) => hosts::add(&host, &entries),
            _ => hosts::render(&entries),
        };
        write(&files.hosts, &hosts)?;
        write(&files.hostname, &format!("{}\n", spec.hostname))?;
        self.write_resolver(spec)
    }

    /// Writes the resolver's file of a sandbox on no network.
    pub(super) fn write_resolver(&self, spec: &SandboxSpec) -> Result<(), Error> {
        let Some(files) = &spec.files else { return Ok(()) };
        write(&files.resolv_conf, &self.resolver_file(spec, false))
    }

    /// What `host-gateway` means.
    fn host_gateway(&self) -> Vec<std::net::IpAddr> {
        if !self.config.host_gateway.is_empty() {
            return self.config.host_gateway.clone();
        }
        let state = self.state();
        let bridge =
            state.networks.values().find(|held| held.record.name == "bridge" && held.record.predefined);
        bridge.into_iter().flat_map(|held| &held.record.pools).filter_map(|pool| pool.gateway).collect()
    }

    fn resolver_file(&self, spec: &SandboxSpec, embedded: bool) -> String {
        let path = match embedded {
            true => self.config.resolv_conf.clone(),
            false => resolv::path_on_host(&self.config.resolv_conf),
        };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let host = match spec.mode {
            // In the host's namespace its loopback can be reached.
            SandboxMode::Host => resolv::parse(&text),
            SandboxMode::Private => resolv::within_reach(resolv::parse(&text)),
        };
        let layered = resolv::layered(&spec.dns, &self.config.dns, &host);
        resolv::render(&if embedded { resolv::embedded(layered) } else { layered })
    }

    fn spec_and_files(&self, container: &ContainerId) -> Option<(SandboxSpec, SandboxFiles, bool)> {
        let state = self.state();
        let spec = state.sandboxes.get(container)?.spec.clone();
        let files = spec.files.clone()?;
        Some((spec, files, state.is_named(container)))
    }

    /// Adds the lines of new endpoints, and switches the resolver to the embedded name server with the first user network.
    pub(super) fn add_to_files(&self, endpoints: &[Endpoint]) -> Result<(), Error> {
        let Some(container) = endpoints.first().map(|endpoint| &endpoint.container) else { return Ok(()) };
        let Some((spec, files, named)) = self.spec_and_files(container) else { return Ok(()) };
        let entries: Vec<Entry> =
            endpoints.iter().flat_map(|endpoint| self.entries(&spec, endpoint)).collect();
        edit(&files.hosts, |content| hosts::add(content, &entries))?;
        self.switch_resolver(&spec, &files, named)
    }

    /// Takes the lines of an endpoint that goes away.
    pub(super) fn remove_from_files(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let Some((spec, files, _)) = self.spec_and_files(&endpoint.container) else { return Ok(()) };
        let entries = self.entries(&spec, endpoint);
        edit(&files.hosts, |content| hosts::remove(content, &entries))?;
        let still_named = {
            let state = self.state();
            state
                .of(&endpoint.container)
                .any(|held| held.record.id != endpoint.id && state.has_names(&held.record.network))
        };
        self.switch_resolver(&spec, &files, still_named)
    }

    /// Writes the resolver file for the embedded name server or for none, unless somebody edited it.
    fn switch_resolver(&self, spec: &SandboxSpec, files: &SandboxFiles, named: bool) -> Result<(), Error> {
        let (wanted, other) = (self.resolver_file(spec, named), self.resolver_file(spec, !named));
        match std::fs::read_to_string(&files.resolv_conf) {
            Ok(present) if present == other => write(&files.resolv_conf, &wanted),
            _ => Ok(()),
        }
    }

    /// The lines of an endpoint: the container's own names, and on the default bridge its links'.
    fn entries(&self, spec: &SandboxSpec, endpoint: &Endpoint) -> Vec<Entry> {
        let names = hosts::own_names(&spec.hostname, &spec.domainname);
        let mut out: Vec<Entry> =
            endpoint.addresses().map(|address| Entry { address, names: names.clone() }).collect();
        let state = self.state();
        if state.has_names(&endpoint.network) {
            return out;
        }
        for link in &endpoint.links {
            let Some(other) = &link.container else { continue };
            let target = state.of(other).find(|held| held.record.network == endpoint.network);
            if let Some(held) = target {
                let hostname =
                    state.sandboxes.get(other).map_or("", |sandbox| sandbox.spec.hostname.as_str());
                let mut names = vec![link.alias.as_str()];
                names.extend(
                    [hostname, held.record.name.as_str()]
                        .iter()
                        .filter(|n| !n.is_empty() && **n != link.alias),
                );
                names.dedup();
                out.extend(held.record.addresses().map(|address| Entry { address, names: names.join(" ") }));
            }
        }
        out
    }
}

fn edit(path: &Path, change: impl FnOnce(&str) -> String) -> Result<(), Error> {
    let content = std::fs::read_to_string(path)
        .map_err(|cause| Error::Io { what: format!("read {}", path.display()), cause })?;
    let changed = change(&content);
    if changed == content { Ok(()) } else { write(path, &changed) }
}
