//! A folder as the list that a sender tells.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gantry_dockerfile::ignore::Ignore;
use rustix::fs::{self, AtFlags, CWD};

use super::TransferError;
use super::mode::{self, Kind};
use crate::proto::session::Stat;

/// Whose files those are on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// As here: an export.
    Kept,
    /// Nobody's in particular, so the superuser's: a build's context.
    Root,
}

/// Which files are told.
#[derive(Debug, Default)]
pub struct Filter {
    /// What stays behind.
    pub exclude: Ignore,
    /// Only these and what is below and above them, where given. Links in them are followed.
    pub only: Vec<String>,
}

/// A file to send.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What is told of it.
    pub stat: Stat,
    /// Where its bytes are.
    pub path: PathBuf,
}

impl Listed {
    /// The same file in a folder of this name; an empty name is no folder.
    pub fn below(mut self, folder: &str) -> Self {
        if folder.is_empty() {
            return self;
        }
        self.stat.path = format!("{folder}/{}", self.stat.path);
        if Kind::of_wire(self.stat.mode) == Kind::File && !self.stat.linkname.is_empty() {
            self.stat.linkname = format!("{folder}/{}", self.stat.linkname);
        }
        self
    }
}

/// What is told of a folder that is made for the list.
pub fn folder(name: &str) -> Stat {
    Stat { path: name.to_owned(), mode: mode::to_wire(0o040_755), ..Stat::default() }
}

/// What is told of a file with this metadata; `link` is where a symbolic link leads.
pub fn stat(name: &str, stat: &fs::Stat, link: String) -> Stat {
    Stat {
        path: name.to_owned(),
        mode: mode::to_wire(stat.st_mode),
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size,
        mod_time: stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64),
        linkname: link,
        ..Stat::default()
    }
}

/// Every file below `folder` that `filter` lets through, in the protocol's order: names by bytes, a folder before what is
/// in it.
pub fn list(folder: &Path, filter: &Filter, owners: Owners) -> Result<Vec<Listed>, TransferError> {
    let mut walk = Walk { filter, owners, inodes: HashMap::new(), found: Vec::new() };
    walk.below(folder, "")?;
    Ok(walk.found)
}

struct Walk<'a> {
    filter: &'a Filter,
    owners: Owners,
    /// The first name of files with several.
    inodes: HashMap<(u64, u64), String>,
    found: Vec<Listed>,
}

impl Walk<'_> {
    fn below(&mut self, folder: &Path, prefix: &str) -> Result<(), TransferError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(TransferError::io(prefix))? {
            names.push(entry.map_err(TransferError::io(prefix))?.file_name());
        }
        names.sort();
        for name in names {
            let Some(text) = name.to_str() else { continue };
            let relative = if prefix.is_empty() { text.to_owned() } else { format!("{prefix}/{text}") };
            self.entry(folder.join(&name), relative)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: PathBuf, relative: String) -> Result<(), TransferError> {
        let stat = fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).map_err(TransferError::io(&relative))?;
        let kind = Kind::of_kernel(stat.st_mode);
        if kind == Kind::Socket || !self.wanted(&relative) {
            return Ok(());
        }
        let excluded = self.filter.exclude.excludes(&relative);
        if excluded && !(kind == Kind::Folder && self.filter.exclude.may_take_back_below(&relative)) {
            return Ok(());
        }
        let at = self.found.len();
        // An excluded folder is told only if something in it is.
        let told = self.told(&path, &relative, &stat)?;
        self.found.push(Listed { stat: told, path: path.clone() });
        if kind == Kind::Folder {
            self.below(&path, &relative)?;
            if excluded && self.found.len() == at + 1 {
                self.found.pop();
            }
        }
        Ok(())
    }

    fn wanted(&self, path: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
        };
        let only = &self.filter.only;
        only.is_empty() || only.iter().any(|wanted| within(path, wanted) || within(wanted, path))
    }

    fn told(&mut self, path: &Path, relative: &str, stat: &fs::Stat) -> Result<Stat, TransferError> {
        let kind = Kind::of_kernel(stat.st_mode);
        let mut told = Stat {
            path: relative.to_owned(),
            mode: mode::to_wire(stat.st_mode),
            mod_time: stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64),
            ..Stat::default()
        };
        if self.owners == Owners::Kept {
            (told.uid, told.gid) = (stat.st_uid, stat.st_gid);
        }
        match kind {
            Kind::Link => {
                let target = fs::readlinkat(CWD, path, Vec::new()).map_err(TransferError::io(relative))?;
                told.linkname = target.to_string_lossy().into_owned();
            }
            Kind::File => {
                told.size = stat.st_size;
                if stat.st_nlink > 1 {
                    let first = self.inodes.entry((stat.st_dev, stat.st_ino));
                    let first = first.or_insert_with(|| relative.to_owned());
                    if first != relative {
                        told.linkname.clone_from(first);
                        told.size = 0;
                    }
                }
            }
            Kind::Block | Kind::Character => {
                told.devmajor = i64::from(fs::major(stat.st_rdev));
                told.devminor = i64::from(fs::minor(stat.st_rdev));
            }
            _ => {}
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(folder: &Path, filter: &Filter) -> Vec<String> {
        list(folder, filter, Owners::Root).unwrap().into_iter().map(|listed| listed.stat.path).collect()
    }

    #[test]
    fn excluded_folders_are_told_when_something_in_them_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/b", "a/c", "n/d"] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
            std::fs::write(folder.path().join(path).join("f"), path).unwrap();
        }
        let filter = Filter { exclude: Ignore::parse("*\n!a/c/f\n").unwrap(), only: Vec::new() };
        assert_eq!(paths(folder.path(), &filter), ["a", "a/c", "a/c/f"]);
        let filter = Filter { exclude: Ignore::default(), only: vec!["a/c".into()] };
        assert_eq!(paths(folder.path(), &filter), ["a", "a/c", "a/c/f"]);
    }
}
