//! COPY and ADD: which files go where.

use std::io::{Read, Seek};

use gantry_archive::{Decoder, ExtractOptions, Reader, extract};
use gantry_dockerfile::ignore::Ignore;
use gantry_names::Digest;

use crate::files::{Chmod, CopyOptions, EntryKind, FileError, Owner, Root, Selected, copy, digest, select};
use crate::stage::Digests;

/// One COPY or ADD with all its words expanded.
#[derive(Debug)]
pub(crate) struct Placed {
    /// `COPY` or `ADD`.
    pub(crate) name: &'static str,
    /// Where files come from.
    pub(crate) origins: Vec<Origin>,
    /// Inline files: name and text.
    pub(crate) inline: Vec<(String, String)>,
    /// Absolute; ends in a slash where a folder is meant.
    pub(crate) target: String,
    /// `--chown`, by name or number; resolved in the target's own root.
    pub(crate) chown: String,
    /// Owners as in the source.
    pub(crate) keep_owner: bool,
    /// `--chmod`.
    pub(crate) chmod: Option<Chmod>,
    /// `--exclude`.
    pub(crate) exclude: Vec<String>,
    /// `--parents`.
    pub(crate) parents: bool,
    /// `SOURCE_DATE_EPOCH`.
    pub(crate) newest: Option<i64>,
}

/// A folder that files are taken from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The folder.
    pub(crate) root: Root,
    /// What of it stays behind.
    pub(crate) ignore: Ignore,
    /// Source words.
    pub(crate) words: Vec<String>,
    /// Archives are unpacked.
    pub(crate) unpack: bool,
    /// The folder was made for this instruction, and goes with it.
    pub(crate) _scratch: Option<tempfile::TempDir>,
}

/// `--parents` keeps of a path only what stands behind a `./`: that part (with its slash), and the whole path.
fn pivot(word: &str, parents: bool) -> (String, String) {
    match word.split_once("/./").filter(|_| parents) {
        Some((before, behind)) => {
            let before = absolute(before, "/");
            let before = before.trim_start_matches('/');
            let before = if before.is_empty() { String::new() } else { format!("{before}/") };
            (before.clone(), format!("{before}{behind}"))
        }
        None => (String::new(), word.to_owned()),
    }
}

/// `path` below `folder`, cleaned, without a slash at the end.
pub(crate) fn absolute(path: &str, folder: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}

/// The same, with the slash at the end kept: `COPY a dir/` and `COPY a .` mean a folder.
pub(crate) fn absolute_folder(path: &str, folder: &str) -> String {
    let clean = absolute(path, folder);
    let means_folder = path.ends_with('/') || path.ends_with("/.") || matches!(path, "." | ".." | "");
    if means_folder && !clean.ends_with('/') { format!("{clean}/") } else { clean }
}

impl Placed {
    /// What of an origin stays behind: what `.dockerignore` hides, and `--exclude`.
    fn ignored(&self, origin: &Origin) -> Result<Ignore, FileError> {
        let exclude = Ignore::of(self.exclude.iter().map(String::as_str))
            .map_err(|error| FileError::Pattern(error.to_string()))?;
        Ok(origin.ignore.clone().and(exclude))
    }

    fn selected(&self) -> Result<Vec<(&Origin, String, Selected)>, FileError> {
        let mut all = Vec::new();
        let mut many = false;
        for origin in &self.origins {
            let ignore = self.ignored(origin)?;
            for word in &origin.words {
                let (pivot, word) = pivot(word, self.parents);
                let found = select(&origin.root, &ignore, &word)?;
                many |= found.pattern && found.paths.len() > 1;
                all.extend(found.paths.into_iter().map(|path| (origin, pivot.clone(), path)));
            }
        }
        many |= all.len() + self.inline.len() > 1;
        if many && !self.target.ends_with('/') {
            return Err(FileError::TargetNotFolder(self.name));
        }
        Ok(all)
    }

