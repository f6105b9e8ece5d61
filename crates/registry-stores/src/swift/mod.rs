//! OpenStack Swift behind the library's trait, which has no Swift of its own.
//!
//! Source: Swift's API reference and overview of large objects. Objects longer than one part are segments below
//! `<prefix>/segments` with a manifest at their name, as Docker's registry keeps them: static manifests where Swift
//! has them, dynamic ones else. Both kinds are read and removed.

mod body;
mod large;
mod login;
mod settings;
mod sign;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::header::HeaderMap;
use http::{Method, StatusCode};
use object_store::client::HttpError;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use serde::Deserialize;

pub(crate) use settings::open;
use wire::{Call, Wire, encode};

/// Most segments of one object: below the thousand that Swift takes as a rule.
pub(crate) const PARTS_MAX: u64 = 900;
/// Objects removed at once.
const REMOVALS: usize = 8;
const STORE: &str = "Swift";

/// What is said of the container.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub container: String,
    /// Where segments lie.
    pub segments: String,
    /// The key of signed addresses.
    pub secret: Option<String>,
    /// The key is the container's, not the account's.
    pub container_secret: bool,
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("Swift does not answer: {0}")]
    Wire(#[from] HttpError),
    #[error("no address for Swift: {0}")]
    Address(String),
    #[error("Swift's answer cannot be read: {0}")]
    Answer(String),
    #[error("the login at {url} was refused: {status}")]
    Login { url: String, status: StatusCode },
    #[error("the login at {url} names no object store{}", .region.as_ref().map(|region| format!(" in the region {region}")).unwrap_or_default())]
    NoStorage { url: String, region: Option<String> },
    #[error("Swift refused: {status}")]
    Refused { status: StatusCode, key: String },
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        let (status, path) = match &trouble {
            Trouble::Refused { status, key } => (*status, key.clone()),
            Trouble::Login { status, url } => (*status, url.clone()),
            _ => return Self::Generic { store: STORE, source: Box::new(trouble) },
        };
        let source = Box::new(trouble);
        match status {
            StatusCode::NOT_FOUND => Self::NotFound { path, source },
            StatusCode::UNAUTHORIZED => Self::Unauthenticated { path, source },
            StatusCode::FORBIDDEN => Self::PermissionDenied { path, source },
            StatusCode::NOT_MODIFIED => Self::NotModified { path, source },
            StatusCode::PRECONDITION_FAILED => Self::Precondition { path, source },
            _ => Self::Generic { store: STORE, source },
        }
    }
}

/// One container. Clones share the login.
#[derive(Debug, Clone)]
pub(crate) struct Swift {
    wire: Arc<Wire>,
}

impl fmt::Display for Swift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "swift {}", self.wire.settings.container)
    }
}

/// One line of a listing.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    name: String,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    hash: Option<String>,
    #[serde(default)]
    last_modified: String,
    #[serde(default)]
    content_type: String,
    /// A common prefix instead of an object.
    #[serde(default)]
    subdir: Option<String>,
}

impl Line {
    fn meta(&self) -> Result<ObjectMeta> {
        Ok(ObjectMeta {
            location: Path::parse(&self.name)?,
            // Swift leaves the zone out: it is UTC.
            last_modified: format!("{}Z", self.last_modified).parse().unwrap_or_default(),
            size: self.bytes,
            e_tag: self.hash.clone(),
            version: None,
        })
    }

    /// A marker that some clients leave where they think of a directory.
    fn is_marker(&self) -> bool {
        self.content_type.starts_with("application/directory") || self.name.ends_with('/')
    }
}

impl Swift {
    fn new(wire: Wire) -> Self {
        Self { wire: Arc::new(wire) }
    }

    async fn head(&self, key: &str) -> Result<HeaderMap> {
        let answer = self.wire.call(&Call::new(Method::HEAD, key)).await?;
        Ok(answer.headers().clone())
    }

    /// A page of a listing after `marker`.
    async fn page(&self, prefix: &str, delimited: bool, marker: &str) -> Result<Vec<Line>> {
        let delimiter = if delimited { "&delimiter=/" } else { "" };
        let query = format!("format=json&prefix={}&marker={}{delimiter}", encode(prefix), encode(marker));
        let answer = self.wire.call(&Call::new(Method::GET, "").query(query)).await?;
        let body = wire::bytes(answer).await?;
        if body.is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_slice(&body).map_err(|err| Trouble::Answer(err.to_string()).into())
    }

