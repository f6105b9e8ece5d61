//! A compose file in a repository.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_compose_file::load::Fetched;
use gantry_git::{Repository, check_out, resolve};

use super::{begin, cache, keep, named, wait};

/// The largest commit that is taken, with git's own files of it.
const MOST: u64 = 1 << 30;

/// Between two looks at how large it became.
const LOOK: Duration = Duration::from_millis(500);

/// Brings the commit here, unless it is.
pub fn fetch(repository: &Repository) -> Result<Fetched, String> {
    let cache = cache().map_err(|why| why.to_string())?;
    let root = wait(&repository.address, commit(repository, &cache))?;
    named(&root, &root.join(repository.folder.trim_matches('/')))
}

async fn commit(repository: &Repository, cache: &Path) -> Result<PathBuf, String> {
    let begun = begin(cache)?;
    let commit = resolve(repository, begun.path()).await.map_err(|why| why.to_string())?;
    let root = cache.join(&commit);
    if root.is_dir() {
        return Ok(root);
    }
    // What the reference was a moment ago, not what it has become.
    let exact = Repository { reference: commit.clone(), ..repository.clone() };
    tokio::select! {
        done = check_out(&exact, begun.path(), false) => drop(done.map_err(|why| why.to_string())?),
        () = outgrown(begun.path()) => {
            return Err(format!("{} is larger than {} MiB", repository.address, MOST >> 20));
        }
    }
    keep(begun, &root)?;
    Ok(root)
}

/// Comes back when a folder has grown too large.
async fn outgrown(folder: &Path) {
    while size(folder) <= MOST {
        tokio::time::sleep(LOOK).await;
    }
}

/// The bytes of all files below a folder. What goes while it is looked at has none.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
