//! The contract on both drivers, with real mounts (in no namespace) and real trees. Needs root.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::MetadataExt;

use gantry_archive::{Entry, ExtractOptions, Kind, Reader, Root, Writer, extract, settle};
use gantry_snapshots::{Error, Native, Overlay, RootView, Snapshotter, best, testsuite};

fn root() -> bool {
    let is = rustix::process::geteuid().is_root();
    if !is {
        eprintln!("skipped: needs root");
    }
    is
}

#[test]
fn overlay_keeps_the_contract() {
    if root() {
        let temp = tempfile::tempdir().unwrap();
        testsuite::run(temp.path(), &|dir| Box::new(Overlay::open(&dir.join("snapshots")).unwrap()));
    }
}

#[test]
fn native_keeps_the_contract() {
    if root() {
        let temp = tempfile::tempdir().unwrap();
        testsuite::run(temp.path(), &|dir| Box::new(Native::open(&dir.join("snapshots")).unwrap()));
    }
}

#[test]
fn a_version_that_a_power_cut_left_empty_holds_nobody_up() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("version"), "").unwrap();
    Native::open(temp.path()).unwrap();
    assert_eq!(fs::read_to_string(temp.path().join("version")).unwrap(), "1\n");
    fs::write(temp.path().join("version"), "9\n").unwrap();
    assert!(matches!(Native::open(temp.path()), Err(Error::Version { .. })));
}

#[test]
fn a_driver_that_holds_something_stays() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    Native::open(&temp.path().join("native")).unwrap().prepare("base", None).unwrap();
    // The first asking leaves a folder for overlays.
    for _ in 0..2 {
        let (driver, why) = best(temp.path()).unwrap();
        assert_eq!(driver.driver(), "native");
        assert!(why.unwrap().ends_with("holds copies already"));
        driver.stat("base").unwrap();
    }
    Native::open(&temp.path().join("native")).unwrap().remove("base").unwrap();
    let (driver, why) = best(temp.path()).unwrap();
    assert_eq!((driver.driver(), why), ("overlay", None));
    driver.prepare("base", None).unwrap();
    Native::open(&temp.path().join("native")).unwrap().prepare("base", None).unwrap();
    assert_eq!(best(temp.path()).unwrap().0.driver(), "overlay");
}

#[test]
fn a_native_copy_has_everything_the_original_has() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let native = Native::open(temp.path()).unwrap();
    native.prepare("base", None).unwrap();
    let dir = native.layer_dir("base").unwrap();
    let mut file = Entry::file("su", 2);
    (file.mode, file.uid, file.mtime.secs, file.mtime.nanos) = (0o4755, 3, 1000, 7);
    file.xattrs.insert(b"user.key".to_vec(), b"v".to_vec());
    let mut null = Entry::new("null", Kind::Char, 0o666);
    null.device = (1, 3);
    let mut writer = Writer::new(Vec::new());
    writer.append_bytes(&file, b"su").unwrap();
    for entry in [
        Entry::hard_link("sudo", "su"),
        Entry::symlink("link", "su"),
        null,
        Entry::new("pipe", Kind::Fifo, 0o600),
    ] {
        writer.append_bytes(&entry, b"").unwrap();
    }
    let bytes = writer.finish().unwrap();
    extract(&mut Reader::new(bytes.as_slice()), &Root::open(&dir).unwrap(), &ExtractOptions::default())
        .unwrap();
    native.commit("layer", "base").unwrap();
    native.prepare("copy", Some("layer")).unwrap();
    assert_eq!(native.changes("copy").unwrap(), vec![]);
    let copy = native.layer_dir("copy").unwrap();
    let meta = fs::metadata(copy.join("su")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.nlink(), meta.mtime_nsec()), (0o4755, 3, 2, 7));
    assert_eq!(fs::metadata(copy.join("null")).unwrap().rdev(), rustix::fs::makedev(1, 3));
    let mut value = [0; 4];
    assert_eq!(rustix::fs::lgetxattr(copy.join("su"), "user.key", &mut value), Ok(1));
}

