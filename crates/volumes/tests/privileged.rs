//! Volumes on a real file system; needs root for owners, nodes and mounts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use gantry_errdefs::{Class, Classified};
use gantry_names::ContainerId;
use gantry_store::Store;
use gantry_volumes::{VolumeFilter, VolumeRequest, Volumes};

fn open(dir: &Path) -> Volumes {
    let store = Store::open(&dir.join("store.db")).unwrap();
    let (volumes, damaged) = Volumes::open(&dir.join("volumes"), store).unwrap();
    assert!(damaged.is_empty());
    volumes
}

fn named(name: &str) -> VolumeRequest {
    VolumeRequest { name: name.to_owned(), ..VolumeRequest::default() }
}

#[test]
fn a_volume_lives_until_it_is_removed_and_nobody_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    let (first, new) = volumes.create(named("data")).unwrap();
    assert!(new);
    let (again, new) = volumes.create(named("data")).unwrap();
    assert_eq!((again, new), (first, false));
    fs::write(volumes.data_path("data").join("f"), "x").unwrap();

    let user = ContainerId::random();
    volumes.hold("data", &user).unwrap();
    let refused = volumes.remove("data", true).unwrap_err();
    assert_eq!(refused.class(), Class::Conflict);
    assert_eq!(refused.to_string(), format!("remove data: volume is in use - [{user}]"));
    volumes.release_all(&user);
    drop(volumes);

    let volumes = open(dir.path());
    assert_eq!(volumes.list(&VolumeFilter::default()).len(), 1);
    volumes.remove("data", false).unwrap();
    assert_eq!(volumes.remove("data", false).unwrap_err().to_string(), "get data: no such volume");
    volumes.remove("data", true).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("volumes")).unwrap().count(), 0);
}

#[test]
fn a_half_removed_volume_is_gone_after_the_next_start_and_a_half_made_one_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    volumes.create(named("half")).unwrap();
    drop(volumes);
    let root = dir.path().join("volumes");
    fs::remove_dir_all(root.join("half")).unwrap();
    fs::create_dir_all(root.join(".removing-old/_data/deep")).unwrap();
    let volumes = open(dir.path());
    assert!(volumes.data_path("half").is_dir());
    assert!(!root.join(".removing-old").exists());
}

#[test]
fn a_removal_that_was_cut_off_before_its_row_went_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("volumes");
    let volumes = open(dir.path());
    volumes.create(named("data")).unwrap();
    fs::write(volumes.data_path("data").join("file"), "kept").unwrap();
    drop(volumes);
    fs::rename(root.join("data"), root.join(".removing-data")).unwrap();
    let volumes = open(dir.path());
    assert_eq!(fs::read_to_string(volumes.data_path("data").join("file")).unwrap(), "kept");
    assert!(!root.join(".removing-data").exists());
}

#[test]
fn what_is_left_of_a_removed_volume_does_not_come_back_as_its_namesake() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("volumes");
    let volumes = open(dir.path());
    // The content of the older one could not be removed yet.
    fs::create_dir_all(root.join(".removing-data/_data/older")).unwrap();
    volumes.create(named("data")).unwrap();
    drop(volumes);
    fs::remove_dir_all(root.join("data")).unwrap();
    let volumes = open(dir.path());
    assert_eq!(fs::read_dir(volumes.data_path("data")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
}

#[test]
fn bad_requests_make_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    assert_eq!(volumes.create(named("../up")).unwrap_err().class(), Class::InvalidArgument);
    let driver = VolumeRequest { driver: "flocker".into(), ..named("vol") };
    assert_eq!(
        volumes.create(driver).unwrap_err().to_string(),
        "create vol: error looking up volume plugin flocker: plugin \"flocker\" not found"
    );
    assert_eq!(fs::read_dir(dir.path().join("volumes")).unwrap().count(), 0);
}

