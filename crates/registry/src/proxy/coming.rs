//! A blob on its way from upstream, and those who follow it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use gantry_names::Digest;
use tokio::sync::{mpsc, watch};

use super::PIECE;
use crate::store::driver::Source;
use crate::store::{Store, blocking};

/// Pieces between the file and a client.
const DEPTH: usize = 4;

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// So many bytes are here.
    Here(u64),
    /// All are, and they fit the digest.
    Done,
    /// It will not come.
    Failed,
}

/// A blob on its way from upstream.
pub struct Coming {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) path: PathBuf,
    pub(super) state: watch::Receiver<State>,
    pub(super) store: Arc<Store>,
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
