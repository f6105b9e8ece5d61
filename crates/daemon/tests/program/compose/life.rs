//! A project's life.

use std::io::Read;
use std::process::Stdio;

use super::Project;
use crate::harness::PATIENCE;

#[test]
fn up_again_touches_nothing_and_a_change_keeps_anonymous_volumes() {
    let file = |user: &str| {
        format!(
            "services:\n  web:\n    image: busybox\n    user: {user}\n    command: sleep 1000\n    stop_grace_period: 0s\n    volumes: [/kept]\n  other:\n    image: busybox\n    command: sleep 1000\n    stop_grace_period: 0s\n"
        )
    };
    let project = Project::new(&file("root"));
    project.compose(["up", "-d"]).ok();
    project.compose(["exec", "-T", "web", "sh", "-c", "echo here > /kept/file"]).ok();
    let made = project.ids();
    project.compose(["up", "-d"]).ok();
    assert_eq!(project.ids(), made);
    project.write("compose.yaml", &file("\"0\""));
    project.compose(["up", "-d"]).ok();
    let changed = project.ids();
    assert_eq!(changed[0], made[0], "the other service was touched");
    assert_ne!(changed[1], made[1]);
    assert_eq!(project.compose(["exec", "-T", "web", "cat", "/kept/file"]).ok(), "here");
    // -V gives it a new one.
    project.compose(["up", "-d", "-V", "--no-deps", "web"]).ok();
    assert_ne!(project.compose(["exec", "-T", "web", "cat", "/kept/file"]).code, 0);
    project.compose(["down", "-v"]).ok();
    // What -V took the place of stays, as with Docker Compose: somebody may want it back.
    assert_eq!(project.engine.docker(["volume", "ls", "-q"]).ok().lines().count(), 1);
    assert_eq!(project.engine.docker(["network", "ls", "-q", "-f", "name=app_default"]).ok(), "");
}

#[test]
fn scaling_orphans_and_the_verbs_on_containers() {
    let project = Project::new(
        "services:\n  web: {image: busybox, command: sleep 1000, stop_grace_period: 0s}\n  gone: {image: busybox, command: sleep 1000, stop_grace_period: 0s}\n",
    );
    project.compose(["up", "-d", "--scale", "web=3"]).ok();
    assert_eq!(project.ids().len(), 4);
    let first = project.inspect("app-web-1", "{{.Id}}");
    project.compose(["scale", "web=1"]).ok();
    assert_eq!(project.inspect("app-web-1", "{{.Id}}"), first, "the oldest was removed");
    project.write(
        "compose.yaml",
        "services:\n  web: {image: busybox, command: sleep 1000, stop_grace_period: 0s}\n",
    );
    let told = project.compose(["up", "-d"]);
    assert!(told.stderr.contains("Found orphan containers ([app-gone-1])"), "{told:?}");
    project.compose(["up", "-d", "--remove-orphans"]).ok();
    assert_eq!(project.ids().len(), 1);
    project.compose(["pause"]).ok();
    assert_eq!(project.inspect("app-web-1", "{{.State.Status}}"), "paused");
    project.compose(["unpause"]).ok();
    let begun = project.inspect("app-web-1", "{{.State.StartedAt}}");
    project.compose(["restart", "web"]).ok();
    assert_ne!(project.inspect("app-web-1", "{{.State.StartedAt}}"), begun);
    project.compose(["kill", "-s", "KILL"]).ok();
    project
        .engine
        .until(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "app-web-1"], "exited 137");
    project.compose(["start"]).ok();
    assert_eq!(project.compose(["ps", "--services"]).ok(), "web");
    assert_eq!(project.compose(["ps", "-q"]).ok(), project.inspect("app-web-1", "{{.Id}}"));
    assert!(project.compose(["top"]).ok().contains("sleep 1000"));
    assert!(project.compose(["images", "--format", "json"]).ok().contains("\"Repository\":\"busybox\""));
    assert!(project.compose(["ls"]).ok().contains("running(1)"));
    project.compose(["stop"]).ok();
    assert_eq!(project.compose(["rm", "-f"]).ok(), "Going to remove app-web-1");
    assert_eq!(project.ids(), [""; 0]);
}

