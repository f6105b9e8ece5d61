//! Links that are swapped while somebody walks: mounts, volumes, `docker cp`, export.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::{hostile_image, run};
use crate::harness::Engine;

/// Swaps a folder of a volume for a link to the host's root, for ever, as fast as it goes.
const SWAP: &str = "cd /v; mkdir -p real; ln -s / link; ln -s ../../../../../.. up
    while :; do mv real gone; ln -s / real; rm real; mv gone real; done";

/// CVE-2021-30465: two containers share a volume; one swaps the other's mount target for a link while it starts.
#[test]
fn a_mount_target_swapped_for_a_link_stays_inside() {
    let engine = Engine::start();
    let marker = tempfile::tempdir().unwrap();
    std::fs::write(marker.path().join("mark"), "host").unwrap();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "swap",
            "--network",
            "none",
            "-v",
            "vol:/v",
            "busybox",
            "sh",
            "-c",
            SWAP,
        ])
        .ok();
    let inner = marker.path().display().to_string();
    for _ in 0..25 {
        let said = engine.docker([
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            "vol:/v",
            "-v",
            "wol:/v/real/under",
            "--tmpfs",
            "/v/real/tmp",
            "busybox",
            "sh",
            "-c",
            &format!("ls /v/real{inner} /v/real/host 2>/dev/null; cat /proc/self/mounts"),
        ]);
        // It may fail: what it may not is to show or cover anything of the host's.
        assert!(!said.stdout.contains("mark"), "{said:?}");
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.lines().any(|line| line.contains(" /under ") || line.contains(" /real")), "{mounts}");
    assert!(!Path::new("/under").exists() && !Path::new("/real").exists(), "nothing was made on the host");
}

/// A mount's target that the image leads out of its root ends inside of it.
#[test]
fn mount_targets_are_resolved_inside_the_root() {
    let engine = Engine::start();
    let name = format!("escape-{}", std::process::id());
    hostile_image(&engine, "links", &[], |root| {
        std::fs::create_dir(root.join("proc")).unwrap();
        symlink("../../../../../../../tmp", root.join("up")).unwrap();
        symlink("/proc/1/root/tmp", root.join("magic")).unwrap();
    });
    for to in ["up", "magic"] {
        let volume = format!("vol:/{to}/{name}");
        engine.docker(["run", "--rm", "--network", "none", "-v", &volume, "links", "true"]);
        assert!(!Path::new("/tmp").join(&name).exists(), "{to} led to the host");
    }
}

/// CVE-2017-1002101, CVE-2024-21626's kin: a volume's subpath that is a link out of the volume.
#[test]
fn a_subpath_does_not_leave_its_volume() {
    let engine = Engine::start();
    run(
        &engine,
        &["-v", "vol:/v"],
        "cd /v; mkdir in; ln -s / root; ln -s ../../.. up; ln -s /etc etc; ln -s in ok; mkdir in/deep",
    )
    .ok();
    for subpath in ["root", "up", "etc", "root/etc", "../..", "in/../../..", "up/etc"] {
        let mount = format!("type=volume,src=vol,dst=/x,volume-subpath={subpath}");
        let said = run(&engine, &["--mount", &mount], "cat /x/shadow /x/etc/shadow; ls /x");
        let own = said.stdout.lines().all(|line| ["etc", "in", "ok", "root", "up"].contains(&line));
        assert!(said.code != 0 || own, "{subpath}: {said:?}");
    }
    let said = run(&engine, &["--mount", "type=volume,src=vol,dst=/x,volume-subpath=in"], "ls /x").ok();
    assert_eq!(said, "deep");
}

/// CVE-2018-15664: `docker cp` follows a link that is swapped between look and use.
#[test]
fn cp_stays_inside_while_links_are_swapped() {
    let engine = Engine::start();
    let host = tempfile::tempdir().unwrap();
    let inner = host.path().display().to_string();
    std::fs::write(host.path().join("secret"), "the host's").unwrap();
    let swap = format!(
        "mkdir -p /d/real{inner}; cd /d; echo mine > /d/real{inner}/secret; ln -s / link
        while :; do mv real gone; mv link real; mv real link; mv gone real; done"
    );
    // CVE-2026-41568, CVE-2026-42306: `cp` makes no mount, whatever is mounted where links are swapped.
    let volume = format!("vol:/d/real{inner}/vol");
    let all =
        ["run", "-d", "--name", "box", "--network", "none", "-v", &volume, "busybox", "sh", "-c", &swap];
    engine.docker(all).ok();
    let file = engine.path("planted");
    std::fs::write(&file, "planted").unwrap();
    for _ in 0..40 {
        let out = engine.docker(["cp", &format!("box:/d/real{inner}/secret"), "-"]);
        assert!(!out.stdout.contains("the host's"), "{out:?}");
        engine.docker(["cp", &file.display().to_string(), &format!("box:/d/real{inner}/")]);
    }
    let mut there: Vec<_> = std::fs::read_dir(host.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["secret"], "nothing was written to the host");
    assert_eq!(std::fs::read_to_string(host.path().join("secret")).unwrap(), "the host's");
}