#[test]
fn prune_takes_the_anonymous_and_with_all_the_named_but_never_the_held() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    volumes.create(named("kept")).unwrap();
    let (anonymous, _) = volumes.create(VolumeRequest::default()).unwrap();
    let (held, _) = volumes.create(VolumeRequest::default()).unwrap();
    volumes.hold(&held.name, &ContainerId::random()).unwrap();
    fs::write(volumes.data_path(&anonymous.name).join("f"), vec![1; 5000]).unwrap();

    let pruned = volumes.prune(&VolumeFilter::default()).unwrap();
    assert_eq!(pruned.deleted, [anonymous.name]);
    assert!(pruned.reclaimed >= 4096, "{}", pruned.reclaimed);
    let mut all = VolumeFilter::default();
    all.add_for_prune("all", "true").unwrap();
    assert_eq!(volumes.prune(&all).unwrap().deleted, ["kept"]);
    assert_eq!(volumes.list(&VolumeFilter::default()).len(), 1);
}

#[test]
fn copy_up_keeps_owner_mode_links_and_happens_only_into_an_empty_volume() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    volumes.create(named("data")).unwrap();
    let image = dir.path().join("image");
    fs::create_dir_all(image.join("sub")).unwrap();
    fs::write(image.join("sub/tool"), "#!").unwrap();
    fs::set_permissions(image.join("sub/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    std::os::unix::fs::chown(image.join("sub/tool"), Some(12), Some(34)).unwrap();
    fs::set_permissions(image.join("sub/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(image.join("sub/tool"), image.join("twin")).unwrap();
    symlink("/etc/passwd", image.join("out")).unwrap();
    std::os::unix::fs::chown(&image, Some(1000), Some(1000)).unwrap();
    fs::set_permissions(&image, fs::Permissions::from_mode(0o750)).unwrap();

    let folder = fs::File::open(&image).unwrap();
    assert!(volumes.copy_up("data", folder.as_fd()).unwrap());
    let data = volumes.data_path("data");
    let top = fs::metadata(&data).unwrap();
    assert_eq!((top.uid(), top.gid(), top.mode() & 0o7777), (1000, 1000, 0o750));
    let tool = fs::metadata(data.join("sub/tool")).unwrap();
    assert_eq!((tool.uid(), tool.gid(), tool.mode() & 0o7777), (12, 34, 0o4755));
    assert_eq!(tool.ino(), fs::metadata(data.join("twin")).unwrap().ino());
    assert_eq!(fs::read_link(data.join("out")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(tool.mtime_nsec(), fs::metadata(image.join("twin")).unwrap().mtime_nsec());

    fs::remove_file(data.join("twin")).unwrap();
    assert!(!volumes.copy_up("data", folder.as_fd()).unwrap());
    assert!(!data.join("twin").exists());
}

/// Containers that share a new volume are made at once by every `compose up`.
#[test]
fn two_that_fill_a_volume_at_once_both_find_it_whole() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    volumes.create(named("data")).unwrap();
    let image = dir.path().join("image");
    fs::create_dir_all(&image).unwrap();
    for n in 0..400 {
        fs::write(image.join(n.to_string()), "content").unwrap();
    }
    let folder = fs::File::open(&image).unwrap();
    let fill = || {
        let filled = volumes.copy_up("data", folder.as_fd()).unwrap();
        (filled, fs::read_dir(volumes.data_path("data")).unwrap().count())
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let fills: Vec<_> = (0..4).map(|_| scope.spawn(fill)).collect();
        fills.into_iter().map(|fill| fill.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert_eq!(all, [(false, 400), (false, 400), (false, 400), (true, 400)]);
}

#[test]
fn a_fill_that_failed_or_was_cut_off_leaves_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    for name in ["failed", "cut", "used"] {
        volumes.create(named(name)).unwrap();
    }
    // Deeper than a copy goes: it fails after its first files.
    let image = dir.path().join("image");
    let deep: String = "d/".repeat(600);
    fs::create_dir_all(image.join(&deep)).unwrap();
    fs::write(image.join("a"), "first").unwrap();
    let folder = fs::File::open(&image).unwrap();
    volumes.copy_up("failed", folder.as_fd()).unwrap_err();
    assert_eq!(fs::read_dir(volumes.data_path("failed")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(dir.path().join("volumes/failed")).unwrap().count(), 1);

    for name in ["cut", "used"] {
        fs::write(volumes.data_path(name).join("half"), "x").unwrap();
        fs::write(dir.path().join("volumes").join(name).join(".filling"), "").unwrap();
    }
    drop(volumes);
    let volumes = open(dir.path());
    volumes.hold("used", &ContainerId::random()).unwrap();
    volumes.settle().unwrap();
    assert_eq!(fs::read_dir(volumes.data_path("cut")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(volumes.data_path("used")).unwrap().count(), 1, "somebody may have written it");
    assert_eq!(fs::read_dir(dir.path().join("volumes/cut")).unwrap().count(), 1);
}

/// The content of the old one is still being removed when the new one is made.
#[test]
fn a_volume_that_is_made_again_while_it_goes_leaves_nothing_of_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    for _ in 0..20 {
        let (old, _) = volumes.create(named("data")).unwrap();
        for n in 0..100 {
            fs::write(volumes.data_path(&old.name).join(n.to_string()), "x").unwrap();
        }
        std::thread::scope(|scope| {
            scope.spawn(|| volumes.remove("data", false).unwrap());
            while !volumes.create(named("data")).unwrap().1 {}
        });
        assert_eq!(fs::read_dir(volumes.data_path("data")).unwrap().count(), 0);
        volumes.remove("data", false).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("volumes")).unwrap().count(), 0);
    }
}

/// The mark of a fill may outlive it, where the disk refused to take it away.
#[test]
fn what_a_container_has_used_is_never_emptied_as_half_a_fill() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    volumes.create(named("data")).unwrap();
    fs::write(dir.path().join("volumes/data/.filling"), "").unwrap();
    let user = ContainerId::random();
    volumes.mount("data", &user).unwrap();
    fs::write(volumes.data_path("data").join("row"), "x").unwrap();
    volumes.unmount("data", &user).unwrap();
    drop(volumes);
    let volumes = open(dir.path());
    volumes.settle().unwrap();
    assert!(volumes.data_path("data").join("row").exists());
}

/// What is taken is held in the same step: a prune cannot come in between.
#[test]
fn a_volume_is_taken_before_anybody_can_prune_it() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Acquire) {
                volumes.prune(&VolumeFilter::default()).unwrap();
            }
        });
        for _ in 0..40 {
            let container = ContainerId::random();
            let (taken, _) = volumes.take(VolumeRequest::default(), &container).unwrap();
            assert!(volumes.data_path(&taken.name).is_dir());
            assert_eq!(volumes.holder_count(&taken.name), 1);
            volumes.release_all(&container);
        }
        ended.store(true, std::sync::atomic::Ordering::Release);
    });
}

