//! GET, HEAD, PUT and DELETE of manifests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_names::Digest;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;

use super::CONTENT_DIGEST;
use crate::events::{Origin, What};
use crate::hash::Hash;
use crate::http::{Answer, Body};
use crate::manifest::{Manifest, SIZE_MAX};
use crate::name::{RepositoryName, Tag};
use crate::refusal::{Code, Refusal};
use crate::server::{Request, Server, plain, put as set};
use crate::store::blocking;
use crate::store::cache::Stored;
use crate::store::manifest::{Deletion, Put, PutError, Target};

/// Tells a client that its manifest's subject was understood.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// A tag that a push by digest has set.
const TAGGED: HeaderName = HeaderName::from_static("oci-tag");
/// A manifest must be here within this time.
const PATIENCE: Duration = Duration::from_secs(60);

fn unknown(target: &Target) -> Refusal {
    let detail = match target {
        Target::Tag(tag) => json!({"Tag": tag.as_str()}),
        Target::Digest(digest) => json!({"Digest": digest}),
    };
    Refusal::new(Code::ManifestUnknown).with(detail)
}

/// Sends a manifest.
pub async fn get(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    target: Target,
) -> Result<Answer, Refusal> {
    let stored = match &server.proxy {
        Some(proxy) => proxy.manifest(server, &name, &target).await?,
        None => find(server, &name, &target).await?,
    };
    let stored = stored.ok_or_else(|| unknown(&target))?;
    let etag = format!("\"{}\"", stored.digest);
    if request
        .header(header::IF_NONE_MATCH)
        .is_some_and(|known| known == etag || known == stored.digest.as_str())
    {
        return Ok(plain(StatusCode::NOT_MODIFIED));
    }
    let body = match request.method {
        Method::HEAD => Body::Head(stored.bytes.len() as u64),
        _ => Body::Bytes(stored.bytes.clone()),
    };
    let mut answer = Answer::new(body);
    set(&mut answer, header::CONTENT_TYPE, &stored.media_type);
    set(&mut answer, header::ETAG, &etag);
    set(&mut answer, CONTENT_DIGEST, stored.digest.as_str());
    if request.method == Method::GET {
        server.events.pulled(&request, &name, What::manifest(&stored, &target));
    }
    Ok(answer)
}

/// A manifest from memory, else from the store.
pub(crate) async fn find(
    server: &Arc<Server>,
    name: &RepositoryName,
    target: &Target,
) -> Result<Option<Arc<Stored>>, Refusal> {
    if let Some(stored) = server.store.cached_manifest(name, target) {
        return Ok(Some(stored));
    }
    let (store, name, target) = (Arc::clone(&server.store), name.clone(), target.clone());
    Ok(blocking(move || store.manifest(&name, &target)).await?)
}

/// Takes a manifest.
pub async fn put(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    target: Target,
) -> Result<Answer, Refusal> {
    let Request { method, headers, query, body, peer, who } = request;
    let origin = Origin::of(&method, &headers, &query, &peer, &who);
    let bytes = read(body).await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    let manifest = Manifest::parse(&bytes, content_type.filter(|value| !value.is_empty()))
        .map_err(|err| Refusal::saying(Code::ManifestInvalid, format!("manifest invalid: {err}")))?;
    let digest = match &target {
        Target::Tag(_) => Digest::sha256_of(&bytes),
        Target::Digest(digest) => {
            let found = Hash::of(&bytes, digest);
            if found != *digest {
                return Err(Refusal::new(Code::DigestInvalid).with(json!({"digest": digest, "found": found})));
            }
            found
        }
    };
    let tags = tags_of(&target, &query)?;
    let stored = store(server, &name, &digest, bytes, manifest, tags.clone()).await?;
    let mut answer = plain(StatusCode::CREATED);
    set(&mut answer, header::LOCATION, &format!("{}/v2/{name}/manifests/{digest}", server.rules.base_url));
    set(&mut answer, CONTENT_DIGEST, digest.as_str());
    if let Some(subject) = &stored.subject {
        set(&mut answer, SUBJECT, subject.as_str());
    }
    if matches!(target, Target::Digest(_)) {
        for tag in &tags {
            if let Ok(value) = HeaderValue::from_str(tag.as_str()) {
                answer.headers_mut().append(TAGGED, value);
            }
        }
    }
    let what = What {
        digest: digest.clone(),
        media_type: stored.media_type.clone(),
        size: stored.size,
        tag: tags.first().map(ToString::to_string),
    };
    server.events.pushed(origin, &name, what);
    Ok(answer)
}

