//! create, start, state, kill, delete, list, pause, ps, update: the verbs from outside.

use crate::bundle::{Bundle, Expect};

#[test]
fn a_container_is_created_then_running_then_stopped_then_gone() {
    let bundle = Bundle::script("sleep 1000");
    bundle.create().expect_success("create");
    let state = bundle.state();
    assert_eq!((state["status"].as_str(), state["id"].as_str()), (Some("created"), Some(bundle.id.as_str())));
    let pid = state["pid"].as_i64().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(state["bundle"].as_str(), bundle.dir.path().to_str());
    bundle.cmd(&["start", &bundle.id]).expect_success("start");
    assert_eq!(bundle.status(), "running");
    bundle.cmd(&["kill", &bundle.id, "KILL"]).expect_success("kill");
    bundle.wait_for("stopped");
    bundle.cmd(&["delete", &bundle.id]).expect_success("delete");
    bundle.cmd(&["state", &bundle.id]).expect_failure("does not exist");
}

#[test]
fn nothing_runs_before_start() {
    let bundle = Bundle::script("echo began; sleep 1000");
    bundle.create().expect_success("create");
    assert_eq!(bundle.out(), "");
    bundle.cmd(&["start", &bundle.id]).expect_success("start");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bundle.out() != "began\n" {
        assert!(std::time::Instant::now() < deadline, "{}", bundle.out());
        std::thread::yield_now();
    }
}

#[test]
fn an_id_is_taken_once() {
    let bundle = Bundle::running(|_| {});
    bundle.create().expect_failure("exist");
    assert_eq!(bundle.status(), "running");
}

#[test]
fn a_running_container_is_not_started_again() {
    let bundle = Bundle::running(|_| {});
    assert!(!bundle.cmd(&["start", &bundle.id]).status.success());
}

#[test]
fn a_running_container_is_only_deleted_by_force() {
    let bundle = Bundle::running(|_| {});
    assert!(!bundle.cmd(&["delete", &bundle.id]).status.success());
    bundle.cmd(&["delete", "--force", &bundle.id]).expect_success("delete --force");
    assert!(!bundle.cmd(&["state", &bundle.id]).status.success());
}

#[test]
fn a_created_container_can_be_killed_and_deleted() {
    let bundle = Bundle::script("true");
    bundle.create().expect_success("create");
    bundle.cmd(&["kill", &bundle.id, "KILL"]).expect_success("kill");
    bundle.wait_for("stopped");
    assert!(!bundle.cmd(&["start", &bundle.id]).status.success());
    bundle.cmd(&["delete", &bundle.id]).expect_success("delete");
}

#[test]
fn a_stopped_container_takes_no_signal() {
    let bundle = Bundle::script("true");
    bundle.create().expect_success("create");
    bundle.cmd(&["start", &bundle.id]).expect_success("start");
    bundle.wait_for("stopped");
    assert!(!bundle.cmd(&["kill", &bundle.id, "TERM"]).status.success());
}

#[test]
fn what_does_not_exist_is_no_container() {
    let bundle = Bundle::new();
    for verb in ["state", "start", "delete", "pause", "resume", "ps"] {
        assert!(!bundle.cmd(&[verb, "no-such-container"]).status.success(), "{verb}");
    }
    bundle.cmd(&["delete", "--force", "no-such-container"]).expect_success("delete --force of nothing");
}

#[test]
fn an_id_with_a_slash_is_refused() {
    let mut bundle = Bundle::new();
    bundle.id = "../escape".into();
    assert!(!bundle.run().status.success());
}

#[test]
fn the_exit_code_is_the_processs() {
    assert_eq!(Bundle::script("exit 37").run().status.code(), Some(37));
}

#[test]
fn a_process_killed_by_a_signal_exits_with_128_and_the_signal() {
    // The first process of a pid namespace is deaf to its own signals: a child's death is asked.
    assert_eq!(Bundle::script("sh -c 'kill -9 $$'; exit $?").run().status.code(), Some(137));
}

#[test]
fn the_pid_file_names_the_first_process() {
    let bundle = Bundle::script("sleep 1000");
    bundle.write();
    let file = bundle.dir.path().join("pid");
    let (folder, path) = (bundle.dir.path().to_str().unwrap(), file.to_str().unwrap());
    bundle
        .command(&["create", "--bundle", folder, "--pid-file", path, &bundle.id])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), bundle.state()["pid"].to_string());
}

#[test]
fn pause_stops_everything_and_resume_lets_it_go_on() {
    let bundle = Bundle::running(|_| {});
    bundle.cmd(&["pause", &bundle.id]).expect_success("pause");
    assert_eq!(bundle.status(), "paused");
    bundle.cmd(&["resume", &bundle.id]).expect_success("resume");
    assert_eq!(bundle.status(), "running");
}

#[test]
fn a_paused_container_dies_when_it_is_killed() {
    let bundle = Bundle::running(|_| {});
    bundle.cmd(&["pause", &bundle.id]).expect_success("pause");
    bundle.cmd(&["delete", "--force", &bundle.id]).expect_success("delete --force");
}

#[test]
fn ps_and_list_show_the_container() {
    let bundle = Bundle::running(|_| {});
    let ps = bundle.cmd(&["ps", "--format", "json", &bundle.id]);
    let pids: Vec<i64> = serde_json::from_slice(&ps.stdout).unwrap();
    assert_eq!(pids, [bundle.state()["pid"].as_i64().unwrap()]);
    let list = bundle.cmd(&["list", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list[0]["id"].as_str(), Some(bundle.id.as_str()));
    assert_eq!(String::from_utf8_lossy(&bundle.cmd(&["list", "-q"]).stdout).trim(), bundle.id);
}

#[test]
fn kill_all_reaches_every_process() {
    let bundle = Bundle::running(|b| b.process().args[2] = "sleep 999 & sleep 999 & sleep 1000".into());
    bundle.cmd(&["kill", "--all", &bundle.id, "KILL"]).expect_success("kill --all");
    bundle.wait_for("stopped");
}

#[test]
fn a_bundle_without_a_configuration_is_refused() {
    let bundle = Bundle::new();
    let folder = bundle.dir.path().to_str().unwrap();
    assert!(!bundle.cmd(&["run", "--bundle", folder, &bundle.id]).status.success());
}

#[test]
fn annotations_are_part_of_the_state() {
    let bundle =
        Bundle::running(|b| drop(b.spec.annotations.insert("org.example.key".into(), "value".into())));
    assert_eq!(bundle.state()["annotations"]["org.example.key"].as_str(), Some("value"));
}
