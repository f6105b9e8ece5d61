//! A container's root seen through a descriptor: for cp, export and the archive endpoints, of a container that does not run
//! (a mount that is in no namespace) or of one that does (its own).

use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_archive::{ExtractOptions, Owner, PackOptions, Reader, Root, Writer, extract, pack};
use rustix::fs::{FileType, OFlags, Stat};

use crate::{Access, Error, Result, Rootfs, mount};

/// A root file system, and what is mounted in it.
#[derive(Debug)]
pub struct RootView {
    root: Root,
    /// What could not be mounted into it (before Linux 6.15), by the clean path it belongs at; longest first.
    beside: Vec<(Vec<u8>, Root)>,
}

/// What `HEAD /containers/x/archive` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// The last component of the path as it was asked for.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Go's `os.FileMode` bits: permissions in the low nine, kinds at the top.
    pub mode: u32,
    /// When the contents last changed.
    pub mtime: SystemTime,
    /// Of a symlink: where it leads, from the container's root; else empty.
    pub link_target: String,
}

/// How to copy into a root.
#[derive(Debug, Clone, Default)]
pub struct UntarOptions {
    /// Refuse to put a directory in the place of a file and the other way round.
    pub no_overwrite_dir_non_dir: bool,
    /// Who owns what is copied.
    pub owner: Owner,
}

/// How many symlinks a path may lead through; the kernel's own limit.
const MAX_LINKS: usize = 40;

impl RootView {
    /// The root file system `rootfs`, mounted nowhere. It goes with the value.
    pub fn of(rootfs: &Rootfs) -> Result<RootView> {
        Ok(RootView { root: Root::from_fd(rootfs.open(Access::Write)?), beside: Vec::new() })
    }

    /// What the process `pid` sees as `/`.
    pub fn of_process(pid: u32) -> Result<RootView> {
        let path = PathBuf::from(format!("/proc/{pid}/root"));
        let root = Root::open(&path).map_err(Error::io("opening", &path))?;
        Ok(RootView { root, beside: Vec::new() })
    }

    /// Shows `source` (a volume's directory, a bind's file) at `dest`. What is not there at `dest` is made, as a start of the
    /// container would.
    pub fn graft(&mut self, dest: &Path, source: &Path) -> Result<()> {
        let dest = self.resolve(dest.as_os_str().as_bytes())?;
        let is_dir = source.is_dir();
        let made = self.make_point(&dest, is_dir);
        let tree = mount::clone_of(source)?;
        let attached = made.and_then(|()| {
            let on = self.root.open_at(&dest, OFlags::PATH, 0)?;
            Ok(mount::attach(&tree, &on)?)
        });
        if attached.is_err() {
            self.beside.push((dest, Root::from_fd(tree)));
            self.beside.sort_by_key(|(dest, _)| std::cmp::Reverse(dest.len()));
        }
        Ok(())
    }

