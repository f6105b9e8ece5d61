//! Unpacking and packing on a real file system. Run as root; what needs root says so and is skipped otherwise.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use gantry_archive::{
    Entry, Error, ExtractOptions, Extracted, Kind, Owner, PackOptions, Reader, Root, Time, Whiteouts, Writer,
    extract, pack, settle,
};

fn tar(members: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, data) in members {
        writer.append_bytes(entry, data).unwrap();
    }
    writer.finish().unwrap()
}

fn unpack(dir: &Path, members: &[(Entry, &[u8])], whiteouts: Whiteouts) -> Result<Extracted, Error> {
    let options = ExtractOptions { whiteouts, beside: true, ..ExtractOptions::default() };
    extract(&mut Reader::new(tar(members).as_slice()), &Root::open(dir).unwrap(), &options)
}

fn root() -> bool {
    let is = rustix::process::geteuid().is_root();
    if !is {
        eprintln!("skipped: needs root");
    }
    is
}

fn file(name: &str, data: &'static [u8]) -> (Entry, &'static [u8]) {
    (Entry::file(name, data.len() as u64), data)
}

#[test]
fn nothing_escapes_by_any_mix_of_links_dots_and_absolute_names() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, b"safe").unwrap();
    let out = outside.path().to_str().unwrap().to_owned();
    let up = format!("{}{out}", "../".repeat(20));
    let link = |name: &str, target: &str| (Entry::symlink(name, target), &b""[..]);
    let attacks: Vec<Vec<(Entry, &[u8])>> = vec![
        vec![file("../victim", b"x")],
        vec![(Entry::file(format!("{}/victim", up), 1), b"x")],
        vec![(Entry::file(format!("{out}/victim"), 1), b"x")],
        vec![link("a", &out), file("a/victim", b"x")],
        vec![link("a", &up), file("a/victim", b"x")],
        vec![link("a", ".."), link("a/b", ".."), file("a/b/victim", b"x")],
        vec![link("a", &format!("{out}/victim")), file("a", b"x")],
        vec![(Entry::hard_link("h", format!("{out}/victim")), b""), file("h", b"x")],
        vec![(Entry::hard_link("h", format!("{up}/victim")), b""), file("h", b"x")],
        vec![link("a", &out), (Entry::hard_link("h", "a/victim"), b""), file("h", b"x")],
        vec![link("a", &out), (Entry::dir("a"), b""), file("a/victim", b"x")],
        vec![link("a", &out), (Entry::new("a/victim", Kind::Fifo, 0o644), b"")],
        vec![link("a", "/proc/self/root"), (Entry::file(format!("a{out}/victim"), 1), b"x")],
        vec![link("a", &out), file("a/.wh.victim", b"")],
        vec![link("a", &out), file("a/.wh..wh..opq", b"")],
        vec![file(".wh...", b"")],
        vec![file(".wh..", b"")],
        vec![(Entry { mode: 0o777, ..Entry::dir("../..") }, b"")],
    ];
    for (i, attack) in attacks.iter().enumerate() {
        for whiteouts in [Whiteouts::Plain, Whiteouts::Delete, Whiteouts::Overlay] {
            if whiteouts == Whiteouts::Overlay && !root() {
                continue;
            }
            let temp = tempfile::tempdir_in(outside.path()).unwrap();
            let inner = temp.path().join("in");
            fs::create_dir(&inner).unwrap();
            // Refused or done inside, both are fine.
            let _ = unpack(&inner, attack, whiteouts);
            assert_eq!(fs::read(&victim).unwrap(), b"safe", "attack {i} {whiteouts:?}");
            assert_eq!(fs::metadata(&victim).unwrap().nlink(), 1, "attack {i} {whiteouts:?}");
            let left: Vec<_> = fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(left, ["in"], "attack {i} {whiteouts:?}");
        }
    }
}

