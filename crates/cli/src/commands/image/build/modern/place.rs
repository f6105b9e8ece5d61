//! Where the context and the Dockerfile are, and what the engine is told of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::commands::image::build::is_remote;
use crate::failure::Failure;
use crate::terminal::io_text;

use super::stores::Stores;

/// How much of standard input is looked at to know a tar.
const HEAD: usize = 512;

/// The folders and bytes that the engine may ask for, and the attributes that name them.
#[derive(Default)]
pub struct Place {
    /// Folders by the names they have on the session.
    pub folders: BTreeMap<String, PathBuf>,
    /// What goes to the frontend.
    pub attrs: BTreeMap<String, String>,
    /// Standard input as a context: its first bytes; the rest is still to be read.
    pub upload: Option<Vec<u8>>,
    /// Keeps a Dockerfile that came by standard input.
    kept: Option<tempfile::TempDir>,
}

impl Place {
    /// Finds what `word` and `--file` name.
    pub fn find(word: &str, file: &str) -> Result<Place, Failure> {
        let mut place = Place::default();
        match word {
            "-" if file == "-" => {
                return Err("invalid argument: can't use stdin for both build context and dockerfile".into());
            }
            "-" => place.take_stdin(file)?,
            remote if is_remote(remote) => {
                place.attr("context", remote);
                match file {
                    "-" => place.take_dockerfile()?,
                    file => place.attr("filename", file),
                }
            }
            folder => place.take_folder(folder, file)?,
        }
        Ok(place)
    }

    /// Adds a context with a name of its own: `name=value`.
    pub fn add(&mut self, asked: &str, stores: &mut Stores) -> Result<(), Failure> {
        let wrong = || format!("invalid context value: {asked}, expected key=value");
        let (name, value) = asked.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        if value.starts_with("oci-layout://") {
            let value = stores.context(value)?;
            self.attr(&format!("context:{name}"), &value);
            return Ok(());
        }
        let known = ["docker-image://", "target:"].iter().any(|scheme| value.starts_with(scheme));
        if known || is_remote(value) {
            self.attr(&format!("context:{name}"), value);
            return Ok(());
        }
        let told =
            |why: &str| Failure::text(1, format!("failed to get build context {name}: {value}: {why}"));
        let folder = fs::canonicalize(value).map_err(|error| told(&io_text(&error)))?;
        if !folder.is_dir() {
            return Err(told("not a directory"));
        }
        self.attr(&format!("context:{name}"), &format!("local:{name}"));
        self.folders.insert(name.to_owned(), folder);
        Ok(())
    }

    fn attr(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.attrs.insert(name.to_owned(), value.to_owned());
        }
    }

    fn take_stdin(&mut self, file: &str) -> Result<(), Failure> {
        let mut head = Vec::new();
        io::stdin().lock().take(HEAD as u64).read_to_end(&mut head)?;
        if head.is_empty() {
            return Err("failed to build: the context on standard input is empty".into());
        }
        if is_archive(&head) {
            self.attr("filename", file);
            self.upload = Some(head);
            return Ok(());
        }
        if !file.is_empty() {
            return Err("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles".into());
        }
        io::stdin().lock().read_to_end(&mut head)?;
        // A Dockerfile alone: the context is an empty folder beside it.
        let kept = tempfile::tempdir()?;
        fs::write(kept.path().join("Dockerfile"), head)?;
        let empty = kept.path().join("context");
        fs::create_dir(&empty)?;
        self.folders.insert("context".into(), empty);
        self.folders.insert("dockerfile".into(), kept.path().to_owned());
        self.kept = Some(kept);
        Ok(())
    }

    fn take_dockerfile(&mut self) -> Result<(), Failure> {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text)?;
        let kept = tempfile::tempdir()?;
        fs::write(kept.path().join("Dockerfile"), text)?;
        self.folders.insert("dockerfile".into(), kept.path().to_owned());
        self.attr("dockerfilekey", "dockerfile");
        self.attr("filename", "Dockerfile");
        self.kept = Some(kept);
        Ok(())
    }

    fn take_folder(&mut self, folder: &str, file: &str) -> Result<(), Failure> {
        let root = fs::canonicalize(folder).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Failure::text(1, format!("unable to prepare context: path {folder:?} not found"))
            }
            _ => Failure::text(1, format!("unable to prepare context: {}", io_text(&error))),
        })?;
        if !root.is_dir() {
            let text = format!("unable to prepare context: context must be a directory: {folder}");
            return Err(text.into());
        }
        if file == "-" {
            self.take_dockerfile()?;
            self.attrs.remove("dockerfilekey");
        } else {
            let wanted = if file.is_empty() { root.join("Dockerfile") } else { PathBuf::from(file) };
            let (at, name) = split(&wanted)?;
            self.attr("filename", &name);
            self.folders.insert("dockerfile".into(), at);
        }
        self.folders.insert("context".into(), root);
        Ok(())
    }
}

/// The folder of a Dockerfile that is there, and its name in it.
fn split(file: &Path) -> Result<(PathBuf, String), Failure> {
    let told = |why: &str| {
        let shown = crate::parse::mounts::absolute_path(&file.to_string_lossy());
        Failure::text(1, format!("failed to read dockerfile: open {shown}: {why}"))
    };
    let name = file.file_name().ok_or_else(|| told("is a directory"))?;
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !file.exists() {
        return Err(told("no such file or directory"));
    }
    let folder = fs::canonicalize(folder).map_err(|error| told(&io_text(&error)))?;
    Ok((folder, name.to_string_lossy().into_owned()))
}

fn is_archive(head: &[u8]) -> bool {
    let tar = head.get(257..262) == Some(b"ustar");
    tar || [&b"\x1f\x8b"[..], b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"]
        .iter()
        .any(|magic| head.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_context_and_dockerfile_and_others_join_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        fs::write(folder.path().join("Own"), "FROM scratch").unwrap();
        assert!(Place::find(path, "").is_err());
        let mut place = Place::find(path, &format!("{path}/Own")).unwrap();
        assert_eq!(place.attrs["filename"], "Own");
        assert_eq!(place.folders["context"], place.folders["dockerfile"]);
        let mut stores = Stores::default();
        place.add(&format!("more={path}"), &mut stores).unwrap();
        place.add("base=docker-image://busybox", &mut stores).unwrap();
        assert_eq!(place.attrs["context:more"], "local:more");
        assert_eq!(place.attrs["context:base"], "docker-image://busybox");
        assert!(
            place.add("more", &mut stores).is_err() && place.add("x=/nowhere/at/all", &mut stores).is_err()
        );
    }

    #[test]
    fn archives_are_known_by_their_first_bytes() {
        assert!(is_archive(b"\x1f\x8b\x08") && !is_archive(b"FROM scratch\n"));
    }
}