    /// All lines of a listing, page by page.
    fn lines(&self, prefix: String, delimited: bool) -> BoxStream<'static, Result<Line>> {
        let swift = self.clone();
        let pages = stream::try_unfold(String::new(), move |marker| {
            let (swift, prefix) = (swift.clone(), prefix.clone());
            async move {
                let page = swift.page(&prefix, delimited, &marker).await?;
                let last = page.last().map(|line| line.subdir.as_ref().unwrap_or(&line.name).clone());
                Ok::<_, Error>(last.map(|last| (stream::iter(page.into_iter().map(Ok)), last)))
            }
        });
        pages.try_flatten().boxed()
    }

    /// Removes an object, with its segments if it has some.
    async fn remove(&self, key: &str) -> Result<()> {
        let known = self.head(key).await?;
        let text = |name: &str| known.get(name).and_then(|value| value.to_str().ok());
        if text("x-static-large-object").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return self.remove_static(key).await;
        }
        let segments = text("x-object-manifest").and_then(|told| told.split_once('/'));
        let segments = segments.map(|(container, prefix)| (decoded(container), decoded(prefix)));
        self.wire.call(&Call::new(Method::DELETE, key)).await?;
        if let Some((_, prefix)) =
            segments.filter(|(container, _)| *container == self.wire.settings.container)
        {
            self.remove_below(prefix).await?;
        }
        Ok(())
    }

    /// Swift itself removes a static object's segments, then its manifest.
    async fn remove_static(&self, key: &str) -> Result<()> {
        let call = Call::new(Method::DELETE, key)
            .query("multipart-manifest=delete".to_owned())
            .header("accept", "application/json");
        let told = wire::bytes(self.wire.call(&call).await?).await?;
        let told: serde_json::Value =
            serde_json::from_slice(&told).map_err(|err| Trouble::Answer(err.to_string()))?;
        match told.get("Response Status").and_then(serde_json::Value::as_str) {
            // Segments that are missing are removed already.
            Some(status) if status.starts_with("20") || status.starts_with("404") => Ok(()),
            _ => Err(Trouble::Answer(told.to_string()).into()),
        }
    }

    /// Removes plain objects by their names' beginning.
    async fn remove_below(&self, prefix: String) -> Result<()> {
        let removed = self.lines(prefix, false).map_ok(|line| async move {
            match self.wire.call(&Call::new(Method::DELETE, &line.name)).await.map_err(Error::from) {
                Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
                Err(err) => Err(err),
            }
        });
        removed.try_buffer_unordered(REMOVALS).try_collect().await
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A directory's prefix, with its slash.
fn below(prefix: Option<&Path>) -> String {
    prefix.filter(|path| !path.as_ref().is_empty()).map(|path| format!("{path}/")).unwrap_or_default()
}

fn meta(location: &Path, headers: &HeaderMap, size: u64) -> ObjectMeta {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Seconds with a fraction; finer than the date beside it.
    let written = text("x-timestamp").and_then(|text| text.parse::<f64>().ok());
    let written = written.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    ObjectMeta {
        location: location.clone(),
        last_modified: (SystemTime::UNIX_EPOCH + written.unwrap_or_default()).into(),
        size,
        e_tag: text("etag").map(str::to_owned),
        version: None,
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[async_trait]
impl ObjectStore for Swift {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options.mode != PutMode::Overwrite {
            let operation = "writing on a condition: a registry never asks for it".to_owned();
            return Err(Error::NotImplemented { operation, implementer: STORE.to_owned() });
        }
        let call = Call::new(Method::PUT, location.as_ref())
            .header("content-type", "application/octet-stream")
            .body(payload);
        let answer = self.wire.call(&call).await?;
        let e_tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(PutResult { e_tag, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(large::Large::begin(Arc::clone(&self.wire), location).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let method = if options.head { Method::HEAD } else { Method::GET };
        let mut call = Call::new(method, location.as_ref());
        call = match &options.range {
            None => call,
            Some(GetRange::Bounded(range)) => {
                call.header("range", &format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
            }
            Some(GetRange::Offset(from)) => call.header("range", &format!("bytes={from}-")),
            Some(GetRange::Suffix(last)) => call.header("range", &format!("bytes=-{last}")),
        };
        let answer = self.wire.call(&call).await?;
        let length = number(answer.headers(), "content-length").unwrap_or_default();
        let (range, size) = match content_range(answer.headers()) {
            Some((from, size)) => (from..from + length, size),
            None => (0..length, length),
        };
        let meta = meta(location, answer.headers(), size);
        options.check_preconditions(&meta)?;
        let stream = match options.head {
            true => stream::empty().boxed(),
            false => {
                let wire = Arc::clone(&self.wire);
                body::read(wire, location.as_ref(), meta.e_tag.clone(), range.clone(), answer)
            }
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream),
            meta,
            range,
            attributes: Default::default(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let swift = self.clone();
        let removed = locations.map_ok(move |location| {
            let swift = swift.clone();
            async move { swift.remove(location.as_ref()).await.map(|()| location) }
        });
        removed.try_buffer_unordered(REMOVALS).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let objects = self.lines(below(prefix), false).try_filter_map(|line| async move {
            if line.is_marker() { Ok(None) } else { line.meta().map(Some) }
        });
        objects.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found =
            ListResult { common_prefixes: Vec::new(), objects: Vec::new(), extensions: Default::default() };
        let mut lines = self.lines(below(prefix), true);
        while let Some(line) = lines.try_next().await? {
            match &line.subdir {
                Some(subdir) => found.common_prefixes.push(Path::parse(subdir.trim_end_matches('/'))?),
                None if line.is_marker() => {}
                None => found.objects.push(line.meta()?),
            }
        }
        Ok(found)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented {
            operation: "copying: a registry never asks for it".to_owned(),
            implementer: STORE.to_owned(),
        })
    }
}

/// Where a piece begins and how long the whole is.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let told = headers.get("content-range")?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, size) = told.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_knows_objects_directories_and_markers() {
        let text = r#"[{"subdir":"files/docker/"},
            {"name":"files/a","bytes":3,"hash":"x","last_modified":"2026-11-27T06:49:59.123450","content_type":"application/octet-stream"},
            {"name":"files/b","bytes":0,"hash":"y","last_modified":"2026-11-27T06:49:59.123450","content_type":"application/directory"}]"#;
        let lines: Vec<Line> = serde_json::from_str(text).unwrap();
        assert_eq!(lines[0].subdir.as_deref(), Some("files/docker/"));
        let object = lines[1].meta().unwrap();
        assert_eq!((object.size, object.last_modified.timestamp_subsec_micros()), (3, 123_450));
        assert!(lines[2].is_marker() && !lines[1].is_marker());
    }

    #[test]
    fn ranges_are_read() {
        let headers: HeaderMap =
            [(http::header::CONTENT_RANGE, "bytes 3-9/100".parse().unwrap())].into_iter().collect();
        assert_eq!(content_range(&headers), Some((3, 100)));
    }
}
