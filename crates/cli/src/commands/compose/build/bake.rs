//! `build --print`: the builds as a file for `buildx bake`.

use std::collections::BTreeMap;
use std::path::Path;

use gantry_compose::{labels, names};
use gantry_compose_file::project::{Build, Service, Source};
use serde_json::{Map, Value, json};

use super::super::ground::Ground;
use super::{Extra, contexts, entitlements, is_remote};
use crate::failure::Failure;

/// The text of the file.
pub fn file(ground: &Ground<'_>, services: &[&Service], extra: &Extra) -> Result<String, Failure> {
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    let targets = services.iter().filter_map(|service| {
        let build = service.build.as_ref()?;
        Some((service.name.clone(), target(ground, service, build, extra)))
    });
    let file = json!({"group": {"default": {"targets": names}}, "target": targets.collect::<Map<_, _>>()});
    serde_json::to_string_pretty(&file).map_err(|e| Failure::text(1, e.to_string()))
}

fn target(ground: &Ground<'_>, service: &Service, build: &Build, extra: &Extra) -> Value {
    let project = &ground.project;
    let mut args: BTreeMap<&str, Option<&str>> =
        build.args.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    for arg in &extra.args {
        let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(n, v)| (n, Some(v)));
        args.insert(name, value);
    }
    let mut labels = build.labels.clone();
    labels.insert(labels::PROJECT.into(), project.name.clone());
    labels.insert(labels::SERVICE.into(), service.name.clone());
    labels.insert(labels::VERSION.into(), labels::SPOKEN.into());
    let mut tags = build.tags.clone();
    tags.push(names::image(&project.name, service, ground.separator()));
    let dockerfile = match () {
        () if !build.dockerfile_inline.is_empty() => String::new(),
        () if is_remote(&build.context) => build.dockerfile.clone(),
        () => Path::new(&build.context).join(&build.dockerfile).to_string_lossy().into_owned(),
    };
    let ssh = build.ssh.iter().map(|key| match key.path.as_str() {
        "" => key.id.clone(),
        path => format!("{}={path}", key.id),
    });
    let all = json!({
        "context": build.context,
        "contexts": contexts(ground, build).into_iter().collect::<BTreeMap<_, _>>(),
        "dockerfile": dockerfile,
        "dockerfile-inline": build.dockerfile_inline,
        "args": args,
        "labels": labels,
        "tags": tags,
        "cache-from": build.cache_from,
        "cache-to": build.cache_to,
        "target": build.target,
        "secret": secrets(ground, build),
        "ssh": ssh.collect::<Vec<_>>(),
        "platforms": build.platforms,
        "pull": build.pull || extra.pull,
        "no-cache": build.no_cache || extra.no_cache,
        "no-cache-filter": build.no_cache_filter,
        "network": build.network,
        "entitlements": entitlements(build),
        "shm-size": if build.shm_size.0 > 0 { json!(build.shm_size.0.to_string()) } else { Value::Null },
        "extra-hosts": build.extra_hosts.iter().map(|(host, to)| (host, to.join(","))).collect::<BTreeMap<_, _>>(),
        "ulimits": build.ulimits.iter().map(|(n, l)| format!("{n}={}:{}", l.soft(), l.hard())).collect::<Vec<_>>(),
        "output": ["type=docker"],
    });
    let Value::Object(all) = all else { return all };
    all.into_iter().filter(|(_, value)| !is_empty(value)).collect::<Map<_, _>>().into()
}

fn secrets(ground: &Ground<'_>, build: &Build) -> Vec<String> {
    let told = build.secrets.iter().filter_map(|grant| {
        let id = if grant.target.is_empty() { &grant.source } else { &grant.target };
        match &ground.project.secrets.get(&grant.source)?.source {
            Source::File(path) => Some(format!("id={id},type=file,src={path}")),
            Source::Environment { name, .. } => Some(format!("id={id},type=env,env={name}")),
            _ => None,
        }
    });
    told.collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        _ => false,
    }
}
