//! Pull: the manifest of a reference, for a platform, and all blobs it needs.

use std::io;
use std::sync::Arc;

use futures_util::future::try_join_all;
use gantry_names::{Digest, Platform, Reference};
use http::{HeaderName, Method, StatusCode, header};

use crate::auth::Credentials;
use crate::event::{Event, Step};
use crate::failure::RegistryError;
use crate::fetch::Observer;
use crate::manifest::{self, ACCEPT, Descriptor, Document, Image, MANIFEST_MAX, Manifest};
use crate::registry::Registry;
use crate::resolve::Standing;
use crate::session::{Call, Session, read};
use crate::sink::Blobs;

/// Which registry a mirror answers for.
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// A manifest's digest in an answer.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// What a registry would say of an unknown manifest if HEAD had a body.
const UNKNOWN: &[u8] = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;

/// What is to be pulled, and how.
pub struct Pull<'a> {
    /// A tag or a digest.
    pub reference: &'a Reference,
    /// As whom.
    pub credentials: &'a Credentials,
    /// For which platform; `None` takes this machine's, and an image without a choice as it is.
    pub platform: Option<&'a Platform>,
    /// Where blobs are kept.
    pub blobs: Arc<dyn Blobs>,
    /// Told of each step. Also called from other threads.
    pub observer: Observer,
    /// Whether a layer is here in every form it is needed in, so that its bytes are not: asked with its place, after
    /// [`Blobs::has`] was asked for its blob.
    pub unpacked: &'a (dyn Fn(usize, &Image) -> bool + Sync),
    /// Told of each layer whose bytes are here, in the order they come: unpacking may begin.
    pub arrived: &'a (dyn Fn(usize, &Descriptor) + Sync),
}

/// What was pulled.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// What the reference names: an index or the image itself.
    pub top: Manifest,
    /// The image's manifest.
    pub manifest: Manifest,
    /// The same, read.
    pub image: Image,
    /// For each layer, whether it was here before.
    pub known: Vec<bool>,
}

/// A manifest and the conversation that brought it.
pub(crate) struct Found {
    pub manifest: Manifest,
    pub session: Session,
}

impl Registry {
    /// Pulls everything an image needs into the keeper. Unpacking and naming are the caller's.
    pub async fn pull(&self, pull: &Pull<'_>) -> Result<Pulled, RegistryError> {
        let reference = pull.reference;
        let mut failures = Failures::of(reference);
        for (session, named) in self.addresses(reference, pull.credentials).await? {
            match self.pull_from(pull, session, &named).await {
                Ok(pulled) => return Ok(pulled),
                // What has come stays: the next address brings the rest.
                Err(err) => failures.add(err)?,
            }
        }
        Err(failures.told())
    }

    async fn pull_from(
        &self,
        pull: &Pull<'_>,
        session: Session,
        named: &Reference,
    ) -> Result<Pulled, RegistryError> {
        let manifest = fetch_manifest(&session, named).await?;
        // Not before there is something to pull: an error then is the whole answer.
        let reference = pull.reference;
        let id = reference.digest().map(ToString::to_string).or(reference.tag().map(str::to_owned));
        (pull.observer)(Event::Status { id, text: format!("Pulling from {}", short_name(reference)) });
        let found = Found { manifest, session };
        let (manifest, image) = self.for_platform(pull, &found).await?;
        let session = &found.session;
        let path = pull.reference.path();
        // The configuration is small and tells early what is wrong.
        self.small(session, path, &image.config, &pull.blobs).await?;
        let known = self.layers(pull, session, &image).await?;
        let _one = self.keeping().lock().await;
        keep(&pull.blobs, [&found.manifest, &manifest]).await?;
        Ok(Pulled { top: found.manifest, manifest, image, known })
    }