async fn read(body: hyper::body::Incoming) -> Result<Bytes, Refusal> {
    let limited = Limited::new(body, SIZE_MAX).collect();
    let read = tokio::time::timeout(PATIENCE, limited).await.map_err(|_| {
        Refusal::saying(Code::ManifestInvalid, "the body stopped coming").status(StatusCode::REQUEST_TIMEOUT)
    })?;
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(err) if err.is::<LengthLimitError>() => {
            let message = format!("manifest is larger than {SIZE_MAX} bytes");
            Err(Refusal::saying(Code::SizeInvalid, message).status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Err(err) => Err(Refusal::saying(Code::SizeInvalid, format!("the body broke off: {err}"))),
    }
}

/// The tags a PUT sets: the one in the path, or those in the query of a push by digest.
fn tags_of(target: &Target, query: &crate::http::Query) -> Result<Vec<Tag>, Refusal> {
    match target {
        Target::Tag(tag) => Ok(vec![tag.clone()]),
        Target::Digest(_) => query
            .all("tag")
            .map(|text| Tag::parse(text).ok_or_else(|| Refusal::saying(Code::TagInvalid, "invalid tag name")))
            .collect(),
    }
}

struct Kept {
    subject: Option<Digest>,
    media_type: String,
    size: u64,
}

async fn store(
    server: &Arc<Server>,
    name: &RepositoryName,
    digest: &Digest,
    bytes: Bytes,
    manifest: Manifest,
    tags: Vec<Tag>,
) -> Result<Kept, Refusal> {
    let (server, name, digest) = (Arc::clone(server), name.clone(), digest.clone());
    blocking(move || {
        let immutable = |tag: &Tag| server.rules.immutable(&name, tag);
        let done = server.store.put_manifest(&Put {
            name: &name,
            digest: &digest,
            bytes: &bytes,
            manifest: &manifest,
            tags: &tags,
            immutable: &immutable,
            sparse: server.rules.sparse,
            cached: false,
        });
        done.map_err(|err| match err {
            PutError::Missing(digest) => {
                Refusal::new(Code::ManifestBlobUnknown).with(json!({"digest": digest}))
            }
            PutError::Immutable(tag) => {
                Refusal::saying(Code::Denied, format!("tag {tag} is immutable and names another image"))
            }
            PutError::Io(err) => err.into(),
        })?;
        Ok(Kept { subject: manifest.subject, media_type: manifest.media_type, size: bytes.len() as u64 })
    })
    .await
}

/// Deletes a tag, or a manifest with its tags.
pub async fn delete(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    target: Target,
) -> Result<Answer, Refusal> {
    if !server.rules.delete {
        return Err(Refusal::new(Code::Unsupported));
    }
    if let Target::Tag(tag) = &target
        && server.rules.immutable(&name, tag)
    {
        return Err(Refusal::saying(Code::Denied, format!("tag {tag} is immutable")));
    }
    let (for_store, of, gone) = (Arc::clone(server), name.clone(), target.clone());
    let deleted = blocking(move || match &gone {
        Target::Tag(tag) => for_store.store.delete_tag(&of, tag).map_err(Refusal::from),
        Target::Digest(digest) => {
            let immutable = |tag: &Tag| for_store.rules.immutable(&of, tag);
            match for_store.store.delete_manifest(&of, digest, &immutable)? {
                Deletion::Done => Ok(true),
                Deletion::Absent => Ok(false),
                Deletion::Immutable(tag) => {
                    Err(Refusal::saying(Code::Denied, format!("tag {tag} is immutable")))
                }
            }
        }
    });
    if !deleted.await? {
        return Err(unknown(&target));
    }
    server.events.deleted(&request, &name, What::gone(&target));
    Ok(plain(StatusCode::ACCEPTED))
}