#[test]
fn layers_unpacked_apart_make_one_root() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let overlay = Overlay::open(temp.path()).unwrap();
    let mut left = Vec::new();
    let mut tmp = Entry::dir("tmp");
    tmp.mode = 0o1777;
    for (key, entries) in [("one", vec![tmp]), ("two", vec![Entry::file("tmp/x", 0)])] {
        let mut writer = Writer::new(Vec::new());
        for entry in &entries {
            writer.append_bytes(entry, b"").unwrap();
        }
        let bytes = writer.finish().unwrap();
        overlay.prepare(key, None).unwrap();
        let root = Root::open(&overlay.layer_dir(key).unwrap()).unwrap();
        let options = ExtractOptions { whiteouts: overlay.whiteouts(), ..ExtractOptions::default() };
        left.push(extract(&mut Reader::new(bytes.as_slice()), &root, &options).unwrap());
    }
    overlay.commit_on("layer-one", "one", None).unwrap();
    let below: Vec<Root> =
        overlay.lower_dirs(Some("layer-one")).unwrap().iter().map(|dir| Root::open(dir).unwrap()).collect();
    settle(&Root::open(&overlay.layer_dir("two").unwrap()).unwrap(), &below, &left[1], overlay.whiteouts())
        .unwrap();
    overlay.commit_on("layer-two", "two", Some("layer-one")).unwrap();
    let view = RootView::of(&overlay.prepare("key", Some("layer-two")).unwrap()).unwrap();
    assert_eq!(view.stat("/tmp").unwrap().mode & 0o777, 0o777);
    assert_eq!(view.stat("/tmp").unwrap().mode >> 20 & 1, 1, "sticky, from the layer below");
    view.stat("/tmp/x").unwrap();
}

#[test]
fn a_damaged_record_costs_one_snapshot_and_keeps_its_files() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let overlay = Overlay::open(temp.path()).unwrap();
    for key in ["a", "b"] {
        overlay.prepare(key, None).unwrap();
    }
    let dir = overlay.layer_dir("a").unwrap();
    fs::write(dir.join("dear"), "x").unwrap();
    fs::write(dir.parent().unwrap().join("meta.json"), "{").unwrap();
    let overlay = Overlay::open(temp.path()).unwrap();
    assert_eq!(overlay.walk().unwrap().len(), 1);
    assert_eq!(overlay.damaged(), [dir.parent().unwrap()]);
    assert!(dir.join("dear").exists());
}

#[test]
fn a_record_that_the_machine_went_down_over_was_never_finished() {
    if !root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let overlay = Overlay::open(folder.path()).unwrap();
    overlay.prepare("told", None).unwrap();
    overlay.prepare("cut", None).unwrap();
    let own = overlay.layer_dir("cut").unwrap().parent().unwrap().to_owned();
    drop(overlay);
    fs::write(own.join("meta.json"), "").unwrap();
    let overlay = Overlay::open(folder.path()).unwrap();
    assert!(overlay.stat("told").is_ok());
    assert!(matches!(overlay.stat("cut"), Err(Error::NotFound(_))));
    assert!(overlay.damaged().is_empty() && !own.exists());
    overlay.prepare("cut", None).unwrap();
}

#[test]
fn a_store_of_another_version_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("version"), "99\n").unwrap();
    let told = Native::open(temp.path()).unwrap_err().to_string();
    assert!(told.ends_with("layout version \"99\" is not \"1\""), "{told}");
}

#[test]
fn a_large_layer_that_a_power_cut_may_have_torn_is_gone_and_its_children_wait_for_it() {
    if !root() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let fill = |overlay: &Overlay| {
        overlay.prepare("making", None).unwrap();
        let dir = overlay.layer_dir("making").unwrap();
        (0..100).for_each(|n| fs::write(dir.join(n.to_string()), "x").unwrap());
        overlay.commit("layer", "making").unwrap();
    };
    let overlay = Overlay::open(temp.path()).unwrap();
    fill(&overlay);
    overlay.prepare("container", Some("layer")).unwrap();
    let mark = overlay.layer_dir("layer").unwrap().parent().unwrap().join("unsynced");
    drop(overlay);
    assert!(fs::symlink_metadata(&mark).is_err(), "it is on the disk when the driver is closed");
    let overlay = Overlay::open(temp.path()).unwrap();
    overlay.stat("layer").unwrap();
    drop(overlay);
    std::os::unix::fs::symlink("another-boot", &mark).unwrap();
    let overlay = Overlay::open(temp.path()).unwrap();
    assert!(matches!(overlay.stat("layer"), Err(gantry_snapshots::Error::NotFound(_))));
    assert!(matches!(overlay.rootfs("container"), Err(gantry_snapshots::Error::NotFound(_))));
    fill(&overlay);
    let view = RootView::of(&overlay.rootfs("container").unwrap()).unwrap();
    view.stat("/99").unwrap();
}
