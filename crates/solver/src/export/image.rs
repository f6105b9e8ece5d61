//! `image` and `moby`: into the engine's image store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::Exporter;
use gantry_names::Reference;
use serde_json::json;

use super::{Response, credentials, names, says_yes};
use crate::Inner;
use crate::job::{Job, Outcome, Work};
use crate::story::{refusal, refused};

/// Refuses what the store cannot take.
pub(super) fn check(exporter: &Exporter) -> Result<(), Status> {
    if says_yes(exporter, "push") && names(exporter)?.is_empty() {
        return Err(super::invalid("tag is needed when pushing to registry"));
    }
    Ok(())
}

pub(super) async fn export(
    inner: &Inner,
    job: &Job,
    exporter: &Exporter,
    outcomes: &[Outcome],
) -> Result<Response, Status> {
    let work = job.work("exporting to image");
    let exported = make(inner, &work, exporter, outcomes).await;
    let mut response = work.ended(exported)?;
    if says_yes(exporter, "push") {
        for name in names(exporter)? {
            let work = job.work(&format!("pushing {name}"));
            let pushed = push(inner, job, &work, name).await;
            if let Some(digest) = work.ended(pushed)? {
                response.insert("containerimage.digest".into(), digest);
            }
        }
    }
    Ok(response)
}

/// Sends an image to its registry, as the client's user there.
async fn push(inner: &Inner, job: &Job, work: &Work<'_>, name: Reference) -> Result<Option<String>, Status> {
    let auth = credentials(inner, job, &name).await?;
    let digest = inner.host.push(name.clone(), auth).await.map_err(refusal)?;
    if let Some(digest) = &digest {
        work.told(&format!("pushing manifest for {name}@{digest}"));
    }
    Ok(digest)
}

async fn make(
    inner: &Inner,
    work: &Work<'_>,
    exporter: &Exporter,
    outcomes: &[Outcome],
) -> Result<Response, Status> {
    let [outcome] = outcomes else {
        let text =
            "one name of this engine's image store stands for one platform: export several with type=oci";
        return Err(Status::new(Code::Unimplemented, text));
    };
    let tags = names(exporter)?;
    work.told("exporting layers");
    let (builder, built, named) = (inner.builder.clone(), outcome.built.clone(), tags.clone());
    let made = tokio::task::spawn_blocking(move || builder.image(&built, &named));
    let id = made.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    let id = id.map_err(|error| refused(&error))?;
    work.told(&format!("writing image {id}"));
    for tag in &tags {
        work.told(&format!("naming to {tag}"));
    }
    let mut response = Response::new();
    let size = inner.builder.images.config_bytes(&id).map(|bytes| bytes.len()).unwrap_or_default();
    let descriptor =
        json!({ "mediaType": "application/vnd.docker.container.image.v1+json", "digest": id, "size": size });
    response.insert("containerimage.descriptor".into(), STANDARD.encode(descriptor.to_string()));
    response.insert("containerimage.config.digest".into(), id.to_string());
    response.insert("containerimage.digest".into(), id.to_string());
    if !tags.is_empty() {
        let list: Vec<String> = tags.iter().map(ToString::to_string).collect();
        response.insert("image.name".into(), list.join(","));
    }
    Ok(response)
}
