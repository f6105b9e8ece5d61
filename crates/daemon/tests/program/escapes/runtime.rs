//! The runtime's own file, and what it has open.

use std::os::unix::fs::symlink;
use std::time::Instant;

use super::{hostile_image, run};
use crate::harness::{Engine, PATIENCE};

/// The shim is the program that lives between clone and execve; its bytes must stay what they were.
fn shim_bytes() -> Vec<u8> {
    let path = std::env::var_os("GANTRY_SHIM").expect("tests/all.sh says where the shim is");
    std::fs::read(path).unwrap()
}

/// CVE-2019-5736: a process of the container catches ours by `/proc/<pid>/exe` and writes through it.
#[test]
fn the_runtimes_file_cannot_be_written_through_proc_exe() {
    let engine = Engine::start();
    let before = shim_bytes();
    // Whatever in here runs from another file than busybox is us.
    let catch = "while :; do for p in /proc/[0-9]*; do
        [ $p/exe -ef /bin/busybox ] && continue
        if { exec 3<$p/exe; } 2>/dev/null; then
            if { exec 4>>/proc/self/fd/3; } 2>/tmp/why; then echo WRITABLE; else echo caught; cat /tmp/why; fi
        fi
        done; done";
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sh", "-c", catch]).ok();
    let begun = Instant::now();
    let said = loop {
        engine.docker(["exec", "box", "/proc/self/exe", "--version"]);
        engine.docker(["exec", "box", "true"]);
        let said = engine.docker(["logs", "box"]);
        if said.stdout.contains("caught") || said.stdout.contains("WRITABLE") {
            break said.stdout;
        }
        if begun.elapsed() > PATIENCE / 4 {
            // Never even seen: the process is not dumpable before execve, and gone after it.
            break said.stdout;
        }
    };
    assert!(!said.contains("WRITABLE"), "{said}");
    engine.docker(["rm", "-f", "box"]).ok();
    assert_eq!(shim_bytes(), before);
}

/// CVE-2019-5736 again: the command is `/proc/self/exe` itself. What runs then is our file, read-only, with the
/// container's rights and none of the host's files.
#[test]
fn an_entrypoint_of_proc_self_exe_gets_nothing() {
    let engine = Engine::start();
    let before = shim_bytes();
    hostile_image(&engine, "self", &["ENTRYPOINT [\"/proc/self/exe\"]"], |_| {});
    hostile_image(&engine, "shebang", &["ENTRYPOINT [\"/entry\"]"], |root| {
        symlink("/proc/self/exe", root.join("entry")).unwrap();
    });
    for image in ["self", "shebang"] {
        let said = engine.docker(["run", "--rm", "--network", "none", image]);
        assert_ne!(said.code, 0, "{said:?}");
    }
    assert_eq!(shim_bytes(), before);
    assert_eq!(run(&engine, &[], "echo well").ok(), "well");
}

/// CVE-2024-21626: a descriptor of the host's that leaks into a container, used as working folder.
#[test]
fn no_descriptor_of_the_host_leaks() {
    let engine = Engine::start();
    let seen = run(&engine, &[], "for f in /proc/1/fd/*; do readlink $f; done; ls /proc/1/fd; true").ok();
    let numbers: Vec<&str> = seen.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{seen}");
    assert!(!seen.contains("/sys/fs/cgroup") && !seen.contains("gantry"), "{seen}");
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "300"]).ok();
    // Looked at one by one: a shell that lists the folder has it open.
    let look = "i=0; while [ $i -lt 64 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done; true";
    assert_eq!(engine.docker(["exec", "box", "sh", "-c", look]).ok(), "0\n1\n2");
}

#[test]
fn a_working_folder_behind_a_descriptor_is_refused() {
    let engine = Engine::start();
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "300"]).ok();
    engine.docker(["exec", "box", "ln", "-s", "/proc/self/fd/8", "/eight"]).ok();
    hostile_image(&engine, "wd", &["WORKDIR /proc/self/fd/7"], |root| {
        symlink("/proc/self/fd/8", root.join("eight")).unwrap();
    });
    let spy = ["cat", "../../../../../../etc/hostname"];
    for fd in 3..24 {
        let folder = format!("/proc/self/fd/{fd}");
        let said = run(&engine, &["-w", &folder], "cat ../../../../etc/shadow; ls -a");
        assert_ne!(said.code, 0, "{said:?}");
        let said = engine.docker(["exec", "-w", &folder, "box"].into_iter().chain(spy));
        assert_ne!(said.code, 0, "{said:?}");
    }
    let said = engine.docker(["exec", "-w", "/eight", "box"].into_iter().chain(spy));
    assert_ne!(said.code, 0, "{said:?}");
    for extra in [&[] as &[&str], &["-w", "/eight"]] {
        let head = ["run", "--rm", "--network", "none"].into_iter().chain(extra.iter().copied());
        let said = engine.docker(head.chain(["wd", "cat", "../../../../../etc/hostname"]));
        assert_ne!(said.code, 0, "{said:?}");
    }
}
