//! The contract every snapshotter keeps. An implementation's tests call [`run`] with a way to make fresh ones.
//!
//! Each case is a sentence. A case that fails panics with it.
#![allow(clippy::unwrap_used, reason = "a case that cannot go on has failed")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use gantry_archive::Reader;

use crate::{ChangeKind, Error, Kind, RootView, Rootfs, Snapshotter, UntarOptions};

/// Opens a snapshotter on a directory; opening the same directory twice must show the same snapshots.
pub type Opener<'a> = &'a dyn Fn(&Path) -> Box<dyn Snapshotter>;

/// A case: its sentence and its code.
type Case = (&'static str, fn(&Path, Opener<'_>));

const CASES: &[Case] = &[
    ("a committed layer shows in what stands on it, and stays as it was", layers),
    ("names and keys are taken once", taken),
    ("only what is committed can be a parent, only what is active can be committed", kinds),
    ("what others stand on is not removed", children),
    ("everything is there again after opening anew; half-made things are gone", reopen),
    ("docker diff: added, changed, deleted, with the directories above them", diff),
    ("a directory deleted and made anew hides what was in it", opaque),
    ("the difference as a layer has whiteouts and unpacks to the same tree", diff_tar),
    ("usage counts what is new, hard links once", usage),
    ("a view shows the parent and takes no writes", view),
    ("the mode and owner of the root come from the layer below", root_mode),
    ("copying in and out resolves every path inside the root", copying),
    ("forty layers mount", depth),
    ("a size is refused where it cannot be kept", quota),
];

/// Runs all cases, each in a directory of its own below `scratch`.
pub fn run(scratch: &Path, open: Opener<'_>) {
    for (i, (sentence, case)) in CASES.iter().enumerate() {
        eprintln!("  {sentence}");
        let dir = scratch.join(i.to_string());
        fs::create_dir_all(&dir).unwrap();
        case(&dir, open);
        assert_eq!(mounts_below(&dir), 0, "{sentence}: leaves mounts in the host's namespace");
    }
}

fn mounts_below(dir: &Path) -> usize {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    all.lines().filter(|line| line.contains(dir.to_str().unwrap())).count()
}

/// Changes a snapshot as a container would: through its mounted root.
fn edit(rootfs: &Rootfs, work: impl FnOnce(&Path)) {
    let view = RootView::of(rootfs).unwrap();
    let fd = view.root().open_at(b"", rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY, 0).unwrap();
    work(&std::path::PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd))));
}

fn layer(s: &dyn Snapshotter, name: &str, parent: Option<&str>, work: impl FnOnce(&Path)) {
    let rootfs = s.prepare("making", parent).unwrap();
    edit(&rootfs, work);
    s.commit(name, "making").unwrap();
}

fn base(s: &dyn Snapshotter) {
    layer(s, "base", None, |root| {
        fs::create_dir_all(root.join("etc/conf.d")).unwrap();
        fs::create_dir_all(root.join("var/lib/x")).unwrap();
        fs::write(root.join("etc/passwd"), "root").unwrap();
        fs::write(root.join("etc/conf.d/a"), "a").unwrap();
        fs::write(root.join("var/lib/x/deep"), "deep").unwrap();
        symlink("etc/passwd", root.join("link")).unwrap();
    });
}

fn layers(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    layer(&*s, "top", Some("base"), |root| {
        fs::write(root.join("etc/passwd"), "changed").unwrap();
        fs::remove_file(root.join("var/lib/x/deep")).unwrap();
    });
    let one = s.prepare("one", Some("top")).unwrap();
    let two = s.prepare("two", Some("base")).unwrap();
    edit(&one, |root| {
        assert_eq!(fs::read_to_string(root.join("etc/passwd")).unwrap(), "changed");
        assert!(!root.join("var/lib/x/deep").exists());
        assert_eq!(fs::read_to_string(root.join("etc/conf.d/a")).unwrap(), "a");
        fs::write(root.join("etc/passwd"), "mine").unwrap();
    });
    edit(&two, |root| assert_eq!(fs::read_to_string(root.join("etc/passwd")).unwrap(), "root"));
    edit(&s.rootfs("one").unwrap(), |root| {
        assert_eq!(fs::read_to_string(root.join("link")).unwrap(), "mine")
    });
    assert_eq!(s.rootfs("one").unwrap(), one);
}

