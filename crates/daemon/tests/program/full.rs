//! A data folder without room: reading and removing go on, making is refused, and nothing half made is left.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::harness::{Engine, busybox};

/// A small file system of its own.
pub struct Disk(PathBuf);

impl Disk {
    pub fn mount(at: &Path, options: &str) -> Disk {
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at)
            .status()
            .unwrap();
        assert!(done.success());
        Disk(at.to_path_buf())
    }

    /// Takes what room there is, until nothing comes free any more: what was refused is swept behind the answer.
    pub fn fill(&self) {
        let filler = self.0.join("filler");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(filler).unwrap();
        let mut quiet = 0;
        while quiet < 3 {
            let before = file.metadata().unwrap().len();
            for piece in [1 << 20, 1 << 12, 1] {
                while file.write_all(&vec![1; piece]).is_ok() {}
            }
            quiet = if file.metadata().unwrap().len() == before { quiet + 1 } else { 0 };
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    pub fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

pub(crate) fn entries(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    all.sort();
    all
}

#[test]
fn a_full_disk_refuses_what_is_new_and_loses_nothing() {
    let mut engine = Engine::empty(&[]);
    engine.stop();
    let disk = Disk::mount(&engine.path("data"), "size=48m");
    engine.launch();
    let archive = busybox().display().to_string();
    engine.docker(["load", "-q", "-i", &archive]).ok();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "-v",
            "kept:/v",
            "busybox",
            "sleep",
            "300",
        ])
        .ok();
    let big = ["run", "--name", "big", "--network", "none", "busybox", "sh", "-c"];
    engine
        .docker(big.into_iter().chain(["dd if=/dev/urandom of=/big bs=1M count=4 2>/dev/null; echo said"]))
        .ok();
    engine.docker(["tag", "busybox", "other"]).ok();
    let snapshots = entries(&engine.path("data/snapshots/overlay"));
    let before = engine.docker(["ps", "-aq"]).ok();
    disk.fill();

    for reading in [
        &["ps", "-a"] as &[&str],
        &["images"],
        &["inspect", "box"],
        &["logs", "big"],
        &["exec", "box", "echo", "alive"],
        &["diff", "big"],
        &["cp", "big:/etc/passwd", "-"],
        &["volume", "ls"],
        &["info"],
        &["history", "busybox"],
    ] {
        engine.docker(reading.iter().copied()).ok();
    }
    let full = |words: &[&str]| {
        disk.fill();
        let err = engine.docker(words.iter().copied()).failed();
        assert!(err.contains("no space left on device") || err.contains("No space left"), "{words:?}: {err}");
    };
    full(&["create", "busybox", "true"]);
    full(&["run", "--rm", "--network", "none", "busybox", "true"]);
    full(&["commit", "big", "made"]);
    // A volume is two folders and a row: the disk may have room in what is allocated already. Then it is a whole one.
    disk.fill();
    let made = engine.docker(["volume", "create", "new"]);
    if made.code == 0 {
        engine.docker(["volume", "rm", "new"]).ok();
    } else {
        assert!(
            made.stderr.contains("no space left on device") || made.stderr.contains("No space left"),
            "{made:?}"
        );
    }
    let err = engine.docker(["import", &archive, "imported"]).failed();
    assert!(err.contains("space"), "{err}");

    assert_eq!(engine.docker(["ps", "-aq"]).ok(), before);
    assert_eq!(engine.docker(["volume", "ls", "-q"]).ok(), "kept");
    assert_eq!(engine.docker(["images", "-q", "made"]).ok(), "");
    assert_eq!(entries(&engine.path("data/snapshots/overlay")), snapshots, "no snapshot is left over");

    engine.docker(["rmi", "other"]).ok();
    engine.docker(["stop", "-t", "0", "box"]).ok();
    engine.docker(["rm", "box"]).ok();
    engine.docker(["rm", "big"]).ok();
    engine.docker(["volume", "rm", "kept"]).ok();
    disk.free();
    engine.docker(["run", "--rm", "--network", "none", "busybox", "true"]).ok();
    // Also a restart on a full disk is one.
    disk.fill();
    engine.crash();
    engine.launch();
    assert_eq!(engine.docker(["images", "-q"]).ok().lines().count(), 1);
    engine.docker(["rmi", "-f", "busybox"]).ok();
    disk.free();
    assert_eq!(entries(&engine.path("data/containers")), Vec::<String>::new());
    assert_eq!(engine.stop(), 0);
}