    /// What goes into the key: each source by what it holds.
    pub(crate) fn digests(&self) -> Digests {
        let mut all = Vec::new();
        for (origin, pivot, selected) in self.selected()? {
            let found = digest(&origin.root, &self.ignored(origin)?, &selected.path)?;
            all.push((format!("{pivot}{}", selected.path), found));
        }
        for (name, text) in &self.inline {
            all.push((format!("<<{name}"), Digest::sha256_of(text.as_bytes())));
        }
        if let Some(chmod) = &self.chmod {
            all.push(("--chmod".into(), Digest::sha256_of(format!("{chmod:?}").as_bytes())));
        }
        Ok(all)
    }

    /// Copies everything below `to`.
    pub(crate) fn copy_into(&self, to: &Root) -> Result<(), FileError> {
        let owner = match (self.keep_owner, self.chown.as_str()) {
            (true, _) => Owner::Kept,
            (false, "") => Owner::Set { uid: 0, gid: 0 },
            (false, chown) => owner_of(to, chown)?,
        };
        let options = |ignore| CopyOptions { owner, chmod: self.chmod.clone(), ignore, newest: self.newest };
        for (origin, pivot, selected) in self.selected()? {
            if origin.unpack && !selected.folder && self.unpacked(origin, &selected.path, to)? {
                continue;
            }
            let base = selected.path.rsplit('/').next().unwrap_or_default();
            let below = |name: &str| format!("{}/{name}", self.target.trim_end_matches('/'));
            let target = if self.parents {
                below(selected.path.strip_prefix(pivot.as_str()).unwrap_or(&selected.path))
            } else if selected.folder || !self.is_folder(to)? {
                self.target.clone()
            } else {
                below(base)
            };
            copy(&origin.root, &selected.path, to, &target, &options(self.ignored(origin)?))?;
        }
        for (name, text) in &self.inline {
            self.write_inline(name, text, to, &options(Ignore::default()))?;
        }
        Ok(())
    }

    /// A target without a slash is a folder all the same where one stands there.
    fn is_folder(&self, to: &Root) -> Result<bool, FileError> {
        Ok(self.target.ends_with('/')
            || to.stat(&self.target, true)?.is_some_and(|entry| entry.kind == EntryKind::Folder))
    }

    fn write_inline(
        &self,
        name: &str,
        text: &str,
        to: &Root,
        options: &CopyOptions,
    ) -> Result<(), FileError> {
        let folder = tempfile::tempdir().map_err(FileError::io(name))?;
        std::fs::write(folder.path().join("inline"), text).map_err(FileError::io(name))?;
        let from = Root::open(folder.path())?;
        let target = if self.is_folder(to)? {
            format!("{}/{name}", self.target.trim_end_matches('/'))
        } else {
            self.target.clone()
        };
        let chmod = options.chmod.clone().or_else(|| Chmod::parse("644").ok());
        copy(
            &from,
            "inline",
            to,
            &target,
            &CopyOptions { chmod, ignore: Ignore::default(), ..options.clone() },
        )
    }