fn taken(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    s.prepare("key", Some("base")).unwrap();
    assert!(matches!(s.prepare("key", None), Err(Error::Exists(_))));
    assert!(matches!(s.prepare("base", None), Err(Error::Exists(_))));
    assert!(matches!(s.commit("base", "key"), Err(Error::Exists(_))));
    assert_eq!(s.stat("key").unwrap().kind, Kind::Active, "a refused commit changes nothing");
    s.remove("key").unwrap();
    s.prepare("key", Some("base")).unwrap();
}

fn kinds(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    s.prepare("active", Some("base")).unwrap();
    s.view("view", Some("base")).unwrap();
    assert!(matches!(s.prepare("x", Some("active")), Err(Error::NotCommitted(_))));
    assert!(matches!(s.prepare("x", Some("view")), Err(Error::NotCommitted(_))));
    assert!(matches!(s.prepare("x", Some("nothing")), Err(Error::NotFound(_))));
    assert!(matches!(s.commit("x", "view"), Err(Error::NotActive(_))));
    assert!(matches!(s.commit("x", "base"), Err(Error::NotActive(_))));
    assert!(matches!(s.commit("x", "nothing"), Err(Error::NotFound(_))));
    for gone in ["x", "nothing"] {
        assert!(matches!(s.stat(gone), Err(Error::NotFound(_))));
        assert!(matches!(s.remove(gone), Err(Error::NotFound(_))));
        assert!(matches!(s.rootfs(gone), Err(Error::NotFound(_))));
    }
}

fn children(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    layer(&*s, "top", Some("base"), |_| {});
    s.prepare("key", Some("top")).unwrap();
    assert!(matches!(s.remove("base"), Err(Error::HasChildren { .. })));
    assert!(matches!(s.remove("top"), Err(Error::HasChildren { .. })));
    for name in ["key", "top", "base"] {
        s.remove(name).unwrap();
    }
    assert_eq!(s.walk().unwrap(), vec![]);
}

fn reopen(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    edit(&s.prepare("key", Some("base")).unwrap(), |root| fs::write(root.join("new"), "kept").unwrap());
    let before = s.walk().unwrap();
    let layer_dir = s.layer_dir("key").unwrap();
    drop(s);
    // As a crash between making the directory and writing its record leaves it, and in the middle of a removal.
    let shelf = layer_dir.parent().unwrap().parent().unwrap();
    let half = shelf.join("zz");
    fs::create_dir_all(half.join("fs/some/files")).unwrap();
    let s = open(dir);
    assert!(!half.exists(), "a half-made snapshot is removed at open");
    assert_eq!(s.walk().unwrap(), before);
    edit(&s.rootfs("key").unwrap(), |root| assert_eq!(fs::read_to_string(root.join("new")).unwrap(), "kept"));
    s.prepare("another", Some("base")).unwrap();
    assert_ne!(s.layer_dir("another").unwrap(), layer_dir);
}

fn told(s: &dyn Snapshotter, key: &str) -> Vec<String> {
    let letter = |kind| match kind {
        ChangeKind::Modified => 'C',
        ChangeKind::Added => 'A',
        ChangeKind::Deleted => 'D',
    };
    s.changes(key).unwrap().iter().map(|c| format!("{} {}", letter(c.kind), c.path.display())).collect()
}

