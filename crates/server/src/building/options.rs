//! `POST /build`'s parameters and headers, typed.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::container::Ulimit;
use gantry_build::request::{Given, NoCache, StepLimits};
use gantry_names::{Platform, Reference};
use http::HeaderMap;
use serde::de::DeserializeOwned;

use crate::call::decode_auth;
use crate::failure::Failure;
use crate::query::Query;

/// What a client asks of the classic builder.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The Dockerfile's path in the context; empty: the usual one.
    pub(crate) dockerfile: String,
    /// Where the context is, if not in the body.
    pub(crate) remote: String,
    pub(crate) tags: Vec<Reference>,
    pub(crate) args: BTreeMap<String, Option<String>>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) target: Option<String>,
    pub(crate) platform: Option<Platform>,
    pub(crate) no_cache: NoCache,
    pub(crate) cache_from: Vec<Reference>,
    /// Images were named: only what led to them counts as cached.
    pub(crate) cache_only_from: bool,
    pub(crate) pull: bool,
    pub(crate) squash: bool,
    /// Nothing but the image's id, unless it fails.
    pub(crate) quiet: bool,
    /// Say what became of containers.
    pub(crate) remove: bool,
    /// Keep nothing of a step that failed.
    pub(crate) force_remove: bool,
    /// `SOURCE_DATE_EPOCH`, given as a build argument.
    pub(crate) epoch: Option<i64>,
    /// Say why a step was not in the cache.
    pub(crate) explain: bool,
    pub(crate) limits: StepLimits,
    pub(crate) caller: Arc<Given>,
    /// How the client will call this build.
    pub(crate) id: String,
}

/// Reads them all, or refuses the first that is wrong.
pub(crate) fn read(query: &Query, headers: &HeaderMap) -> Result<Asked, Failure> {
    if !query.all("securityopt").iter().all(String::is_empty) {
        return Err(Failure::invalid(
            "The daemon on this platform does not support setting security options on build",
        ));
    }
    match query.get("isolation") {
        "" | "default" => {}
        other => return Err(Failure::invalid(format!("Unsupported isolation: {other:?}"))),
    }
    let names: Vec<String> = json(query, "cachefrom")?.unwrap_or_default();
    // What is no reference cannot be a cache: as Docker, it is passed by.
    let cache_from = names.iter().filter_map(|name| Reference::parse(name).ok()).collect();
    let platform = match query.get("platform") {
        "" => None,
        text => Some(Platform::parse(text).map_err(|e| Failure::invalid(e.to_string()))?),
    };
    let pull = query.flag("pull") || query.get("pull") == "default";
    let args: BTreeMap<String, Option<String>> = json(query, "buildargs")?.unwrap_or_default();
    Ok(Asked {
        dockerfile: query.get("dockerfile").to_owned(),
        remote: query.get("remote").to_owned(),
        tags: tags(&query.all("t"))?,
        epoch: epoch(&args)?,
        args,
        labels: json(query, "labels")?.unwrap_or_default(),
        target: Some(query.get("target").to_owned()).filter(|target| !target.is_empty()),
        platform,
        no_cache: if query.flag("nocache") { NoCache::All } else { NoCache::Nothing },
        cache_from,
        cache_only_from: !names.is_empty(),
        pull,
        squash: query.flag("squash"),
        quiet: query.flag("q"),
        remove: query.flag_or("rm", true),
        force_remove: query.flag("forcerm"),
        explain: query.flag("explain"),
        limits: limits(query)?,
        caller: Arc::new(Given { credentials: credentials(headers), ..Given::default() }),
        id: query.get("buildid").to_owned(),
    })
}

/// What Docker calls a parameter in its complaints.
fn called(name: &str) -> &str {
    match name {
        "buildargs" => "build args",
        "ulimits" => "ulimit settings",
        name => name,
    }
}

/// Docker's text for parameters in JSON.
pub(super) fn json<T: DeserializeOwned>(query: &Query, name: &str) -> Result<Option<T>, Failure> {
    match query.get(name) {
        "" | "null" => Ok(None),
        text => serde_json::from_str(text)
            .map(Some)
            .map_err(|e| Failure::invalid(format!("error reading {}: {e}", called(name)))),
    }
}

