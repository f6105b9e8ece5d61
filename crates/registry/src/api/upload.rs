//! Uploads: begin (or mount, or all at once), append, ask, finish, cancel.
//!
//! Bytes go from the connection through a short channel to a blocking thread that writes and hashes them, so the
//! network, the disk and the hash work at the same time and no more than a few pieces are in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_names::Digest;
use http::{HeaderName, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::CONTENT_DIGEST;
use crate::events::What;
use crate::hash::Hash;
use crate::http::Answer;
use crate::name::RepositoryName;
use crate::refusal::{Code, Refusal};
use crate::server::{Request, Server, plain, put};
use crate::store::blocking;
use crate::store::upload::{FinishError, Note, Upload};

/// The upload's id, as Docker's clients expect it.
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// Pieces between the connection and the disk; each is at most the connection's buffer.
const DEPTH: usize = 4;
/// Bytes for one write. The kernel keeps a file in pages as large as it was written by, and gives it out again the cheaper
/// the larger they are (docs/performance.md).
const WRITE: usize = 1 << 20;
/// An upload's earlier request may still be dying when its next one comes.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);

fn blob_location(server: &Server, name: &RepositoryName, digest: &Digest) -> String {
    format!("{}/v2/{name}/blobs/{digest}", server.rules.base_url)
}

fn created(server: &Server, name: &RepositoryName, digest: &Digest) -> Answer {
    let mut answer = plain(StatusCode::CREATED);
    put(&mut answer, header::LOCATION, &blob_location(server, name, digest));
    put(&mut answer, CONTENT_DIGEST, digest.as_str());
    answer
}

/// Where the upload goes on; `size` bytes are here.
fn under_way(server: &Server, name: &RepositoryName, id: &str, size: u64, status: StatusCode) -> Answer {
    let mut answer = plain(status);
    put(&mut answer, header::LOCATION, &format!("{}/v2/{name}/blobs/uploads/{id}", server.rules.base_url));
    put(&mut answer, header::RANGE, &format!("0-{}", size.saturating_sub(1)));
    put(&mut answer, UPLOAD_UUID, id);
    answer
}

fn digest_of(text: &str) -> Result<Digest, Refusal> {
    Digest::parse(text)
        .map_err(|err| Refusal::saying(Code::DigestInvalid, err.to_string()).with(json!({"digest": text})))
}

/// POST: mounts, takes everything at once, or begins.
pub async fn begin(server: &Arc<Server>, request: Request, name: RepositoryName) -> Result<Answer, Refusal> {
    if let Some(digest) = request.query.get("mount") {
        let digest = digest_of(digest)?;
        if mounted(server, &request, &name, &digest).await? {
            server.events.mounted(&request, &name, What::blob(&digest, 0));
            return Ok(created(server, &name, &digest));
        }
    }
    if let Some(digest) = request.query.get("digest") {
        let digest = digest_of(digest)?;
        return at_once(server, request, name, digest).await;
    }
    let algorithm = request.query.get("digest-algorithm").unwrap_or("sha256");
    if Hash::named(algorithm).is_none() {
        return Err(Refusal::saying(Code::DigestInvalid, "unsupported digest algorithm"));
    }
    check_quota(server, &name, 0).await?;
    let note = Note {
        repository: name.to_string(),
        owner: request.who.name.clone(),
        algorithm: algorithm.to_owned(),
    };
    let uploads = Arc::clone(&server.uploads);
    let id = blocking(move || uploads.begin(note)).await?;
    Ok(under_way(server, &name, &id, 0, StatusCode::ACCEPTED))
}

async fn mounted(
    server: &Arc<Server>,
    request: &Request,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<bool, Refusal> {
    let from = match request.query.get("from") {
        Some(from) => match RepositoryName::parse(from) {
            // Not allowed to read there is the same as not there: the client uploads.
            Some(from) if request.who.may_mount(&from) => Some(from),
            _ => return Ok(false),
        },
        None if server.access.is_open() => None,
        None => return Ok(false),
    };
    check_quota(server, name, 0).await?;
    let (store, to, digest) = (Arc::clone(&server.store), name.clone(), digest.clone());
    Ok(blocking(move || store.mount_blob(from.as_ref(), &to, &digest)).await?)
}

async fn check_quota(server: &Arc<Server>, name: &RepositoryName, more: u64) -> Result<(), Refusal> {
    let Some(quota) = server.rules.quota(name) else { return Ok(()) };
    let (store, of) = (Arc::clone(&server.store), name.clone());
    let used = blocking(move || store.usage(&of)).await?;
    if used.saturating_add(more) > quota || used == quota {
        let message = format!("quota exceeded: {name} holds {used} of {quota} bytes");
        return Err(Refusal::saying(Code::Denied, message));
    }
    Ok(())
}

async fn at_once(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    digest: Digest,
) -> Result<Answer, Refusal> {
    check_quota(server, &name, content_length(&request).unwrap_or(0)).await?;
    let note = Note {
        repository: name.to_string(),
        owner: request.who.name.clone(),
        algorithm: digest.algorithm().to_owned(),
    };
    let uploads = Arc::clone(&server.uploads);
    let upload = blocking(move || uploads.single(note)).await?;
    let upload = Arc::new(tokio::sync::Mutex::new(upload));
    let held = Arc::clone(&upload).lock_owned().await;
    let Request { body, method, headers, query, peer, who } = request;
    let (mut held, received) = receive(server, held, body, content_length_of(&headers)).await;
    let finished = match received {
        Ok(()) => commit(server, &name, &digest, held).await,
        Err(refusal) => {
            held.discard();
            Err(refusal)
        }
    };
    let size = finished?;
    let told = crate::events::Origin::of(&method, &headers, &query, &peer, &who);
    server.events.pushed(told, &name, What::blob(&digest, size));
    Ok(created(server, &name, &digest))
}

fn content_length_of(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn content_length(request: &Request) -> Option<u64> {
    content_length_of(&request.headers)
}

type Held = OwnedMutexGuard<Upload>;

/// Takes the whole body into the upload. What came before a failure stays in it.
async fn receive(
    server: &Server,
    held: Held,
    mut body: Incoming,
    announced: Option<u64>,
) -> (Held, Result<(), Refusal>) {
    if announced == Some(0) {
        return (held, Ok(()));
    }
    let (to, mut from) = mpsc::channel::<Bytes>(DEPTH);
    let writer = tokio::task::spawn_blocking(move || {
        let mut held = held;
        let mut gathered = Vec::with_capacity(WRITE);
        while let Some(mut bytes) = from.blocking_recv() {
            while !bytes.is_empty() {
                gathered.extend_from_slice(&bytes.split_to(bytes.len().min(WRITE - gathered.len())));
                if gathered.len() == WRITE {
                    if let Err(err) = held.write(&gathered) {
                        return (held, Err(err));
                    }
                    gathered.clear();
                }
            }
        }
        let rest = held.write(&gathered);
        (held, rest)
    });
    let sent = async {
        loop {
            let frame = tokio::time::timeout(server.rules.patience, body.frame()).await;
            let frame = frame.map_err(|_| {
                Refusal::saying(Code::BlobUploadInvalid, "the body stopped coming")
                    .status(StatusCode::REQUEST_TIMEOUT)
            })?;
            match frame {
                None => return Ok(()),
                Some(Ok(frame)) => {
                    // A closed channel is a failed writer: it tells why itself.
                    if let Ok(bytes) = frame.into_data()
                        && to.send(bytes).await.is_err()
                    {
                        return Ok(());
                    }
                }
                Some(Err(err)) => {
                    return Err(Refusal::saying(Code::SizeInvalid, format!("the body broke off: {err}")));
                }
            }
        }
    };
    let sent: Result<(), Refusal> = sent.await;
    drop(to);
    match writer.await {
        Ok((held, Ok(()))) => (held, sent),
        Ok((held, Err(err))) => (held, Err(err.into())),
        Err(err) => std::panic::resume_unwind(err.into_panic()),
    }
}

/// Verifies, syncs, adopts. Then the upload is over, and so it is when its bytes are not what was announced; when the
/// storage fails it stays, and the client may finish it again.
async fn commit(
    server: &Arc<Server>,
    name: &RepositoryName,
    digest: &Digest,
    mut held: Held,
) -> Result<u64, Refusal> {
    if let Err(refusal) = check_quota(server, name, held.size()).await {
        held.discard();
        return Err(refusal);
    }
    let (store, sync) = (Arc::clone(&server.store), server.rules.sync);
    let (name, digest) = (name.clone(), digest.clone());
    blocking(move || {
        let done = held.finish(&digest, sync).map_err(|err| match err {
            FinishError::Digest { found } => {
                Refusal::new(Code::DigestInvalid).with(json!({"digest": digest, "found": found}))
            }
            FinishError::Io(err) => err.into(),
        });
        let adopted = done.and_then(|path| {
            let path = path.to_owned();
            Ok(store.adopt_blob(&name, &digest, &path)?)
        });
        let failed = adopted.as_ref().is_err_and(|refusal| refusal.status.is_server_error());
        if !failed {
            held.discard();
        }
        adopted.map(|()| held.size())
    })
    .await
}

/// Finds an upload and waits for its turn.
async fn find(
    server: &Arc<Server>,
    request: &Request,
    name: &RepositoryName,
    id: &str,
) -> Result<Held, Refusal> {
    let uploads = Arc::clone(&server.uploads);
    let (of, owner, wanted) = (name.clone(), request.who.name.clone(), id.to_owned());
    let found = blocking(move || uploads.get(&wanted, &of, owner.as_deref())).await?;
    let shared = found.ok_or_else(|| Refusal::new(Code::BlobUploadUnknown).with(json!({"uuid": id})))?;
    let held = tokio::time::timeout(BUSY_PATIENCE, shared.lock_owned()).await.map_err(|_| {
        Refusal::saying(Code::BlobUploadInvalid, "another request is writing this upload")
            .status(StatusCode::CONFLICT)
    })?;
    if held.over() {
        return Err(Refusal::new(Code::BlobUploadUnknown).with(json!({"uuid": id})));
    }
    Ok(held)
}

/// `Content-Range: 10-19`: the piece must begin where the upload stands, and be as long as it says.
fn check_range(request: &Request, size: u64) -> Result<(), Refusal> {
    let Some(range) = request.header(header::CONTENT_RANGE) else { return Ok(()) };
    let text = range.trim_start_matches("bytes").trim_start_matches([' ', '=']);
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let wrong = || Refusal::new(Code::RangeInvalid).with(json!({"range": range, "offset": size}));
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to): (u64, u64) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
    if from != size || to.checked_add(1).is_none_or(|end| end < from) {
        return Err(wrong());
    }
    match content_length(request) {
        Some(length) if length != to + 1 - from => Err(Refusal::new(Code::SizeInvalid)),
        _ => Ok(()),
    }
}

/// A refusal that tells the client where the upload stands.
fn standing(
    server: &Server,
    name: &RepositoryName,
    id: &str,
    size: u64,
    refusal: Refusal,
) -> Result<Answer, Refusal> {
    if refusal.status != StatusCode::RANGE_NOT_SATISFIABLE {
        return Err(refusal);
    }
    let mut answer = under_way(server, name, id, size, StatusCode::RANGE_NOT_SATISFIABLE);
    *answer.body_mut() = crate::http::Body::Bytes(refusal.body().into());
    put(&mut answer, header::CONTENT_TYPE, "application/json; charset=utf-8");
    Ok(answer)
}

/// GET: how far an upload has come.
pub async fn status(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    id: String,
) -> Result<Answer, Refusal> {
    let held = find(server, &request, &name, &id).await?;
    Ok(under_way(server, &name, &id, held.size(), StatusCode::NO_CONTENT))
}

/// PATCH: one more piece.
pub async fn append(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    id: String,
) -> Result<Answer, Refusal> {
    let held = find(server, &request, &name, &id).await?;
    if let Err(refusal) = check_range(&request, held.size()) {
        return standing(server, &name, &id, held.size(), refusal);
    }
    let announced = content_length(&request);
    check_quota(server, &name, held.size() + announced.unwrap_or(0)).await?;
    let (held, received) = receive(server, held, request.body, announced).await;
    received?;
    Ok(under_way(server, &name, &id, held.size(), StatusCode::ACCEPTED))
}

/// PUT: the last piece, if any, and the digest.
pub async fn finish(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    id: String,
) -> Result<Answer, Refusal> {
    let digest = request.query.get("digest");
    let digest = digest_of(digest.ok_or_else(|| Refusal::saying(Code::DigestInvalid, "digest missing"))?)?;
    let held = find(server, &request, &name, &id).await?;
    if let Err(refusal) = check_range(&request, held.size()) {
        return standing(server, &name, &id, held.size(), refusal);
    }
    let Request { body, method, headers, query, peer, who } = request;
    let (held, received) = receive(server, held, body, content_length_of(&headers)).await;
    received?;
    let finished = commit(server, &name, &digest, held).await;
    if !finished.as_ref().is_err_and(|refusal| refusal.status.is_server_error()) {
        server.uploads.forget(&id);
    }
    let size = finished?;
    let told = crate::events::Origin::of(&method, &headers, &query, &peer, &who);
    server.events.pushed(told, &name, What::blob(&digest, size));
    Ok(created(server, &name, &digest))
}

/// DELETE: gives an upload up.
pub async fn cancel(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    id: String,
) -> Result<Answer, Refusal> {
    let mut held = find(server, &request, &name, &id).await?;
    held.discard();
    server.uploads.forget(&id);
    Ok(plain(StatusCode::NO_CONTENT))
}
