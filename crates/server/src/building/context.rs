//! The context: what a client sends, or where it says it is, as a folder.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gantry_archive::{Decoder, ExtractOptions, Reader, Room, Root, extract};

use crate::failure::Failure;

/// A Dockerfile longer than this is none.
const DOCKERFILE_LIMIT: u64 = 8 << 20;
/// What a tar archive's first member takes at least.
const TAR_BLOCK: u64 = 512;
/// How gzip, bzip2, xz and zstd begin.
const PACKED: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"];
/// Its usual names, in order.
const USUAL: [&str; 2] = ["Dockerfile", "dockerfile"];

/// An unpacked context; its folder goes with it.
#[derive(Debug)]
pub(crate) struct Context {
    folder: tempfile::TempDir,
    /// Where it begins in its folder.
    root: PathBuf,
}

impl Context {
    /// An empty one below the builder's own folder.
    pub(crate) fn empty(base: &Path) -> Result<Context, Failure> {
        let base = base.join("contexts");
        let made = std::fs::create_dir_all(&base).and_then(|()| tempfile::tempdir_in(&base));
        let folder = made.map_err(|e| Failure::internal(format!("failed to create temp directory: {e}")))?;
        let root = folder.path().to_owned();
        Ok(Context { folder, root })
    }

    /// A tar archive, whatever it is compressed with. Blocking.
    pub(crate) fn unpack(base: &Path, archive: impl Read + Send + 'static) -> Result<Context, Failure> {
        let context = Context::empty(base)?;
        let root = Root::open(context.root()).map_err(|e| wrong(&e))?;
        let room = Room::on_disk_of(&root).map_err(|e| wrong(&e))?;
        let decoder = Decoder::new(archive).map_err(|e| wrong(&e))?;
        let mut reader = Reader::new(room.bound(decoder));
        extract(&mut reader, &root, &ExtractOptions { room: Some(room), ..ExtractOptions::default() })
            .and_then(|done| done.refuse_links())
            .and_then(|_| reader.drain())
            .map_err(|e| wrong(&e))?;
        Ok(context)
    }

    /// An archive, or a lone Dockerfile: the first bytes tell. Blocking.
    pub(crate) fn of_either(base: &Path, mut bytes: impl Read + Send + 'static) -> Result<Context, Failure> {
        let mut head = Vec::new();
        let read = (&mut bytes).take(TAR_BLOCK).read_to_end(&mut head);
        read.map_err(|e| Failure::internal(format!("failed to read the remote context: {e}")))?;
        let tar = head.get(257..262).is_some_and(|magic| magic == b"ustar");
        if tar || PACKED.iter().any(|magic| head.starts_with(magic)) {
            return Context::unpack(base, io::Cursor::new(head).chain(bytes));
        }
        let rest = bytes.take(DOCKERFILE_LIMIT).read_to_end(&mut head);
        rest.map_err(|e| Failure::internal(format!("failed to read the remote context: {e}")))?;
        Context::empty(base)?.with_dockerfile(&head)
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Narrows it to a folder inside. Links that lead there are its author's, and end inside.
    pub(crate) fn below(mut self, folder: &str) -> Result<Context, Failure> {
        let found = gantry_build::files::Root::open(self.folder.path())?.folder(folder);
        let found = found.and_then(|found| found.place());
        self.root = found
            .map_err(|error| Failure::invalid(format!("the context has no folder {folder:?}: {error}")))?;
        Ok(self)
    }

    /// Puts a lone Dockerfile into it.
    pub(crate) fn with_dockerfile(self, bytes: &[u8]) -> Result<Context, Failure> {
        std::fs::write(self.root().join(USUAL[0]), bytes).map_err(|e| wrong(&e))?;
        Ok(self)
    }

    /// The Dockerfile's name and text. Blocking.
    pub(crate) fn dockerfile(&self, asked: &str) -> Result<(String, String), Failure> {
        let root = gantry_build::files::Root::open(self.root())?;
        let there = |name: &str| root.stat(name, true).ok().flatten().is_some();
        let name = match asked {
            "" => USUAL.into_iter().find(|name| there(name)).unwrap_or(USUAL[0]),
            asked => asked,
        };
        if !there(name) {
            let outside =
                std::path::Path::new(name).components().any(|part| part == std::path::Component::ParentDir);
            return Err(Failure::invalid(match outside {
                true => format!("forbidden path outside the build context: {name} ()"),
                false => format!("Cannot locate specified Dockerfile: {name}"),
            }));
        }
        let mut bytes = Vec::new();
        let read = root.file(name)?.take(DOCKERFILE_LIMIT + 1).read_to_end(&mut bytes);
        read.map_err(|e| Failure::invalid(format!("failed to read dockerfile: {name}: {e}")))?;
        if bytes.is_empty() {
            return Err(Failure::invalid(format!("The Dockerfile ({name}) cannot be empty")));
        }
        if bytes.len() as u64 > DOCKERFILE_LIMIT {
            let text = format!("dockerfile parse error: {name} is larger than {DOCKERFILE_LIMIT} bytes");
            return Err(Failure::invalid(text));
        }
        let text = gantry_dockerfile::text(bytes).map_err(|error| Failure::invalid(error.to_string()))?;
        Ok((name.to_owned(), text))
    }
}

fn wrong(error: &dyn std::error::Error) -> Failure {
    let mut text = format!("Error processing tar file: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    Failure::invalid(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_is_found_read_and_refused_with_its_line() {
        let base = tempfile::tempdir().unwrap();
        let told = |bytes: &[u8], name: &str| {
            let context = Context::empty(base.path()).unwrap().with_dockerfile(bytes).unwrap();
            context.dockerfile(name).map_err(|failure| failure.message)
        };
        assert_eq!(told(b"FROM a", "").unwrap(), ("Dockerfile".into(), "FROM a".into()));
        assert_eq!(told(b"FROM a", "other").unwrap_err(), "Cannot locate specified Dockerfile: other");
        assert_eq!(told(b"", "").unwrap_err(), "The Dockerfile (Dockerfile) cannot be empty");
        assert_eq!(
            told(b"FROM a\nRUN \xff\n", "").unwrap_err(),
            "dockerfile parse error on line 2: not UTF-8 text: \"RUN \u{fffd}\""
        );
        assert_eq!(
            told(b"FROM a", "../../etc/passwd").unwrap_err(),
            "forbidden path outside the build context: ../../etc/passwd ()"
        );
    }

    #[test]
    fn what_is_no_archive_is_told() {
        let base = tempfile::tempdir().unwrap();
        let failure = Context::unpack(base.path(), &b"this is no archive at all"[..]).unwrap_err();
        assert!(failure.message.starts_with("Error processing tar file: "), "{}", failure.message);
        assert_eq!(std::fs::read_dir(base.path().join("contexts")).unwrap().count(), 0);
    }
}
