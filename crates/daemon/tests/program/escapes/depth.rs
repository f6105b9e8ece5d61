//! Folders in folders without end. A process makes them one in the other and never names them by a path; whoever walks them
//! by calling itself is at the end of its stack or of its descriptors. The engine would die, and die again at each start.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use crate::harness::Engine;

/// More than the kernel's longest path names, and than the walks of old had a stack for. (What 30,000 are like, the
/// removal's own test shows in memory; a disk takes half a minute for them.)
const DEPTH: usize = 3_000;

/// What a process of the container does, without a shell's memory of where it is.
fn dig(folder: &Path) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = openat(CWD, folder, flags, Mode::empty()).unwrap();
    for _ in 0..DEPTH {
        mkdirat(&here, "d", Mode::RWXU).unwrap();
        here = openat(&here, "d", flags, Mode::empty()).unwrap();
    }
}

#[test]
fn a_container_cannot_dig_so_deep_that_the_engine_falls_in() {
    let mut engine = Engine::start();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "-v",
            "vol:/v",
            "busybox",
            "sleep",
            "300",
        ])
        .ok();
    engine.docker(["exec", "box", "mkdir", "/x", "/v/x"]).ok();
    let root = format!("/proc/{}/root", engine.inspect("box", "{{.State.Pid}}"));
    for place in ["x", "v/x"] {
        dig(&Path::new(&root).join(place));
    }
    let pid = engine.pid();
    let out = engine.path("out.tar").display().to_string();
    // Whether each can is its own affair; none may be the last.
    for args in [
        &["diff", "box"] as &[&str],
        &["cp", "box:/x", "-"],
        &["cp", "box:/v/x", "-"],
        &["export", "-o", &out, "box"],
        &["commit", "box", "deep"],
        &["ps", "-a", "-s"],
        &["system", "df", "-v"],
        &["inspect", "-s", "box"],
    ] {
        engine.docker(args);
        engine.docker(["version"]).ok();
        assert_eq!(engine.pid(), pid, "{args:?}");
    }
    // Nor may it outlive its container: neither now, nor where the engine dies while it is removed.
    engine.crash();
    engine.launch();
    engine.docker(["rm", "-f", "box"]).ok();
    engine.docker(["volume", "rm", "vol"]).ok();
    engine.docker(["version"]).ok();
    assert!(!engine.log().contains("overflow"), "{}", engine.log());
    assert!(!engine.path("data/volumes/vol").exists());
}
