//! An overlay that is mounted on nothing: seen only through its descriptor, gone with it, whatever happens to us.
//!
//! Kernels from 6.8 take the layers one by one. Older ones want all of them in one option, and fsconfig(2) copies no more
//! than 255 bytes of an option: what is longer is mounted the old way (one page of options), in a mount namespace that only a
//! passing thread ever sees, and cloned from there.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, mount_change, open_tree,
};

use crate::mount::{Attributes, set_attributes};

/// The longest value fsconfig(2) copies.
const LONGEST_VALUE: usize = 255;
/// mount(2) copies one page of options, its end included.
const LONGEST_OPTIONS: usize = 4095;

/// What an overlay is made of.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// Read-only layers, the topmost first.
    pub lower: &'a [&'a Path],
    /// The writable layer and its working folder; none for a read-only overlay.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Further options, each `key=value` or a flag.
    pub options: &'a [&'a str],
    /// `MOUNT_ATTR_*` of the mount.
    pub attributes: u64,
}

impl Overlay<'_> {
    /// Mounts it on nothing.
    pub fn detached(&self) -> io::Result<OwnedFd> {
        if self.paths().any(|path| path.as_os_str().len() > LONGEST_VALUE) {
            return self.the_old_way();
        }
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&fs, "source", "overlay")?;
        if layers_come_one_by_one() {
            for folder in self.lower {
                fsconfig_set_string(&fs, "lowerdir+", *folder)?;
            }
        } else {
            let joined = joined(self.lower, &escaped_in_value);
            // Before 6.5 a comma cannot be told from the one between options either.
            let comma = self.paths().any(|path| path.as_os_str().as_bytes().contains(&b','));
            if joined.len() > LONGEST_VALUE || comma {
                return self.the_old_way();
            }
            fsconfig_set_string(&fs, "lowerdir", joined.as_slice())?;
        }
        if let Some((upper, work)) = self.upper {
            fsconfig_set_string(&fs, "upperdir", upper)?;
            fsconfig_set_string(&fs, "workdir", work)?;
        }
        for option in self.options {
            match option.split_once('=') {
                Some((key, value)) => fsconfig_set_string(&fs, key, value)?,
                None => fsconfig_set_flag(&fs, *option)?,
            }
        }
        fsconfig_create(&fs)?;
        let attributes = MountAttrFlags::from_bits_retain(self.attributes as u32);
        Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.lower.iter().copied().chain(self.upper.into_iter().flat_map(|(upper, work)| [upper, work]))
    }

    /// By mount(2). Names are told from the folder that all of them are below, so that a page holds many.
    fn the_old_way(&self) -> io::Result<OwnedFd> {
        let base = common_folder(self.paths());
        let options = self.page_of_options(&base)?;
        let on = self.lower.first().copied().ok_or(io::ErrorKind::InvalidInput)?;
        std::thread::scope(|scope| {
            let passing = scope.spawn(|| -> io::Result<OwnedFd> {
                // Namespace and working folder are this thread's alone, and go with it.
                crate::clone::unshare(rustix::thread::UnshareFlags::NEWNS.bits())?;
                mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
                rustix::process::chdir(&base)?;
                mount("overlay", on, "overlay", MountFlags::empty(), options.as_c_str())?;
                let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                let tree = open_tree(CWD, on, flags)?;
                let attributes = Attributes { set: self.attributes, ..Attributes::default() };
                set_attributes(std::os::fd::AsFd::as_fd(&tree), c"", false, attributes)?;
                Ok(tree)
            });
            passing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn page_of_options(&self, base: &Path) -> io::Result<CString> {
        let near = |path: &Path| path.strip_prefix(base).unwrap_or(path).to_owned();
        let lower: Vec<PathBuf> = self.lower.iter().map(|path| near(path)).collect();
        let lower: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
        let mut options = [b"lowerdir=".as_slice(), &joined(&lower, &escaped_in_page)].concat();
        if let Some((upper, work)) = self.upper {
            for (name, path) in [("upperdir", upper), ("workdir", work)] {
                options.extend(format!(",{name}=").bytes());
                options.extend(escaped_in_page(&near(path)));
            }
        }
        for option in self.options {
            options.push(b',');
            // Only SELinux' labels have commas, and quotes are how it wants them here.
            match option.split_once('=').filter(|(_, value)| value.contains(',')) {
                Some((key, value)) => options.extend(format!("{key}=\"{value}\"").bytes()),
                None => options.extend(option.bytes()),
            }
        }
        if options.len() > LONGEST_OPTIONS {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this kernel (older than 6.5) cannot mount an overlay of so many layers",
            ));
        }
        Ok(CString::new(options)?)
    }
}