fn epoch(args: &BTreeMap<String, Option<String>>) -> Result<Option<i64>, Failure> {
    match args.get("SOURCE_DATE_EPOCH").cloned().flatten() {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => {
            text.parse().map(Some).map_err(|_| Failure::invalid(format!("invalid SOURCE_DATE_EPOCH: {text}")))
        }
    }
}

fn tags(texts: &[String]) -> Result<Vec<Reference>, Failure> {
    let mut tags = Vec::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let tag = Reference::parse(text).map_err(|e| Failure::invalid(e.to_string()))?;
        if tag.digest().is_some() {
            return Err(Failure::invalid("build tag cannot contain a digest"));
        }
        let tag = tag.or_latest();
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

fn limits(query: &Query) -> Result<StepLimits, Failure> {
    let number = |name: &str| query.number(name).map(Option::unwrap_or_default);
    let natural = |name: &str| number(name).map(|value| u64::try_from(value).unwrap_or_default());
    let ulimits: Vec<Ulimit> = json(query, "ulimits")?.unwrap_or_default();
    Ok(StepLimits {
        network: query.get("networkmode").to_owned(),
        extra_hosts: query.all("extrahosts").into_iter().filter(|host| !host.is_empty()).collect(),
        memory: number("memory")?,
        memory_swap: number("memswap")?,
        cpu_shares: natural("cpushares")?,
        cpu_period: natural("cpuperiod")?,
        cpu_quota: number("cpuquota")?,
        cpuset_cpus: query.get("cpusetcpus").to_owned(),
        cpuset_mems: query.get("cpusetmems").to_owned(),
        cgroup_parent: query.get("cgroupparent").to_owned(),
        shm_size: number("shmsize")?,
        ulimits: ulimits
            .iter()
            .map(|limit| format!("{}={}:{}", limit.name, limit.soft, limit.hard))
            .collect(),
    })
}

/// `X-Registry-Config`: credentials of every registry the client knows. Bad ones count as none, as in Docker.
fn credentials(headers: &HeaderMap) -> BTreeMap<String, serde_json::Value> {
    let decoded = headers.get("x-registry-config").and_then(|header| decode_auth(header.as_bytes()));
    match decoded {
        Some(serde_json::Value::Object(all)) => all.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, String> {
        read(&Query::parse(query).unwrap(), &HeaderMap::new()).map_err(|failure| failure.message)
    }

    #[test]
    fn parameters_become_a_build() {
        let args = "%7B%22A%22%3A%221%22%2C%22B%22%3Anull%7D";
        let ulimits = "%5B%7B%22Name%22%3A%22nofile%22%2C%22Soft%22%3A1%2C%22Hard%22%3A2%7D%5D";
        let asked = asked(&format!(
            "t=a&t=a%3Alatest&t=b%3A1&buildargs={args}&ulimits={ulimits}&memory=5&extrahosts=x%3A1.2.3.4&q=1&rm=0"
        ))
        .unwrap();
        assert_eq!(asked.tags.iter().map(Reference::familiar).collect::<Vec<_>>(), ["a:latest", "b:1"]);
        assert_eq!(asked.args, [("A".to_owned(), Some("1".to_owned())), ("B".to_owned(), None)].into());
        assert_eq!((asked.limits.memory, asked.limits.ulimits.join(" ").as_str()), (5, "nofile=1:2"));
        assert!(asked.quiet && !asked.remove);
    }

    #[test]
    fn wrong_parameters_are_refused_in_docker_words() {
        assert_eq!(
            asked("t=UP").unwrap_err(),
            "invalid reference format: repository name (library/UP) must be lowercase"
        );
        assert!(asked("buildargs=%7B").unwrap_err().starts_with("error reading build args: "));
        assert_eq!(asked("memory=x").unwrap_err(), "strconv.Atoi: parsing \"x\": invalid syntax");
        assert!(asked("securityopt=a%3Db").unwrap_err().starts_with("The daemon on this platform"));
        let digest = format!("t=a%40sha256%3A{}", "0".repeat(64));
        assert_eq!(asked(&digest).unwrap_err(), "build tag cannot contain a digest");
    }
}
