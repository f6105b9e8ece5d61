//! `image` and `moby`: into the engine's image store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::{Exporter, SolveRequest};
use gantry_images::CreateOptions;
use gantry_names::{Digest, ImageId, Platform, Reference};
use serde_json::json;

use super::attest::Attests;
use super::bundle::Bundle;
use super::{Response, credentials, describe, names, says_yes};
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
    request: &SolveRequest,
) -> Result<Response, Status> {
    let push = says_yes(exporter, "push");
    let work = job.work("exporting to image");
    // Documents of their own are made for what travels, and where the store's usual ones are not what is wanted.
    let attested = Attests::read(&request.frontend_attrs)?.is_insisted();
    let special = exporter.attrs.keys().any(|name| is_special(name));
    let documents = push || attested || special || outcomes.len() != 1;
    if !documents {
        let exported = make(inner, &work, exporter, outcomes).await;
        return work.ended(exported);
    }
    let made = bundled(inner, job, &work, exporter, outcomes, request).await;
    let (bundle, image) = work.ended(made)?;
    let mut response = describe(&bundle, exporter)?;
    if let Some(image) = &image {
        response.insert("containerimage.config.digest".into(), image.to_string());
    }
    if push {
        let digest = bundle.digest()?;
        for name in names(exporter)? {
            let name = match says_yes(exporter, "push-by-digest") {
                true => name.without_tag().with_digest(digest.clone()),
                false => name,
            };
            let work = job.work(&format!("pushing {name}"));
            let pushed = self::push(inner, job, &work, name, &digest, image.clone()).await;
            work.ended(pushed)?;
        }
    }
    Ok(response)
}

/// Whether an attribute asks for other documents than the store makes by itself.
fn is_special(name: &str) -> bool {
    name.starts_with("annotation")
        || ["compression", "compression-level", "force-compression"].contains(&name)
}

/// Makes the documents, and puts into the store what it can keep of them: every image, and under the names the one for
/// this machine.
async fn bundled(
    inner: &Inner,
    job: &Job,
    work: &Work<'_>,
    exporter: &Exporter,
    outcomes: &[Outcome],
    request: &SolveRequest,
) -> Result<(Bundle, Option<ImageId>), Status> {
    let bundle = Bundle::of(inner, job, work, exporter, outcomes, request).await?;
    bundle.keep(inner)?;
    if exporter.attrs.get("store").is_some_and(|value| value == "false") {
        return Ok((bundle, None));
    }
    let host = Platform::host();
    let named = bundle.parts.iter().position(|part| part.platform.matches(&host)).unwrap_or_default();
    let digest = bundle.digest()?;
    let mut image = None;
    let tags = if says_yes(exporter, "push-by-digest") { Vec::new() } else { names(exporter)? };
    for (number, part) in bundle.parts.iter().enumerate() {
        let options = CreateOptions {
            built_here: true,
            manifest: Some(part.manifest.clone()),
            index: (number == named && part.manifest != digest).then(|| digest.clone()),
            // The name stands for all of it: that of this machine is what runs, and a push sends the whole.
            companions: if number == named { bundle.digests() } else { Vec::new() },
            names: if number == named { tags.clone() } else { Vec::new() },
            ..CreateOptions::default()
        };
        let (images, config, layers) =
            (inner.builder.images.clone(), part.config.clone(), part.layers.clone());
        let made = tokio::task::spawn_blocking(move || images.create(&config, layers, &options)).await;
        let id = made.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        let id = id.map_err(|error| refused(&error))?;
        work.told(&format!("writing image {id}"));
        if number == named {
            inner.builder.tell_names(&id, &tags);
            image = Some(id);
        }
    }
    for tag in &tags {
        work.told(&format!("naming to {tag}"));
    }
    Ok((bundle, image))
}

/// Sends the documents to a registry, as the client's user there.
async fn push(
    inner: &Inner,
    job: &Job,
    work: &Work<'_>,
    name: Reference,
    digest: &Digest,
    image: Option<ImageId>,
) -> Result<(), Status> {
    let auth = credentials(inner, job, &name).await?;
    inner.host.push_manifest(name.clone(), digest.clone(), image, auth).await.map_err(refusal)?;
    work.told(&format!("pushing manifest for {name}@{digest}"));
    Ok(())
}

async fn make(
    inner: &Inner,
    work: &Work<'_>,
    exporter: &Exporter,
    outcomes: &[Outcome],
) -> Result<Response, Status> {
    let [outcome] = outcomes else { return Err(super::invalid("one image is exported here")) };
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