    /// Every address that may bring a reference, each with the reference to ask it for: one that serves content but may not
    /// say what a tag names is asked by digest, once another has said it.
    async fn addresses(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Vec<(Session, Reference)>, RegistryError> {
        let sessions = self.sessions(reference, credentials).await?;
        let both = |session: &Session| session.endpoint.can.resolve && session.endpoint.can.pull;
        let mut named = reference.clone();
        if reference.digest().is_none() && !sessions.iter().all(both) {
            let mut failures = Failures::of(reference);
            for session in sessions.iter().filter(|session| session.endpoint.can.resolve) {
                match fetch_manifest(session, reference).await {
                    Ok(manifest) => {
                        named = reference.with_digest(manifest.digest);
                        break;
                    }
                    Err(err) => failures.add(err)?,
                }
            }
            if named.digest().is_none() {
                return Err(failures.told());
            }
        }
        let sessions = sessions.into_iter().filter(|session| session.endpoint.can.pull);
        Ok(sessions.map(|session| (session, named.clone())).collect())
    }

    /// Asks every address of the registry for the manifest; the registry's own answer is the one that is told.
    pub(crate) async fn find(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Found, RegistryError> {
        let mut failures = Failures::of(reference);
        for (session, named) in self.addresses(reference, credentials).await? {
            match fetch_manifest(&session, &named).await {
                Ok(manifest) => return Ok(Found { manifest, session }),
                Err(err) => failures.add(err)?,
            }
        }
        Err(failures.told())
    }

    async fn for_platform(&self, pull: &Pull<'_>, found: &Found) -> Result<(Manifest, Image), RegistryError> {
        let wanted = pull.platform.cloned().unwrap_or_else(Platform::host);
        let mut manifest = found.manifest.clone();
        // An index may name an index; deeper is nonsense.
        for _ in 0..4 {
            let entries = match &manifest.document {
                Document::Image(image) => {
                    let image = Image::clone(image);
                    return Ok((manifest, image));
                }
                Document::Index(entries) => entries,
            };
            let nested = |entry: &&Descriptor| {
                entry.platform.is_none()
                    && matches!(entry.media_type.as_str(), manifest::OCI_INDEX | manifest::DOCKER_LIST)
            };
            let chosen = manifest::choose(entries, &wanted).or_else(|| entries.iter().find(nested));
            let chosen = chosen.ok_or_else(|| RegistryError::NoPlatform(wanted.to_string()))?;
            let by_digest = pull.reference.with_digest(chosen.digest.clone());
            manifest = fetch_manifest(&found.session, &by_digest).await?;
        }
        Err(RegistryError::NoPlatform(wanted.to_string()))
    }

    async fn small(
        &self,
        session: &Session,
        repository: &str,
        blob: &Descriptor,
        blobs: &Arc<dyn Blobs>,
    ) -> Result<(), RegistryError> {
        if here(blobs, blob).await? {
            return Ok(());
        }
        let silent: Observer = Arc::new(|_| {});
        self.flights().fetch(session, repository, blob, blobs, &silent).await
    }

    /// Brings all layers in; tells of each whether it was here before.
    async fn layers(
        &self,
        pull: &Pull<'_>,
        session: &Session,
        image: &Image,
    ) -> Result<Vec<bool>, RegistryError> {
        let held = try_join_all(image.layers.iter().map(|layer| here(&pull.blobs, layer))).await?;
        let places = 0..image.layers.len();
        let known: Vec<bool> = places.map(|place| (pull.unpacked)(place, image)).collect();
        let mut wanted = Vec::new();
        for (place, layer) in image.layers.iter().enumerate() {
            if known[place] {
                (pull.observer)(Event::layer(&layer.digest, Step::AlreadyExists));
                (pull.arrived)(place, layer);
            } else {
                (pull.observer)(Event::layer(&layer.digest, Step::PullingFsLayer));
                wanted.push((place, layer, held[place]));
            }
        }
        // The same layer twice in an image is one flight: both join it.
        let fetched = wanted.into_iter().map(|(place, layer, held)| async move {
            if held {
                (pull.observer)(Event::layer(&layer.digest, Step::DownloadComplete));
            } else {
                let path = pull.reference.path();
                self.flights().fetch(session, path, layer, &pull.blobs, &pull.observer).await?;
            }
            (pull.arrived)(place, layer);
            Ok::<_, RegistryError>(())
        });
        try_join_all(fetched).await?;
        Ok(known)
    }

    /// The digest a reference names just now. Asks with HEAD, which registries that count
    /// pulls do not count.
    pub async fn resolve(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Digest, RegistryError> {
        let (familiar, name) = (reference.familiar(), reference.familiar_name());
        let session = self.reachable(reference, credentials).await?;
        let call = manifest_call(Method::HEAD, reference);
        let response = session.call(call).await.map_err(|err| match err.status() {
            // An answer to HEAD says no more than its status.
            Some(StatusCode::NOT_FOUND) => crate::failure::read(StatusCode::NOT_FOUND, UNKNOWN),
            _ => err,
        });
        let response = response.map_err(|err| err.of_pull(&familiar, &name))?;
        let told = response.headers().get(CONTENT_DIGEST).and_then(|digest| digest.to_str().ok());
        match told.and_then(|digest| Digest::parse(digest).ok()) {
            Some(digest) => Ok(digest),
            None => Ok(fetch_manifest(&session, reference).await?.digest),
        }
    }

    /// The size of a blob.
    pub async fn blob_size(
        &self,
        reference: &Reference,
        digest: &Digest,
        credentials: &Credentials,
    ) -> Result<u64, RegistryError> {
        let session = self.reachable(reference, credentials).await?;
        let call = Call::new(Method::HEAD, format!("/v2/{}/blobs/{digest}", reference.path()));
        let response = session.call(call).await?;
        let length = response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        length.and_then(|length| length.parse().ok()).ok_or(RegistryError::Truncated)
    }

    /// Fetches one blob into the keeper, or joins whoever is fetching it.
    pub async fn fetch_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        credentials: &Credentials,
        blobs: &Arc<dyn Blobs>,
        observer: &Observer,
    ) -> Result<(), RegistryError> {
        let mut failures = Failures::of(reference);
        for session in self.sessions(reference, credentials).await? {
            match self.flights().fetch(&session, reference.path(), blob, blobs, observer).await {
                Ok(()) => return Ok(()),
                Err(err) => failures.add(err)?,
            }
        }
        Err(failures.told())
    }

    /// A manifest by reference, as it is.
    pub async fn manifest(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Manifest, RegistryError> {
        Ok(self.find(reference, credentials).await?.manifest)
    }
}

/// `library/ubuntu` for Docker Hub, `host/name` elsewhere: what "Pulling from" says.
fn short_name(reference: &Reference) -> String {
    // Docker leaves the host out here, whoever it is.
    reference.path().to_owned()
}

async fn here(blobs: &Arc<dyn Blobs>, blob: &Descriptor) -> Result<bool, RegistryError> {
    let (blobs, digest, size) = (Arc::clone(blobs), blob.digest.clone(), blob.size);
    blocking(move || blobs.has(&digest, size)).await
}

pub(crate) async fn keep(blobs: &Arc<dyn Blobs>, manifests: [&Manifest; 2]) -> Result<(), RegistryError> {
    for manifest in manifests {
        let (blobs, digest, bytes) = (Arc::clone(blobs), manifest.digest.clone(), manifest.bytes.clone());
        blocking(move || {
            let size = bytes.len() as u64;
            if blobs.has(&digest, size)? {
                return Ok(());
            }
            let mut ingest = blobs.ingest(&digest, size)?;
            ingest.restart()?;
            ingest.write(&bytes)?;
            ingest.commit(&digest, size)
        })
        .await?;
    }
    Ok(())
}

pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RegistryError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(done) => done.map_err(RegistryError::Store),
        Err(err) => Err(RegistryError::Store(io::Error::other(err))),
    }
}

/// How asking one address after the other went so far.
struct Failures<'a> {
    reference: &'a Reference,
    last: Option<RegistryError>,
}

