//! Attestations: what is said of an image by who built it. in-toto statements, SLSA provenance and SPDX.
//!
//! The list of packages is our own reading of the databases in the image (`sbom.rs`): it needs no image of a scanner,
//! which a machine without a way out could not get. A generator that is asked for by name is refused, not replaced.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::SolveRequest;
use gantry_git::without_password;
use gantry_names::{Digest, Platform, Reference};
use serde_json::{Value, json};

use super::{invalid, sbom};
use crate::Inner;
use crate::job::{Job, Outcome};

/// How much a provenance tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing that a person has typed as a value.
    Min,
    /// Arguments and the Dockerfile as well.
    Max,
}

/// SLSA's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slsa {
    V02,
    V1,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Provenance {
    mode: Mode,
    version: Slsa,
    builder: String,
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attests {
    provenance: Option<Provenance>,
    sbom: bool,
    /// Not only where an image leaves for a registry, which is what clients ask for of themselves.
    insisted: bool,
}

/// What a statement is about.
pub(super) struct Subject {
    pub(super) names: Vec<Reference>,
    pub(super) platform: Platform,
    pub(super) digest: Digest,
}

impl Attests {
    /// Whether nothing was asked for.
    pub(super) fn is_nothing(&self) -> bool {
        self.provenance.is_none() && !self.sbom
    }

    /// Whether somebody asked for one by a flag.
    pub(super) fn is_insisted(&self) -> bool {
        self.insisted
    }

    /// Reads `attest:provenance` and `attest:sbom` of a frontend's attributes.
    pub(super) fn read(attrs: &BTreeMap<String, String>) -> Result<Attests, Status> {
        let mut attests = Attests::default();
        for (name, value) in attrs {
            let Some(kind) = name.strip_prefix("attest:") else { continue };
            let fields: BTreeMap<&str, &str> = value
                .split(',')
                .filter(|field| !field.is_empty())
                .map(|field| field.split_once('=').unwrap_or((field, "")))
                .collect();
            if fields.get("disabled").is_some_and(|value| *value == "true") {
                continue;
            }
            attests.insisted |= fields.get("inline-only").is_none_or(|value| *value != "true");
            match kind {
                "sbom" => {
                    if let Some(generator) = fields.get("generator") {
                        let text = format!(
                            "the SBOM generator {generator} is not run: this engine lists the packages of dpkg and apk itself, leave generator= out"
                        );
                        return Err(Status::new(Code::Unimplemented, text));
                    }
                    attests.sbom = true;
                }
                "provenance" => attests.provenance = Some(provenance(&fields)?),
                other => return Err(invalid(format!("unknown attestation type {other:?}"))),
            }
        }
        Ok(attests)
    }
}

fn provenance(fields: &BTreeMap<&str, &str>) -> Result<Provenance, Status> {
    let mode = match fields.get("mode").copied() {
        None | Some("" | "min") => Mode::Min,
        Some("max") => Mode::Max,
        Some(other) => return Err(invalid(format!("invalid provenance mode {other:?}"))),
    };
    let version = match fields.get("version").copied() {
        None | Some("" | "v1") => Slsa::V1,
        Some("v0.2") => Slsa::V02,
        Some(other) => return Err(invalid(format!("invalid provenance SLSA version: {other}"))),
    };
    let builder = fields.get("builder-id").copied().unwrap_or_default().to_owned();
    Ok(Provenance { mode, version, builder })
}

/// The statements that were asked for about one image.
pub(super) async fn statements(
    inner: &Inner,
    job: &Job,
    attests: &Attests,
    request: &SolveRequest,
    outcome: &Outcome,
    subject: &Subject,
) -> Result<Vec<Value>, Status> {
    let mut statements = Vec::new();
    let about = subjects(subject);
    if let Some(asked) = &attests.provenance {
        let (kind, predicate) = match asked.version {
            Slsa::V02 => ("https://slsa.dev/provenance/v0.2", v02(job, asked, request, outcome)),
            Slsa::V1 => ("https://slsa.dev/provenance/v1", v1(job, asked, request, outcome)),
        };
        statements.push(statement(kind, &about, predicate));
    }
    if attests.sbom {
        let name = subject.names.first().map_or_else(|| subject.digest.to_string(), Reference::familiar);
        let document = sbom::document(inner, outcome, &name).await?;
        statements.push(statement("https://spdx.dev/Document", &about, document));
    }
    Ok(statements)
}

fn statement(kind: &str, subject: &Value, predicate: Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": kind,
        "subject": subject,
        "predicate": predicate,
    })
}