    /// The file system's root, for what is not offered here.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What is at `path`: a symlink itself, unless the path ends in `/` or `/.`.
    pub fn stat(&self, path: &str) -> Result<PathStat> {
        let (at, name) = self.locate(path)?;
        let (root, inside) = self.home(&at);
        let stat = root.lstat(inside).map_err(|e| missing(path, e))?;
        let link_target = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => text(&[b"/".as_slice(), &self.resolve(path.as_bytes())?].concat()),
            _ => String::new(),
        };
        Ok(PathStat {
            name,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: go_mode(&stat),
            mtime: time(&stat),
            link_target,
        })
    }

    /// Writes `path` as a tar stream whose first member is called as the path's last component: `docker cp` out.
    pub fn tar(&self, path: &str, out: &mut dyn Write) -> Result<PathStat> {
        let stat = self.stat(path)?;
        let (at, name) = self.locate(path)?;
        let (root, inside) = self.home(&at);
        let mut writer = Writer::new(out);
        let options = PackOptions { rename: name.clone().into_bytes(), ..PackOptions::default() };
        pack(root, inside, &options, &mut writer)?;
        for (dest, volume) in &self.beside {
            // What is mounted below and could not be shown in its place.
            if let Some(below) = below(dest, &at) {
                let rename = [name.as_bytes(), b"/", below].concat();
                pack(volume, b"", &PackOptions { rename, ..PackOptions::default() }, &mut writer)?;
            }
        }
        writer.finish()?;
        Ok(stat)
    }

    /// Unpacks an uncompressed or compressed tar stream into the directory `dest`: `docker cp` in.
    pub fn untar(&self, dest: &str, from: impl Read + Send + 'static, options: &UntarOptions) -> Result<()> {
        let at = self.resolve(dest.as_bytes())?;
        let (root, inside) = self.home(&at);
        let stat = root.stat(inside).map_err(|e| missing(dest, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Error::NotADirectory);
        }
        let options = ExtractOptions {
            into: inside.to_vec(),
            keep_kinds: options.no_overwrite_dir_non_dir,
            owner: options.owner.clone(),
            ..ExtractOptions::default()
        };
        let mut reader = Reader::new(gantry_archive::Decoder::new(from)?);
        extract(&mut reader, root, &options)?.refuse_links()?;
        Ok(())
    }

    /// Writes the whole root as a tar stream: `docker export`. What is mounted in it is not part of it; its mount points are.
    pub fn export(&self, out: &mut dyn Write) -> Result<()> {
        let mut writer = Writer::new(out);
        let options = PackOptions { one_mount: true, ..PackOptions::default() };
        pack(&self.root, b"", &options, &mut writer)?;
        writer.finish()?;
        Ok(())
    }

    /// The path with all but its last component resolved (with that too, if it ends in `/` or `/.`), and what it is called.
    fn locate(&self, path: &str) -> Result<(Vec<u8>, String)> {
        let bytes = path.as_bytes();
        let trimmed = path.trim_end_matches('/');
        if trimmed.is_empty() {
            return Ok((Vec::new(), "/".to_owned()));
        }
        let name = trimmed.rsplit('/').next().unwrap_or(trimmed);
        if bytes.ends_with(b"/") || name == "." || name == ".." {
            let at = self.resolve(bytes)?;
            let name = match name {
                ".." => text(at.rsplit(|b| *b == b'/').next().unwrap_or(b"/")),
                name => name.to_owned(),
            };
            return Ok((at, name));
        }
        let mut at = self.resolve(&bytes[..trimmed.len() - name.len()])?;
        if !at.is_empty() {
            at.push(b'/');
        }
        at.extend_from_slice(name.as_bytes());
        Ok((at, name.to_owned()))
    }

    /// Where a path leads inside the root, symlinks and all, without a leading slash. What is not there is taken by its name.
    fn resolve(&self, path: &[u8]) -> Result<Vec<u8>> {
        let mut todo: Vec<Vec<u8>> = path.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect();
        let mut at: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    at.truncate(at.iter().rposition(|b| *b == b'/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = if at.is_empty() { part } else { [at.as_slice(), b"/", &part].concat() };
            let (root, inside) = self.home(&next);
            match root.read_link(inside) {
                Ok(target) if !inside.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
                        return Err(Error::io("resolving", &path)(rustix::io::Errno::LOOP));
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    todo.extend(target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
                }
                // Not a symlink, or not there.
                _ => at = next,
            }
        }
        Ok(at)
    }

    /// Which root a clean path is in, and its path there.
    fn home<'a>(&'a self, path: &'a [u8]) -> (&'a Root, &'a [u8]) {
        for (dest, root) in &self.beside {
            if path == dest {
                return (root, b"");
            }
            if let Some(inside) = below(path, dest) {
                return (root, inside);
            }
        }
        (&self.root, path)
    }

    fn make_point(&self, dest: &[u8], dir: bool) -> std::io::Result<()> {
        if self.root.stat(dest).is_ok() {
            return Ok(());
        }
        if dir {
            return self.root.make_dirs(dest, 0o755);
        }
        let above = dest.iter().rposition(|b| *b == b'/').unwrap_or(0);
        self.root.make_dirs(&dest[..above], 0o755)?;
        self.root.open_at(dest, OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW, 0o644).map(drop)
    }
}

/// The part of `path` below `dir`, if it is below it.
fn below<'a>(path: &'a [u8], dir: &[u8]) -> Option<&'a [u8]> {
    if dir.is_empty() {
        return (!path.is_empty()).then_some(path);
    }
    path.strip_prefix(dir)?.strip_prefix(b"/")
}

fn missing(path: &str, error: std::io::Error) -> Error {
    match error.raw_os_error() {
        Some(2 | 20) => Error::NoPath(PathBuf::from(path)),
        _ => Error::io("reading", Path::new(path))(error),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn time(stat: &Stat) -> SystemTime {
    let nanos = Duration::from_nanos(stat.st_mtime_nsec);
    match u64::try_from(stat.st_mtime) {
        Ok(secs) => UNIX_EPOCH + Duration::from_secs(secs) + nanos,
        Err(_) => UNIX_EPOCH - Duration::from_secs(stat.st_mtime.unsigned_abs()) + nanos,
    }
}

/// Go's `io/fs.FileMode`.
fn go_mode(stat: &Stat) -> u32 {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        _ => 0,
    };
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let special: u32 = special.iter().filter(|(bit, _)| stat.st_mode & bit != 0).map(|(_, go)| go).sum();
    kind | special | (stat.st_mode & 0o777)
}
