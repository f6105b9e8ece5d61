//! A pull-through cache of another registry.
//!
//! A tag is asked for upstream every time (with HEAD, which costs no pull), and answered from here when upstream is
//! away. Content is fetched when somebody first asks for it, once however many ask, and passed on while it arrives:
//! a *coming* blob is a file that grows, and every client follows it at its own pace. What turns out not to fit its
//! digest breaks those connections off and is not kept.

mod coming;
mod keeper;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gantry_distribution::manifest::Descriptor;
use gantry_distribution::sink::Blobs;
use gantry_distribution::{Credentials, Observer, Registry, RegistryError, Settings};
use gantry_errdefs::{Class, Classified as _};
use gantry_names::{Digest, Reference};
use http::StatusCode;
use tokio::sync::watch;

pub use self::coming::Coming;
use self::coming::State;
use self::keeper::Keeper;
use crate::api;
use crate::manifest::Manifest;
use crate::name::{RepositoryName, Tag};
use crate::refusal::{Code, Refusal};
use crate::server::Server;
use crate::store::cache::Stored;
use crate::store::manifest::{Put, PutError, Target};
use crate::store::{blocking, lock};

/// Bytes read at once of a file that grows.
const PIECE: usize = 256 << 10;
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
            // Our clients are not those who trust upstream: it does not tell us where our password goes.
            registry: Registry::new(Settings {
                insecure,
                downloads: DOWNLOADS,
                own_realms: true,
                ..Settings::default()
            }),
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
