//! Objects in segments.
//!
//! A segment is made to vanish by itself after a week, and told to stay when all are there: what a killed registry
//! leaves behind goes without anybody's help. Only then the manifest is written, so an object that can be read never
//! vanishes in part.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::Method;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use serde_json::json;

use super::wire::{self, Call, Wire, encode, encode_path};
use super::{REMOVALS, Trouble, number};

/// Seconds until a segment that no manifest names is gone.
const VANISHES: &str = "604800";
/// A dynamic object is whole when Swift's listing knows all its segments: that may take it a moment.
const LISTED: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(200);

/// A segment that is there.
#[derive(Debug, Clone)]
struct Segment {
    number: usize,
    key: String,
    size: u64,
    e_tag: Option<String>,
}

/// An upload under way.
#[derive(Debug)]
pub(super) struct Large {
    wire: Arc<Wire>,
    key: String,
    /// Where its segments lie.
    segments: String,
    begun: usize,
    done: Arc<Mutex<Vec<Segment>>>,
    fixed: bool,
}

impl Large {
    pub async fn begin(wire: Arc<Wire>, location: &Path) -> Result<Self> {
        let mut unique = [0; 16];
        getrandom::fill(&mut unique).map_err(|err| Trouble::Answer(err.to_string()))?;
        let unique: String = unique.iter().map(|byte| format!("{byte:02x}")).collect();
        let segments = format!("{}/{}/{}", wire.settings.segments, &unique[..3], &unique[3..]);
        let fixed = wire.door(None).await?.info.slo;
        Ok(Self { wire, key: location.to_string(), segments, begun: 0, done: Arc::default(), fixed })
    }

    fn done(&self) -> Vec<Segment> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner).clone();
        done.sort_by_key(|segment| segment.number);
        done
    }

    /// From now on the segments stay.
    async fn keep(&self, segments: &[Segment]) -> Result<()> {
        let kept = stream::iter(segments.to_vec()).map(|segment| async move {
            let call = Call::new(Method::POST, &segment.key)
                .header("x-remove-delete-at", "true")
                .header("content-type", "application/octet-stream");
            self.wire.call(&call).await.map(drop).map_err(Error::from)
        });
        kept.buffer_unordered(REMOVALS).try_collect().await
    }

    /// The manifest that names each segment, with its size and checksum.
    async fn fixed(&self, segments: &[Segment]) -> Result<Option<String>> {
        let container = &self.wire.settings.container;
        let lines: Vec<_> = segments
            .iter()
            .map(|segment| {
                let path = format!("/{container}/{}", segment.key);
                json!({"path": path, "etag": segment.e_tag, "size_bytes": segment.size})
            })
            .collect();
        let manifest = json!(lines).to_string();
        let call = Call::new(Method::PUT, &self.key)
            .query("multipart-manifest=put".to_owned())
            .header("content-type", "application/octet-stream")
            .body(manifest.into_bytes().into());
        let answer = self.wire.call(&call).await?;
        Ok(answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned))
    }

    /// The manifest that names the segments by how their names begin.
    async fn dynamic(&self, size: u64) -> Result<Option<String>> {
        let place = format!("{}/{}/", encode(&self.wire.settings.container), encode_path(&self.segments));
        let call = Call::new(Method::PUT, &self.key)
            .header("content-type", "application/octet-stream")
            .header("x-object-manifest", &place);
        self.wire.call(&call).await?;
        let deadline = tokio::time::Instant::now() + LISTED;
        loop {
            let seen = self.wire.call(&Call::new(Method::HEAD, &self.key)).await?;
            if number(seen.headers(), "content-length") == Some(size) {
                return Ok(None);
            }
            if tokio::time::Instant::now() > deadline {
                let text = "its container does not list all segments of an object".to_owned();
                return Err(Trouble::Answer(text).into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[async_trait]
impl MultipartUpload for Large {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let number = self.begun;
        self.begun += 1;
        let key = format!("{}/{number:016}", self.segments);
        let (wire, done) = (Arc::clone(&self.wire), Arc::clone(&self.done));
        Box::pin(async move {
            let size = data.content_length() as u64;
            let call = Call::new(Method::PUT, &key)
                .header("content-type", "application/octet-stream")
                .header("x-delete-after", VANISHES)
                .body(data);
            let answer = wire.call(&call).await?;
            let e_tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            drop(wire::bytes(answer).await?);
            let segment = Segment { number, key, size, e_tag };
            done.lock().unwrap_or_else(PoisonError::into_inner).push(segment);
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let segments = self.done();
        self.keep(&segments).await?;
        let e_tag = match self.fixed {
            true => self.fixed(&segments).await?,
            false => self.dynamic(segments.iter().map(|segment| segment.size).sum()).await?,
        };
        Ok(PutResult { e_tag, version: None, extensions: Default::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        for segment in self.done() {
            match self.wire.call(&Call::new(Method::DELETE, &segment.key)).await.map_err(Error::from) {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }
}