#[test]
fn names_above_the_root_are_refused_by_name() {
    let temp = tempfile::tempdir().unwrap();
    let told = unpack(temp.path(), &[file("a/../../b", b"x")], Whiteouts::Plain).unwrap_err();
    assert_eq!(told.to_string(), "\"a/../../b\" is outside of the archive's root");
}

#[test]
fn everything_a_layer_can_hold_survives_unpacking_and_packing() {
    if !root() {
        return;
    }
    let mut suid = Entry::file("bin/su", 3);
    (suid.mode, suid.uid, suid.gid) = (0o4755, 12, 34);
    suid.mtime = Time { secs: 1_600_000_000, nanos: 123_456_789 };
    // cap_net_raw+ep, version 2.
    let cap = vec![1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    suid.xattrs.insert(b"security.capability".to_vec(), cap.clone());
    let mut null = Entry::new("dev/null", Kind::Char, 0o666);
    null.device = (1, 3);
    let mut loop0 = Entry::new("dev/loop0", Kind::Block, 0o660);
    (loop0.device, loop0.gid) = ((7, 0), 6);
    let mut sparse = Entry::file("sparse", 8 << 20);
    sparse.sparse = Some(vec![(4 << 20, 4)]);
    let mut dir = Entry { mode: 0o1777, ..Entry::dir("tmp/") };
    dir.mtime = Time { secs: 1_500_000_000, nanos: 5 };
    let mut link = Entry::symlink("link", "/nowhere");
    (link.uid, link.mtime) = (7, Time { secs: 1_400_000_000, nanos: 1 });
    let members: Vec<(Entry, &[u8])> = vec![
        (suid, b"abc"),
        (Entry::hard_link("bin/sudo", "bin/su"), b""),
        (null, b""),
        (loop0, b""),
        (Entry::new("pipe", Kind::Fifo, 0o600), b""),
        (sparse, b"data"),
        (dir, b""),
        file("tmp/inside", b"1"),
        (link, b""),
    ];
    let temp = tempfile::tempdir().unwrap();
    let done = unpack(temp.path(), &members, Whiteouts::Overlay).unwrap();
    assert_eq!(done.warnings, Vec::<String>::new());
    assert_eq!(done.implied, [b"bin".to_vec(), b"dev".to_vec(), Vec::new()]);
    let meta = |name: &str| fs::symlink_metadata(temp.path().join(name)).unwrap();
    let su = meta("bin/su");
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid(), su.nlink()), (0o4755, 12, 34, 2));
    assert_eq!((su.mtime(), su.mtime_nsec()), (1_600_000_000, 123_456_789));
    assert_eq!(su.ino(), meta("bin/sudo").ino());
    assert_eq!((meta("dev/null").rdev(), meta("dev/loop0").gid()), (rustix::fs::makedev(1, 3), 6));
    assert!(meta("dev/loop0").file_type().is_block_device() && meta("pipe").file_type().is_fifo());
    assert!(meta("sparse").len() == 8 << 20 && meta("sparse").blocks() < 100);
    assert_eq!(
        (meta("tmp").mode() & 0o7777, meta("tmp").mtime(), meta("tmp").mtime_nsec()),
        (0o1777, 1_500_000_000, 5)
    );
    assert_eq!((meta("link").uid(), meta("link").mtime_nsec()), (7, 1));

    let mut writer = Writer::new(Vec::new());
    let options = PackOptions { sparse: true, whiteouts: Whiteouts::Overlay, ..PackOptions::default() };
    pack(&Root::open(temp.path()).unwrap(), b"", &options, &mut writer).unwrap();
    let bytes = writer.finish().unwrap();
    let mut reader = Reader::new(bytes.as_slice());
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        found.push(entry);
    }
    let order: Vec<_> = found.iter().map(|e| String::from_utf8(e.name.clone()).unwrap()).collect();
    assert_eq!(
        order,
        [
            "bin/",
            "bin/su",
            "bin/sudo",
            "dev/",
            "dev/loop0",
            "dev/null",
            "link",
            "pipe",
            "sparse",
            "tmp/",
            "tmp/inside"
        ]
    );
    let get = |name: &str| found.iter().find(|e| e.name == name.as_bytes()).unwrap();
    assert_eq!(get("bin/su").xattrs[b"security.capability".as_slice()], cap);
    assert_eq!(
        (get("bin/sudo").kind, get("bin/sudo").link.as_slice()),
        (Kind::HardLink, b"bin/su".as_slice())
    );
    assert_eq!(
        get("sparse").sparse.as_ref().map(|map| map.iter().map(|(_, len)| len).sum::<u64>() < 64 << 10),
        Some(true)
    );
    assert_eq!(get("dev/loop0").device, (7, 0));
    assert_eq!(get("bin/su").mtime.nanos, 123_456_789);

    // And once more through the other end: what was packed unpacks to the same.
    let again = tempfile::tempdir().unwrap();
    extract(
        &mut Reader::new(bytes.as_slice()),
        &Root::open(again.path()).unwrap(),
        &ExtractOptions::default(),
    )
    .unwrap();
    let twice = Command::new("diff")
        .arg("-r")
        .arg("--no-dereference")
        .arg(temp.path().join("bin"))
        .arg(again.path().join("bin"))
        .output();
    assert!(twice.unwrap().status.success());
    assert_eq!(fs::symlink_metadata(again.path().join("sparse")).unwrap().len(), 8 << 20);
}

