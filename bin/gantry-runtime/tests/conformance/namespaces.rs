//! New namespaces, joined ones, user maps, names and settings.

use gantry_runtime_lib::spec::{IdMapping, Namespace, TimeOffset};

use crate::bundle::{Bundle, Expect};
use crate::excuse;

fn host_namespace(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string()
}

#[test]
fn every_namespace_asked_for_is_new() {
    let mut bundle =
        Bundle::script("for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done");
    bundle.linux().namespaces.push(Namespace { kind: "cgroup".into(), path: None });
    let told = bundle.told();
    for (kind, line) in ["pid", "net", "ipc", "uts", "mnt", "cgroup"].iter().zip(told.lines()) {
        assert_ne!(line, host_namespace(kind), "{kind}");
    }
}

#[test]
fn what_is_not_asked_for_is_the_hosts() {
    let mut bundle = Bundle::script("for n in net ipc uts; do readlink /proc/self/ns/$n; done");
    bundle.linux().namespaces.retain(|n| n.kind == "pid" || n.kind == "mount");
    bundle.spec.hostname = None;
    bundle.spec.mounts.retain(|m| m.destination != std::path::Path::new("/dev/mqueue"));
    let told = bundle.told();
    for (kind, line) in ["net", "ipc", "uts"].iter().zip(told.lines()) {
        assert_eq!(line, host_namespace(kind), "{kind}");
    }
}

#[test]
fn a_namespace_is_joined_by_path() {
    let first = Bundle::running(|_| {});
    let pid = first.state()["pid"].as_i64().unwrap();
    let theirs =
        |kind: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string();
    let mut second = Bundle::script("for n in net ipc uts; do readlink /proc/self/ns/$n; done; hostname");
    second.spec.hostname = None;
    for namespace in &mut second.linux().namespaces {
        let file = match namespace.kind.as_str() {
            "network" => "net",
            "ipc" => "ipc",
            "uts" => "uts",
            _ => continue,
        };
        namespace.path = Some(format!("/proc/{pid}/ns/{file}").into());
    }
    assert_eq!(
        second.told(),
        format!("{}\n{}\n{}\nconformance\n", theirs("net"), theirs("ipc"), theirs("uts"))
    );
}

#[test]
fn the_pid_namespace_of_another_container_is_joined() {
    let first = Bundle::running(|_| {});
    let pid = first.state()["pid"].as_i64().unwrap();
    let mut second = Bundle::script("cat /proc/1/cmdline | tr '\\0' ' '");
    for namespace in second.linux().namespaces.iter_mut().filter(|n| n.kind == "pid") {
        namespace.path = Some(format!("/proc/{pid}/ns/pid").into());
    }
    assert!(second.told().contains("sleep 1000"));
}

#[test]
fn a_path_that_is_no_namespace_is_refused() {
    let mut bundle = Bundle::script("true");
    bundle.linux().namespaces[1].path = Some("/etc/passwd".into());
    assert!(!bundle.run().status.success());
    bundle.linux().namespaces[1].path = Some("/no/such/file".into());
    assert!(!bundle.run().status.success());
}

#[test]
fn the_first_process_is_number_1() {
    assert_eq!(Bundle::script("echo $$").told(), "1\n");
}

#[test]
fn loopback_is_up() {
    let bundle = Bundle::script("ip addr show lo");
    assert!(bundle.told().contains("127.0.0.1"));
}

#[test]
fn the_host_name_is_set() {
    assert_eq!(Bundle::script("hostname").told(), "conformance\n");
}

#[test]
fn the_domain_name_is_set() {
    excuse!("the_domain_name_is_set");
    let mut bundle = Bundle::script("cat /proc/sys/kernel/domainname");
    bundle.spec.domainname = Some("example.org".into());
    assert_eq!(bundle.told(), "example.org\n");
}

#[test]
fn a_host_name_needs_a_namespace() {
    let mut bundle = Bundle::script("true");
    bundle.linux().namespaces.retain(|n| n.kind != "uts");
    assert!(!bundle.run().status.success());
}

#[test]
fn settings_are_written_in_the_containers_namespaces() {
    let mut bundle = Bundle::script("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni");
    let settings = [("net.ipv4.ip_forward", "1"), ("kernel.shmmni", "123")];
    bundle.linux().sysctl = settings.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    assert_eq!(bundle.told(), "1\n123\n");
}

#[test]
fn a_setting_of_the_host_is_refused() {
    let mut bundle = Bundle::script("true");
    bundle.linux().sysctl.insert("vm.swappiness".into(), "1".into());
    assert!(!bundle.run().status.success());
}

fn with_user_namespace(script: &str) -> Bundle {
    let mut bundle = Bundle::script(script);
    let map = vec![IdMapping { container_id: 0, host_id: 100_000, size: 65_536 }];
    bundle.linux().namespaces.push(Namespace { kind: "user".into(), path: None });
    bundle.linux().uid_mappings = map.clone();
    bundle.linux().gid_mappings = map;
    // The mapped root has to be able to come to the root file system.
    let status =
        std::process::Command::new("chown").args(["-R", "100000:100000"]).arg(bundle.dir.path()).status();
    assert!(status.unwrap().success());
    std::fs::set_permissions(bundle.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bundle
}

#[test]
fn a_user_namespace_has_its_maps_and_its_devices() {
    let bundle = with_user_namespace(
        "cat /proc/self/uid_map; id -u; echo x > /dev/null && echo null; touch /made && echo made",
    );
    let told = bundle.told();
    let words: Vec<&str> = told.split_whitespace().collect();
    assert_eq!(words, ["0", "100000", "65536", "0", "null", "made"]);
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(bundle.rootfs().join("made")).unwrap().uid(), 100_000);
}

#[test]
fn a_user_namespace_without_maps_is_refused() {
    let mut bundle = Bundle::script("true");
    bundle.linux().namespaces.push(Namespace { kind: "user".into(), path: None });
    assert!(!bundle.run().status.success());
}

#[test]
fn an_exec_enters_the_user_namespace_too() {
    let mut bundle = with_user_namespace("sleep 1000");
    bundle.process().args[2] = "sleep 1000".into();
    bundle.create().expect_success("create");
    bundle.cmd(&["start", &bundle.id]).expect_success("start");
    assert_eq!(bundle.exec_told("id -u; cat /proc/self/uid_map | wc -l"), "0\n1\n");
}

#[test]
fn a_time_namespace_has_its_offset() {
    excuse!("a_time_namespace_has_its_offset");
    let mut bundle = Bundle::script("cut -d. -f1 /proc/uptime");
    bundle.linux().namespaces.push(Namespace { kind: "time".into(), path: None });
    bundle.linux().time_offsets.insert("boottime".into(), TimeOffset { secs: 1_000_000_000, nanosecs: 0 });
    let seconds: u64 = bundle.told().trim().parse().unwrap();
    assert!(seconds > 1_000_000_000, "{seconds}");
}

#[test]
fn a_namespace_named_twice_is_refused() {
    let mut bundle = Bundle::script("true");
    bundle.linux().namespaces.push(Namespace { kind: "pid".into(), path: None });
    assert!(!bundle.run().status.success());
}
