//! A keeper of blobs as simple as can be, and images made for tests.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gantry_distribution::http::Proxies;
use gantry_distribution::sink::{Blobs, Ingest};
use gantry_distribution::{
    Credentials, Event, Layer, Observer, Pull, Pulled, Push, Pushed, Registry, RegistryError, Settings,
};
use gantry_names::{Digest, Reference};
use serde_json::json;
use tokio::sync::mpsc;

/// Files named by digest; `.part` while they come in.
pub struct Directory(pub PathBuf);

impl Directory {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.hex())
    }
}

struct Part {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Blobs for Directory {
    fn has(&self, digest: &Digest, size: u64) -> io::Result<bool> {
        Ok(fs::metadata(self.path(digest)).is_ok_and(|known| known.len() == size))
    }

    fn ingest(&self, digest: &Digest, _: u64) -> io::Result<Box<dyn Ingest>> {
        let path = self.path(digest).with_extension("part");
        let bytes = fs::read(&path).unwrap_or_default();
        Ok(Box::new(Part { path, bytes }))
    }

    fn read(&self, digest: &Digest, _: u64) -> io::Result<Vec<u8>> {
        fs::read(self.path(digest))
    }

    fn open(&self, digest: &Digest, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let bytes = fs::read(self.path(digest))?;
        Ok(Box::new(Cursor::new(bytes[offset as usize..].to_vec())))
    }
}

impl Ingest for Part {
    fn offset(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        fs::OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(bytes)
    }

    fn restart(&mut self) -> io::Result<()> {
        self.bytes.clear();
        fs::write(&self.path, b"")
    }

    fn commit(self: Box<Self>, digest: &Digest, size: u64) -> io::Result<()> {
        if Digest::sha256_of(&self.bytes) != *digest || self.bytes.len() as u64 != size {
            fs::remove_file(&self.path)?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        fs::write(&self.path, &self.bytes)?;
        fs::rename(&self.path, self.path.with_extension(""))
    }
}

/// A client with a directory of its own and everything it was told.
pub struct Traveller {
    pub registry: Registry,
    pub blobs: Arc<Directory>,
    pub told: Arc<Mutex<Vec<Event>>>,
    pub credentials: Credentials,
    _dir: tempfile::TempDir,
}

impl Traveller {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { certificates: Vec::new(), proxies: Proxies::none(), ..settings };
        Self {
            registry: Registry::new(settings),
            blobs: Arc::new(Directory(dir.path().to_owned())),
            told: Arc::default(),
            credentials: Credentials::default(),
            _dir: dir,
        }
    }

    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.credentials =
            Credentials { username: name.into(), password: password.into(), ..Credentials::default() };
        self
    }

    fn observer(&self) -> Observer {
        let told = Arc::clone(&self.told);
        Arc::new(move |event| told.lock().unwrap().push(event))
    }

    pub fn texts(&self) -> Vec<String> {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        told.iter().filter_map(|event| Some(event.to_json().get("status")?.as_str()?.to_owned())).collect()
    }

    pub async fn push(&self, reference: &str, manifest: &Digest) -> Result<Pushed, RegistryError> {
        self.push_from(reference, manifest, &HashMap::new()).await
    }

    pub async fn push_from(
        &self,
        reference: &str,
        manifest: &Digest,
        sources: &HashMap<Digest, String>,
    ) -> Result<Pushed, RegistryError> {
        let reference = Reference::parse(reference).unwrap();
        let sources = |digest: &Digest| sources.get(digest).cloned().into_iter().collect();
        self.registry.push(&self.pushing(&reference, &sources), manifest).await
    }

    /// Pushes layers alone.
    pub async fn push_layers(
        &self,
        reference: &str,
        layers: mpsc::Receiver<Layer>,
    ) -> Result<Vec<Digest>, RegistryError> {
        let reference = Reference::parse(reference).unwrap();
        let sent = self.registry.push_layers(&self.pushing(&reference, &|_| Vec::new()), layers).await?;
        Ok(sent.into_iter().collect())
    }

    fn pushing<'a>(
        &'a self,
        reference: &'a Reference,
        sources: &'a (dyn Fn(&Digest) -> Vec<String> + Sync),
    ) -> Push<'a> {
        Push {
            reference,
            credentials: &self.credentials,
            blobs: self.blobs.clone(),
            observer: self.observer(),
            sources,
            label: &Clone::clone,
            sent: HashSet::new(),
        }
    }

    pub async fn pull(&self, reference: &str) -> Result<Pulled, RegistryError> {
        let pull = Pull {
            reference: &Reference::parse(reference).unwrap(),
            credentials: &self.credentials,
            platform: None,
            blobs: self.blobs.clone(),
            observer: self.observer(),
            unpacked: &|_, _| false,
            arrived: &|_, _| {},
        };
        self.registry.pull(&pull).await
    }

    pub fn put(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256_of(bytes);
        fs::write(self.blobs.path(&digest), bytes).unwrap();
        digest
    }

    pub fn holds(&self, digest: &Digest) -> bool {
        self.blobs.path(digest).exists()
    }

    /// An image of layers that no one unpacks. Returns the manifest's digest.
    pub fn image(&self, layers: &[Vec<u8>]) -> Digest {
        let layers: Vec<_> = layers.iter().map(|bytes| (self.put(bytes), bytes.len())).collect();
        let ids: Vec<_> = layers.iter().map(|(digest, _)| digest.to_string()).collect();
        let config =
            json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}});
        let config = config.to_string();
        let layers: Vec<_> = layers
            .iter()
            .map(|(digest, size)| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size}))
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.put(config.as_bytes()),
                "size": config.len(),
            },
            "layers": layers,
        });
        self.put(manifest.to_string().as_bytes())
    }
}

/// Bytes that do not compress and differ by seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
