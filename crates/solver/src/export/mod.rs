//! Where results go: the image store, or the client as files or archives.

mod annotations;
mod archive;
mod attest;
mod bundle;
mod files;
mod image;
mod packing;
mod sbom;
mod wire;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_build::Built;
use gantry_build::files::Root;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::{Exporter, SolveRequest};
use gantry_names::Reference;
use gantry_snapshots::RootView;

pub(crate) use packing::Packed;

use crate::job::{Job, Outcome};
use crate::story::{refusal, refused};
use crate::{Inner, cache, frontend};

/// What an exporter says of what it made.
type Response = BTreeMap<String, String>;

/// Refuses, before anything is built, what cannot be done with the result.
pub(crate) fn check(exporters: &[Exporter], request: &SolveRequest) -> Result<(), Status> {
    attest::Attests::read(&request.frontend_attrs)?;
    for exporter in exporters {
        names(exporter)?;
        Packed::read(&exporter.attrs)?;
        match exporter.kind.as_str() {
            "image" | "moby" => image::check(exporter)?,
            "docker" | "oci" | "local" | "tar" => {}
            other => return Err(invalid(format!("exporter {other:?} could not be found"))),
        }
    }
    for export in request.cache.iter().flat_map(|cache| &cache.exports) {
        cache::check(export)?;
    }
    Ok(())
}

pub(crate) fn invalid(message: impl Into<String>) -> Status {
    Status::new(Code::InvalidArgument, message)
}

/// Hands the results to every exporter, in order.
pub(crate) async fn all(
    inner: &Inner,
    job: &Job,
    exporters: &[Exporter],
    outcomes: &[Outcome],
    request: &SolveRequest,
) -> Result<Response, Status> {
    let mut response = Response::new();
    for (number, exporter) in exporters.iter().enumerate() {
        let said = match exporter.kind.as_str() {
            "image" | "moby" => image::export(inner, job, exporter, outcomes, request).await,
            "docker" | "oci" => archive::export(inner, job, number, exporter, outcomes, request).await,
            "tar" => files::tar(inner, job, number, outcomes).await,
            _ => files::local(inner, job, number, exporter, outcomes).await,
        };
        response.extend(said?);
    }
    tracing::debug!(build = request.reference, exporters = exporters.len(), "exported");
    Ok(response)
}

/// What a client is told of a result's documents.
fn describe(bundle: &bundle::Bundle, exporter: &Exporter) -> Result<Response, Status> {
    let mut response = Response::new();
    response.insert("containerimage.descriptor".into(), STANDARD.encode(bundle.top.to_string()));
    response.insert("containerimage.digest".into(), bundle.digest()?.to_string());
    if let [part] = bundle.parts.as_slice() {
        let id = gantry_names::Digest::sha256_of(&part.config);
        response.insert("containerimage.config.digest".into(), id.to_string());
    }
    let names: Vec<String> = names(exporter)?.iter().map(ToString::to_string).collect();
    if !names.is_empty() {
        response.insert("image.name".into(), names.join(","));
    }
    Ok(response)
}

/// The names a result gets; several stand with commas between.
fn names(exporter: &Exporter) -> Result<Vec<Reference>, Status> {
    let list = exporter.attrs.get("name").map(String::as_str).unwrap_or_default();
    let mut names = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let reference = Reference::parse(name).map_err(|error| invalid(error.to_string()))?;
        if reference.digest().is_some() {
            return Err(invalid("build tag cannot contain a digest"));
        }
        let reference = reference.or_latest();
        if !names.contains(&reference) {
            names.push(reference);
        }
    }
    Ok(names)
}

/// Whether an attribute of an exporter says yes.
pub(crate) fn says_yes(exporter: &Exporter, name: &str) -> bool {
    says(&exporter.attrs, name)
}

/// Docker Hub's name in references, and among credentials.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

/// Who the client is at an image's registry.
pub(crate) async fn credentials(
    inner: &Inner,
    job: &Job,
    name: &Reference,
) -> Result<Option<serde_json::Value>, Status> {
    let caller = frontend::client(inner, inner.sessions.get(&job.session).await?);
    auth_of(&*caller, name).await
}

/// The same, of a client that is at hand.
pub(crate) async fn auth_of(
    caller: &dyn gantry_build::request::Caller,
    name: &Reference,
) -> Result<Option<serde_json::Value>, Status> {
    let registry = if name.domain() == HUB.0 { HUB.1 } else { name.domain() };
    caller.credentials(registry.to_owned()).await.map_err(refusal)
}

/// Whether an attribute says yes.
pub(crate) fn says(attrs: &BTreeMap<String, String>, name: &str) -> bool {
    attrs.get(name).is_some_and(|value| matches!(value.as_str(), "true" | "1" | "t" | "True" | "TRUE"))
}

/// A state's root; `None` for an empty one.
fn view(inner: &Inner, built: &Built) -> Result<Option<RootView>, Status> {
    let Some(chain) = built.chain() else { return Ok(None) };
    let rootfs = inner.builder.images.snapshots().rootfs(chain.as_str()).map_err(|error| refused(&error))?;
    RootView::of(&rootfs).map(Some).map_err(|error| refused(&error))
}

/// A state's root, to look into.
pub(crate) fn root(inner: &Inner, built: &Built) -> Result<Root, Status> {
    let empty = || Status::new(Code::NotFound, "the result is empty");
    let view = view(inner, built)?.ok_or_else(empty)?;
    let folder = view.root().open_dir(b"").map_err(|error| Status::new(Code::Unknown, error.to_string()))?;
    Ok(Root::from(folder))
}
