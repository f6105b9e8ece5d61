//! Further processes in a running container.

use crate::bundle::{Bundle, Expect};

#[test]
fn an_exec_is_in_every_namespace_and_in_the_cgroup() {
    let bundle = Bundle::running(|_| {});
    let pid = bundle.state()["pid"].as_i64().unwrap();
    let told = bundle.exec_told("for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done");
    for (kind, line) in ["pid", "net", "ipc", "uts", "mnt"].iter().zip(told.lines()) {
        assert_eq!(line, std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string());
    }
    assert!(bundle.exec_told("cat /proc/self/cgroup").contains(&bundle.id));
}

#[test]
fn an_exec_has_the_containers_rights_and_its_own_code() {
    let bundle = Bundle::running(|b| b.process().no_new_privileges = true);
    let init = bundle.exec_told("grep -E '^(Cap|NoNew)' /proc/1/status");
    assert_eq!(bundle.exec_told("grep -E '^(Cap|NoNew)' /proc/self/status"), init);
    assert_eq!(bundle.exec(&["sh", "-c", "exit 42"]).status.code(), Some(42));
}

#[test]
fn flags_change_environment_folder_and_user() {
    let bundle = Bundle::running(|_| {});
    let script = "echo $A; pwd; id -u; id -g";
    let output = bundle.cmd(&[
        "exec",
        "--env",
        "A=b",
        "--cwd",
        "/tmp",
        "--user",
        "1000:1001",
        &bundle.id,
        "sh",
        "-c",
        script,
    ]);
    output.expect_success("exec");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b\n/tmp\n1000\n1001\n");
}

#[test]
fn a_process_comes_from_a_file() {
    let bundle = Bundle::running(|_| {});
    let file = bundle.dir.path().join("process.json");
    let process = r#"{"args":["sh","-c","echo $X; id -u"],"cwd":"/","env":["PATH=/bin","X=y"],"user":{"uid":5,"gid":5}}"#;
    std::fs::write(&file, process).unwrap();
    let output = bundle.cmd(&["exec", "--process", file.to_str().unwrap(), &bundle.id]);
    output.expect_success("exec");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "y\n5\n");
}

#[test]
fn a_detached_exec_tells_its_number() {
    let bundle = Bundle::running(|_| {});
    let file = bundle.dir.path().join("pid");
    let args = ["exec", "--detach", "--pid-file", file.to_str().unwrap(), &bundle.id, "sleep", "1000"];
    let status = bundle
        .command(&args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let pid: i64 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    let ps = bundle.cmd(&["ps", "--format", "json", &bundle.id]);
    let pids: Vec<i64> = serde_json::from_slice(&ps.stdout).unwrap();
    assert!(pids.contains(&pid) && pids.len() == 2, "{pid} {pids:?}");
}

#[test]
fn a_command_that_is_missing_is_told() {
    let bundle = Bundle::running(|_| {});
    bundle
        .exec(&["no-such-command"])
        .expect_failure("exec: \"no-such-command\": executable file not found in $PATH");
    bundle.exec(&["/etc/passwd"]).expect_failure("exec: \"/etc/passwd\": permission denied");
}

#[test]
fn there_is_no_exec_in_a_container_that_is_paused_or_stopped() {
    let bundle = Bundle::running(|_| {});
    bundle.cmd(&["pause", &bundle.id]).expect_success("pause");
    assert!(!bundle.exec(&["true"]).status.success());
    bundle.cmd(&["resume", &bundle.id]).expect_success("resume");
    bundle.cmd(&["kill", &bundle.id, "KILL"]).expect_success("kill");
    bundle.wait_for("stopped");
    assert!(!bundle.exec(&["true"]).status.success());
}

#[test]
fn many_execs_at_once_all_run() {
    let bundle = Bundle::running(|_| {});
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|n| {
                let bundle = &bundle;
                scope.spawn(move || bundle.exec_told(&format!("echo {n}")))
            })
            .collect();
        for (n, told) in all.into_iter().enumerate() {
            assert_eq!(told.join().unwrap(), format!("{n}\n"));
        }
    });
}

#[test]
fn nothing_of_the_runtime_is_open_in_an_exec() {
    let bundle = Bundle::running(|_| {});
    // 0, 1, 2 and the folder that ls itself reads.
    let output = bundle.exec(&["ls", "/proc/self/fd"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n2\n3\n");
}
