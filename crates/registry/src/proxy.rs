//! A pull-through cache of another registry.
//!
//! A tag is asked for upstream every time (with HEAD, which costs no pull), and answered from here when upstream is
//! away. Content is fetched when somebody first asks for it, once however many ask, and passed on while it arrives:
//! a *coming* blob is a file that grows, and every client follows it at its own pace. What turns out not to fit its
//! digest breaks those connections off and is not kept.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gantry_distribution::manifest::Descriptor;
use gantry_distribution::sink::{Blobs, Ingest};
use gantry_distribution::{Credentials, Observer, Registry, RegistryError, Settings};
use gantry_errdefs::{Class, Classified as _};
use gantry_names::{Digest, Reference};
use http::StatusCode;
use tokio::sync::{mpsc, watch};

use crate::api;
use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::name::{RepositoryName, Tag};
use crate::refusal::{Code, Refusal};
use crate::server::Server;
use crate::store::cache::Stored;
use crate::store::driver::Source;
use crate::store::manifest::{Put, PutError, Target};
use crate::store::{Store, blocking, lock};

/// Bytes read at once of a file that grows.
const PIECE: usize = 256 << 10;
/// Pieces between that file and a client.
const DEPTH: usize = 4;
/// A tag that upstream confirmed is marked fresh again after so long.
const REFRESH: Duration = Duration::from_secs(3600);
/// Downloads from upstream at once: more than an engine's, there are many clients behind us.
const DOWNLOADS: usize = 16;

/// The upstream and what comes from it just now.
pub struct Proxy {
    registry: Registry,
    host: String,
    credentials: Credentials,
    directory: PathBuf,
    coming: Mutex<HashMap<Digest, Arc<Coming>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Here(u64),
    Done,
    Failed,
}

/// A blob on its way from upstream.
pub struct Coming {
    digest: Digest,
    size: u64,
    path: PathBuf,
    state: watch::Receiver<State>,
    store: Arc<Store>,
}

impl Proxy {
    /// A cache of `remoteurl`; `directory` is where unfinished blobs lie.
    pub fn open(config: &crate::config::Proxy, directory: &Path) -> Result<Self, String> {
        let (scheme, host) = config.remoteurl.split_once("://").unwrap_or(("https", &config.remoteurl));
        let host = host.trim_end_matches('/');
        let port = if scheme == "http" { 80 } else { 443 };
        let named = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if named { host.to_owned() } else { format!("{host}:{port}") };
        let insecure = if scheme == "http" { vec![host.clone()] } else { Vec::new() };
        fs::create_dir_all(directory).map_err(|err| format!("{}: {err}", directory.display()))?;
        let text = |field: &Option<crate::config::units::Text>| field.as_ref().map(|text| text.0.clone());
        let proxy = Self {
            registry: Registry::new(Settings { insecure, downloads: DOWNLOADS, ..Settings::default() }),
            credentials: Credentials {
                username: text(&config.username).unwrap_or_default(),
                password: text(&config.password).unwrap_or_default(),
                ..Credentials::default()
            },
            directory: directory.to_owned(),
            coming: Mutex::new(HashMap::new()),
            host,
        };
        let probe = RepositoryName::parse("probe").expect("a plain word is a name");
        proxy
            .reference(&probe)
            .map(|_| proxy)
            .map_err(|_| format!("proxy.remoteurl {} is no registry", config.remoteurl))
    }

    /// Whether this is a cache of the registry that images name so.
    pub fn speaks_for(&self, domain: &str) -> bool {
        let hub = domain == "docker.io" && self.host == "registry-1.docker.io:443";
        hub || domain == self.host || self.host.strip_suffix(":443") == Some(domain)
    }

    fn reference(&self, name: &RepositoryName) -> Result<Reference, Refusal> {
        Reference::parse(&format!("{}/{name}", self.host)).map_err(|_| Refusal::new(Code::NameInvalid))
    }

