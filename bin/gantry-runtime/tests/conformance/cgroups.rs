//! Limits, where they are kept, and that nothing stays.

use gantry_runtime_lib::spec::{Cpu, DeviceRule, Memory, Pids};

use crate::bundle::{Bundle, Expect, cgroup_folder, is_v1};

/// A file and its version 1 and version 2 names.
fn limit(bundle: &Bundle, controller: &str, v1: &str, v2: &str) -> String {
    bundle.cgroup_file(controller, if is_v1() { v1 } else { v2 })
}

#[test]
fn memory_processes_and_processor_are_limited() {
    let bundle = Bundle::running(|b| {
        b.resources().memory =
            Some(Memory { limit: Some(64 << 20), reservation: Some(32 << 20), ..Default::default() });
        b.resources().pids = Some(Pids { limit: Some(77) });
        b.resources().cpu = Some(Cpu {
            shares: Some(512),
            quota: Some(20_000),
            period: Some(50_000),
            cpus: Some("0".into()),
            ..Default::default()
        });
    });
    assert_eq!(limit(&bundle, "memory", "memory.limit_in_bytes", "memory.max"), (64 << 20).to_string());
    assert_eq!(limit(&bundle, "memory", "memory.soft_limit_in_bytes", "memory.low"), (32 << 20).to_string());
    assert_eq!(limit(&bundle, "pids", "pids.max", "pids.max"), "77");
    assert_eq!(limit(&bundle, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    if is_v1() {
        assert_eq!(bundle.cgroup_file("cpu", "cpu.shares"), "512");
        assert_eq!(bundle.cgroup_file("cpu", "cpu.cfs_quota_us"), "20000");
        assert_eq!(bundle.cgroup_file("cpu", "cpu.cfs_period_us"), "50000");
    } else {
        assert_eq!(bundle.cgroup_file("cpu", "cpu.max"), "20000 50000");
    }
}

#[test]
fn update_changes_limits_of_a_running_container() {
    let bundle = Bundle::running(|b| {
        b.resources().memory = Some(Memory { limit: Some(64 << 20), ..Default::default() })
    });
    let cmd = ["update", "--memory", "32m", "--pids-limit", "20", "--cpu-share", "200", &bundle.id];
    bundle.cmd(&cmd).expect_success("update");
    assert_eq!(limit(&bundle, "memory", "memory.limit_in_bytes", "memory.max"), (32 << 20).to_string());
    assert_eq!(limit(&bundle, "pids", "pids.max", "pids.max"), "20");
    let file = bundle.dir.path().join("resources.json");
    std::fs::write(&file, r#"{"memory":{"limit":50331648}}"#).unwrap();
    bundle.cmd(&["update", "-r", file.to_str().unwrap(), &bundle.id]).expect_success("update -r");
    assert_eq!(limit(&bundle, "memory", "memory.limit_in_bytes", "memory.max"), (48 << 20).to_string());
}

#[test]
fn the_process_limit_holds() {
    let mut bundle =
        Bundle::script("i=0; while [ $i -lt 20 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo $i");
    bundle.resources().pids = Some(Pids { limit: Some(5) });
    assert_ne!(String::from_utf8_lossy(&bundle.run().stdout).trim(), "20");
}

#[test]
fn the_memory_limit_holds() {
    let mut bundle = Bundle::script("head -c 100m /dev/zero | tail -c 100m > /dev/null; echo $?");
    bundle.process().args[2] = "dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null; echo $?".into();
    bundle.resources().memory =
        Some(Memory { limit: Some(16 << 20), swap: Some(16 << 20), ..Default::default() });
    assert_ne!(bundle.told().trim(), "0");
}

#[test]
fn only_allowed_devices_can_be_used() {
    // Whether there is such a disk or not: what the cgroup refuses is "not permitted".
    let script = "mknod /tmp/disk b 7 0; head -c 1 /tmp/disk 2>&1 | grep -c permitted; \
                  mknod /tmp/full c 1 7; head -c 1 /tmp/full | wc -c";
    assert_eq!(Bundle::script(script).told(), "1\n1\n");
    let mut open = Bundle::script(script);
    let rule = DeviceRule {
        allow: true,
        kind: Some("b".into()),
        major: Some(7),
        minor: Some(0),
        access: Some("r".into()),
    };
    open.resources().devices.push(rule);
    assert_eq!(open.told(), "0\n1\n");
}

#[test]
fn the_first_process_is_in_the_cgroup_and_the_cgroup_goes_with_the_container() {
    let bundle = Bundle::running(|_| {});
    let pid = bundle.state()["pid"].to_string();
    for controller in ["memory", "pids", "cpu", "devices", "freezer"] {
        let folder = cgroup_folder(controller, &bundle.id);
        if is_v1() {
            assert!(bundle.cgroup_file(controller, "cgroup.procs").lines().any(|l| l == pid), "{controller}");
        }
        assert!(folder.exists(), "{}", folder.display());
    }
    bundle.cmd(&["delete", "--force", &bundle.id]).expect_success("delete");
    for controller in ["memory", "pids", "cpu", "devices", "freezer"] {
        assert!(!cgroup_folder(controller, &bundle.id).exists(), "{controller}");
    }
}

#[test]
fn a_failed_create_leaves_no_cgroup() {
    let mut bundle = Bundle::new();
    bundle.process().args = vec!["/no/such/command".into()];
    assert!(!bundle.run().status.success());
    assert!(!cgroup_folder("memory", &bundle.id).exists());
    assert!(!bundle.cmd(&["state", &bundle.id]).status.success());
}

#[test]
fn statistics_are_told() {
    let bundle = Bundle::running(|_| {});
    let output = bundle.cmd(&["events", "--stats", &bundle.id]);
    let event: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(event["type"].as_str(), Some("stats"));
    assert_eq!(event["data"]["pids"]["current"].as_u64(), Some(1));
    assert!(event["data"]["memory"]["usage"]["usage"].as_u64().unwrap() > 0);
}

#[test]
fn a_path_that_leads_out_of_the_hierarchy_stays_in_it() {
    let mut bundle = Bundle::script("true");
    bundle.linux().cgroups_path = Some("/../../gantry-conformance-out".into());
    // Refused, or taken from the hierarchy's own root: both are safe.
    let _ = bundle.run();
    assert!(!std::path::Path::new("/sys/fs/gantry-conformance-out").exists());
    assert!(!std::path::Path::new("/sys/fs/cgroup/gantry-conformance-out").exists());
}

#[test]
fn the_cgroup_namespace_hides_the_way() {
    let mut bundle = Bundle::script("cat /proc/self/cgroup");
    bundle.linux().namespaces.push(gantry_runtime_lib::spec::Namespace { kind: "cgroup".into(), path: None });
    assert!(!bundle.told().contains("gantry-conformance"));
}
