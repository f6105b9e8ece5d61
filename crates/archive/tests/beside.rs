//! A second thread makes no other tree: whatever the members, and wherever they meet.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gantry_archive::{
    Entry, ExtractOptions, Extracted, Owner, Reader, Root, Time, Whiteouts, Writer, extract,
};
use proptest::prelude::*;

/// Few names, so that members meet: one above another, by links, and by whiteouts.
const NAMES: [&str; 12] =
    ["a", "a/b", "a/b/c", "a/x", "l", "l/x", "l/b", "b", "b/x", ".wh.b", "a/.wh.b", "a/.wh..wh..opq"];

#[derive(Debug, Clone)]
enum Member {
    File(usize, usize),
    Dir(usize),
    Symlink(usize, usize),
    HardLink(usize, usize),
}

fn members() -> impl Strategy<Value = Vec<Member>> {
    let name = 0..NAMES.len();
    let one = prop_oneof![
        4 => (name.clone(), prop_oneof![0usize..9000, Just(300 << 10)]).prop_map(|(name, size)| Member::File(name, size)),
        2 => name.clone().prop_map(Member::Dir),
        1 => (name.clone(), name.clone()).prop_map(|(name, target)| Member::Symlink(name, target)),
        1 => (name.clone(), name).prop_map(|(name, target)| Member::HardLink(name, target)),
    ];
    prop::collection::vec(one, 1..25)
}

fn archive(members: &[Member]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (number, member) in members.iter().enumerate() {
        let (entry, size) = match *member {
            Member::File(name, size) => (Entry::file(NAMES[name], size as u64), size),
            Member::Dir(name) => (Entry::dir(NAMES[name]), 0),
            Member::Symlink(name, target) => (Entry::symlink(NAMES[name], NAMES[target]), 0),
            Member::HardLink(name, target) => (Entry::hard_link(NAMES[name], NAMES[target]), 0),
        };
        let entry = Entry { mtime: Time::seconds(1000 + number as i64), ..entry };
        writer.append_bytes(&entry, &vec![number as u8; size]).unwrap();
    }
    writer.finish().unwrap()
}

fn unpacked(bytes: &[u8], whiteouts: Whiteouts, beside: bool) -> (tempfile::TempDir, Option<Extracted>) {
    let folder = tempfile::tempdir().unwrap();
    // Something of before: a file, a folder, and a link to it.
    std::fs::create_dir_all(folder.path().join("b/old")).unwrap();
    std::fs::write(folder.path().join("b/x"), "before").unwrap();
    std::os::unix::fs::symlink("b", folder.path().join("l")).unwrap();
    let options = ExtractOptions { whiteouts, beside, owner: Owner::Caller, ..ExtractOptions::default() };
    let root = Root::open(folder.path()).unwrap();
    let done = extract(&mut Reader::new(bytes), &root, &options).ok();
    (folder, done)
}

/// All that can be seen of a tree.
fn seen(folder: &Path, below: &Path, all: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, meta) = (entry.path(), entry.metadata().unwrap());
        let name = path.strip_prefix(below).unwrap().display().to_string();
        let contents = match meta.file_type() {
            kind if kind.is_file() => format!("{:?}", std::fs::read(&path).unwrap().first().copied()),
            kind if kind.is_symlink() => std::fs::read_link(&path).unwrap().display().to_string(),
            _ => String::new(),
        };
        // What was there before has the time of this run.
        let time = if meta.mtime() < 100_000 { meta.mtime() } else { 0 };
        let size = if meta.is_dir() { 0 } else { meta.size() };
        all.insert(
            name,
            format!(
                "{:o} {} {size} {time} {contents}",
                meta.mode(),
                if meta.is_dir() { 0 } else { meta.nlink() }
            ),
        );
        if meta.is_dir() {
            seen(&path, below, all);
        }
    }
}

fn the_same(members: &[Member], delete: bool) -> Result<(), TestCaseError> {
    let bytes = archive(members);
    let whiteouts = if delete { Whiteouts::Delete } else { Whiteouts::Plain };
    let (alone, done_alone) = unpacked(&bytes, whiteouts, false);
    let (beside, done_beside) = unpacked(&bytes, whiteouts, true);
    prop_assert_eq!(done_alone.is_some(), done_beside.is_some());
    if let (Some(one), Some(two)) = (done_alone, done_beside) {
        prop_assert_eq!(one, two);
        let (mut trees, mut others) = (BTreeMap::new(), BTreeMap::new());
        seen(alone.path(), alone.path(), &mut trees);
        seen(beside.path(), beside.path(), &mut others);
        prop_assert_eq!(trees, others);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_tree_is_the_same_with_a_thread_beside(members in members(), delete in any::<bool>()) {
        the_same(&members, delete)?;
    }
}

/// What only one in ten thousand draws was.
#[test]
fn what_meets_a_directory_that_is_being_replaced_waits_for_its_end() {
    let (a, b, mark_in_a, l, below_the_link_to_b, missing) = (0, 7, 10, 4, 5, 1);
    the_same(&[Member::File(b, 0), Member::HardLink(below_the_link_to_b, missing)], false).unwrap();
    the_same(&[Member::File(mark_in_a, 0), Member::File(a, 0), Member::HardLink(l, missing)], false).unwrap();
}
