//! Version 2's device program in a real hierarchy, wherever the host has one mounted. Needs root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use gantry_cgroups::spec::{DeviceRule, Resources};
use gantry_cgroups::{Cgroup, Host, Saved};

/// A version 2 group of the test's own; `None` on a host without version 2.
fn group(name: &str) -> Option<(Cgroup, PathBuf)> {
    let mount = Host::detect().unwrap().v2?.mount;
    let folder = mount.join(format!("gantry-test-{name}-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    Some((Cgroup::restore(&Saved { folders: BTreeMap::from([(String::new(), folder.clone())]) }), folder))
}

/// A shell that waits for a line before it does its work, so that it can be moved first.
fn waiting(script: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read go; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn go(mut child: Child) -> String {
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn rule(allow: bool, major: i64, minor: i64, access: &str) -> DeviceRule {
    DeviceRule {
        allow,
        kind: Some("c".into()),
        major: Some(major),
        minor: Some(minor),
        access: Some(access.into()),
    }
}

#[test]
fn the_device_program_allows_and_denies_and_is_replaced() {
    let Some((group, folder)) = group("devices") else {
        eprintln!("no cgroup version 2 here: left out");
        return;
    };
    let nothing = DeviceRule { allow: false, access: Some("rwm".into()), ..Default::default() };
    let only =
        |allowed: DeviceRule| Resources { devices: vec![nothing.clone(), allowed], ..Default::default() };
    let script = "(: < /dev/zero) && echo read; (: > /dev/zero) && echo written; true";
    group.set(&only(rule(true, 1, 5, "r"))).unwrap();
    let child = waiting(script);
    group.join(child.id() as i32, None).unwrap();
    assert_eq!(go(child), "read\n");
    group.set(&only(rule(true, 1, 5, "rw"))).unwrap();
    let child = waiting(script);
    group.join(child.id() as i32, None).unwrap();
    assert_eq!(go(child), "read\nwritten\n", "the program before is gone");
    group.remove().unwrap();
    assert!(!folder.exists());
}

#[test]
fn a_group_is_frozen_thawed_and_killed() {
    let Some((group, _)) = group("freeze") else {
        eprintln!("no cgroup version 2 here: left out");
        return;
    };
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    group.join(child.id() as i32, None).unwrap();
    assert_eq!(group.processes().unwrap(), [child.id() as i32]);
    group.freeze().unwrap();
    assert!(group.is_frozen().unwrap());
    group.thaw().unwrap();
    group.signal_all(9).unwrap();
    assert!(!child.wait().unwrap().success());
    group.remove().unwrap();
}

#[test]
fn version_1_limits_are_set_and_unified_ones_refused() {
    let host = Host::detect().unwrap();
    if host.is_unified() {
        eprintln!("no cgroup version 1 here: left out");
        return;
    }
    let group = Cgroup::locate(&host, Some(&format!("/gantry-test-v1-{}", std::process::id())), "x").unwrap();
    group.create(&host).unwrap();
    let limit = |bytes| Resources {
        memory: Some(gantry_cgroups::spec::Memory {
            limit: Some(bytes),
            swap: Some(bytes * 2),
            ..Default::default()
        }),
        ..Default::default()
    };
    // Up and down: the outer limit has to move first, or last.
    for bytes in [64 << 20, 128 << 20, 32 << 20] {
        group.set(&limit(bytes)).unwrap();
        assert_eq!(group.stats().unwrap().memory.limit, Some(bytes as u64));
    }
    let unified =
        Resources { unified: BTreeMap::from([("memory.high".into(), "1".into())]), ..Default::default() };
    assert!(group.set(&unified).is_err());
    group.remove().unwrap();
}
