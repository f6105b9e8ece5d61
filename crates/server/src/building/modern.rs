//! `POST /build?version=2`: a build by BuildKit's protocol whose progress comes as Docker's stream. So do clients from
//! 18.09 to 20.10.

use std::collections::BTreeMap;

use gantry_api::container::Ulimit;
use gantry_names::Reference;
use gantry_solver::{Exporter, SolveRequest};
use serde::Deserialize;

use crate::failure::Failure;
use crate::query::Query;

/// Where a client says that its context is on its session.
const SESSION: &str = "client-session";
/// Where it says that another request brings it.
pub(crate) const UPLOAD: &str = "upload-request";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    attrs: Option<BTreeMap<String, String>>,
}

/// What the parameters ask of BuildKit.
pub(crate) fn request(query: &Query, reference: String) -> Result<SolveRequest, Failure> {
    let mut attrs = BTreeMap::new();
    let mut put = |name: String, value: &str| {
        if !value.is_empty() {
            attrs.insert(name, value.to_owned());
        }
    };
    put("target".into(), query.get("target"));
    put("filename".into(), Some(query.get("dockerfile")).filter(|name| *name != ".").unwrap_or_default());
    put("context".into(), Some(query.get("remote")).filter(|remote| *remote != SESSION).unwrap_or_default());
    put("platform".into(), query.get("platform"));
    put("shm-size".into(), Some(query.get("shmsize")).filter(|size| *size != "0").unwrap_or_default());
    match query.get("networkmode") {
        mode @ ("host" | "none") => put("force-network-mode".into(), mode),
        "" | "default" => {}
        other => {
            return Err(Failure::invalid(format!("network mode {other:?} not supported by buildkit")));
        }
    }
    for (name, value) in
        super::options::json::<BTreeMap<String, Option<String>>>(query, "buildargs")?.unwrap_or_default()
    {
        // An empty value is a value.
        if let Some(value) = value {
            attrs.insert(format!("build-arg:{name}"), value);
        }
    }
    for (name, value) in
        super::options::json::<BTreeMap<String, String>>(query, "labels")?.unwrap_or_default()
    {
        attrs.insert(format!("label:{name}"), value);
    }
    let mut list = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            attrs.insert(name.to_owned(), values.join(","));
        }
    };
    let hosts = query.all("extrahosts").into_iter().filter(|host| !host.is_empty());
    list("add-hosts", hosts.map(|host| host.replacen(':', "=", 1)).collect());
    let ulimits: Vec<Ulimit> = super::options::json(query, "ulimits")?.unwrap_or_default();
    list(
        "ulimit",
        ulimits.iter().map(|limit| format!("{}={}:{}", limit.name, limit.soft, limit.hard)).collect(),
    );
    list("cache-from", super::options::json(query, "cachefrom")?.unwrap_or_default());
    if query.flag("nocache") {
        attrs.insert("no-cache".into(), String::new());
    }
    let pull = query.flag("pull") || query.get("pull") == "default";
    attrs.insert("image-resolve-mode".into(), if pull { "pull" } else { "default" }.into());
    Ok(SolveRequest {
        reference,
        session: query.get("session").to_owned(),
        frontend: "dockerfile.v0".into(),
        frontend_attrs: attrs,
        exporters: exporters(query)?,
        ..SolveRequest::default()
    })
}

/// Where the result goes: the image store, when nothing else is said.
fn exporters(query: &Query) -> Result<Vec<Exporter>, Failure> {
    let outputs: Vec<Output> = super::options::json(query, "outputs")?.unwrap_or_default();
    let mut exporters: Vec<Exporter> = match outputs.as_slice() {
        [] => vec![Exporter { kind: "moby".into(), ..Exporter::default() }],
        [one] if one.kind == "cacheonly" => Vec::new(),
        [one] => vec![Exporter { kind: one.kind.clone(), attrs: one.attrs.clone().unwrap_or_default() }],
        _ => return Err(Failure::invalid("multiple outputs not supported")),
    };
    let mut names = Vec::new();
    for tag in query.all("t").iter().filter(|tag| !tag.is_empty()) {
        let reference = Reference::parse(tag).map_err(|error| Failure::invalid(error.to_string()))?;
        names.push(reference.or_latest().to_string());
    }
    if let Some(exporter) = exporters.first_mut().filter(|one| ["moby", "image"].contains(&one.kind.as_str()))
        && !names.is_empty()
    {
        exporter.attrs.insert("name".into(), names.join(","));
    }
    Ok(exporters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_attributes() {
        let query = "version=2&remote=client-session&session=s&t=a&t=b:1&buildargs=%7B%22A%22%3A%22%22%2C%22B%22%3Anull%7D&extrahosts=x%3A1.2.3.4&nocache=1&shmsize=0&networkmode=none";
        let request = request(&Query::parse(query).unwrap(), "r".into()).unwrap();
        let attrs = &request.frontend_attrs;
        assert_eq!(attrs["build-arg:A"], "");
        assert_eq!((attrs["add-hosts"].as_str(), attrs["no-cache"].as_str()), ("x=1.2.3.4", ""));
        assert!(
            !attrs.contains_key("context")
                && !attrs.contains_key("shm-size")
                && !attrs.contains_key("build-arg:B")
        );
        assert_eq!(request.exporters[0].attrs["name"], "docker.io/library/a:latest,docker.io/library/b:1");
        let query =
            Query::parse("outputs=%5B%7B%22Type%22%3A%22local%22%2C%22Attrs%22%3A%7B%7D%7D%5D&networkmode=x")
                .unwrap();
        assert!(
            super::request(&query, "r".into()).unwrap_err().message.contains("not supported by buildkit")
        );
    }
}