    /// A manifest: upstream's, or, when upstream is away, the one we know.
    pub async fn manifest(
        &self,
        server: &Arc<Server>,
        name: &RepositoryName,
        target: &Target,
    ) -> Result<Option<Arc<Stored>>, Refusal> {
        let known = api::manifest::find(server, name, target).await?;
        let digest = match target {
            Target::Digest(_) if known.is_some() => return Ok(known),
            Target::Digest(digest) => digest.clone(),
            Target::Tag(tag) => {
                let asked = self
                    .reference(name)?
                    .with_tag(tag.as_str())
                    .map_err(|_| Refusal::new(Code::TagInvalid))?;
                match self.registry.resolve(&asked, &self.credentials).await {
                    Ok(digest) => digest,
                    Err(err) => return away(err, known),
                }
            }
        };
        if let Some(known) = known
            && known.digest == digest
        {
            self.refresh(server, name, target, &known).await?;
            return Ok(Some(known));
        }
        let asked = self.reference(name)?.with_digest(digest.clone());
        match self.registry.manifest(&asked, &self.credentials).await {
            Ok(manifest) => self.keep(server, name, target, digest, manifest.bytes.into()).await.map(Some),
            Err(err) => away(err, None),
        }
    }

    async fn keep(
        &self,
        server: &Arc<Server>,
        name: &RepositoryName,
        target: &Target,
        digest: Digest,
        bytes: Bytes,
    ) -> Result<Arc<Stored>, Refusal> {
        let (server, name, target) = (Arc::clone(server), name.clone(), target.clone());
        blocking(move || {
            let manifest = Manifest::parse(&bytes, None).map_err(|err| {
                Refusal::saying(Code::ManifestInvalid, format!("upstream's manifest: {err}"))
            })?;
            let tags = match &target {
                Target::Tag(tag) => vec![tag.clone()],
                Target::Digest(_) => Vec::new(),
            };
            let put = Put {
                name: &name,
                digest: &digest,
                bytes: &bytes,
                manifest: &manifest,
                tags: &tags,
                immutable: &|_| false,
                sparse: true,
                cached: true,
            };
            server.store.put_manifest(&put).map_err(|err| match err {
                PutError::Io(err) => Refusal::from(err),
                PutError::Missing(_) | PutError::Immutable(_) => Refusal::new(Code::Unknown),
            })?;
            Ok(Arc::new(Stored { media_type: manifest.media_type, digest, bytes }))
        })
        .await
    }

