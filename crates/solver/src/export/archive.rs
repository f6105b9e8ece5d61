//! `docker` and `oci`: a result as an image's archive, or as blobs of an image layout, at the client.

use gantry_buildkit::content::Store;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::{Exporter, SolveRequest};
use gantry_images::ArchivePart;
use gantry_names::Digest;

use super::attest::Attests;
use super::bundle::Bundle;
use super::{Response, describe, invalid, names, wire};
use crate::Inner;
use crate::job::{Job, Outcome, Work};
use crate::story::refused;

/// The client's store for an unpacked layout.
const STORE: &str = "export";

pub(super) async fn export(
    inner: &Inner,
    job: &Job,
    number: usize,
    exporter: &Exporter,
    outcomes: &[Outcome],
    request: &SolveRequest,
) -> Result<Response, Status> {
    if exporter.kind == "docker" && outcomes.len() > 1 {
        return Err(invalid("docker exporter does not currently support exporting manifest lists"));
    }
    let label = if exporter.kind == "oci" {
        "exporting to oci image format"
    } else {
        "exporting to docker image format"
    };
    let work = job.work(label);
    let unpacked = exporter.attrs.get("tar").is_some_and(|value| value == "false");
    let done = match (unpacked, exporter.kind.as_str()) {
        (true, _) => layout(inner, job, &work, exporter, outcomes, request).await,
        (false, "oci") => oci(inner, job, number, &work, exporter, outcomes, request).await,
        (false, _) => docker(inner, job, number, &work, exporter, outcomes).await,
    };
    work.ended(done)
}

/// An archive that old engines read as well: an image layout with Docker's own lists in it.
async fn docker(
    inner: &Inner,
    job: &Job,
    number: usize,
    work: &Work<'_>,
    exporter: &Exporter,
    outcomes: &[Outcome],
) -> Result<Response, Status> {
    let names = names(exporter)?;
    let mut parts = Vec::new();
    for outcome in outcomes {
        parts.push(ArchivePart {
            platform: outcome.built.config.platform(),
            layers: outcome.built.layers.clone(),
            config: outcome.built.document.clone(),
            manifest: None,
            whole: None,
            names: names.clone(),
        });
    }
    work.told("exporting layers");
    let mut response = Response::new();
    if let [part] = parts.as_slice() {
        let id = Digest::sha256_of(&part.config);
        let manifest =
            Digest::sha256_of(&part.manifest().map_err(|e| Status::new(Code::Internal, e.to_string()))?);
        work.told(&format!("exporting manifest {manifest}"));
        work.told(&format!("exporting config {id}"));
        response.insert("containerimage.config.digest".into(), id.to_string());
        response.insert("containerimage.digest".into(), manifest.to_string());
    }
    if !names.is_empty() {
        let list: Vec<String> = names.iter().map(ToString::to_string).collect();
        response.insert("image.name".into(), list.join(","));
    }
    let images = inner.builder.images.clone();
    wire::stream(inner, job, number, work, "sending tarball", &[], move |out| {
        images.write_archive(&parts, out).map_err(std::io::Error::other)
    })
    .await?;
    Ok(response)
}

async fn oci(
    inner: &Inner,
    job: &Job,
    number: usize,
    work: &Work<'_>,
    exporter: &Exporter,
    outcomes: &[Outcome],
    request: &SolveRequest,
) -> Result<Response, Status> {
    let plain = exporter.attrs.keys().all(|name| ["name", "dest", "tar"].contains(&name.as_str()));
    if plain && outcomes.len() == 1 && Attests::read(&request.frontend_attrs)?.is_nothing() {
        return docker(inner, job, number, work, exporter, outcomes).await;
    }
    let bundle = Bundle::of(inner, job, work, exporter, outcomes, request).await?;
    let (parts, images) = (bundle.layout(exporter)?, inner.builder.images.clone());
    wire::stream(inner, job, number, work, "sending tarball", &[], move |out| {
        images.write_layout(&parts, out).map_err(std::io::Error::other)
    })
    .await?;
    describe(&bundle, exporter)
}

/// Blobs for a folder of the client, which writes the list of them itself.
async fn layout(
    inner: &Inner,
    job: &Job,
    work: &Work<'_>,
    exporter: &Exporter,
    outcomes: &[Outcome],
    request: &SolveRequest,
) -> Result<Response, Status> {
    let bundle = Bundle::of(inner, job, work, exporter, outcomes, request).await?;
    let store = Store::new(inner.sessions.get(&job.session).await?, STORE);
    for layer in bundle.layers() {
        let blob = inner.builder.images.content().open_blob(&layer.blob).map_err(|error| refused(&error))?;
        store.write(&layer.blob, layer.blob_size, blob).await?;
        work.told(&format!("copying layer {}", layer.blob));
    }
    for bytes in bundle.documents() {
        let size = bytes.len() as u64;
        store.write(&Digest::sha256_of(bytes), size, std::io::Cursor::new(bytes.clone())).await?;
    }
    describe(&bundle, exporter)
}