#[test]
fn whiteouts_become_the_kernels_own_and_come_back() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let members = [
        (Entry::dir("a/"), &b""[..]),
        file("a/.wh.gone", b""),
        (Entry::dir("b/"), b""),
        file("b/.wh..wh..opq", b""),
        file("b/new", b"n"),
        file(".wh..wh.plnk/x", b"aufs"),
        file("a/.wh.back", b""),
        file("a/back/file", b"x"),
        (Entry::dir("c/"), b""),
        file(".wh.c", b""),
    ];
    unpack(temp.path(), &members, Whiteouts::Overlay).unwrap();
    let gone = fs::symlink_metadata(temp.path().join("a/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(!temp.path().join(".wh..wh.plnk").exists());
    let opaque = |name: &str| {
        let mut value = [0; 8];
        rustix::fs::lgetxattr(temp.path().join(name), "trusted.overlay.opaque", &mut value)
            .map(|n| value[..n].to_vec())
            .ok()
    };
    assert_eq!(opaque("b"), Some(b"y".to_vec()));
    assert_eq!(opaque("a"), None);
    assert_eq!(opaque("a/back"), Some(b"y".to_vec()), "gone and made anew in one layer hides the old one");
    assert_eq!(opaque("c"), Some(b"y".to_vec()), "made anew before it is said that the old one is gone");

    let mut writer = Writer::new(Vec::new());
    let options = PackOptions { whiteouts: Whiteouts::Overlay, ..PackOptions::default() };
    pack(&Root::open(temp.path()).unwrap(), b"", &options, &mut writer).unwrap();
    let bytes = writer.finish().unwrap();
    let mut reader = Reader::new(bytes.as_slice());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        assert!(entry.xattrs.is_empty(), "the overlay's own marks are not contents");
        names.push(String::from_utf8(entry.name).unwrap());
    }
    assert_eq!(
        names,
        [
            "a/",
            "a/back/",
            "a/back/.wh..wh..opq",
            "a/back/file",
            "a/.wh.gone",
            "b/",
            "b/.wh..wh..opq",
            "b/new",
            "c/",
            "c/.wh..wh..opq"
        ]
    );
}