fn diff(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    let rootfs = s.prepare("key", Some("base")).unwrap();
    assert_eq!(told(&*s, "key"), Vec::<String>::new());
    edit(&rootfs, |root| {
        fs::write(root.join("etc/passwd"), "changed").unwrap();
        fs::remove_file(root.join("var/lib/x/deep")).unwrap();
        fs::create_dir_all(root.join("srv/new/dir")).unwrap();
        fs::write(root.join("srv/new/file"), "").unwrap();
        fs::set_permissions(root.join("etc/conf.d/a"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(root.join("link")).unwrap();
        fs::create_dir(root.join("link")).unwrap();
    });
    let expected = [
        "C /etc",
        "C /etc/conf.d",
        "C /etc/conf.d/a",
        "C /etc/passwd",
        "C /link",
        "A /srv",
        "A /srv/new",
        "A /srv/new/dir",
        "A /srv/new/file",
        "C /var",
        "C /var/lib",
        "C /var/lib/x",
        "D /var/lib/x/deep",
    ];
    assert_eq!(told(&*s, "key"), expected);
}

fn opaque(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    let rootfs = s.prepare("key", Some("base")).unwrap();
    edit(&rootfs, |root| {
        fs::remove_dir_all(root.join("etc")).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/passwd"), "root2").unwrap();
        fs::remove_dir_all(root.join("var")).unwrap();
    });
    assert_eq!(told(&*s, "key"), ["C /etc", "D /etc/conf.d", "C /etc/passwd", "D /var"]);
}

fn unpacked(s: &dyn Snapshotter, key: &str, parent: &str, bytes: &[u8]) {
    s.prepare(key, Some(parent)).unwrap();
    let root = gantry_archive::Root::open(&s.layer_dir(key).unwrap()).unwrap();
    let options = gantry_archive::ExtractOptions { whiteouts: s.whiteouts(), ..Default::default() };
    gantry_archive::extract(&mut Reader::new(bytes), &root, &options).unwrap();
}

fn diff_tar(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    edit(&s.prepare("key", Some("base")).unwrap(), |root| {
        fs::write(root.join("etc/new"), "new").unwrap();
        fs::hard_link(root.join("etc/new"), root.join("etc/newer")).unwrap();
        fs::remove_file(root.join("etc/passwd")).unwrap();
        fs::remove_dir_all(root.join("var")).unwrap();
        fs::set_permissions(root.join("etc/new"), fs::Permissions::from_mode(0o4711)).unwrap();
    });
    let mut bytes = Vec::new();
    s.diff_tar("key", &mut bytes).unwrap();
    let mut names = Vec::new();
    let mut reader = Reader::new(bytes.as_slice());
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(String::from_utf8(entry.name).unwrap());
    }
    names.sort();
    assert_eq!(names, [".wh.var", "etc/", "etc/.wh.passwd", "etc/new", "etc/newer"]);
    unpacked(&*s, "again", "base", &bytes);
    assert_eq!(told(&*s, "again"), told(&*s, "key"));
    edit(&s.rootfs("again").unwrap(), |root| {
        let meta = fs::metadata(root.join("etc/newer")).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.nlink()), (0o4711, 2));
        assert!(!root.join("var").exists() && !root.join("etc/passwd").exists());
        assert!(root.join("etc/conf.d/a").exists());
    });
}

fn usage(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    assert_eq!(s.usage("base").unwrap().bytes, 4 + 1 + 4 + 10);
    let rootfs = s.prepare("key", Some("base")).unwrap();
    assert_eq!(s.usage("key").unwrap().bytes, 0);
    edit(&rootfs, |root| {
        fs::write(root.join("big"), vec![1; 100_000]).unwrap();
    });
    assert_eq!(s.usage("key").unwrap().bytes, 100_000);
}

fn view(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    layer(&*s, "top", Some("base"), |root| fs::write(root.join("top"), "").unwrap());
    let rootfs = s.view("view", Some("top")).unwrap();
    assert!(!rootfs.writable());
    edit(&rootfs, |root| {
        assert!(root.join("top").exists() && root.join("etc/passwd").exists());
    });
    assert_eq!(told(&*s, "view"), Vec::<String>::new());
    s.remove("view").unwrap();
    assert!(s.rootfs("top").unwrap() == s.view("again", Some("top")).unwrap());
}

fn root_mode(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    layer(&*s, "base", None, |root| {
        fs::set_permissions(root.join("."), fs::Permissions::from_mode(0o1771)).unwrap();
        std::os::unix::fs::chown(root.join("."), Some(11), Some(12)).unwrap();
    });
    edit(&s.prepare("key", Some("base")).unwrap(), |root| {
        let meta = fs::metadata(root.join(".")).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o1771, 11, 12));
    });
}

