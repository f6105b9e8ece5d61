//! Unpacking a tar stream into a directory it can never leave.
//!
//! Start at [`extract`]; `make` makes a member, `places` opens what it is made in, `attributes` are owner, mode and times, `whiteouts`
//! what is gone, `beside` the second thread.

mod attributes;
mod beside;
mod make;
mod places;
mod whiteouts;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read;

use rustix::fs::{Mode, OFlags, Timestamps};

use crate::error::lossy;
use crate::root::{clean, split};
use crate::whiteout::Sign;
use crate::{Entry, Error, Kind, Reader, Result, Room, Root, Time, Whiteouts};
use attributes::{Attributes, spec};
use beside::Beside;
use places::Place;

/// How to unpack.
#[derive(Debug, Clone, Default)]
pub struct ExtractOptions {
    /// The directory inside the root that members' names are below; empty is the root itself.
    pub into: Vec<u8>,
    /// What whiteouts become.
    pub whiteouts: Whiteouts,
    /// Who owns what is unpacked.
    pub owner: Owner,
    /// Refuse to put a directory in the place of something else and the other way round (`docker cp`).
    pub keep_kinds: bool,
    /// Refuse an archive that needs more, before it takes it; none: what the disk gives.
    pub room: Option<Room>,
    /// Small files are written by a thread beside. The tree is the same.
    pub beside: bool,
}

/// Who owns what is unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Owner {
    /// Whom the archive says.
    #[default]
    Archive,
    /// Always this user and group.
    Fixed {
        /// The user's number.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
    /// Whoever unpacks (`--no-same-owner`).
    Caller,
    /// Whom the archive says, through a user namespace's maps. A number no map has is refused.
    Mapped {
        /// Users.
        uids: Vec<IdRange>,
        /// Groups.
        gids: Vec<IdRange>,
    },
}

/// `count` numbers from `inside` on are `outside` and on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first number in the archive.
    pub inside: u32,
    /// What it is on disk.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// What unpacking did, and what it left for when the layers below are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Bytes of files, holes included, hard links counted once.
    pub bytes: u64,
    /// Members made.
    pub entries: u64,
    /// Attributes the file system refused to take, one line each.
    pub warnings: Vec<String>,
    /// Directories no member described (the empty name is the root); they take their mode and owner from the layer below, if it has them.
    pub implied: Vec<Vec<u8>>,
    /// Hard links whose target no member made: (link, target). The target is in a layer below, or nowhere.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Unpacks all members of `archive` below `root`.
///
/// Hard links to files that are not there are left in [`Extracted::links`]; [`Extracted::refuse_links`] turns them into an error,
/// [`settle`](crate::settle) finds them in the layers below.
pub fn extract<R: Read>(archive: &mut Reader<R>, root: &Root, options: &ExtractOptions) -> Result<Extracted> {
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let attributes = Attributes { owner: &options.owner, me };
    // Whether a kind is kept is asked of what is there, member by member.
    if !options.beside || options.keep_kinds {
        return unpack(archive, root, options, attributes, None);
    }
    std::thread::scope(|scope| {
        let (beside, writer) = beside::pair(attributes);
        scope.spawn(move || writer.run());
        unpack(archive, root, options, attributes, Some(beside))
    })
}

fn unpack<R: Read>(
    archive: &mut Reader<R>,
    root: &Root,
    options: &ExtractOptions,
    attributes: Attributes<'_>,
    beside: Option<Beside>,
) -> Result<Extracted> {
    let into = clean(&options.into).ok_or_else(|| Error::Breakout { name: lossy(&options.into) })?;
    let mut unpacker = Unpacker {
        root,
        options,
        attributes,
        beside,
        into,
        done: Extracted::default(),
        parent: None,
        dirs: BTreeMap::new(),
        made: BTreeSet::new(),
        cleared: HashSet::new(),
        buffer: vec![0; COPY],
        root_told: false,
    };
    while let Some(entry) = archive.next_entry()? {
        unpacker.member(entry, archive)?;
    }
    unpacker.finish()
}

impl Extracted {
    /// An error if a hard link's target was nowhere.
    pub fn refuse_links(self) -> Result<Extracted> {
        match self.links.first() {
            Some((name, target)) => Err(Error::LinkTarget { name: lossy(name), target: lossy(target) }),
            None => Ok(self),
        }
    }
}

/// Contents are copied in pieces of this size.
const COPY: usize = 256 << 10;

