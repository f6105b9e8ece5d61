//! Uploads under way: a local file and a running hash each.
//!
//! An upload survives the server: its file stays, its note says to whom it belongs, and its hash is computed again
//! on the first use. A monolithic upload has no note, so a restart removes its file.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use gantry_names::Digest;
use serde::{Deserialize, Serialize};

use super::lock;
use crate::hash::Hash;
use crate::name::RepositoryName;

/// So many bytes are given to the disk at once while more come.
const FLUSH: u64 = 32 << 20;
/// So many uploads are kept at hand, a descriptor and a running hash each: a client may begin any number and never come back.
const AT_HAND: usize = 512;

/// What is written beside an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where the blob will belong.
    pub repository: String,
    /// Who began; only they go on.
    pub owner: Option<String>,
    /// The hash that runs along.
    pub algorithm: String,
}

/// An upload in the hands of the one request that writes it.
pub struct Upload {
    path: PathBuf,
    note: PathBuf,
    file: File,
    hash: Hash,
    size: u64,
    over: bool,
    /// A sync under way, and how many bytes there were when it began.
    flushing: Option<JoinHandle<io::Result<()>>>,
    flushed: u64,
    /// It ends with its one request, however that ends.
    single: bool,
    /// Whose it is.
    pub about: Note,
}

/// Why an upload did not become a blob.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The bytes are not what was announced.
    #[error("the content's digest is {found}")]
    Digest {
        /// What they are.
        found: Digest,
    },
    /// The storage failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Upload {
    /// Bytes that arrived.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it was finished or given up. A request that waited for its turn must not write any more: the file
    /// may be a blob by now.
    pub fn over(&self) -> bool {
        self.over
    }

    /// Takes bytes in.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.flush_behind()
    }

    /// Keeps the disk busy while bytes come, so that little is left for the sync at the end.
    fn flush_behind(&mut self) -> io::Result<()> {
        if self.size - self.flushed < FLUSH
            || self.flushing.as_ref().is_some_and(|flush| !flush.is_finished())
        {
            return Ok(());
        }
        self.flush_end()?;
        self.flushed = self.size;
        let file = self.file.try_clone()?;
        self.flushing = Some(std::thread::spawn(move || file.sync_data()));
        Ok(())
    }

    /// Waits for the sync under way. A failure to write is told by the kernel only once, so it must not get lost here.
    fn flush_end(&mut self) -> io::Result<()> {
        match self.flushing.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(flushed)) => flushed,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }

    /// Compares with `digest` and syncs. The file is ready for adoption afterwards.
    pub fn finish(&mut self, digest: &Digest, sync: bool) -> Result<&Path, FinishError> {
        if self.hash.algorithm() != digest.algorithm() {
            self.hash = hash_file(&self.path, Hash::like(digest))?.0;
        }
        let found = self.hash.clone().finish();
        if found != *digest {
            return Err(FinishError::Digest { found });
        }
        self.flush_end()?;
        if sync {
            self.file.sync_data()?;
        }
        Ok(&self.path)
    }

    /// Removes what is left of the upload.
    pub fn discard(&mut self) {
        self.over = true;
        for path in [&self.path, &self.note] {
            if let Err(err) = fs::remove_file(path)
                && err.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), error = %err, "an upload's file stays until the next purge");
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.single && !self.over {
            self.discard();
        }
    }
}

fn hash_file(path: &Path, mut hash: Hash) -> io::Result<(Hash, u64)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hash, size)),
            n => {
                hash.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
}

/// An upload that requests share; one of them at a time.
pub type Shared = Arc<tokio::sync::Mutex<Upload>>;

/// All uploads under way.
pub struct Uploads {
    directory: PathBuf,
    live: Mutex<HashMap<String, Shared>>,
}