fn copying(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    base(&*s);
    let rootfs = s.prepare("key", Some("base")).unwrap();
    edit(&rootfs, |root| {
        symlink("/etc", root.join("abs")).unwrap();
        symlink("../../../../../etc/conf.d", root.join("up")).unwrap();
        symlink("/no/where", root.join("dangling")).unwrap();
    });
    let volume = dir.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("inside"), "volume").unwrap();
    let mut view = RootView::of(&rootfs).unwrap();
    view.graft(Path::new("/abs/mnt"), &volume).unwrap();

    let stat = view.stat("/abs").unwrap();
    assert_eq!((stat.name.as_str(), stat.link_target.as_str(), stat.mode >> 27 & 1), ("abs", "/etc", 1));
    assert_eq!(view.stat("abs/").unwrap().mode >> 31, 1);
    assert_eq!(view.stat("/up/a").unwrap().size, 1);
    assert_eq!(view.stat("/dangling").unwrap().link_target, "/no/where");
    assert_eq!(view.stat("/").unwrap().name, "/");
    assert!(matches!(view.stat("/etc/passwd/x"), Err(Error::NoPath(_))));
    assert_eq!(view.stat("/etc/mnt/inside").unwrap().size, 6);

    let names = |path: &str| {
        let mut bytes = Vec::new();
        view.tar(path, &mut bytes).unwrap();
        let mut reader = Reader::new(bytes.as_slice());
        let mut names = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            names.push(String::from_utf8(entry.name).unwrap());
        }
        names
    };
    assert_eq!(names("/up/"), ["up/", "up/a"]);
    assert_eq!(names("/up"), ["up"]);
    assert_eq!(names("/etc/conf.d/."), ["./", "./a"]);
    assert_eq!(names("/etc/passwd"), ["passwd"]);
    let etc = names("/etc");
    assert!(etc.contains(&"etc/mnt/inside".to_owned()), "{etc:?}");

    let mut writer = gantry_archive::Writer::new(Vec::new());
    writer.append_bytes(&gantry_archive::Entry::file("up/new", 3), b"new").unwrap();
    let bytes = writer.finish().unwrap();
    view.untar("/", std::io::Cursor::new(bytes.clone()), &UntarOptions::default()).unwrap();
    edit(&rootfs, |root| assert_eq!(fs::read_to_string(root.join("etc/conf.d/new")).unwrap(), "new"));
    assert!(matches!(
        view.untar("/etc/passwd", std::io::empty(), &UntarOptions::default()),
        Err(Error::NotADirectory)
    ));
    assert!(matches!(view.untar("/nope", std::io::empty(), &UntarOptions::default()), Err(Error::NoPath(_))));
    let mut exported = Vec::new();
    view.export(&mut exported).unwrap();
    let mut reader = Reader::new(exported.as_slice());
    let mut text = String::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        assert!(!entry.name.starts_with(b"etc/mnt/i"), "what is mounted is not exported");
        if entry.name == b"etc/conf.d/new" {
            reader.read_to_string(&mut text).unwrap();
        }
    }
    assert_eq!(text, "new");
}

fn depth(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    let mut parent: Option<String> = None;
    for n in 0..40 {
        let name = format!("layer-{n}");
        s.prepare("making", parent.as_deref()).unwrap();
        fs::write(s.layer_dir("making").unwrap().join(&name), "").unwrap();
        s.commit(&name, "making").unwrap();
        parent = Some(name);
    }
    edit(&s.prepare("key", parent.as_deref()).unwrap(), |root| {
        assert_eq!(fs::read_dir(root).unwrap().count(), 40);
    });
}

fn quota(dir: &Path, open: Opener<'_>) {
    let s = open(dir);
    let options = crate::PrepareOptions { size: Some(1 << 20) };
    let told = s.prepare_with("key", None, &options).unwrap_err().to_string();
    assert_eq!(told, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
    assert!(matches!(s.stat("key"), Err(Error::NotFound(_))));
}
