//! Wrong files, and what goes wrong on the way.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::Project;

#[test]
fn a_wrong_file_is_refused_with_its_place_before_anything_is_touched() {
    let project = Project::new("services:\n  web:\n    image: busybox\n    comand: sleep\n");
    let told = project.compose(["up", "-d"]).failed();
    assert!(told.contains("compose.yaml:4:5"), "{told}");
    assert!(told.contains("command"), "the nearest name is not told: {told}");
    project.write("compose.yaml", "services:\n  web:\n    image: busybox\n    depends_on: [nobody]\n");
    assert!(project.compose(["up", "-d"]).failed().contains("nobody"));
    project.write(
        "compose.yaml",
        "services:\n  a: {image: busybox, depends_on: [b]}\n  b: {image: busybox, depends_on: [a]}\n",
    );
    assert!(project.compose(["up", "-d"]).failed().contains("cycle"));
    assert_eq!(project.engine.docker(["network", "ls", "-q", "-f", "name=app_default"]).ok(), "");
    assert_eq!(project.ids(), [""; 0]);
    assert_eq!(project.compose(["nonsense"]).failed(), "unknown docker command: \"compose nonsense\"");
    assert!(project.compose(["bridge", "convert"]).failed().contains("not supported"));
}

#[test]
fn what_cannot_start_names_its_service_and_what_started_stays() {
    let project = Project::new(
        "services:\n  good: {image: busybox, command: sleep 1000, stop_grace_period: 0s}\n  taken: {image: busybox, command: sleep 1000, ports: [\"7070:80\"], depends_on: [good]}\n",
    );
    project.engine.docker(["run", "-d", "--name", "holder", "-p", "7070:1", "busybox", "sleep", "1000"]).ok();
    let told = project.compose(["up", "-d"]).failed();
    assert!(told.contains("app-taken-1") && told.contains("port is already allocated"), "{told}");
    assert_eq!(project.inspect("app-good-1", "{{.State.Status}}"), "running");
    // Nothing stands in the way any more: the next `up` goes on where this one ended.
    project.engine.docker(["rm", "-f", "holder"]).ok();
    project.compose(["up", "-d"]).ok();
    assert_eq!(project.inspect("app-taken-1", "{{.State.Status}}"), "running");
    project.write("compose.yaml", "services:\n  web: {image: no.such.registry.invalid/x}\n");
    let told = project.compose(["up", "-d"]).failed();
    assert!(told.contains("service \"web\""), "{told}");
    project.write("compose.yaml", "services:\n  web: {image: busybox, command: /not/there}\n");
    let told = project.compose(["up", "-d", "--remove-orphans"]).failed();
    assert!(told.contains("app-web-1"), "{told}");
}