#[test]
fn conditions_are_waited_for_and_their_failure_is_ours() {
    let project = Project::new(
        r#"
services:
  migrate: {image: busybox, command: sh -c 'echo migrated'}
  db:
    image: busybox
    command: sh -c 'sleep 1; touch /ready; sleep 1000'
    stop_grace_period: 0s
    healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 200ms, retries: 50}
  web:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
"#,
    );
    project.compose(["up", "-d", "--wait"]).ok();
    assert_eq!(project.inspect("app-db-1", "{{.State.Health.Status}}"), "healthy");
    assert_eq!(project.inspect("app-web-1", "{{.State.Status}}"), "running");
    assert_eq!(project.compose(["logs", "--no-color", "migrate"]).ok(), "migrate-1  | migrated");
    project.compose(["down"]).ok();
    project.write(
        "compose.yaml",
        "services:\n  migrate: {image: busybox, command: sh -c 'exit 7'}\n  web:\n    image: busybox\n    command: sleep 1000\n    depends_on: {migrate: {condition: service_completed_successfully}}\n",
    );
    let failed = project.compose(["up", "-d"]);
    assert!(failed.failed().contains("service \"migrate\" didn't complete successfully: exit 7"));
    assert_eq!(project.inspect("app-web-1", "{{.State.Status}}"), "created");
}

#[test]
fn run_and_exec_end_with_the_commands_code() {
    let project = Project::new(
        "services:\n  db: {image: busybox, command: sleep 1000, stop_grace_period: 0s}\n  web:\n    image: busybox\n    command: sleep 1000\n    stop_grace_period: 0s\n    depends_on: [db]\n    environment: {A: one}\n    post_start: [{command: [touch, /started]}]\n",
    );
    let run = project.compose([
        "run",
        "--rm",
        "-T",
        "-e",
        "B=two",
        "-w",
        "/tmp",
        "web",
        "sh",
        "-c",
        "echo $A $B $PWD; exit 3",
    ]);
    assert_eq!((run.code, run.stdout.trim()), (3, "one two /tmp"));
    // Its dependency runs, it itself is gone.
    assert_eq!(project.ids().len(), 1);
    let detached = project.compose(["run", "-d", "--name", "own", "web", "sleep", "1000"]).ok();
    assert_eq!(project.inspect("own", "{{.Id}}"), detached);
    assert_eq!(project.inspect("own", "{{index .Config.Labels \"com.docker.compose.oneoff\"}}"), "True");
    project.compose(["up", "-d"]).ok();
    assert_eq!(project.compose(["exec", "-T", "web", "sh", "-c", "test -e /started && exit 5"]).code, 5);
    assert_eq!(
        project.compose(["exec", "-T", "--index", "9", "web", "true"]).failed(),
        "service \"web\" is not running container #9"
    );
    project.compose(["down", "--remove-orphans"]).ok();
    project.engine.docker(["rm", "-f", "own"]);
}

#[test]
fn secrets_and_configs_come_from_everywhere_with_owner_and_mode() {
    let project = Project::new(
        r#"
services:
  web:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    secrets:
      - plain
      - {source: file, target: owned, uid: "33", gid: "33", mode: 0440}
      - from_env
    configs:
      - {source: said, target: /etc/said.conf}
secrets:
  plain: {file: ./secret.txt}
  file: {file: ./secret.txt}
  from_env: {environment: TOKEN}
configs:
  said: {content: "name=${COMPOSE_PROJECT_NAME}"}
"#,
    );
    project.write("secret.txt", "hush");
    project.write(".env", "TOKEN=tok\n");
    project.compose(["up", "-d"]).ok();
    let cat = |path: &str| project.compose(["exec", "-T", "web", "cat", path]).ok();
    assert_eq!(cat("/run/secrets/plain"), "hush");
    assert_eq!(cat("/run/secrets/owned"), "hush");
    assert_eq!(cat("/run/secrets/from_env"), "tok");
    assert_eq!(cat("/etc/said.conf"), "name=app");
    let owner = project.compose(["exec", "-T", "web", "stat", "-c", "%u:%g %a", "/run/secrets/owned"]).ok();
    assert_eq!(owner, "33:33 440");
}

#[test]
fn one_services_namespaces_links_and_volumes_are_anothers() {
    let project = Project::new(
        r#"
services:
  web:
    image: busybox
    command: sh -c 'echo served > /data/file; hostname > /data/host; sleep 1000'
    stop_grace_period: 0s
    hostname: web-host
    volumes: [/data]
  sidecar: {image: busybox, command: sleep 1000, stop_grace_period: 0s, network_mode: "service:web", volumes_from: ["web:ro"]}
  linked: {image: busybox, command: sleep 1000, stop_grace_period: 0s, links: ["web:w"]}
"#,
    );
    project.compose(["up", "-d"]).ok();
    assert_eq!(project.compose(["exec", "-T", "sidecar", "cat", "/data/file"]).ok(), "served");
    assert_ne!(
        project.compose(["exec", "-T", "sidecar", "touch", "/data/x"]).code,
        0,
        "volumes_from was not read-only"
    );
    let net = |name: &str| project.engine.docker(["exec", name, "readlink", "/proc/1/ns/net"]).ok();
    assert_eq!(net("app-sidecar-1"), net("app-web-1"));
    project.compose(["exec", "-T", "linked", "nslookup", "w"]).ok();
    // What shares with a container that is made anew is made anew.
    let before = project.inspect("app-sidecar-1", "{{.Id}}");
    project.compose(["up", "-d", "--force-recreate", "--no-deps", "web"]).ok();
    project.compose(["up", "-d"]).ok();
    assert_ne!(project.inspect("app-sidecar-1", "{{.Id}}"), before);
    assert_eq!(net("app-sidecar-1"), net("app-web-1"));
}