    /// Marks a tag that upstream confirmed, so that it does not grow old here.
    async fn refresh(
        &self,
        server: &Arc<Server>,
        name: &RepositoryName,
        target: &Target,
        known: &Arc<Stored>,
    ) -> Result<(), Refusal> {
        let Target::Tag(tag) = target else { return Ok(()) };
        let (store, of, about) = (Arc::clone(&server.store), name.clone(), tag.clone());
        let set = blocking(move || store.tagged_at(&of, &about)).await?;
        let old = set.is_none_or(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > REFRESH));
        if old {
            self.keep(server, name, target, known.digest.clone(), known.bytes.clone()).await?;
        }
        Ok(())
    }

    /// Upstream's tags, or, when it is away, those we know.
    pub async fn tags(
        &self,
        server: &Arc<Server>,
        name: &RepositoryName,
    ) -> Result<Option<Vec<Tag>>, Refusal> {
        match self.registry.tags(&self.reference(name)?, &self.credentials).await {
            Ok(tags) => {
                let mut tags: Vec<Tag> = tags.iter().filter_map(|tag| Tag::parse(tag)).collect();
                tags.sort();
                Ok(Some(tags))
            }
            Err(err) => {
                let (store, of) = (Arc::clone(&server.store), name.clone());
                away(err, blocking(move || store.tags(&of)).await?)
            }
        }
    }

    /// A blob that is not here: its size, and, when its bytes are wanted and not here by now, the blob on its way.
    pub async fn blob(
        &self,
        server: &Arc<Server>,
        name: &RepositoryName,
        digest: &Digest,
        bytes: bool,
    ) -> Result<Option<(u64, Option<Arc<Coming>>)>, Refusal> {
        let reference = self.reference(name)?;
        // Upstream says whether this repository has it; only then does it matter that another one brought it here.
        let size = match self.registry.blob_size(&reference, digest, &self.credentials).await {
            Ok(size) => size,
            Err(err) => return away(err, None),
        };
        let (store, of, wanted) = (Arc::clone(&server.store), name.clone(), digest.clone());
        if blocking(move || store.mount_blob(None, &of, &wanted)).await? {
            return Ok(Some((size, None)));
        }
        if !bytes {
            return Ok(Some((size, None)));
        }
        Ok(Some((size, Some(self.begin(server, name, reference, digest, size)))))
    }

    fn begin(
        &self,
        server: &Arc<Server>,
        name: &RepositoryName,
        reference: Reference,
        digest: &Digest,
        size: u64,
    ) -> Arc<Coming> {
        let mut all = lock(&self.coming);
        if let Some(coming) = all.get(digest) {
            return Arc::clone(coming);
        }
        let path = self.directory.join(format!("{}-{}", digest.algorithm(), digest.hex()));
        let (tell, state) = watch::channel(State::Here(0));
        let coming = Arc::new(Coming {
            digest: digest.clone(),
            size,
            path: path.clone(),
            state,
            store: Arc::clone(&server.store),
        });
        all.insert(digest.clone(), Arc::clone(&coming));
        let keeper =
            Keeper { store: Arc::clone(&server.store), name: name.clone(), path, tell: tell.clone() };
        let (server, digest) = (Arc::clone(server), digest.clone());
        tokio::spawn(async move {
            let Some(proxy) = &server.proxy else { return };
            let blobs: Arc<dyn Blobs> = Arc::new(keeper);
            let silent: Observer = Arc::new(|_| {});
            let blob = Descriptor::of("", digest.clone(), size);
            let fetched =
                proxy.registry.fetch_blob(&reference, &blob, &proxy.credentials, &blobs, &silent).await;
            lock(&proxy.coming).remove(&digest);
            tell.send_replace(match fetched {
                Ok(()) => State::Done,
                Err(err) => {
                    tracing::warn!(digest = %digest, error = %err, "upstream's blob did not arrive");
                    State::Failed
                }
            });
        });
        coming
    }
}

/// What to answer when upstream did not give it: nothing where it said so, what we know where it said nothing.
fn away<T>(err: RegistryError, known: Option<T>) -> Result<Option<T>, Refusal> {
    match err.class() {
        Class::NotFound => Ok(None),
        Class::Unauthorized | Class::Forbidden => {
            Err(Refusal::saying(Code::Denied, format!("upstream: {err}")))
        }
        _ if known.is_some() => {
            tracing::warn!(error = %err, "upstream is away, the answer is the one we know");
            Ok(known)
        }
        _ => {
            Err(Refusal::saying(Code::Unavailable, format!("upstream: {err}"))
                .status(StatusCode::BAD_GATEWAY))
        }
    }
}

impl Coming {
    /// The bytes from `from` on, as they come.
    pub fn follow(self: Arc<Self>, from: u64, length: u64) -> mpsc::Receiver<io::Result<Bytes>> {
        let (to, bytes) = mpsc::channel(DEPTH);
        tokio::spawn(async move {
            if let Err(err) = self.copy(from, length, &to).await {
                // Whoever listened may have left.
                to.send(Err(err)).await.ok();
            }
        });
        bytes
    }