#[test]
fn a_tmpfs_volume_is_mounted_while_somebody_runs_and_not_after() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,noexec")];
    let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    volumes.create(VolumeRequest { options, ..named("mem") }).unwrap();
    let (one, two) = (ContainerId::random(), ContainerId::random());
    let path = volumes.mount("mem", &one).unwrap();
    fs::write(path.join("f"), "x").unwrap();
    volumes.mount("mem", &two).unwrap();
    volumes.unmount("mem", &one).unwrap();
    assert!(path.join("f").exists());
    drop(volumes);

    // The engine died here: the mount is there, its user is found again.
    let volumes = open(dir.path());
    volumes.mount("mem", &two).unwrap();
    volumes.settle().unwrap();
    assert!(path.join("f").exists());
    volumes.unmount("mem", &two).unwrap();
    assert!(!path.join("f").exists());
}

#[test]
fn a_subpath_cannot_lead_out() {
    let dir = tempfile::tempdir().unwrap();
    let volumes = open(dir.path());
    volumes.create(named("data")).unwrap();
    let data = volumes.data_path("data");
    fs::create_dir(data.join("in")).unwrap();
    symlink("/etc", data.join("abs")).unwrap();
    symlink("../../..", data.join("up")).unwrap();
    assert_eq!(volumes.subpath("data", "in").unwrap(), data.join("in").canonicalize().unwrap());
    assert!(volumes.subpath("data", "abs").is_err());
    assert_eq!(volumes.subpath("data", "up").unwrap(), data.canonicalize().unwrap());
}