fn subjects(subject: &Subject) -> Value {
    let digest = digests(&subject.digest);
    let named = |name: String| json!({ "name": name, "digest": digest });
    match subject.names.as_slice() {
        [] => json!([named("_".into())]),
        names => names.iter().map(|name| named(purl(name, Some(&subject.platform)))).collect(),
    }
}

fn digests(digest: &Digest) -> Value {
    let mut map = serde_json::Map::new();
    map.insert(digest.algorithm().to_owned(), json!(digest.hex()));
    Value::Object(map)
}

/// An image as a package URL: `pkg:docker/busybox@latest?platform=linux%2Famd64`.
fn purl(name: &Reference, platform: Option<&Platform>) -> String {
    let escaped = |text: &str| text.replace(':', "%3A").replace('@', "%40");
    let version = name.tag().map(str::to_owned).or(name.digest().map(ToString::to_string));
    let mut purl = format!("pkg:docker/{}", escaped(&name.familiar_name()));
    if let Some(version) = version {
        purl.push('@');
        purl.push_str(&escaped(&version));
    }
    if let Some(platform) = platform {
        purl.push_str("?platform=");
        purl.push_str(&platform.to_string().replace('/', "%2F"));
    }
    purl
}

fn materials(outcome: &Outcome) -> Vec<(String, Value)> {
    let bases = outcome.built.bases.iter();
    bases
        .map(|(name, digest)| {
            let uri = Reference::parse(name).map(|name| purl(&name.or_latest(), Some(&outcome.platform)));
            (uri.unwrap_or_else(|_| name.clone()), digests(digest))
        })
        .collect()
}

/// The arguments a provenance tells: what belongs to this machine and what attests is left out, and in the small mode
/// what a person has given as a value.
fn args(asked: &Provenance, request: &SolveRequest) -> BTreeMap<String, String> {
    const HOSTS: [&str; 5] = ["cgroup-parent", "image-resolve-mode", "platform", "cache-imports", "context"];
    let mut args = request.frontend_attrs.clone();
    args.retain(|name, _| {
        let values = name.starts_with("build-arg:") || name.starts_with("label:");
        let kept = !HOSTS.contains(&name.as_str()) && !name.starts_with("attest:") && name != "filename";
        kept && (asked.mode == Mode::Max || !values)
    });
    // Addresses of contexts and of the repository that a client stands in.
    for (name, value) in &mut args {
        if name.starts_with("context:") || name.starts_with("vcs:") {
            *value = without_password(value);
        }
    }
    args
}

/// Where the build is described: its entry point, and the repository or archive that it came from, which everybody reads
/// who has the image (CVE-2023-26054).
fn config_source(request: &SolveRequest, entry: &str) -> Value {
    let mut source = json!({ entry: path(request) });
    if let Some(address) = request.frontend_attrs.get("context") {
        source["uri"] = json!(without_password(address));
    }
    source
}

/// The Dockerfile, in the large mode.
fn source(asked: &Provenance, job: &Job) -> Option<Value> {
    let (name, text) = job.dockerfile().filter(|_| asked.mode == Mode::Max)?;
    Some(json!({ "infos": [{ "filename": name, "language": "Dockerfile", "data": STANDARD.encode(text) }] }))
}

fn locals(request: &SolveRequest) -> Value {
    match request.frontend_attrs.contains_key("context") {
        true => json!([]),
        false => json!([{ "name": "context" }, { "name": "dockerfile" }]),
    }
}

fn path(request: &SolveRequest) -> &str {
    request.frontend_attrs.get("filename").map_or("Dockerfile", String::as_str)
}