impl<'a> Failures<'a> {
    fn of(reference: &'a Reference) -> Self {
        Self { reference, last: None }
    }

    /// One more. An error that no other address can mend is the end.
    fn add(&mut self, err: RegistryError) -> Result<(), RegistryError> {
        if !err.elsewhere() {
            self.last = Some(err);
            return Err(self.told());
        }
        tracing::debug!(error = %err, "the next address is asked");
        // "Speaks no TLS" says less than what plain HTTP says after it, and the other way round.
        self.last = Some(more_telling(self.last.take(), err));
        Ok(())
    }

    /// What is told in the end.
    fn told(&mut self) -> RegistryError {
        let (familiar, name) = (self.reference.familiar(), self.reference.familiar_name());
        let last = self.last.take().unwrap_or(RegistryError::Status(StatusCode::NOT_FOUND));
        last.of_pull(&familiar, &name)
    }
}

/// Of two failures the one a person can do something with: what a registry said or sent, else the later one, but
/// never "no TLS" after a sentence about certificates.
fn more_telling(before: Option<RegistryError>, now: RegistryError) -> RegistryError {
    match before {
        Some(before) if before.code().is_some() && now.code().is_none() => before,
        Some(before) if before.answered() && !now.answered() => before,
        _ => now,
    }
}

fn manifest_call(method: Method, reference: &Reference) -> Call {
    let wanted = reference.digest().map(Digest::as_str).or(reference.tag()).unwrap_or("latest");
    let call = Call::new(method, format!("/v2/{}/manifests/{wanted}", reference.path()));
    ACCEPT.into_iter().fold(call, |call, kind| call.header(header::ACCEPT, kind))
}

/// Fetches one manifest and holds it against its digest.
pub(crate) async fn fetch_manifest(
    session: &Session,
    reference: &Reference,
) -> Result<Manifest, RegistryError> {
    let response = session.call(manifest_call(Method::GET, reference)).await?;
    let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    let foreign = match &session.endpoint.standing {
        Standing::Mirror(domain) if domain != crate::resolve::HUB => Some(domain.as_str()),
        _ => None,
    };
    if foreign.is_some() && reference.digest().is_none() && header(NAMESPACE) != foreign {
        // A mirror of Docker Hub that never heard of `ns` would answer with another image of the same name.
        return Err(RegistryError::Status(StatusCode::MISDIRECTED_REQUEST));
    }
    let kind = header(header::CONTENT_TYPE)
        .and_then(|kind| kind.split(';').next())
        .map(|kind| kind.trim().to_owned());
    let bytes = read(response, MANIFEST_MAX).await?.to_vec();
    verify(&bytes, reference.digest())?;
    Manifest::parse(bytes, kind.as_deref(), &reference.to_string()).map(|manifest| match reference.digest() {
        // Under another algorithm than ours the asked digest is the name.
        Some(asked) => Manifest { digest: asked.clone(), ..manifest },
        None => manifest,
    })
}

fn verify(bytes: &[u8], asked: Option<&Digest>) -> Result<(), RegistryError> {
    use sha2::Digest as _;
    let Some(asked) = asked else { return Ok(()) };
    let fits = match asked.algorithm() {
        "sha512" => hex(&sha2::Sha512::digest(bytes)) == asked.hex(),
        "sha384" => hex(&sha2::Sha384::digest(bytes)) == asked.hex(),
        _ => Digest::sha256_of(bytes) == *asked,
    };
    if fits { Ok(()) } else { Err(RegistryError::ManifestDigest(asked.clone())) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
