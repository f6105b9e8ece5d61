//! GET, HEAD and DELETE of blobs.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use gantry_names::Digest;
use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use serde_json::json;

use super::CONTENT_DIGEST;
use crate::events::What;
use crate::http::{Answer, Body};
use crate::name::RepositoryName;
use crate::refusal::{Code, Refusal};
use crate::server::{Request, Server, plain, put};
use crate::store::blocking;
use crate::store::driver::Source;

/// What is shorter is read at once and sent with its head in one packet.
const SMALL: u64 = 32 << 10;

fn unknown(digest: &Digest) -> Refusal {
    Refusal::new(Code::BlobUnknown).with(json!({"digest": digest}))
}

/// Sends a blob or a range of it.
pub async fn get(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    digest: Digest,
) -> Result<Answer, Refusal> {
    let size = match server.store.cached_blob(&name, &digest) {
        Some(size) => Some(size),
        None => {
            let (store, name, digest) = (Arc::clone(&server.store), name.clone(), digest.clone());
            blocking(move || store.blob(&name, &digest)).await?
        }
    };
    let (size, coming) = match (size, &server.proxy) {
        (Some(size), _) => (size, None),
        (None, Some(proxy)) => proxy
            .blob(server, &name, &digest, request.method == Method::GET)
            .await?
            .ok_or_else(|| unknown(&digest))?,
        (None, None) => return Err(unknown(&digest)),
    };
    let etag = format!("\"{digest}\"");
    if request.header(header::IF_NONE_MATCH).is_some_and(|known| known == etag || known == digest.as_str()) {
        return Ok(plain(StatusCode::NOT_MODIFIED));
    }
    let range = match requested_range(&request.headers, size, &etag) {
        Requested::All => None,
        Requested::Part(from, to) => Some((from, to)),
        Requested::Impossible => {
            let mut answer = plain(StatusCode::RANGE_NOT_SATISFIABLE);
            put(&mut answer, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(answer);
        }
    };
    if request.method == Method::GET
        && coming.is_none()
        && let Some(elsewhere) = redirect(server, &digest).await?
    {
        if range.is_none_or(|(from, _)| from == 0) {
            server.events.pulled(&request, &name, What::blob(&digest, size));
        }
        return Ok(elsewhere);
    }
    let (from, length) = range.map_or((0, size), |(from, to)| (from, to - from + 1));
    let body = if request.method == Method::HEAD {
        // A client that is told "here" will not send it: from now on it must stay.
        server.store.touch(&digest);
        Body::Head(length)
    } else if let Some(coming) = coming {
        Body::Stream { bytes: coming.follow(from, length), left: length }
    } else {
        open(server, &request, &digest, from, length).await?.ok_or_else(|| unknown(&digest))?
    };
    let mut answer = Answer::new(body);
    if let Some((from, to)) = range {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        put(&mut answer, header::CONTENT_RANGE, &format!("bytes {from}-{to}/{size}"));
    }
    put(&mut answer, header::CONTENT_TYPE, "application/octet-stream");
    put(&mut answer, header::ACCEPT_RANGES, "bytes");
    put(&mut answer, header::CACHE_CONTROL, "max-age=31536000");
    put(&mut answer, header::ETAG, &etag);
    put(&mut answer, CONTENT_DIGEST, digest.as_str());
    if request.method == Method::GET && from == 0 {
        server.events.pulled(&request, &name, What::blob(&digest, size));
    }
    Ok(answer)
}

/// Sends a client to the far store itself: the bytes need not pass through here. A range goes with it.
async fn redirect(server: &Arc<Server>, digest: &Digest) -> Result<Option<Answer>, Refusal> {
    if !server.rules.redirect || !server.store.is_far() {
        return Ok(None);
    }
    let (store, of) = (Arc::clone(&server.store), digest.clone());
    let url = match blocking(move || store.blob_url(&of)).await {
        Ok(url) => url,
        Err(err) => {
            // The bytes can still go through here.
            tracing::warn!(error = %err, "the far store's URL could not be signed");
            None
        }
    };
    Ok(url.map(|url| {
        let mut answer = plain(StatusCode::TEMPORARY_REDIRECT);
        put(&mut answer, header::LOCATION, &url);
        put(&mut answer, CONTENT_DIGEST, digest.as_str());
        answer
    }))
}

async fn open(
    server: &Arc<Server>,
    request: &Request,
    digest: &Digest,
    from: u64,
    length: u64,
) -> Result<Option<Body>, Refusal> {
    let store = Arc::clone(&server.store);
    let lane = request.peer.lane.clone();
    let digest = digest.clone();
    let opened = blocking(move || -> io::Result<Option<Body>> {
        Ok(match store.open_blob(&digest, from, length)? {
            None => None,
            Some(Source::File(file)) if length <= SMALL => {
                let mut bytes = vec![0; length as usize];
                file.read_exact_at(&mut bytes, from)?;
                Some(Body::Bytes(bytes.into()))
            }
            Some(Source::File(file)) => {
                Some(Body::File { file: Arc::new(file), offset: from, left: length, lane })
            }
            Some(Source::Stream(bytes)) => Some(Body::Stream { bytes, left: length }),
        })
    });
    Ok(opened.await?)
}

enum Requested {
    All,
    Part(u64, u64),
    Impossible,
}

/// One range of bytes. Several, or what is no range, mean the whole, as RFC 9110 allows.
fn requested_range(headers: &HeaderMap, size: u64, etag: &str) -> Requested {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else {
        return Requested::All;
    };
    if text(header::IF_RANGE).is_some_and(|condition| condition != etag) {
        return Requested::All;
    }
    let Some((from, to)) = range.split_once('-') else { return Requested::All };
    let (from, to) = match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => (from, to.min(size.saturating_sub(1))),
        (Ok(from), Err(_)) if to.trim().is_empty() => (from, size.saturating_sub(1)),
        (Err(_), Ok(last)) if from.trim().is_empty() && last > 0 => {
            (size.saturating_sub(last), size.saturating_sub(1))
        }
        (Ok(_), Ok(_)) => return Requested::Impossible,
        _ => return Requested::All,
    };
    if from >= size { Requested::Impossible } else { Requested::Part(from, to) }
}