struct Unpacker<'a> {
    root: &'a Root,
    options: &'a ExtractOptions,
    attributes: Attributes<'a>,
    beside: Option<Beside>,
    into: Vec<u8>,
    done: Extracted,
    /// The directory worked in last: members come directory by directory. Forgotten whenever something is removed, because
    /// then the same name may lead elsewhere.
    parent: Option<(Vec<u8>, Place)>,
    /// Directories whose mode and times are set at the end: contents would change the times, and a read-only directory could
    /// not be filled.
    dirs: BTreeMap<Vec<u8>, (u32, Time)>,
    /// What this archive made; an opaque mark or whiteout only speaks of what was there before.
    made: BTreeSet<Vec<u8>>,
    /// Directories in which nothing is left that this archive did not make.
    cleared: HashSet<Vec<u8>>,
    buffer: Vec<u8>,
    /// Whether a member described the root.
    root_told: bool,
}

impl Unpacker<'_> {
    /// Whether there is room for one more member.
    fn fits(&self, entry: &Entry) -> Result<()> {
        let Some(room) = self.options.room else { return Ok(()) };
        if self.done.entries >= room.entries {
            return Err(room.refuse_entries().into());
        }
        let bytes = if entry.kind == Kind::File { entry.size } else { 0 };
        if bytes > room.bytes.saturating_sub(self.done.bytes) {
            return Err(Error::file("unpacking", &entry.name)(room.refuse_bytes()));
        }
        Ok(())
    }

    fn member<R: Read>(&mut self, entry: Entry, archive: &mut Reader<R>) -> Result<()> {
        self.fits(&entry)?;
        let cleaned = clean(&entry.name).ok_or_else(|| Error::Breakout { name: lossy(&entry.name) })?;
        if cleaned.is_empty() {
            return self.root_itself(&entry);
        }
        let name = self.below(&cleaned);
        let (dir, base) = split(&name);
        match self.options.whiteouts.sign(base) {
            Sign::Name => {}
            Sign::Reserved => return Ok(()),
            Sign::Nonsense => return Err(Error::Malformed("a whiteout of nothing")),
            Sign::Opaque => return self.opaque(dir),
            Sign::Gone(gone) => return self.gone(dir, gone),
        }
        if self.options.whiteouts != Whiteouts::Plain
            && dir.split(|b| *b == b'/').any(|part| part.starts_with(b".wh..wh."))
        {
            return Ok(());
        }
        let place = self.open_parent(dir)?;
        if !place.plain || self.is_beside(&name) {
            self.settle()?;
        }
        if let Some(entry) = self.hand_over(entry, &place, &name, archive)? {
            self.make(&entry, &place.fd, &name, archive)?;
        }
        self.done.entries += 1;
        if self.options.whiteouts == Whiteouts::Delete {
            self.made.insert(name);
        }
        Ok(())
    }

    fn below(&self, cleaned: &[u8]) -> Vec<u8> {
        match self.into.as_slice() {
            b"" => cleaned.to_vec(),
            into => [into, b"/", cleaned].concat(),
        }
    }

    /// A member that is the root (`./`): its mode, owner and times only.
    fn root_itself(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Dir {
            return Err(Error::Malformed("the root is no directory"));
        }
        self.root_told = true;
        let fd = self.root.open_dir(&self.into).map_err(Error::file("opening", &self.into))?;
        self.attributes.own(&fd, b".", entry, true, &mut self.done.warnings)?;
        self.dirs.insert(self.into.clone(), (entry.mode, entry.mtime));
        Ok(())
    }

    /// Modes and times of directories, deepest first.
    fn finish(mut self) -> Result<Extracted> {
        self.settle()?;
        if self.options.whiteouts.is_overlay() && self.into.is_empty() && !self.root_told {
            // A layer's own root directory is what shows as the root's mode and owner.
            self.done.implied.push(Vec::new());
        }
        let mut told = HashSet::new();
        for (name, (mode, mtime)) in std::mem::take(&mut self.dirs).into_iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let fd = match self.root.open_at(&name, flags, 0) {
                Ok(fd) => fd,
                // Replaced by a later member.
                Err(e) if matches!(e.raw_os_error(), Some(2 | 20)) => continue,
                Err(e) => return Err(Error::file("opening", &name)(e)),
            };
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))
                .map_err(Error::file("changing mode of", &name))?;
            let both = Timestamps { last_access: spec(mtime), last_modification: spec(mtime) };
            rustix::fs::futimens(&fd, &both).map_err(Error::file("setting times of", &name))?;
            told.insert(name);
        }
        self.done.implied.retain(|implied| !told.contains(implied));
        Ok(self.done)
    }
}