    async fn copy(&self, from: u64, length: u64, to: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
        let mut state = self.state.clone();
        let end = from + length;
        let mut at = from;
        let mut file: Option<Arc<File>> = None;
        while at < end {
            let now = *state.borrow_and_update();
            let here = match now {
                State::Here(here) => here,
                State::Done => self.size,
                State::Failed => return Err(io::Error::other("upstream's blob did not arrive")),
            };
            // The last byte waits for the verification: a client that has all of them may believe them.
            let here = if now == State::Done { here } else { here.min(self.size.saturating_sub(1)) };
            if here <= at {
                state.changed().await.map_err(|_| io::Error::other("the download was given up"))?;
                continue;
            }
            let opened = match &file {
                Some(file) => Arc::clone(file),
                None => {
                    let (path, store, digest) =
                        (self.path.clone(), Arc::clone(&self.store), self.digest.clone());
                    let opened = blocking(move || open(&path, &store, &digest, at, end - at)).await?;
                    let opened = match opened {
                        Source::File(file) => Arc::new(file),
                        Source::Stream(rest) => return forward(rest, to).await,
                    };
                    file = Some(Arc::clone(&opened));
                    opened
                }
            };
            let mut piece = vec![0; (here.min(end) - at).min(PIECE as u64) as usize];
            let piece =
                blocking(move || opened.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))).await?;
            at += piece.len() as u64;
            if to.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The file that grows; if it became a blob a moment ago, the blob: a file again, or the bytes from a far store.
fn open(path: &Path, store: &Store, digest: &Digest, from: u64, length: u64) -> io::Result<Source> {
    match File::open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            store.open_blob(digest, from, length)?.ok_or(err)
        }
        opened => opened.map(Source::File),
    }
}

/// Passes on what comes from a far store.
async fn forward(
    mut from: mpsc::Receiver<io::Result<Bytes>>,
    to: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    while let Some(piece) = from.recv().await {
        if to.send(Ok(piece?)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Takes a blob from upstream into a repository.
struct Keeper {
    store: Arc<Store>,
    name: RepositoryName,
    path: PathBuf,
    tell: watch::Sender<State>,
}

struct Part {
    store: Arc<Store>,
    name: RepositoryName,
    path: PathBuf,
    tell: watch::Sender<State>,
    file: File,
    hash: Hash,
    size: u64,
}

fn unused() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a cache only takes blobs in")
}

impl Blobs for Keeper {
    fn has(&self, digest: &Digest, _: u64) -> io::Result<bool> {
        Ok(self.store.blob(&self.name, digest)?.is_some())
    }

    fn ingest(&self, digest: &Digest, _: u64) -> io::Result<Box<dyn Ingest>> {
        let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        let mut hash = Hash::like(digest);
        let mut size = 0;
        let mut earlier = File::open(&self.path)?;
        let mut buffer = vec![0; PIECE];
        loop {
            match earlier.read(&mut buffer)? {
                0 => break,
                n => {
                    hash.update(&buffer[..n]);
                    size += n as u64;
                }
            }
        }
        self.tell.send_replace(State::Here(size));
        Ok(Box::new(Part {
            store: Arc::clone(&self.store),
            name: self.name.clone(),
            path: self.path.clone(),
            tell: self.tell.clone(),
            file,
            hash,
            size,
        }))
    }

    fn read(&self, _: &Digest, _: u64) -> io::Result<Vec<u8>> {
        Err(unused())
    }

    fn open(&self, _: &Digest, _: u64) -> io::Result<Box<dyn Read + Send>> {
        Err(unused())
    }
}

impl Ingest for Part {
    fn offset(&self) -> u64 {
        self.size
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.tell.send_replace(State::Here(self.size));
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        // Those who follow keep the old file; what comes now is another one.
        fs::remove_file(&self.path)?;
        self.file = OpenOptions::new().append(true).create_new(true).open(&self.path)?;
        self.hash = Hash::named(self.hash.algorithm()).ok_or_else(unused)?;
        self.size = 0;
        Ok(())
    }

    fn commit(self: Box<Self>, digest: &Digest, size: u64) -> io::Result<()> {
        if self.size != size || self.hash.finish() != *digest {
            fs::remove_file(&self.path)?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.file.sync_data()?;
        self.store.adopt_blob(&self.name, digest, &self.path)
    }
}
