//! `--cache-to`: a build's steps to a registry or a folder of the client.

use std::collections::{BTreeMap, HashMap};

use gantry_build::shared::Shared;
use gantry_buildkit::content::Store;
use gantry_buildkit::grpc::Status;
use gantry_buildkit::proto::control::{CacheOptionsEntry, SolveRequest};
use gantry_images::{Layer, Lease};
use gantry_names::{Digest, Reference};
use serde_json::json;

use super::document::Document;
use super::{CONFIG, MANIFEST, store_of};
use crate::Inner;
use crate::export::{Packed, credentials, invalid, says};
use crate::job::{Job, Outcome, Work};
use crate::story::{refusal, refused};

/// Refuses, before anything is built, what cannot be exported.
pub(crate) fn check(entry: &CacheOptionsEntry) -> Result<(), Status> {
    match entry.kind.as_str() {
        "inline" => return Ok(()),
        "registry" => drop(reference(entry)?),
        "local" if !entry.attrs.contains_key("dest") => {
            return Err(invalid("local cache exporter requires dest"));
        }
        "local" => {}
        other => {
            let text =
                format!("unknown cache exporter: {other:?}: inline, local and registry are known here");
            return Err(invalid(text));
        }
    }
    mode(entry)?;
    Packed::read(&entry.attrs).map(drop)
}

/// Whether the steps of all stages go, or only those of the result.
fn mode(entry: &CacheOptionsEntry) -> Result<bool, Status> {
    match entry.attrs.get("mode").map(String::as_str) {
        None | Some("" | "min") => Ok(false),
        Some("max") => Ok(true),
        Some(other) => Err(invalid(format!("unsupported cache export mode: {other}"))),
    }
}

fn reference(entry: &CacheOptionsEntry) -> Result<Reference, Status> {
    let name = entry.attrs.get("ref").map(String::as_str).unwrap_or_default();
    let reference = Reference::parse(name).map_err(|error| invalid(error.to_string()))?;
    Ok(reference.or_latest())
}

/// Exports to every place that was asked for. Gives what the client is told.
pub(crate) async fn export(
    inner: &Inner,
    job: &Job,
    request: &SolveRequest,
    outcomes: &[Outcome],
) -> Result<BTreeMap<String, String>, Status> {
    let mut response = BTreeMap::new();
    let asked = request.cache.iter().flat_map(|cache| &cache.exports);
    for entry in asked.filter(|entry| entry.kind != "inline") {
        let to = if entry.kind == "local" { "client directory" } else { "registry" };
        let work = job.work(&format!("exporting cache to {to}"));
        let exported = one(inner, job, &work, entry, outcomes).await;
        match work.ended(exported) {
            // A client writes the name down in its folders: theirs is the one that counts.
            Ok(Some((name, said))) if entry.kind == "local" => drop(response.insert(name, said)),
            Ok(Some((name, said))) => drop(response.entry(name).or_insert(said)),
            Ok(None) => {}
            Err(_) if says(&entry.attrs, "ignore-error") => {}
            Err(status) => return Err(status),
        }
    }
    Ok(response)
}

async fn one(
    inner: &Inner,
    job: &Job,
    work: &Work<'_>,
    entry: &CacheOptionsEntry,
    outcomes: &[Outcome],
) -> Result<Option<(String, String)>, Status> {
    let all = mode(entry)?;
    let mut steps: Vec<Shared> = Vec::new();
    for outcome in outcomes {
        for step in inner.builder.shared(&outcome.built, all) {
            if !steps.iter().any(|known| known.key == step.key) {
                steps.push(step);
            }
        }
    }
    if steps.is_empty() {
        work.told("skipping cache export for empty result");
        return Ok(None);
    }
    work.told("preparing build cache for export");
    // The blobs that are made for the way stay until it is done.
    let lease = inner.builder.images.lease();
    let (layers, lease) = pack(inner, &mut steps, &Packed::read(&entry.attrs)?, lease).await?;
    let config = serde_json::to_vec(&Document::of(&steps)).map_err(|error| refused_json(&error))?;
    let config_digest = Digest::sha256_of(&config);
    let described = |layer: &Layer| json!({ "mediaType": layer.media_type, "digest": layer.blob, "size": layer.blob_size });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": config_digest, "size": config.len() },
        "layers": layers.iter().map(described).collect::<Vec<_>>(),
    });
    let manifest = serde_json::to_vec(&manifest).map_err(|error| refused_json(&error))?;
    let digest = Digest::sha256_of(&manifest);
    work.told(&format!("writing config {config_digest}"));
    work.told(&format!("writing cache image manifest {digest}"));
    match entry.kind.as_str() {
        "local" => {
            let folder = entry.attrs.get("dest").map(String::as_str).unwrap_or_default();
            let store = Store::new(inner.sessions.get(&job.session).await?, store_of(folder));
            for layer in &layers {
                let blob = inner.builder.images.content().open_blob(&layer.blob).map_err(|e| refused(&e))?;
                store.write(&layer.blob, layer.blob_size, blob).await?;
                work.told(&format!("writing layer {}", layer.blob));
            }
            for (digest, bytes) in [(&config_digest, config.clone()), (&digest, manifest.clone())] {
                store.write(digest, bytes.len() as u64, std::io::Cursor::new(bytes)).await?;
            }
        }
        _ => {
            let content = inner.builder.images.content();
            for bytes in [&config, &manifest] {
                content.put(bytes).map_err(|error| refused(&error))?;
            }
            let name = reference(entry)?;
            let auth = credentials(inner, job, &name).await?;
            inner.host.push_manifest(name, digest.clone(), None, auth).await.map_err(refusal)?;
        }
    }
    drop(lease);
    let descriptor = json!({ "mediaType": MANIFEST, "digest": digest, "size": manifest.len() });
    Ok(Some(("cache.manifest".to_owned(), descriptor.to_string())))
}

fn refused_json(error: &serde_json::Error) -> Status {
    Status::new(gantry_buildkit::grpc::Code::Internal, error.to_string())
}

/// Compresses the steps' layers as they are to travel; gives each blob once.
async fn pack(
    inner: &Inner,
    steps: &mut Vec<Shared>,
    packed: &Packed,
    lease: Lease,
) -> Result<(Vec<Layer>, Lease), Status> {
    let (images, mut own, packed) = (inner.builder.images.clone(), std::mem::take(steps), packed.clone());
    let work = move || {
        let mut done: HashMap<Digest, Layer> = HashMap::new();
        let mut layers: Vec<Layer> = Vec::new();
        for layer in own.iter_mut().filter_map(|step| step.layer.as_mut()) {
            let ready = match done.get(&layer.blob) {
                Some(ready) => ready.clone(),
                None => {
                    let ready = packed.layer(&images, layer)?;
                    done.insert(layer.blob.clone(), ready.clone());
                    layers.push(ready.clone());
                    ready
                }
            };
            *layer = ready;
        }
        Ok::<_, gantry_images::Error>((own, layers))
    };
    let made = tokio::task::spawn_blocking(work).await;
    let made = made.map_err(|error| Status::new(gantry_buildkit::grpc::Code::Internal, error.to_string()))?;
    let (own, layers) = made.map_err(|error| refused(&error))?;
    *steps = own;
    Ok((layers, lease))
}