#[test]
fn a_run_that_was_killed_in_the_middle_is_repaired_by_the_next() {
    let file = |n: u32| {
        let services: String = (1..=6)
            .map(|i| format!("  s{i}: {{image: busybox, command: sleep 1000, stop_grace_period: 0s, environment: {{N: \"{n}\"}}}}\n"))
            .collect();
        format!("services:\n{services}")
    };
    let project = Project::new(&file(0));
    project.compose(["up", "-d"]).ok();
    for n in 1..=5 {
        project.write("compose.yaml", &file(n));
        let mut child = project
            .command(&project.program())
            .args(["up", "-d"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Each time somewhere else.
        std::thread::sleep(std::time::Duration::from_millis(60 * u64::from(n)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    project.compose(["up", "-d"]).ok();
    let names: Vec<String> =
        project.ids().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let wanted: Vec<String> = (1..=6).map(|i| format!("app-s{i}-1")).collect();
    assert_eq!(names, wanted);
    for name in &names {
        assert_eq!(project.inspect(name, "{{.State.Status}} {{index .Config.Env 0}}"), "running N=5");
    }
}

#[test]
fn dry_run_says_all_and_does_nothing() {
    let project = Project::new("services:\n  web: {image: busybox, command: sleep 1000}\n");
    let said = project.compose(["--dry-run", "up", "-d"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("create container app-web-1 (no existing container) after 1"), "{said:?}");
    assert!(said.stderr.contains("DRY-RUN MODE -  Container app-web-1  Started"), "{said:?}");
    assert_eq!(project.ids(), [""; 0]);
}

#[test]
fn after_a_reboot_the_order_and_its_conditions_hold() {
    let mut project = Project::new(
        r#"
services:
  web:
    image: busybox
    command: sh -c 'test -e /shared/ready && echo in order || echo too early; sleep 1000'
    stop_grace_period: 0s
    restart: always
    volumes: [shared:/shared]
    depends_on: {db: {condition: service_healthy}}
  db:
    image: busybox
    command: sh -c 'rm -f /shared/ready; sleep 2; touch /shared/ready; sleep 1000'
    stop_grace_period: 0s
    restart: always
    volumes: [shared:/shared]
    healthcheck: {test: ["CMD", "test", "-e", "/shared/ready"], interval: 200ms, retries: 100}
volumes: {shared: {}}
"#,
    );
    project.compose(["up", "-d"]).ok();
    // The machine goes down with everything on it, and its files stay.
    project.engine.docker(["exec", "app-db-1", "rm", "/shared/ready"]).ok();
    project.engine.stop();
    project.engine.launch();
    project.engine.until(&["inspect", "-f", "{{.State.Status}}", "app-web-1"], "running");
    assert_eq!(project.engine.docker(["logs", "app-web-1"]).ok(), "in order\nin order");
}

#[test]
fn rollback_returns_to_what_was_applied_and_locked_images_are_used() {
    let file = |a: &str| {
        format!(
            "services:\n  web: {{image: busybox, command: sleep 1000, stop_grace_period: 0s, environment: {{A: {a}}}}}\n"
        )
    };
    let project = Project::new(&file("one"));
    project.compose(["up", "-d"]).ok();
    let first = project.ids();
    project.write("compose.yaml", &file("two"));
    project.compose(["up", "-d"]).ok();
    assert_ne!(project.ids(), first);
    assert_eq!(project.compose(["rollback", "--list"]).ok().lines().count(), 2);
    project.compose(["rollback"]).ok();
    let back = project.ids();
    assert_eq!(project.compose(["exec", "-T", "web", "sh", "-c", "echo $A"]).ok(), "one");
    // It is the same as the old file's own state.
    project.write("compose.yaml", &file("one"));
    project.compose(["up", "-d"]).ok();
    assert_eq!(project.ids(), back);
    assert!(project.compose(["rollback", "5"]).failed().contains("earlier states"));
    // Locked: what the name means later does not matter.
    assert!(project.compose(["up", "-d", "--locked"]).failed().contains("compose lock"));
    project.compose(["lock"]).ok();
    let id = project.inspect("app-web-1", "{{.Image}}");
    project.engine.docker(["commit", "-c", "ENV NEWER=yes", "app-web-1", "busybox:latest"]).ok();
    project.compose(["up", "-d", "--locked"]).ok();
    assert_eq!(project.inspect("app-web-1", "{{.Image}}"), id);
    project.compose(["up", "-d"]).ok();
    assert_ne!(project.inspect("app-web-1", "{{.Image}}"), id);
}

#[test]
fn ctrl_c_waits_for_what_is_under_way_and_a_second_one_does_not() {
    // It does not end when it is asked to: a stop takes its whole patience.
    let project = Project::new(
        "services:\n  web: {image: busybox, command: [sh, -c, \"trap 'echo asked' TERM; while true; do sleep 0.1; done\"], stop_grace_period: 4s}\n",
    );
    project.compose(["up", "-d"]).ok();
    let stop = |twice: bool| {
        let mut command = project.command(&project.program());
        let mut child = command.arg("stop").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut until = |words: &str| {
            let found = told.find(|line| line.contains(words));
            assert!(found.is_some(), "{words:?} is not told");
        };
        until("app-web-1  Stopping");
        let interrupt = || {
            let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            assert!(sent.unwrap().success());
        };
        interrupt();
        if twice {
            until("waiting for Container app-web-1; Ctrl-C again leaves at once");
            // Its request has arrived.
            project.engine.until(&["logs", "app-web-1"], "asked\nasked");
            interrupt();
        }
        let rest: Vec<String> = told.collect();
        (child.wait().unwrap().code(), rest)
    };
    let (code, rest) = stop(false);
    assert_eq!(code, Some(130));
    assert!(rest.iter().any(|line| line.contains("waiting for Container app-web-1")), "{rest:?}");
    assert_eq!(project.inspect("app-web-1", "{{.State.Status}}"), "exited");
    project.compose(["up", "-d"]).ok();
    let (code, _) = stop(true);
    assert_eq!(code, Some(130));
    assert_eq!(project.inspect("app-web-1", "{{.State.Status}}"), "running");
    // It looks as if all were well; but the engine is stopping it.
    let told = project.compose(["up", "-d"]);
    assert!(told.code == 0 && told.stderr.contains("app-web-1  Stopped"), "{told:?}");
    assert_eq!(project.inspect("app-web-1", "{{.State.Status}}"), "running");
}
