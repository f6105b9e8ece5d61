//! Programs at the named points of a container's life.

use gantry_runtime_lib::spec::{Hook, Hooks};

use crate::bundle::{Bundle, Expect};
use crate::excuse;

fn hook(script: &str) -> Vec<Hook> {
    vec![Hook {
        path: "/bin/sh".into(),
        args: vec!["sh".into(), "-c".into(), script.into()],
        ..Default::default()
    }]
}

#[test]
fn hooks_run_in_order_with_the_state_on_stdin() {
    let mut bundle = Bundle::script("true");
    let log = bundle.dir.path().join("log");
    let note = |name: &str| hook(&format!("echo {name} $(cat | tr -d ' \\n') >> {}", log.display()));
    bundle.spec.hooks = Some(Hooks {
        prestart: note("prestart"),
        create_runtime: note("createRuntime"),
        create_container: note("createContainer"),
        poststart: note("poststart"),
        poststop: note("poststop"),
        ..Default::default()
    });
    bundle.create().expect_success("create");
    bundle.cmd(&["start", &bundle.id]).expect_success("start");
    bundle.wait_for("stopped");
    bundle.cmd(&["delete", &bundle.id]).expect_success("delete");
    let told = std::fs::read_to_string(&log).unwrap();
    let order: Vec<&str> = told.lines().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!(order, ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]);
    for line in told.lines() {
        assert!(line.contains(&format!("\"id\":\"{}\"", bundle.id)), "{line}");
    }
}

#[test]
fn a_start_container_hook_runs_inside() {
    let mut bundle = Bundle::script("cat /tmp/from-hook");
    let path = "/bin/sh".into();
    let args = ["sh", "-c", "echo inside > /tmp/from-hook"].map(str::to_owned).to_vec();
    bundle.spec.hooks = Some(Hooks {
        start_container: vec![Hook { path, args, ..Default::default() }],
        ..Default::default()
    });
    assert_eq!(bundle.told(), "inside\n");
}

#[test]
fn a_hook_that_fails_ends_the_create() {
    for stage in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = Bundle::script("true");
        let failing = hook("exit 7");
        let mut hooks = Hooks::default();
        match stage {
            "prestart" => hooks.prestart = failing,
            "createRuntime" => hooks.create_runtime = failing,
            _ => hooks.create_container = failing,
        }
        bundle.spec.hooks = Some(hooks);
        assert!(!bundle.create().status.success(), "{stage}");
        assert!(!bundle.cmd(&["state", &bundle.id]).status.success(), "{stage}");
    }
}

#[test]
fn a_hook_that_takes_too_long_is_ended() {
    excuse!("a_hook_that_takes_too_long_is_ended");
    let mut bundle = Bundle::script("true");
    let mut slow = hook("sleep 600");
    slow[0].timeout = Some(1);
    bundle.spec.hooks = Some(Hooks { create_runtime: slow, ..Default::default() });
    assert!(!bundle.create().status.success());
}

#[test]
fn a_hook_sees_the_containers_namespaces_by_its_number() {
    let mut bundle = Bundle::script("true");
    let out = bundle.dir.path().join("ns");
    let script = format!(
        "pid=$(cat | tr ',' '\\n' | grep '\"pid\"' | tr -dc 0-9); readlink /proc/$pid/ns/net > {}",
        out.display()
    );
    bundle.spec.hooks = Some(Hooks { create_runtime: hook(&script), ..Default::default() });
    bundle.create().expect_success("create");
    let theirs = std::fs::read_to_string(&out).unwrap();
    assert!(theirs.starts_with("net:["), "{theirs}");
    assert_ne!(theirs.trim(), std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string());
}