#[test]
fn whiteouts_delete_what_was_there_before_but_not_what_came_along() {
    let temp = tempfile::tempdir().unwrap();
    unpack(
        temp.path(),
        &[
            file("a/old", b"1"),
            file("a/sub/old", b"1"),
            file("a/both/old", b"1"),
            file("b", b"1"),
            file("c/d/e", b"1"),
        ],
        Whiteouts::Delete,
    )
    .unwrap();
    let layer = [
        file("a/new", b"2"),
        file("a/both/new", b"2"),
        file("a/.wh..wh..opq", b""),
        file("a/sub2/x", b"2"),
        file("a/sub2/.wh..wh..opq", b""),
        file(".wh.b", b""),
        file("c/.wh.d", b""),
        file("c/d", b"2"),
    ];
    unpack(temp.path(), &layer, Whiteouts::Delete).unwrap();
    for (name, there) in [
        ("a/new", true),
        ("a/old", false),
        ("a/sub", false),
        ("a/both/new", true),
        ("a/both/old", false),
        ("a/sub2/x", true),
        ("b", false),
    ] {
        assert_eq!(temp.path().join(name).exists(), there, "{name}");
    }
    assert_eq!(fs::read(temp.path().join("c/d")).unwrap(), b"2");
}

/// GHSA-rp3h-jf77-q9p4: marks cost a few bytes each, compressed; each of them walked through all that the layer made.
#[test]
fn a_layer_of_marks_does_not_walk_again_for_each() {
    const FILES: usize = 1000;
    const MARKS: usize = 50_000;
    let temp = tempfile::tempdir().unwrap();
    let files = (0..FILES).map(|n| (Entry::file(format!("a/{n}"), 0), &b""[..]));
    let marks = (0..MARKS).map(|n| file(["a/.wh..wh..opq", ".wh.a", ".wh..wh..opq"][n % 3], b""));
    let members: Vec<_> = std::iter::once((Entry::dir("a"), &b""[..])).chain(files).chain(marks).collect();
    let begun = std::time::Instant::now();
    unpack(temp.path(), &members, Whiteouts::Delete).unwrap();
    // Fifty million directories opened take minutes; this takes a second.
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(fs::read_dir(temp.path().join("a")).unwrap().count(), FILES);
}

#[test]
fn a_layer_unpacked_apart_settles_on_those_below() {
    if !root() {
        return;
    }
    let (lower, upper) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut tmp = Entry { mode: 0o1777, ..Entry::dir("tmp") };
    (tmp.uid, tmp.mtime) = (5, Time { secs: 1000, nanos: 7 });
    let mut target = Entry::file("bin/real", 4);
    target.mode = 0o4711;
    unpack(lower.path(), &[(tmp, b""), (target, b"real")], Whiteouts::Overlay).unwrap();
    let left = unpack(
        upper.path(),
        &[file("tmp/x", b"1"), (Entry::hard_link("bin/other", "bin/real"), b"")],
        Whiteouts::Overlay,
    )
    .unwrap();
    assert!(left.clone().refuse_links().is_err());
    settle(
        &Root::open(upper.path()).unwrap(),
        &[Root::open(lower.path()).unwrap()],
        &left,
        Whiteouts::Overlay,
    )
    .unwrap();
    let meta = |name: &str| fs::metadata(upper.path().join(name)).unwrap();
    assert_eq!((meta("tmp").mode() & 0o7777, meta("tmp").uid(), meta("tmp").mtime_nsec()), (0o1777, 5, 7));
    assert_eq!((meta("bin/real").ino(), meta("bin/real").mode() & 0o7777), (meta("bin/other").ino(), 0o4711));
    assert_eq!(fs::read(upper.path().join("bin/other")).unwrap(), b"real");
}