    /// ADD unpacks a local tar archive into the target folder, whatever it is compressed with.
    fn unpacked(&self, origin: &Origin, path: &str, to: &Root) -> Result<bool, FileError> {
        let mut file = origin.root.file(path)?;
        let is_archive = {
            let peek = file.try_clone().map_err(FileError::io(path))?;
            Decoder::new(peek).ok().is_some_and(|decoder| {
                let mut header = Vec::new();
                let read = decoder.take(512).read_to_end(&mut header);
                read.is_ok() && header.len() == 512 && header[257..262] == *b"ustar"
            })
        };
        file.rewind().map_err(FileError::io(path))?;
        if !is_archive {
            return Ok(false);
        }
        let folder = to.make_folders(&self.target, 0, 0)?;
        let wrong = |error: gantry_archive::Error| FileError::io(path)(std::io::Error::other(error));
        let mut reader = Reader::new(Decoder::new(file).map_err(wrong)?);
        let root = gantry_archive::Root::from_fd(folder.reopened()?);
        let room = gantry_archive::Room::on_disk_of(&root).map_err(|error| wrong(error.into()))?;
        let owner = match self.chown.as_str() {
            "" => gantry_archive::Owner::Archive,
            chown => match owner_of(to, chown)? {
                Owner::Set { uid, gid } => gantry_archive::Owner::Fixed { uid, gid },
                Owner::Kept => gantry_archive::Owner::Archive,
            },
        };
        extract(&mut reader, &root, &ExtractOptions { owner, room: Some(room), ..ExtractOptions::default() })
            .and_then(|done| done.refuse_links())
            .map_err(wrong)?;
        Ok(true)
    }
}

/// `user[:group]`, by name or number, as the root's own `/etc/passwd` and `/etc/group` have them.
fn owner_of(root: &Root, chown: &str) -> Result<Owner, FileError> {
    let (user, group) = chown.split_once(':').map_or((chown, None), |(user, group)| (user, Some(group)));
    let unknown = |what: &str, name: &str| {
        let message = format!("unable to convert {what} {name} to a number: not in the image");
        FileError::io(name)(std::io::Error::new(std::io::ErrorKind::InvalidInput, message))
    };
    let uid = match user.parse() {
        Ok(uid) => uid,
        Err(_) => number_of(root, "etc/passwd", user)?.ok_or_else(|| unknown("user", user))?,
    };
    let gid = match group {
        // A user alone stands for its group of the same number.
        None => uid,
        Some(group) => match group.parse() {
            Ok(gid) => gid,
            Err(_) => number_of(root, "etc/group", group)?.ok_or_else(|| unknown("group", group))?,
        },
    };
    Ok(Owner::Set { uid, gid })
}

fn number_of(root: &Root, path: &str, name: &str) -> Result<Option<u32>, FileError> {
    /// No list of users is larger.
    const LIMIT: u64 = 4 << 20;
    if root.stat(path, true)?.is_none_or(|entry| entry.kind != EntryKind::File) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    root.file(path)?.take(LIMIT).read_to_end(&mut bytes).map_err(FileError::io(path))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)).flatten()?.parse().ok()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_below_the_working_folder_and_keep_their_slash() {
        assert_eq!(absolute_folder("a", "/srv"), "/srv/a");
        assert_eq!(absolute_folder("a/", "/srv"), "/srv/a/");
        assert_eq!(absolute_folder(".", "/srv"), "/srv/");
        assert_eq!(absolute_folder("/x/../y", "/srv"), "/y");
        assert_eq!(absolute("../../..", "/srv"), "/");
    }

    #[test]
    fn a_pivot_cuts_the_parents_that_are_kept() {
        let at = |word: &str| pivot(word, true);
        assert_eq!(at("a/b/./c/*"), ("a/b/".into(), "a/b/c/*".into()));
        assert_eq!(at("./x"), (String::new(), "./x".into()));
        assert_eq!(pivot("a/./b", false), (String::new(), "a/./b".into()));
    }

    #[test]
    fn owners_are_looked_up_in_the_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/passwd"), "web:x:33:44::/:/bin/sh\n").unwrap();
        std::fs::write(folder.path().join("etc/group"), "www:x:55:\n").unwrap();
        let root = Root::open(folder.path()).unwrap();
        assert_eq!(owner_of(&root, "web:www").unwrap(), Owner::Set { uid: 33, gid: 55 });
        assert_eq!(owner_of(&root, "7:8").unwrap(), Owner::Set { uid: 7, gid: 8 });
        assert_eq!(owner_of(&root, "9").unwrap(), Owner::Set { uid: 9, gid: 9 });
        assert!(owner_of(&root, "nobody-here").is_err());
    }
}