/// Whether this kernel knows `lowerdir+`. Those before 6.5 take every option and refuse the mount for it; so one that cannot
/// exist is asked for, too.
fn layers_come_one_by_one() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let ask = || {
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&fs, "lowerdir+", "/")?;
        Ok::<_, Errno>(fsconfig_set_string(&fs, "gantry", "asks").is_err())
    };
    *KNOWN.get_or_init(|| ask().unwrap_or(false))
}

fn joined(paths: &[&Path], escaped: &dyn Fn(&Path) -> Vec<u8>) -> Vec<u8> {
    paths.iter().map(|path| escaped(path)).collect::<Vec<_>>().join(&b':')
}

/// A value of its own has to tell its colons from those between layers.
fn escaped_in_value(path: &Path) -> Vec<u8> {
    escaped(path, b"\\:")
}

/// A page of options has to tell its commas, too.
fn escaped_in_page(path: &Path) -> Vec<u8> {
    escaped(path, b"\\:,")
}

fn escaped(path: &Path, special: &[u8]) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.flat_map(|byte| special.contains(byte).then_some(b'\\').into_iter().chain([*byte])).collect()
}

/// The deepest folder that holds all the paths.
fn common_folder<'a>(mut paths: impl Iterator<Item = &'a Path>) -> PathBuf {
    let mut base = paths.next().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned();
    for path in paths {
        while !path.starts_with(&base) || path == base {
            if !base.pop() {
                break;
            }
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_options_names_layers_from_their_common_folder() {
        let lower = [Path::new("/data/a:b/2/fs"), Path::new("/data/a:b/1/fs")];
        let overlay = Overlay {
            lower: &lower,
            upper: Some((Path::new("/data/a:b/3,/fs"), Path::new("/data/a:b/3,/work"))),
            options: &["index=off", "context=u:r:t:s0:c1,c2"],
            attributes: 0,
        };
        let base = common_folder(overlay.paths());
        assert_eq!(base, Path::new("/data/a:b"));
        assert_eq!(
            overlay.page_of_options(&base).unwrap().to_str().unwrap(),
            "lowerdir=2/fs:1/fs,upperdir=3\\,/fs,workdir=3\\,/work,index=off,context=\"u:r:t:s0:c1,c2\""
        );
    }

    #[test]
    fn the_old_way_shows_what_the_new_one_shows() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let base = std::env::temp_dir().join(format!("gantry-overlay-{}", std::process::id()));
        for name in ["one", "two", "upper", "work"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        std::fs::write(base.join("one/a"), "from one").unwrap();
        std::fs::write(base.join("two/a"), "from two").unwrap();
        let (one, two) = (base.join("one"), base.join("two"));
        let (upper, work) = (base.join("upper"), base.join("work"));
        let lower = [two.as_path(), one.as_path()];
        let ask = Overlay { lower: &lower, upper: Some((&upper, &work)), options: &[], attributes: 0 };
        for (tree, written) in [(ask.the_old_way().unwrap(), "old"), (ask.detached().unwrap(), "new")] {
            use std::os::fd::AsRawFd;
            let seen = format!("/proc/self/fd/{}", tree.as_raw_fd());
            assert_eq!(std::fs::read_to_string(format!("{seen}/a")).unwrap(), "from two");
            std::fs::write(format!("{seen}/{written}"), "x").unwrap();
            drop(tree);
            assert!(upper.join(written).exists());
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(base.to_str().unwrap()), "the host never sees it");
        std::fs::remove_dir_all(base).unwrap();
    }
}
