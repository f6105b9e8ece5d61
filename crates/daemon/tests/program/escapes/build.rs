//! Builds: contexts, cache mounts, what is asked without being granted.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use crate::bad_build::{DOORS, Door};
use crate::buildkit::with_plugin;
use crate::harness::{Engine, Said};

fn build(engine: &Engine, context: &Path, dockerfile: &str) -> Said {
    build_by(Door::Classic, engine, context, dockerfile)
}

fn build_by(door: Door, engine: &Engine, context: &Path, dockerfile: &str) -> Said {
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    let context = context.display().to_string();
    door.build(engine, &["--no-cache", "-t", "made", &context], Stdio::null())
}

/// An engine and the doors by which it can be asked here.
fn doors() -> (Engine, Vec<Door>) {
    match with_plugin(Engine::start) {
        Some(engine) => (engine, DOORS.to_vec()),
        None => (Engine::start(), vec![Door::Classic]),
    }
}

/// COPY and ADD through links of the context, and to links of the image.
#[test]
fn copies_do_not_leave_the_context_or_the_image() {
    let (engine, doors) = doors();
    for door in doors {
        copies_by(door, &engine);
    }
}

fn copies_by(door: Door, engine: &Engine) {
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("secret"), "the host's").unwrap();
    let inner = host.path().display().to_string();
    let context = tempfile::tempdir().unwrap();
    let at = context.path();
    std::fs::write(at.join("plain"), "plain").unwrap();
    symlink(host.path(), at.join("abs")).unwrap();
    symlink(format!("../../../../../../../..{inner}"), at.join("up")).unwrap();
    symlink(host.path().join("secret"), at.join("file")).unwrap();
    for copy in [
        "COPY abs/secret /",
        "COPY up/secret /",
        "COPY file /out",
        "ADD abs/ /out/",
        "COPY ../../../../../..",
        "COPY abs/* /out/",
        "ADD up/secret /x",
    ] {
        let copy = if copy.ends_with("..") { format!("{copy}{inner}/secret /out") } else { copy.to_owned() };
        let said = build_by(door, engine, at, &format!("FROM busybox\n{copy}\n"));
        if said.code != 0 {
            continue;
        }
        let look = "cat /secret /out /out/* /x 2>/dev/null; true";
        let seen = engine.docker(["run", "--rm", "--network", "none", "made", "sh", "-c", look]);
        assert!(!seen.stdout.contains("the host's"), "{door:?} {copy}: {seen:?}");
    }
    // The target is a link of the image: what is copied ends inside.
    for to in [inner.clone(), format!("../../../../../../../..{inner}"), format!("/proc/1/root{inner}")] {
        build_by(
            door,
            engine,
            at,
            &format!(
                "FROM busybox\nRUN ln -s {to} /link\nCOPY plain /link/planted\nADD plain /link/\nWORKDIR /link/folder\n"
            ),
        );
        assert_eq!(std::fs::read_dir(host.path()).unwrap().count(), 1, "{door:?} {to}: written to the host");
    }
    // And so from one stage to the next.
    let said = build_by(
        door,
        engine,
        at,
        &format!(
            "FROM busybox AS a\nRUN ln -s {inner} /link && ln -s /proc/1/root{inner} /magic\nFROM busybox\nCOPY --from=a /link/secret /magic/secret /\n"
        ),
    );
    assert_ne!(said.code, 0, "{said:?}");
}