fn v1(job: &Job, asked: &Provenance, request: &SolveRequest, outcome: &Outcome) -> Value {
    let dependencies: Vec<Value> =
        materials(outcome).into_iter().map(|(uri, digest)| json!({ "uri": uri, "digest": digest })).collect();
    let config_source = config_source(request, "path");
    let mut metadata = json!({
        "invocationId": job.reference,
        "startedOn": job.begun(),
        "finishedOn": jiff::Timestamp::now().to_string(),
        "buildkit_metadata": {},
        "buildkit_completeness": {
            "request": true, "resolvedDependencies": request.frontend_attrs.contains_key("context"),
        },
    });
    if let Some(source) = source(asked, job) {
        metadata["buildkit_metadata"]["source"] = source;
    }
    json!({
        "buildDefinition": {
            "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
            "externalParameters": {
                "configSource": config_source,
                "request": { "frontend": "dockerfile.v0", "args": args(asked, request), "locals": locals(request) },
            },
            "internalParameters": { "builderPlatform": Platform::host().to_string() },
            "resolvedDependencies": dependencies,
        },
        "runDetails": { "builder": { "id": asked.builder }, "metadata": metadata },
    })
}

fn v02(job: &Job, asked: &Provenance, request: &SolveRequest, outcome: &Outcome) -> Value {
    let list: Vec<Value> =
        materials(outcome).into_iter().map(|(uri, digest)| json!({ "uri": uri, "digest": digest })).collect();
    let config_source = config_source(request, "entryPoint");
    let mut metadata = json!({
        "buildInvocationID": job.reference,
        "buildStartedOn": job.begun(),
        "buildFinishedOn": jiff::Timestamp::now().to_string(),
        "completeness": { "parameters": true, "environment": true, "materials": false },
        "reproducible": false,
        "https://mobyproject.org/buildkit@v1#metadata": {},
    });
    if let Some(source) = source(asked, job) {
        metadata["https://mobyproject.org/buildkit@v1#metadata"]["source"] = source;
    }
    json!({
        "builder": { "id": asked.builder },
        "buildType": "https://mobyproject.org/buildkit@v1",
        "materials": list,
        "invocation": {
            "configSource": config_source,
            "parameters": { "frontend": "dockerfile.v0", "args": args(asked, request), "locals": locals(request) },
            "environment": { "platform": Platform::host().to_string() },
        },
        "metadata": metadata,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_and_a_foreign_generator_is_refused() {
        let read = |name: &str, value: &str| {
            Attests::read(&BTreeMap::from([(name.to_owned(), value.to_owned())])).map_err(|e| e.message)
        };
        let max =
            read("attest:provenance", "mode=max,version=v0.2,builder-id=me").unwrap().provenance.unwrap();
        assert_eq!((max.mode, max.version, max.builder.as_str()), (Mode::Max, Slsa::V02, "me"));
        assert!(read("attest:provenance", "mode=min,inline-only=true").unwrap().provenance.is_some());
        assert!(read("attest:sbom", "").unwrap().sbom);
        assert!(read("attest:sbom", "generator=a/b").unwrap_err().contains("a/b"));
        assert!(read("attest:other", "").is_err() && read("attest:provenance", "mode=all").is_err());
        assert_eq!(read("attest:sbom", "disabled=true").unwrap(), Attests::default());
    }

    /// CVE-2023-26054: what everybody reads who has the image tells nobody's password.
    #[test]
    fn an_attestation_tells_no_password() {
        let attrs = [
            ("context", "https://me:secret@h/a.git#main"),
            ("context:other", "https://me:secret@h/b.git"),
            ("vcs:source", "https://me:secret@h/c.git"),
        ];
        let frontend_attrs = attrs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let request = SolveRequest { frontend_attrs, ..SolveRequest::default() };
        let asked = Attests::read(&BTreeMap::from([("attest:provenance".to_owned(), "mode=max".to_owned())]));
        let asked = asked.unwrap().provenance.unwrap();
        assert_eq!(config_source(&request, "path")["uri"], "https://xxxxx@h/a.git#main");
        let args = args(&asked, &request);
        assert_eq!(args.len(), 2, "{args:?}");
        assert!(args.values().all(|value| value.starts_with("https://xxxxx@h/")), "{args:?}");
    }

    #[test]
    fn images_are_package_urls() {
        let name = Reference::parse("r.example:5000/team/app:1").unwrap();
        let platform = Platform::parse("linux/arm64").unwrap();
        assert_eq!(
            purl(&name, Some(&platform)),
            "pkg:docker/r.example%3A5000/team/app@1?platform=linux%2Farm64"
        );
        assert_eq!(purl(&Reference::parse("busybox:1").unwrap(), None), "pkg:docker/busybox@1");
    }
}
