//! What a container's processes may do, and who they are.

use super::{hostile_image, run};
use crate::harness::Engine;

/// CVE-2022-24769, CVE-2022-29162: inheritable capabilities let a program with file capabilities gain more than its
/// user was to have.
#[test]
fn nothing_is_inheritable() {
    let engine = Engine::start();
    let zero = "CapInh:\t0000000000000000";
    let look = ["grep", "Cap", "/proc/self/status"];
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "300"]).ok();
    engine
        .docker([
            "run",
            "-d",
            "--name",
            "strong",
            "--privileged",
            "--network",
            "none",
            "busybox",
            "sleep",
            "300",
        ])
        .ok();
    for flags in [&[] as &[&str], &["-u", "33"], &["--privileged"], &["--cap-add", "SYS_ADMIN", "-u", "33"]] {
        let said = run(&engine, flags, "grep Cap /proc/self/status").ok();
        assert!(said.contains(zero), "{flags:?}: {said}");
        if flags.contains(&"-u") {
            assert!(
                said.contains("CapEff:\t0000000000000000") && said.contains("CapAmb:\t0000000000000000"),
                "{said}"
            );
        }
    }
    for flags in [
        &["box"] as &[&str],
        &["-u", "33", "box"],
        &["--privileged", "box"],
        &["--privileged", "-u", "33", "box"],
        &["strong"],
    ] {
        let said = engine.docker(["exec"].into_iter().chain(flags.iter().copied()).chain(look)).ok();
        assert!(said.contains(zero), "{flags:?}: {said}");
    }
}

/// CVE-2022-36109, CVE-2022-2990: supplementary groups that are missing let a user pass "everybody but this group".
#[test]
fn supplementary_groups_are_the_users() {
    let engine = Engine::start();
    let groups = |flags: &[&str]| run(&engine, flags, "id -G").ok();
    assert_eq!(groups(&["-u", "www-data"]), "33 4");
    assert_eq!(groups(&["-u", "33"]), "33 4");
    assert_eq!(groups(&["-u", "33:1"]), "1");
    assert_eq!(groups(&["-u", "1234:5678"]), "5678");
    assert_eq!(groups(&["-u", "33:33", "--group-add", "77"]), "33 77");
    // Mode 0707: shut to the group, though open to everybody else.
    let shut = run(&engine, &["-u", "www-data", "-v", "vol:/v"], "cat /v/file");
    assert_ne!(shut.code, 0);
    run(&engine, &["-v", "vol:/v"], "echo x >/v/file; chown 0:33 /v/file; chmod 0606 /v/file").ok();
    let said = run(&engine, &["-u", "www-data", "-v", "vol:/v"], "cat /v/file");
    assert!(said.code != 0 && said.stdout.is_empty(), "{said:?}");
    engine.docker(["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "300"]).ok();
    assert_eq!(engine.docker(["exec", "-u", "www-data", "box", "id", "-G"]).ok(), "33 4");
    hostile_image(&engine, "grouped", &["USER 33:33"], |root| {
        std::fs::write(root.join("etc/group"), "x:x:99:www-data\n").unwrap();
    });
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "grouped", "id", "-G"]).ok(), "33");
}

/// What a container may not do by default, asked by doing it.
#[test]
fn a_container_cannot_do_the_hosts_work() {
    let engine = Engine::start();
    let probe = "for c in 'mount -t tmpfs t /mnt' 'mount -t proc p /mnt' 'mount -o remount,rw /sys' 'umount /proc/kcore' \
        'unshare -m true' 'unshare -U true' 'mknod /tmp/sda b 8 0 && cat /tmp/sda' 'swapoff -a' 'rmmod x' 'dmesg' \
        'chroot /proc/1/root mount -t tmpfs t /' 'date -s 2000-01-01 && date | grep 2000' 'hostname x' 'ip link set lo down' 'nsenter -t 1 -m true' \
        'reboot -f' 'hwclock -w' 'losetup -f /etc/passwd' 'pivot_root / /tmp'; do
          mkdir -p /mnt; if sh -c \"$c\" >/dev/null 2>&1; then echo DONE $c; fi; done; echo probed";
    let said = run(&engine, &[], probe).ok();
    assert_eq!(said, "probed");
}