/// CVE-2024-1753, CVE-2024-9407, CVE-2024-9675, CVE-2025-4953: a mount of the context that is a link to the host's, one
/// that asks for propagation, a cache by a name that climbs; and what is written through a mount stays nowhere.
#[test]
fn a_steps_mounts_do_not_leave_the_context() {
    let (engine, doors) = doors();
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("secret"), "the host's").unwrap();
    let inner = host.path().display().to_string();
    let context = tempfile::tempdir().unwrap();
    let at = context.path();
    let climbs = format!("../../../../../../..{inner}");
    symlink(&inner, at.join("abs")).unwrap();
    symlink(&climbs, at.join("up")).unwrap();
    let look = "cat /x/secret; touch /x/planted; true";
    for door in doors {
        let mounts =
            ["abs", "up", climbs.as_str(), "/abs/."].map(|source| format!("type=bind,source={source},rw"));
        let caches = [climbs.as_str(), inner.as_str()].map(|id| format!("type=cache,id={id}"));
        for mount in mounts.iter().chain(&caches) {
            let text = format!("FROM busybox\nRUN --mount={mount},target=/x {look}\n");
            let said = build_by(door, &engine, at, &text);
            assert!(
                !said.stderr.contains("the host's") && !said.stdout.contains("the host's"),
                "{mount}: {said:?}"
            );
        }
        build_by(door, &engine, at, "FROM busybox\nRUN --mount=type=bind,rw,target=/x touch /x/planted\n")
            .ok();
        let text = "FROM busybox\nRUN --mount=type=bind,bind-propagation=rshared,target=/x true\n";
        assert_ne!(build_by(door, &engine, at, text).code, 0);
    }
    assert_eq!(std::fs::read_dir(host.path()).unwrap().count(), 1);
    assert!(!at.join("planted").exists());
}

/// CVE-2024-23651: a cache mount's `source` that is swapped for a link between the check and the mount.
#[test]
fn a_cache_mounts_source_stays_in_the_cache() {
    let engine = Engine::start();
    let context = tempfile::tempdir().unwrap();
    let text = "FROM busybox\n\
        RUN --mount=type=cache,id=c,target=/c mkdir -p /c/in && ln -s / /c/root && ln -s ../../../../../../.. /c/up && ln -s /proc/1/root /c/magic\n";
    build(&engine, context.path(), text).ok();
    for source in ["root", "up", "magic", "root/etc", "../.."] {
        let text = format!(
            "FROM busybox\n\
            RUN --mount=type=cache,id=c,target=/c true\n\
            RUN --mount=type=cache,id=c,source={source},target=/x cat /x/shadow /x/etc/shadow\n"
        );
        let said = build(&engine, context.path(), &text);
        assert!(
            said.code != 0
                && !["root:*", "root:!", "root:x", "root:$"].iter().any(|line| said.stderr.contains(line)),
            "{source}: {said:?}"
        );
    }
    let text = "FROM busybox\nRUN --mount=type=bind,from=busybox,source=../../../../../../etc,target=/x test ! -e /x/shadow\n";
    build(&engine, context.path(), text);
}

/// CVE-2024-23652: the mount point of a step that is swapped for a link, so that tidying up removes the host's file.
#[test]
fn tidying_up_after_a_mount_removes_nothing_outside() {
    let engine = Engine::start();
    let host = tempfile::tempdir().unwrap();
    let kept = host.path().join("victim");
    std::fs::create_dir(&kept).unwrap();
    let inner = host.path().display().to_string();
    let context = tempfile::tempdir().unwrap();
    let text = format!(
        "FROM busybox\n\
        RUN --mount=type=cache,target=/a/victim true\n\
        RUN --mount=type=tmpfs,target=/b/victim mv /b /gone && ln -s {inner} /b\n\
        RUN --mount=type=cache,target=/c/d/victim rm -rf /c/d; mv /c /went; ln -s {inner} /c; true\n"
    );
    build(&engine, context.path(), &text);
    assert!(kept.is_dir(), "the host's folder was removed");
}

/// CVE-2024-23653: `--security=insecure` and `--network=host` need to be granted.
#[test]
fn insecure_steps_are_not_run_unasked() {
    let engine = Engine::start();
    let context = tempfile::tempdir().unwrap();
    for flag in ["--security=insecure", "--network=host"] {
        let text = format!(
            "# syntax=docker/dockerfile:1-labs\nFROM busybox\nRUN {flag} grep CapEff /proc/self/status > /caps && ls /sys/class/net > /net\n"
        );
        let said = build(&engine, context.path(), &text);
        if said.code == 0 && flag.starts_with("--security") {
            let seen = engine.docker(["run", "--rm", "--network", "none", "made", "cat", "/caps"]).ok();
            panic!("{flag}: {seen}");
        }
    }
}
