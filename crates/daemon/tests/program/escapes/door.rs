//! What can be reached of the engine from beside it: sockets, folders.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::run;
use crate::harness::Engine;

/// CVE-2020-15257: a container on the host's network reaches the shim's socket in the abstract name space.
#[test]
fn no_abstract_socket_of_ours_is_there_for_host_network() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "--name", "box", "--network", "host", "busybox", "sleep", "300"]).ok();
    let said = engine.docker(["exec", "box", "cat", "/proc/net/unix"]).ok();
    // The engine's own socket is listed by its path: so it was the same network namespace that was looked at.
    assert!(said.contains("gantry.sock"), "{said}");
    let abstracts: Vec<&str> =
        said.lines().filter_map(|line| line.split(' ').find(|word| word.starts_with('@'))).collect();
    assert!(
        !abstracts
            .iter()
            .any(|name| name.contains("gantry") || name.contains("shim") || name.contains("containerd")),
        "{abstracts:?}"
    );
}

/// CVE-2021-41103: folders of containers that any user of the host may enter, with set-user-id programs in them.
#[test]
fn nobody_on_the_host_enters_the_engines_folders() {
    let engine = Engine::start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    run(&engine, &["-v", "vol:/v"], "true").ok();
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "300"]).ok();
    let id = engine.inspect("box", "{{.Id}}");
    assert_eq!(
        mode(&engine.path("data")),
        0o710,
        "Docker's own: a path inside may be passed through by its group"
    );
    assert_eq!(mode(&engine.path("run")), 0o700);
    for name in ["containers", "content", "snapshots", "volumes"] {
        let inner = mode(&engine.path("data").join(name));
        assert_eq!(inner & 0o006, 0, "{name}: {inner:o} can be listed or written by everybody");
    }
    assert_eq!(mode(&engine.path("data/containers").join(&id)) & 0o077 & !0o010, 0);
    assert_eq!(mode(&engine.path("data/store.db")) & 0o077, 0);
    let log = engine.path("data/containers").join(&id).join(format!("{id}-json.log"));
    assert_eq!(mode(&log) & 0o027, 0, "a log is not for everybody");
    let socket = engine.path("gantry.sock");
    assert_eq!(mode(&socket), 0o660);
    // Asked by doing it: nobody gets in.
    for path in [engine.path("data"), engine.path("run"), engine.path("data/volumes/vol/_data")] {
        let shown = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "ls"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(!shown.status.success(), "{}", path.display());
    }
}
