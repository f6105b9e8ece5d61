//! What an image says of itself: its users, its volumes, the programs in it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::{hostile_image, run};
use crate::harness::Engine;

/// CVE-2016-3697, CVE-2026-46680, CVE-2024-40635: lists that make root of who is written as another number.
#[test]
fn an_images_lists_make_nobody_root() {
    let engine = Engine::start();
    hostile_image(&engine, "lists", &["USER 1000"], |root| {
        let users = "1000:x:0:0::/:\n99999999999999999999:x:0:0::/:\nlast:x:4294967295:4294967295::/:\n";
        std::fs::write(root.join("etc/passwd"), users).unwrap();
        std::fs::write(root.join("etc/group"), "1000:x:0:\n").unwrap();
    });
    let id = ["lists", "id", "-u"];
    let with = |flags: &[&str]| {
        engine.docker(["run", "--rm", "--network", "none"].iter().chain(flags).chain(&id).copied())
    };
    assert_eq!(with(&[]).ok(), "1000");
    assert_eq!(with(&["-u", "7:1000", "--group-add", "1000"]).ok(), "7");
    for user in ["99999999999999999999", "last", "4294967295", "-1", "1:4294967295"] {
        let refused = with(&["-u", user]).failed();
        assert!(refused.contains("uids and gids must be in range 0-2147483647"), "{user}: {refused}");
    }
}

/// CVE-2022-23648: a volume of the image's begins with what is at a place of the host's. CVE-2026-55686: so is its working
/// folder made.
#[test]
fn an_images_volumes_begin_with_what_is_inside() {
    let engine = Engine::start();
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("secret"), "the host's").unwrap();
    let inner = host.path().display().to_string();
    let climbs = format!("../../../../../../../..{inner}");
    let volumes = format!("VOLUME [\"/link\", \"/up\", \"/{climbs}\", \"/magic\"]");
    hostile_image(&engine, "volumes", &[&volumes], |root| {
        symlink(&inner, root.join("link")).unwrap();
        symlink(&climbs, root.join("up")).unwrap();
        symlink(format!("/proc/1/root{inner}"), root.join("magic")).unwrap();
    });
    let said = engine.docker(["run", "--name", "box", "--network", "none", "volumes", "true"]);
    for volume in engine.inspect("box", "{{range .Mounts}}{{.Source}} {{end}}").split_whitespace() {
        assert_eq!(std::fs::read_dir(volume).unwrap().count(), 0, "{volume}: {said:?}");
    }
    for (name, folder) in [("abs", "/link/made"), ("climbs", "/up/made"), ("proc", "/magic/made")] {
        hostile_image(&engine, name, &["USER 33", &format!("WORKDIR {folder}")], |root| {
            symlink(&inner, root.join("link")).unwrap();
            symlink(&climbs, root.join("up")).unwrap();
            symlink(format!("/proc/1/root{inner}"), root.join("magic")).unwrap();
        });
        engine.docker(["run", "--rm", "--network", "none", name, "true"]);
    }
    assert_eq!(std::fs::read_dir(host.path()).unwrap().count(), 1);
    hostile_image(&engine, "root", &["VOLUME /.."], |_| {});
    let said = engine.docker(["create", "--network", "none", "root", "true"]).failed();
    assert!(said.contains("destination can't be '/'"), "{said}");
}

/// CVE-2026-41567, CVE-2014-9357, CVE-2022-1227: what unpacks an archive, and what lists processes, is looked for in
/// the container.
#[test]
fn nothing_of_an_images_programs_runs_on_the_host() {
    let engine = Engine::start();
    let traces = tempfile::tempdir().unwrap();
    let trace = traces.path().join("ran").display().to_string();
    hostile_image(&engine, "programs", &[], |root| {
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        for name in ["xz", "unpigz", "pigz", "gzip", "zstd", "unzstd", "bzip2", "tar", "ps", "nsenter"] {
            for folder in ["bin", "usr/bin"] {
                let path = root.join(folder).join(name);
                std::fs::write(&path, format!("#!/bin/sh\ntouch {trace}\n")).unwrap();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    });
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "programs", "sleep", "1000"]).ok();
    let folder = engine.path("packed");
    std::fs::create_dir(&folder).unwrap();
    for (name, how) in [("a", "-z"), ("b", "-J"), ("c", "-j")] {
        std::fs::write(folder.join(name), name).unwrap();
        let tar = Command::new("tar").arg("-C").arg(&folder).args([how, "-c", name]).output().unwrap();
        assert!(tar.status.success());
        engine.docker_with(["cp", "-", "box:/tmp"], &tar.stdout).ok();
        assert_eq!(engine.docker(["exec", "box", "cat", &format!("/tmp/{name}")]).ok(), name);
    }
    assert!(engine.docker(["top", "box"]).ok().contains("sleep 1000"));
    assert!(!Path::new(&trace).exists(), "a program of the image's ran on the host");
}

/// CVE-2026-41579, CVE-2026-47766, CVE-2026-88264, CVE-2026-88265: `/dev` of the image is a link, or a volume is there
/// whose nodes are.
#[test]
fn a_dev_that_is_a_link_is_filled_inside() {
    let engine = Engine::start();
    let host = tempfile::tempdir().unwrap();
    let inner = host.path().display().to_string();
    let owner = |path: &str| std::fs::metadata(path).map(|found| (found.permissions().mode(), found.len()));
    std::fs::write(host.path().join("null"), "kept").unwrap();
    let before = owner(&format!("{inner}/null")).unwrap();
    hostile_image(&engine, "link", &[], |root| {
        symlink(format!("../../../../../../..{inner}"), root.join("dev")).unwrap();
    });
    // What matters is not whether it runs.
    for flags in [&["-i"] as &[&str], &["-t"], &["--device", "/dev/null:/dev/mine"], &["--privileged"]] {
        let all = ["run", "--rm", "--network", "none"].iter().chain(flags);
        engine.docker(all.chain(&["link", "true"]).copied());
    }
    let links =
        format!("cd /v; for n in null console pts ptmx shm mqueue mine; do ln -s {inner}/$n $n; done");
    run(&engine, &["-v", "vol:/v"], &links).ok();
    for flags in [&["-i"] as &[&str], &["-t"], &["--device", "/dev/null:/dev/mine"], &["--privileged"]] {
        run(&engine, &[flags, &["-v", "vol:/dev"]].concat(), "true");
    }
    let there: Vec<_> =
        std::fs::read_dir(host.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(there, ["null"], "made on the host");
    assert_eq!(owner(&format!("{inner}/null")).unwrap(), before);
    assert!(!std::fs::read_to_string("/proc/self/mounts").unwrap().contains(&inner), "mounted on the host");
}