#[test]
fn attached_up_shows_all_and_ends_as_asked() {
    let project = Project::new(
        r#"
services:
  short: {image: busybox, command: sh -c 'echo out; echo err >&2; sleep 1; exit 4'}
  long: {image: busybox, command: sh -c 'echo up; sleep 1000', stop_grace_period: 0s}
"#,
    );
    let said = project.compose(["up", "--abort-on-container-exit"]);
    assert_eq!(said.code, 4, "{said:?}");
    for line in [
        "Attaching to long-1, short-1",
        "short-1  | out",
        "long-1   | up",
        "short-1 exited with code 4",
        "Aborting on container exit...",
    ] {
        assert!(said.stdout.contains(line), "{line:?} is not in {said:?}");
    }
    assert!(said.stderr.contains("short-1  | err"), "{said:?}");
    let said = project.compose(["up", "--exit-code-from", "short", "--no-log-prefix"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.stdout.lines().any(|line| line == "out"));
    // Ctrl-C stops; what it says is 130.
    let mut child = project
        .command(&project.program())
        .args(["up", "--no-color", "long"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    project.engine.until(&["inspect", "-f", "{{.State.Status}}", "app-long-1"], "running");
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let begun = std::time::Instant::now();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{text}");
    assert!(begun.elapsed() < PATIENCE);
    assert!(text.contains("Gracefully Stopping... press Ctrl+C again to force"), "{text}");
    assert_eq!(project.inspect("app-long-1", "{{.State.Running}}"), "false");
}

#[test]
fn a_second_ctrl_c_kills() {
    let project = Project::new(
        "services:\n  deaf: {image: busybox, command: sh -c 'trap \"\" TERM; while true; do sleep 1; done', stop_grace_period: 10m}\n",
    );
    let mut child = project
        .command(&project.program())
        .args(["up"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    project.engine.until(&["inspect", "-f", "{{.State.Status}}", "app-deaf-1"], "running");
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // The first one is under way when the engine has been asked to stop: then the container got its signal.
    std::thread::sleep(std::time::Duration::from_secs(1));
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    project.engine.until(&["inspect", "-f", "{{.State.ExitCode}}", "app-deaf-1"], "137");
}

#[test]
fn fig_and_compose_1_names_tables_and_files() {
    let project = Project::new("services: {}\n");
    std::fs::remove_file(project.dir().join("compose.yaml")).unwrap();
    project.write("fig.yml", "web:\n  image: busybox\n  command: sleep 1000\n  links: [db]\ndb:\n  image: busybox\n  command: sleep 1000\n");
    let fig = |args: &[&str]| super::said(project.command(&project.called("fig")).args(args));
    fig(&["up", "-d"]).ok();
    let table = fig(&["ps"]).ok();
    assert!(table.contains("Name") && table.contains("-----"), "{table}");
    assert!(table.contains("app_web_1   sleep 1000   Up"), "{table}");
    fig(&["scale", "web=2"]).ok();
    assert_eq!(project.ids().len(), 3);
    project
        .engine
        .docker(["exec", "app_web_1", "sh", "-c", "env | grep -q DB_PORT || grep -q db /etc/hosts"])
        .ok();
    fig(&["kill"]).ok();
    fig(&["rm", "-f"]).ok();
    assert_eq!(project.ids(), [""; 0]);
}

#[test]
fn watch_brings_changes_in() {
    let project = Project::new(
        "services:\n  web:\n    image: busybox\n    command: sleep 1000\n    stop_grace_period: 0s\n    develop:\n      watch: [{path: ./src, target: /src, action: sync, initial_sync: true, ignore: [\"*.log\"]}]\n",
    );
    std::fs::create_dir(project.dir().join("src")).unwrap();
    project.write("src/first", "1");
    let mut child = project
        .command(&project.program())
        .args(["watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Watch enabled") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut out, &mut line).unwrap(), 0, "it ended");
    }
    project.engine.until(&["exec", "app-web-1", "cat", "/src/first"], "1");
    project.write("src/left.log", "no");
    std::fs::create_dir(project.dir().join("src/sub")).unwrap();
    project.write("src/sub/second", "2");
    project.engine.until(&["exec", "app-web-1", "cat", "/src/sub/second"], "2");
    std::fs::remove_file(project.dir().join("src/first")).unwrap();
    project.engine.until(&["exec", "app-web-1", "ls", "/src"], "sub");
    child.kill().unwrap();
    child.wait().unwrap();
}