/// Links that stand still: absolute, climbing, through the kernel's magic ones. CVE-2021-41089: the mode of what they lead
/// to on the host stays, too.
#[test]
fn cp_and_export_resolve_links_inside() {
    let engine = Engine::start();
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("secret"), "the host's").unwrap();
    let inner = host.path().display().to_string();
    let make = format!(
        "ln -s {inner} /abs; ln -s ../../../../../../../../{inner} /up; ln -s /proc/1/root{inner} /magic; ln -s {inner}/secret /file; sleep 300"
    );
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sh", "-c", &make]).ok();
    engine.until(&["exec", "box", "readlink", "/file"], &format!("{inner}/secret"));
    std::fs::set_permissions(host.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = engine.path("planted");
    std::fs::write(&file, "planted").unwrap();
    let file = file.display().to_string();
    for name in ["abs", "up", "magic"] {
        let said = engine.docker(["cp", "-L", &format!("box:/{name}/secret"), "-"]);
        assert!(!said.stdout.contains("the host's"), "{said:?}");
        engine.docker(["cp", &file, &format!("box:/{name}/")]);
    }
    engine.docker(["cp", &file, "box:/file"]);
    let folder = engine.path("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    for name in ["abs", "up", "magic"] {
        engine.docker(["cp", &format!("{}/.", folder.display()), &format!("box:/{name}")]);
    }
    assert_eq!(std::fs::metadata(host.path()).unwrap().permissions().mode() & 0o7777, 0o755);
    let said = engine.docker(["cp", "-L", "box:/file", "-"]);
    assert!(!said.stdout.contains("the host's"), "{said:?}");
    assert_eq!(std::fs::read_to_string(host.path().join("secret")).unwrap(), "the host's");
    assert_eq!(std::fs::read_dir(host.path()).unwrap().count(), 1);
    let tar = engine.path("out.tar");
    engine.docker(["export", "-o", &tar.display().to_string(), "box"]).ok();
    let bytes = std::fs::read(tar).unwrap();
    assert!(!bytes.windows(10).any(|window| window == b"the host's"), "export followed a link");
}

/// CVE-2019-14271: `docker cp` runs nothing of the container's, whatever libraries and lists it brings along.
#[test]
fn cp_loads_nothing_of_the_containers() {
    let engine = Engine::start();
    hostile_image(&engine, "libs", &["USER evil"], |root| {
        for lib in ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64"] {
            std::fs::create_dir_all(root.join(lib)).unwrap();
            for name in ["libnss_files.so.2", "libnss_compat.so.2", "libc.so.6", "libnss_dns.so.2"] {
                std::fs::write(root.join(lib).join(name), "not a library").unwrap();
            }
        }
        std::fs::write(root.join("etc/nsswitch.conf"), "passwd: files evil\n").unwrap();
        std::fs::write(root.join("etc/passwd"), "evil:x:77:78::/:/bin/sh\n").unwrap();
    });
    engine.docker(["create", "--name", "box", "--network", "none", "libs", "sh"]).ok();
    let file = engine.path("file");
    std::fs::write(&file, "text").unwrap();
    engine.docker(["cp", "-a", &file.display().to_string(), "box:/tmp/file"]).ok();
    assert!(engine.docker(["cp", "box:/tmp/file", "-"]).ok().contains("text"));
}

/// The container's lists of users, where the engine reads them itself: a pipe must not hang it, an endless file not
/// fill it, a link not show it the host's.
#[test]
fn lists_of_users_that_are_traps() {
    let engine = Engine::start();
    for (name, to) in [("zero", "/dev/zero"), ("full", "../../../../../../../dev/urandom")] {
        hostile_image(&engine, name, &[], |root| {
            std::fs::create_dir(root.join("dev")).unwrap();
            let made =
                std::process::Command::new("mknod").arg(root.join("dev/zero")).args(["c", "1", "5"]).status();
            assert!(made.unwrap().success());
            symlink(to, root.join("etc/passwd")).unwrap();
            symlink(to, root.join("etc/group")).unwrap();
        });
    }
    hostile_image(&engine, "pipe", &[], |root| {
        let made = std::process::Command::new("mkfifo")
            .arg(root.join("etc/passwd"))
            .arg(root.join("etc/group"))
            .status();
        assert!(made.unwrap().success());
    });
    for name in ["zero", "full", "pipe"] {
        for user in ["root", "evil", "0"] {
            engine.docker(["run", "--rm", "--network", "none", "-u", user, name, "true"]);
        }
    }
    assert_eq!(run(&engine, &["-u", "www-data"], "id -un").ok(), "www-data");
}