#[test]
fn a_layer_cannot_speak_to_the_overlay() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Entry::dir("d");
    dir.xattrs.insert(b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec());
    dir.xattrs.insert(b"trusted.kept".to_vec(), b"1".to_vec());
    unpack(temp.path(), &[(dir, b"")], Whiteouts::Overlay).unwrap();
    let mut value = [0; 8];
    assert!(rustix::fs::lgetxattr(temp.path().join("d"), "trusted.overlay.redirect", &mut value).is_err());
    assert_eq!(rustix::fs::lgetxattr(temp.path().join("d"), "trusted.kept", &mut value), Ok(1));
}

#[test]
fn copying_in_keeps_kinds_and_owners_as_asked() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path().join("to/dir")).unwrap();
    fs::write(temp.path().join("to/file"), b"").unwrap();
    let options = ExtractOptions {
        into: b"/to".to_vec(),
        keep_kinds: true,
        owner: Owner::Caller,
        ..ExtractOptions::default()
    };
    let copy = |members: &[(Entry, &[u8])]| {
        extract(&mut Reader::new(tar(members).as_slice()), &Root::open(temp.path()).unwrap(), &options)
    };
    let told = copy(&[file("dir", b"x")]).unwrap_err().to_string();
    assert!(told.starts_with("cannot overwrite directory"), "{told}");
    let told = copy(&[(Entry::dir("file"), b"")]).unwrap_err().to_string();
    assert!(told.starts_with("cannot overwrite non-directory"), "{told}");
    let mut owned = Entry::file("new", 1);
    owned.uid = 4242;
    copy(&[(owned, b"x")]).unwrap();
    assert_eq!(fs::metadata(temp.path().join("to/new")).unwrap().uid(), rustix::process::geteuid().as_raw());
}

#[test]
fn gnu_tar_and_we_unpack_to_the_same_tree() {
    if !root() {
        return;
    }
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let packed = Command::new("tar")
        .args([
            "--format=pax",
            "-C",
            "/usr",
            "-cf",
            "-",
            "lib/ssl",
            "share/doc/tar",
            "share/zoneinfo/Europe",
            "share/perl5",
        ])
        .output();
    let Ok(packed) = packed else { return eprintln!("skipped: tar is not installed") };
    let path = theirs.path().join("in.tar");
    fs::write(&path, &packed.stdout).unwrap();
    fs::create_dir(theirs.path().join("x")).unwrap();
    assert!(
        Command::new("tar")
            .arg("-C")
            .arg(theirs.path().join("x"))
            .arg("-xpf")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    extract(
        &mut Reader::new(packed.stdout.as_slice()),
        &Root::open(ours.path()).unwrap(),
        &ExtractOptions::default(),
    )
    .unwrap();
    let list = |dir: &Path| {
        Command::new("find").arg(dir).args(["-printf", "%P %m %U %G %T@ %l %n %s\n"]).output().unwrap().stdout
    };
    let sorted = |bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines: Vec<String> =
            text.lines().filter(|line| !line.starts_with(' ')).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    // GNU tar makes the directories above what it was asked for with the time of now; those are no members.
    let members = |dir: &Path| -> Vec<String> {
        sorted(list(dir))
            .into_iter()
            .filter(|line| {
                !["lib ", "share ", "share/doc ", "share/zoneinfo "].iter().any(|p| line.starts_with(p))
            })
            .collect()
    };
    assert_eq!(members(&theirs.path().join("x")), members(ours.path()));
    fs::set_permissions(ours.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_file_that_shrinks_while_packed_is_filled_up() {
    let mut writer = Writer::new(Vec::new());
    writer.append_bytes(&Entry::file("short", 1000), b"abc").unwrap();
    writer.append_bytes(&Entry::file("next", 2), b"ok").unwrap();
    let bytes = writer.finish().unwrap();
    let mut reader = Reader::new(bytes.as_slice());
    reader.next_entry().unwrap();
    let mut data = Vec::new();
    reader.read_to_end(&mut data).unwrap();
    assert_eq!((data.len(), &data[..3]), (1000, &b"abc"[..]));
    assert_eq!(reader.next_entry().unwrap().unwrap().name, b"next");
}