impl Uploads {
    /// Opens the directory of uploads and removes files no note speaks of.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_none() && !path.with_extension("json").exists() {
                fs::remove_file(&path)?;
            }
        }
        Ok(Self { directory: directory.to_owned(), live: Mutex::new(HashMap::new()) })
    }

    fn create(&self, id: &str, about: Note) -> io::Result<Upload> {
        let hash = Hash::named(&about.algorithm)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "unknown digest algorithm"))?;
        let path = self.directory.join(id);
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        Ok(Upload {
            note: path.with_extension("json"),
            path,
            file,
            hash,
            size: 0,
            over: false,
            flushing: None,
            flushed: 0,
            single: false,
            about,
        })
    }

    /// An upload that ends with its one request.
    pub fn single(&self, about: Note) -> io::Result<Upload> {
        let mut upload = self.create(&fresh_id()?, about)?;
        upload.single = true;
        Ok(upload)
    }

    /// An upload of many requests. Returns its id.
    pub fn begin(&self, about: Note) -> io::Result<String> {
        let id = fresh_id()?;
        let json = serde_json::to_vec(&about).map_err(io::Error::other)?;
        // The note first: a file without one is removed at the next start.
        fs::write(self.directory.join(&id).with_extension("json"), json)?;
        let upload = self.create(&id, about)?;
        let mut live = lock(&self.live);
        make_room(&mut live);
        live.insert(id.clone(), Arc::new(tokio::sync::Mutex::new(upload)));
        Ok(id)
    }

    /// An upload of this repository and owner; `None` for any other.
    pub fn get(&self, id: &str, name: &RepositoryName, owner: Option<&str>) -> io::Result<Option<Shared>> {
        if !is_id(id) {
            return Ok(None);
        }
        let live = lock(&self.live).get(id).cloned();
        let shared = match live {
            Some(shared) => shared,
            None => match self.reopen(id)? {
                Some(upload) => {
                    let fresh = Arc::new(tokio::sync::Mutex::new(upload));
                    let mut live = lock(&self.live);
                    make_room(&mut live);
                    Arc::clone(live.entry(id.to_owned()).or_insert(fresh))
                }
                None => return Ok(None),
            },
        };
        // The note never changes; a busy upload's is read from disk.
        let about = match shared.try_lock() {
            Ok(upload) => upload.about.clone(),
            Err(_) => match self.read_note(id)? {
                Some(note) => note,
                None => return Ok(None),
            },
        };
        let theirs = about.repository == name.as_str() && about.owner.as_deref() == owner;
        Ok(theirs.then_some(shared))
    }

    fn read_note(&self, id: &str) -> io::Result<Option<Note>> {
        match fs::read(self.directory.join(id).with_extension("json")) {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Finds an upload that is not at hand, or that an earlier server began.
    fn reopen(&self, id: &str) -> io::Result<Option<Upload>> {
        let Some(about) = self.read_note(id)? else { return Ok(None) };
        let Some(hash) = Hash::named(&about.algorithm) else { return Ok(None) };
        let path = self.directory.join(id);
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let (hash, size) = hash_file(&path, hash)?;
        Ok(Some(Upload {
            note: path.with_extension("json"),
            path,
            file,
            hash,
            size,
            over: false,
            flushing: None,
            flushed: 0,
            single: false,
            about,
        }))
    }

    /// Forgets an upload that is over.
    pub fn forget(&self, id: &str) {
        lock(&self.live).remove(id);
    }

    /// Removes uploads nobody has written to for `age`. Returns how many.
    pub fn purge(&self, age: Duration) -> io::Result<usize> {
        let mut purged = 0;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            let Some(id) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else {
                continue;
            };
            let newest = [path.with_extension(""), path.with_extension("json")]
                .iter()
                .filter_map(|path| fs::metadata(path).ok()?.modified().ok())
                .max();
            let stale = newest.is_some_and(|at| SystemTime::now().duration_since(at).is_ok_and(|d| d >= age));
            // Whoever holds the upload is using it, however long ago the last byte came.
            let idle = lock(&self.live).get(&id).is_none_or(|shared| Arc::strong_count(shared) == 1);
            if stale && idle {
                self.forget(&id);
                fs::remove_file(&path)?;
                purged += usize::from(path.extension().is_none());
            }
        }
        Ok(purged)
    }
}

