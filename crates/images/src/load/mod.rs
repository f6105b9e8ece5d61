//! `docker load`: an archive of images, read once, front to back.
//!
//! Archives of every era are read: `manifest.json` (Docker 1.10 and later), OCI image layouts (`index.json`), and the
//! first format (`repositories` and a folder a layer). Which one it is can be known only at the end of the stream, so
//! everything that looks like a layer is kept as a blob and unpacked on the way, and small documents stay in memory; then
//! the [`Archive`] is put together by what the documents say.

mod archive;
mod docker;
mod image;
mod legacy;
mod oci;

use std::collections::{HashMap, VecDeque};
use std::io::Read;

use gantry_names::{Digest, ImageId, Platform, Reference};

use crate::{Error, ImageStore, Result};
use archive::Archive;

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--platform`: which image of an index; this machine's where nothing is said.
    pub platform: Option<Platform>,
}

/// One line of what a load did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub id: ImageId,
    /// The name it got; none for an image the archive has no name for.
    pub reference: Option<Reference>,
    /// The other image that had the name before; Docker tells it: "The image x already exists, renaming the old one with ID
    /// y to empty string".
    pub previous: Option<ImageId>,
}

/// What a load tells while it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadEvent {
    /// Bytes of a layer have come in.
    Layer {
        /// Twelve digits that name the layer.
        id: String,
        /// Bytes so far.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
}

impl ImageStore {
    /// Loads every image of an archive. Names in the archive move to the loaded images.
    pub fn load(
        &self,
        input: impl Read + Send + 'static,
        options: &LoadOptions,
        told: &mut dyn FnMut(LoadEvent),
    ) -> Result<Vec<Loaded>> {
        let lease = self.lease();
        let mut archive = Archive {
            store: self,
            lease: &lease,
            documents: HashMap::new(),
            layers: HashMap::new(),
            links: HashMap::new(),
            refused: HashMap::new(),
            pending: VecDeque::new(),
        };
        archive.read(input, told)?;
        if archive.documents.contains_key("manifest.json") {
            docker::load(&mut archive)
        } else if archive.documents.contains_key("index.json") {
            oci::load(&mut archive, options.platform.as_ref())
        } else if archive.documents.contains_key("repositories") {
            legacy::load(&mut archive)
        } else {
            Err(Error::Archive(
                "it has neither a manifest.json nor an index.json nor a repositories file".into(),
            ))
        }
    }
}

fn digest_of(mut input: impl Read) -> Result<Digest> {
    let mut hasher = gantry_names::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}
