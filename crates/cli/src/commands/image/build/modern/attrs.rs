//! What the flags ask of BuildKit's Dockerfile frontend.

use std::collections::BTreeMap;

use gantry_buildkit::proto::control::{CacheOptions, CacheOptionsEntry};
use serde_json::json;

use crate::commands::image::build::arguments;
use crate::commands::image::build::modern::stores::Stores;
use crate::failure::Failure;
use crate::flags::Matches;
use crate::parse::{csv, hosts, ulimits};
use crate::session::Session;

/// The attributes.
pub fn of(s: &Session, m: &Matches) -> Result<BTreeMap<String, String>, Failure> {
    let mut attrs = BTreeMap::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            attrs.insert(name.to_owned(), value.to_owned());
        }
    };
    put("target", m.text("target"));
    put("platform", &s.platform(&m.all("platform").join(",")).to_lowercase());
    put("cgroup-parent", m.text("cgroup-parent"));
    for (flag, name) in [("cpu-period", "cpuperiod"), ("cpu-quota", "cpuquota"), ("cpu-shares", "cpushares")]
    {
        if m.changed(flag) {
            put(name, &m.int(flag).to_string());
        }
    }
    for (flag, name) in [("memory", "memory"), ("memory-swap", "memswap"), ("shm-size", "shm-size")] {
        if m.changed(flag) {
            put(name, &m.bytes(flag).to_string());
        }
    }
    put("cpusetcpus", m.text("cpuset-cpus"));
    put("cpusetmems", m.text("cpuset-mems"));
    put("image-resolve-mode", if m.on("pull") { "pull" } else { "" });
    put("no-cache", &m.all("no-cache-filter").join(","));
    match m.text("network") {
        "" | "default" => {}
        mode => put("force-network-mode", mode),
    }
    let hosts: Vec<String> = m
        .all("add-host")
        .iter()
        .map(|host| Ok(hosts::extra_host(host)?.replacen(':', "=", 1)))
        .collect::<Result<_, Failure>>()?;
    put("add-hosts", &hosts.join(","));
    let mut limits = Vec::new();
    for limit in m.all("ulimit") {
        let limit = ulimits::parse(&limit)?;
        let name = limit["Name"].as_str().unwrap_or_default();
        limits.push(format!("{name}={}:{}", limit["Soft"], limit["Hard"]));
    }
    put("ulimit", &limits.join(","));
    for (name, value) in m.map("label") {
        attrs.insert(format!("label:{name}"), value.as_str().unwrap_or_default().to_owned());
    }
    for (name, value) in arguments(s, m)? {
        // A name without a value leaves the Dockerfile's own.
        if let Some(value) = value {
            attrs.insert(format!("build-arg:{name}"), value);
        }
    }
    if !m.on("force-rm") {
        // For `build debug`. As an argument it does no harm to an engine that does not know it.
        attrs.insert("build-arg:BUILDKIT_KEEP_FAILED".into(), "1".into());
    }
    if m.on("explain") {
        attrs.insert("build-arg:BUILDKIT_EXPLAIN".into(), "1".into());
    }
    if m.on("no-cache") {
        attrs.insert("no-cache".into(), String::new());
    }
    attestations(m, &mut attrs)?;
    Ok(attrs)
}

/// `--attest`, `--sbom` and `--provenance` as `attest:<type>`.
fn attestations(m: &Matches, attrs: &mut BTreeMap<String, String>) -> Result<(), Failure> {
    let mut asked: Vec<String> = m.all("attest");
    for kind in ["sbom", "provenance"] {
        match m.text(kind) {
            "" => {}
            "true" | "1" => asked.push(format!("type={kind}")),
            "false" | "0" => asked.push(format!("type={kind},disabled=true")),
            more => asked.push(format!("type={kind},{more}")),
        }
    }
    for text in asked {
        let fields = csv::fields(&text)?;
        let kind = fields.iter().find_map(|field| field.strip_prefix("type="));
        let kind = kind.ok_or_else(|| format!("attestation type not specified: {text:?}"))?;
        let rest: Vec<&str> = fields.iter().map(String::as_str).filter(|f| !f.starts_with("type=")).collect();
        if rest.contains(&"disabled=true") {
            attrs.remove(&format!("attest:{kind}"));
            continue;
        }
        attrs.insert(format!("attest:{kind}"), rest.join(","));
    }
    Ok(())
}

/// `--cache-from` and `--cache-to`; the former also as the attribute that the frontend reads.
pub fn cache(
    m: &Matches,
    attrs: &mut BTreeMap<String, String>,
    stores: &mut Stores,
) -> Result<CacheOptions, Failure> {
    let mut imports = Vec::new();
    for text in m.all("cache-from") {
        imports.extend(entries(&text)?);
    }
    let mut exports = Vec::new();
    for text in m.all("cache-to") {
        exports.extend(entries(&text)?);
    }
    let mut cache = CacheOptions { import_refs_deprecated: Vec::new(), exports, imports };
    stores.caches(&mut cache)?;
    let CacheOptions { imports, exports, .. } = &cache;
    if !imports.is_empty() {
        let list: Vec<_> =
            imports.iter().map(|entry| json!({ "Type": entry.kind, "Attrs": entry.attrs })).collect();
        attrs.insert("cache-imports".into(), json!(list).to_string());
        let plain: Vec<&str> =
            imports.iter().filter_map(|entry| entry.attrs.get("ref")).map(String::as_str).collect();
        if !plain.is_empty() {
            attrs.insert("cache-from".into(), plain.join(","));
        }
    }
    if exports.iter().any(|entry| entry.kind == "inline") {
        attrs.insert("build-arg:BUILDKIT_INLINE_CACHE".into(), "1".into());
    }
    Ok(cache)
}

/// One flag's places: images, or one place as `type=...`.
fn entries(text: &str) -> Result<Vec<CacheOptionsEntry>, Failure> {
    let fields = csv::fields(text)?;
    if fields.iter().all(|field| !field.contains('=')) {
        let entry = |image: String| CacheOptionsEntry {
            kind: "registry".into(),
            attrs: BTreeMap::from([("ref".to_owned(), image)]),
        };
        return Ok(fields.into_iter().map(entry).collect());
    }
    let mut entry = CacheOptionsEntry::default();
    for field in fields {
        let (name, value) = field.split_once('=').ok_or_else(|| format!("invalid value {field}"))?;
        match name {
            "type" => value.clone_into(&mut entry.kind),
            name => drop(entry.attrs.insert(name.to_owned(), value.to_owned())),
        }
    }
    if entry.kind.is_empty() {
        return Err(format!("type required form> {text:?}").into());
    }
    Ok(vec![entry])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_images_or_places() {
        let images = entries("a,b:1").unwrap();
        assert_eq!((images.len(), images[1].attrs["ref"].as_str()), (2, "b:1"));
        let place = entries("type=local,dest=x").unwrap();
        assert_eq!((place[0].kind.as_str(), place[0].attrs["dest"].as_str()), ("local", "x"));
        assert!(entries("dest=x").is_err());
    }
}