/// Lets go of half the uploads that nobody uses at this moment, the smallest first: each is found again by its note, and its
/// hash computed again.
fn make_room(live: &mut HashMap<String, Shared>) {
    if live.len() < AT_HAND {
        return;
    }
    let idle = live.iter().filter_map(|(id, shared)| {
        let upload = shared.try_lock().ok()?;
        // A sync under way has a result that must be heard.
        (Arc::strong_count(shared) == 1 && upload.flushing.is_none()).then(|| (upload.size, id.clone()))
    });
    let mut idle: Vec<_> = idle.collect();
    idle.sort();
    for (_, id) in idle.iter().take(idle.len().div_ceil(2)) {
        live.remove(id);
    }
}

/// A version 4 UUID, as Docker's registry gives.
fn fresh_id() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    crate::random::fill(&mut bytes)?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

fn is_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note { repository: "a".into(), owner: None, algorithm: "sha256".into() }
    }

    #[test]
    fn an_upload_goes_on_after_a_restart_with_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let name = RepositoryName::parse("a").unwrap();
        let id = {
            let uploads = Uploads::open(dir.path()).unwrap();
            let id = uploads.begin(note()).unwrap();
            let shared = uploads.get(&id, &name, None).unwrap().unwrap();
            shared.try_lock().unwrap().write(b"hello ").unwrap();
            id
        };
        let uploads = Uploads::open(dir.path()).unwrap();
        let shared = uploads.get(&id, &name, None).unwrap().unwrap();
        let mut upload = shared.try_lock().unwrap();
        assert_eq!(upload.size(), 6);
        upload.write(b"world").unwrap();
        upload.finish(&Digest::sha256_of(b"hello world"), true).unwrap();
    }

    #[test]
    fn uploads_that_nobody_goes_on_with_hold_few_descriptors_and_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(dir.path()).unwrap();
        let name = RepositoryName::parse("a").unwrap();
        let first = uploads.begin(note()).unwrap();
        let found = |id: &str| uploads.get(id, &name, None).unwrap().unwrap();
        found(&first).try_lock().unwrap().write(b"hello").unwrap();
        let used = found(&first);
        let all: Vec<String> = (0..4 * AT_HAND).map(|_| uploads.begin(note()).unwrap()).collect();
        assert!(lock(&uploads.live).len() <= AT_HAND);
        assert!(Arc::ptr_eq(&used, &found(&first)), "one that is in use stays");
        drop(used);
        for id in &all {
            found(id).try_lock().unwrap().write(b"x").unwrap();
        }
        assert!(lock(&uploads.live).len() <= AT_HAND);
        found(&all[0]).try_lock().unwrap().finish(&Digest::sha256_of(b"x"), false).unwrap();
        found(&first).try_lock().unwrap().finish(&Digest::sha256_of(b"hello"), false).unwrap();
    }

    #[test]
    fn other_repositories_and_other_people_do_not_find_an_upload() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(dir.path()).unwrap();
        let id = uploads.begin(Note { owner: Some("ann".into()), ..note() }).unwrap();
        let (a, b) = (RepositoryName::parse("a").unwrap(), RepositoryName::parse("b").unwrap());
        assert!(uploads.get(&id, &a, Some("ann")).unwrap().is_some());
        assert!(uploads.get(&id, &b, Some("ann")).unwrap().is_none());
        assert!(uploads.get(&id, &a, Some("bob")).unwrap().is_none());
        assert!(uploads.get(&id, &a, None).unwrap().is_none());
        assert!(uploads.get("../../etc/passwd", &a, Some("ann")).unwrap().is_none());
    }

    #[test]
    fn a_stale_upload_is_purged_and_a_single_one_does_not_outlive_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(dir.path()).unwrap();
        uploads.begin(note()).unwrap();
        std::mem::forget(uploads.single(note()).unwrap());
        assert_eq!(uploads.purge(Duration::from_secs(3600)).unwrap(), 0);
        let uploads = Uploads::open(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "the begun one and its note");
        assert_eq!(uploads.purge(Duration::ZERO).unwrap(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