/// Takes a blob from a repository.
pub async fn delete(
    server: &Arc<Server>,
    request: Request,
    name: RepositoryName,
    digest: Digest,
) -> Result<Answer, Refusal> {
    if !server.rules.delete {
        return Err(Refusal::new(Code::Unsupported));
    }
    let store = Arc::clone(&server.store);
    let (of, gone) = (name.clone(), digest.clone());
    if !blocking(move || store.unlink_blob(&of, &gone)).await? {
        return Err(unknown(&digest));
    }
    server.events.deleted(&request, &name, What::blob(&digest, 0));
    Ok(plain(StatusCode::ACCEPTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str, size: u64) -> Option<(u64, u64)> {
        let headers = HeaderMap::from_iter([(header::RANGE, text.parse().unwrap())]);
        match requested_range(&headers, size, "\"e\"") {
            Requested::All => Some((0, u64::MAX)),
            Requested::Part(from, to) => Some((from, to)),
            Requested::Impossible => None,
        }
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        assert_eq!(range("bytes=0-4", 10), Some((0, 4)));
        assert_eq!(range("bytes=5-", 10), Some((5, 9)));
        assert_eq!(range("bytes=-3", 10), Some((7, 9)));
        assert_eq!(range("bytes=5-99", 10), Some((5, 9)));
        assert_eq!(range("bytes=-99", 10), Some((0, 9)));
        assert_eq!(range("bytes=10-", 10), None);
        assert_eq!(range("bytes=5-4", 10), None);
        assert_eq!(range("bytes=0-", 0), None);
        for whole in ["bytes=0-1,3-4", "lines=1-2", "bytes=", "bytes=-0", "bytes=x-y"] {
            assert_eq!(range(whole, 10), Some((0, u64::MAX)), "{whole}");
        }
    }
}
