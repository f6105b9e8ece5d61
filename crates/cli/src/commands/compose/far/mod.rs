//! Compose files of other machines: `https://host/name.git#ref:folder` is a repository, `oci://host/name:tag` what
//! `compose publish` left in a registry.
//!
//! What came is kept below `$XDG_CACHE_HOME/gantry/compose`, in a folder named by the commit or the digest, so that a
//! project's paths stay what they were. It gets there whole or not at all.

mod artifact;
mod repository;

pub use artifact::{ENV_FILE, ENV_NAME, EXTENDS, FILE, Layer, VERSION, YAML_FILE, manifest};

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{env, fs, io};

use gantry_compose_file::load::Fetched;

use crate::session::Session;

/// The longest that one address may take.
const WITHIN: Duration = Duration::from_secs(180);

/// What a run that was killed left behind is removed after a day.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The names that a folder's compose file may have, the best first.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Brings what an address names to this machine; `None` for a path.
pub fn fetch(s: &Session, address: &str) -> Option<Result<Fetched, String>> {
    if let Some(name) = address.strip_prefix("oci://") {
        return Some(allowed("COMPOSE_EXPERIMENTAL_OCI_REMOTE").and_then(|()| artifact::fetch(s, name)));
    }
    let repository = gantry_git::Repository::parse(address)?;
    Some(allowed("COMPOSE_EXPERIMENTAL_GIT_REMOTE").and_then(|()| repository::fetch(&repository)))
}

/// Compose's switches for what leaves the machine.
fn allowed(variable: &str) -> Result<(), String> {
    let value = env::var(variable).unwrap_or_default();
    match value.to_lowercase().as_str() {
        "" | "1" | "t" | "true" => Ok(()),
        "0" | "f" | "false" => Err(format!("remote compose files are switched off by {variable}")),
        _ => Err(format!("{variable} environment variable expects boolean value, not {value:?}")),
    }
}

/// Does work of the network while the loader, which knows no waiting, waits; at most [`WITHIN`].
fn wait<T: Send>(what: &str, work: impl Future<Output = Result<T, String>> + Send) -> Result<T, String> {
    let bounded = async {
        match tokio::time::timeout(WITHIN, work).await {
            Ok(done) => done,
            Err(_) => Err(format!("{what} did not come within {} seconds", WITHIN.as_secs())),
        }
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|why| why.to_string())?.block_on(bounded)
        });
        thread.join().unwrap_or_else(|_| Err(format!("fetching {what} broke off")))
    })
}

/// Where what was fetched is kept.
fn cache() -> io::Result<PathBuf> {
    let home = || env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let cache = env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty());
    let cache = cache.map_or_else(|| home().join(".cache"), PathBuf::from).join("gantry/compose");
    fs::create_dir_all(&cache)?;
    for entry in fs::read_dir(&cache)?.flatten() {
        let begun = entry.file_name().to_string_lossy().starts_with(BEGUN);
        let age = entry.metadata().and_then(|meta| meta.modified()).ok();
        let age = age.and_then(|at| SystemTime::now().duration_since(at).ok());
        if begun && age.is_some_and(|age| age > STALE) {
            // Another run may be at it, too.
            let _gone = fs::remove_dir_all(entry.path());
        }
    }
    Ok(cache)
}

/// What a folder is called before all of it is there.
const BEGUN: &str = ".fetching-";

/// A folder of the cache that is not whole yet; it goes when it is dropped before it is kept.
fn begin(cache: &Path) -> Result<tempfile::TempDir, String> {
    let begun = tempfile::Builder::new().prefix(BEGUN).tempdir_in(cache);
    begun.map_err(|why| format!("{}: {why}", cache.display()))
}

/// Gives a whole folder its name. Somebody who was faster brought the same.
fn keep(begun: tempfile::TempDir, to: &Path) -> Result<(), String> {
    match fs::rename(begun.path(), to) {
        Ok(()) => {
            let _moved = begun.keep();
            Ok(())
        }
        Err(_) if to.is_dir() => Ok(()),
        Err(why) => Err(format!("{}: {why}", to.display())),
    }
}

/// The compose file that is meant by a path of what was fetched.
fn named(root: &Path, path: &Path) -> Result<Fetched, String> {
    let file = match path.is_dir() {
        true => NAMES.iter().map(|name| path.join(name)).find(|file| file.is_file()),
        false => Some(path.to_owned()).filter(|file| file.is_file()),
    };
    let shown = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let file = file.ok_or_else(|| match shown.is_empty() {
        true => "no configuration file in what was fetched".to_owned(),
        false => format!("no configuration file at {shown} in what was fetched"),
    })?;
    Ok(Fetched { file: file.to_string_lossy().into_owned(), root: root.to_string_lossy().into_owned() })
}
