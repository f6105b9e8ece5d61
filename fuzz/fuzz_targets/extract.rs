#![no_main]
//! No archive leaves the folder it is unpacked into, and none makes unpacking panic. The input is a list of members (what it is, its
//! name, where it points), so that what is found lies behind the tar format.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_archive::{Entry, ExtractOptions, Kind, Reader, Room, Root, Whiteouts, Writer, extract};
use libfuzzer_sys::fuzz_target;

const KINDS: [Kind; 8] =
    [Kind::File, Kind::HardLink, Kind::Symlink, Kind::Dir, Kind::Dir, Kind::Char, Kind::Fifo, Kind::Symlink];

/// Members between NULs: a byte of kind, the name, a line's end, and where a link points.
fn archive(data: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for member in data.split(|byte| *byte == 0) {
        let Some((kind, rest)) = member.split_first() else { continue };
        let (name, link) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
        let mut entry = Entry::new(name, KINDS[usize::from(kind % 8)], 0o7777 & (u32::from(*kind) << 5));
        entry.link = link.get(1..).unwrap_or_default().to_vec();
        let content = if entry.kind == Kind::File { name } else { &[] };
        entry.size = content.len() as u64;
        let _ = writer.append_bytes(&entry, content);
    }
    writer.finish().expect("memory takes it")
}

fn unpack(tar: &[u8], into: &Path, whiteouts: Whiteouts, beside: bool) {
    let options = ExtractOptions {
        whiteouts,
        beside,
        room: Some(Room { bytes: 1 << 20, entries: 1000 }),
        ..ExtractOptions::default()
    };
    let root = Root::open(into).expect("the folder");
    if let Ok(extracted) = extract(&mut Reader::new(tar), &root, &options) {
        let _ = extracted.refuse_links();
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    std::fs::create_dir(&inside).expect("a folder");
    std::fs::write(&outside, "whole").expect("a file");
    let before = std::fs::metadata(&outside).expect("the file");
    let whiteouts = [Whiteouts::Plain, Whiteouts::Overlay, Whiteouts::OverlayUser, Whiteouts::Delete]
        [usize::from(which % 4)];
    let tar = if which & 8 == 0 { archive(rest) } else { rest.to_vec() };
    // Twice: the second finds all that the first made.
    unpack(&tar, &inside, whiteouts, which & 4 == 0);
    unpack(&tar, &inside, whiteouts, which & 4 != 0);
    let after = std::fs::metadata(&outside).expect("what lies outside is there");
    assert_eq!(std::fs::read(&outside).expect("it can be read"), b"whole");
    assert_eq!(
        (before.mode(), before.nlink(), before.ctime_nsec()),
        (after.mode(), after.nlink(), after.ctime_nsec())
    );
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 2);
});
