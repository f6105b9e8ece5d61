//! Every verb once, on one project: what it says, what it does, its exit code. Where Docker Compose says the same, it is
//! asked as well.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::takeover::v2;
use super::{Project, said};
use crate::harness::Said;

const FILE: &str = r#"
name: all
services:
  registry: {image: registry, ports: ["127.0.0.1:5000:5000"], stop_grace_period: 0s, profiles: [travel]}
  db:
    image: busybox
    command: sh -c 'echo db up; exec sleep 1000'
    stop_grace_period: 0s
    ports: ["80", "127.0.0.1:9000:90/udp"]
    volumes: [data:/data]
    post_start: [{command: [sh, -c, "echo post >> /data/hook"]}]
    pre_stop: [{command: [sh, -c, "echo pre >> /data/hook"]}]
  web:
    image: 127.0.0.1:5000/web
    build: {context: ./ctx, args: {A: b}, labels: {l: v}, target: last, tags: ["127.0.0.1:5000/extra:1"]}
    command: sh -c 'echo out; echo err >&2; exec sleep 1000'
    stop_grace_period: 0s
    depends_on: [db]
  inline:
    build:
      context: ./ctx
      dockerfile_inline: |
        FROM base
        RUN --mount=type=secret,id=token cp /run/secrets/token /token && cat /a >> /token
        CMD ["sleep", "1000"]
      additional_contexts: {base: "service:web"}
      secrets: [token]
    stop_grace_period: 0s
    scale: 2
secrets: {token: {environment: TOKEN}}
volumes: {data: {}}
"#;

fn project() -> Project {
    let project = Project::new(FILE);
    std::fs::create_dir(project.dir().join("ctx")).unwrap();
    project.write(
        "ctx/Dockerfile",
        "FROM busybox AS first\nARG A\nRUN echo $A > /a\nFROM first AS last\nCOPY f /f\n",
    );
    project.write("ctx/f", "hi\n");
    project.write(".env", "TOKEN=from a file\n");
    let namespace = format!("--net=/proc/{}/ns/net", project.engine.pid().as_raw_nonzero());
    Command::new("nsenter").args([&namespace, "--", "ip", "link", "set", "lo", "up"]).status().unwrap();
    project
}

/// What both say, ours first.
fn both(project: &Project, line: &str) -> [Said; 2] {
    let words: Vec<&str> = line.split(' ').collect();
    [project.program(), v2().to_owned()].map(|program| said(project.command(&program).args(&words)))
}

/// Both end alike and print the same lines. Docker Compose lists some things in the order in which they came up.
#[track_caller]
fn same(project: &Project, line: &str) {
    let [ours, theirs] = both(project, line);
    let told = |said: &Said| {
        let mut lines: Vec<String> = said.stdout.trim_end().lines().map(str::to_owned).collect();
        lines.sort();
        (said.code, lines)
    };
    assert_eq!(told(&ours), told(&theirs), "{line}\n{ours:?}\n{theirs:?}");
}

#[test]
fn what_a_project_is_asked_is_answered_as_docker_compose_answers() {
    let project = project();
    project.compose(["up", "-d", "--quiet-build"]).ok();
    assert_eq!(project.compose(["exec", "-T", "inline", "cat", "/token"]).ok(), "from a fileb");
    let lines = [
        "ps -q",
        "ps -a --services",
        "ps --format {{.Name}}|{{.Service}}|{{.State}}|{{.Ports}}",
        "ps --status exited",
        "port db 80",
        "port --protocol udp db 90",
        "ls",
        "ls -q",
        "ls --format json",
        "volumes",
        "volumes -q",
        "logs --no-color --no-log-prefix db",
        "logs -n 1 --index 2 inline",
        "exec -T db cat /data/hook",
        "exec -T -w /tmp -e X=1 -u 1 db id -u",
        "exec -T --index 2 inline hostname",
        "config --services",
        "config --hash *",
        "config --volumes",
        "config --networks",
        "config --profiles",
        "config -q",
        "config",
        "config --format json",
        "run --rm --no-deps -T -e Z=9 -w /tmp -u 1 web pwd",
        "run --rm --no-deps -T --entrypoint cat web /f",
        "run --rm --no-deps -T web sh -c false",
    ];
    for line in lines {
        same(&project, line);
    }
    for line in ["port db 81", "run --rm -T nosuch true", "cp nothere db:/x", "up -d nosuch"] {
        let [ours, theirs] = both(&project, line);
        assert_eq!(ours.code, theirs.code, "{line}\n{ours:?}\n{theirs:?}");
        let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
        assert_eq!(last(&ours.stderr), last(&theirs.stderr), "{line}");
    }
    assert!(project.compose(["top", "web"]).ok().contains("sleep 1000"));
    let names = project.compose(["stats", "--no-stream", "--format", "{{.Name}}"]).ok();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["all-db-1", "all-inline-1", "all-inline-2", "all-web-1"]);
    let bake: [serde_json::Value; 2] = both(&project, "build --print web")
        .map(|said| serde_json::from_str(&said.stdout).unwrap_or_else(|err| panic!("{err}: {said:?}")));
    assert_eq!(bake[0], bake[1], "for one service there is one order");
    assert!(project.compose(["build", "--check", "web"]).code == 0);
    for (line, word) in [("alpha viz", "alpha"), ("bridge convert", "bridge")] {
        let told = project.compose(line.split(' ')).failed();
        assert!(told.contains(&format!("compose {word} is not supported")), "{told}");
    }
    assert_eq!(project.compose(["version", "--short"]).ok(), "2.40.3");
}

#[test]
fn what_changes_a_project_changes_it() {
    let project = project();
    let compose = |line: &str| project.compose(line.split(' '));
    compose("--profile travel up -d registry").ok();
    compose("build -q web").ok();
    compose("create").ok();
    assert_eq!(project.inspect("all-web-1", "{{.State.Status}}"), "created");
    compose("start").ok();
    // Files, both ways, and what was not asked for stays out.
    compose("cp ctx/f db:/data/f").ok();
    assert_eq!(compose("exec -T db cat /data/f").ok(), "hi");
    compose("cp db:/data/f back").ok();
    assert_eq!(std::fs::read_to_string(project.dir().join("back")).unwrap(), "hi\n");
    let id = compose("commit -m why -a who web all-committed:1").ok();
    assert_eq!(project.engine.docker(["image", "inspect", "-f", "{{.Id}}", "all-committed:1"]).ok(), id);
    compose("export -o all.tar web").ok();
    let listed = Command::new("tar").arg("-tf").arg(project.dir().join("all.tar")).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.trim_start_matches("./") == "a"));
    compose("pause web").ok();
    assert_eq!(compose("ps --status paused --services").ok(), "web");
    compose("unpause web").ok();
    compose("kill -s USR1 web").ok();
    compose("scale inline=3").ok();
    compose("scale inline=1").ok();
    assert_eq!(compose("ps -q inline").ok().lines().count(), 1);
    // A failed run says what failed; its code is the command's own.
    assert_eq!(compose("run --rm -T web sh -c false").code, 1);
    assert_eq!(compose("run --rm -T --name named -l a=b -v ./ctx:/m:ro web ls /m").ok(), "Dockerfile\nf");
    assert!(compose("run --rm -T -P --no-deps db true").code == 1, "its port is taken");
    assert_eq!(compose("wait nosuch").code, 1);
    // Travel.
    compose("push -q web").ok();
    project.engine.docker(["rmi", "-f", "127.0.0.1:5000/web"]).ok();
    compose("pull -q web").ok();
    project.engine.docker(["image", "inspect", "127.0.0.1:5000/web"]).ok();
    let skipped = compose("pull --policy missing web");
    assert!(skipped.stderr.contains("already present"), "{skipped:?}");
    // The end: hooks run, the volume stays until it is asked for.
    compose("stop db").ok();
    compose("start db").ok();
    let hooks = compose("exec -T db cat /data/hook").ok();
    assert!(hooks.contains("post\npre\npost"), "{hooks}");
    compose("restart -t 0 --no-deps web").ok();
    compose("rm -sf web").ok();
    assert_eq!(compose("ps -aq web").ok(), "");
    compose("--profile travel down --rmi local -v").ok();
    assert_eq!(project.ids(), [""; 0]);
    assert_eq!(project.engine.docker(["volume", "ls", "-q"]).ok(), "");
}

fn ended(child: &mut Child) -> Option<i32> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < crate::harness::PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("it does not end");
}

#[test]
fn events_are_heard_waits_end_and_attach_hands_its_code_on() {
    let project = Project::new(
        "services:\n  web: {image: busybox, command: sh -c 'read x; echo got $$x; exit 6', stdin_open: true}\n",
    );
    let spawn = |line: &str| {
        let mut command = project.command(&project.program());
        command.args(line.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    project.compose(["create"]).ok();
    let mut events = spawn("events --json");
    let told = BufReader::new(events.stdout.take().unwrap());
    let (heard, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.lines().map_while(Result::ok).try_for_each(|line| heard.send(line)));
    project.compose(["start"]).ok();
    // It listens when it has told one thing.
    let begun = std::time::Instant::now();
    while lines.try_recv().is_err() {
        assert!(begun.elapsed() < crate::harness::PATIENCE, "no event is heard");
        project.compose(["pause"]).ok();
        project.compose(["unpause"]).ok();
    }
    let mut waiting = spawn("wait web");
    let mut attached = spawn("attach web");
    std::io::Write::write_all(&mut attached.stdin.take().unwrap(), b"word\n").unwrap();
    let mut out = String::new();
    std::io::Read::read_to_string(&mut attached.stdout.take().unwrap(), &mut out).unwrap();
    assert!(out.contains("got word"), "{out}");
    assert_eq!(ended(&mut attached), Some(6));
    assert!(matches!(ended(&mut waiting), Some(6 | 1)), "it waited, or came when nothing ran any more");
    let line = loop {
        let line = lines.recv_timeout(crate::harness::PATIENCE).expect("its end is told");
        if line.contains("\"die\"") {
            break line;
        }
    };
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["service"], &event["type"]), (&"web".into(), &"container".into()));
    events.kill().unwrap();
    events.wait().unwrap();
}

#[test]
fn up_waits_for_health_and_no_longer_than_it_may() {
    let file = |check: &str| {
        format!(
            "services:\n  web: {{image: busybox, command: sleep 1000, stop_grace_period: 0s, healthcheck: {{test: [CMD, {check}], interval: 200ms, retries: 1000}}}}\n"
        )
    };
    let project = Project::new(&file("\"true\""));
    project.compose(["up", "--wait"]).ok();
    assert_eq!(project.inspect("app-web-1", "{{.State.Health.Status}}"), "healthy");
    project.write("compose.yaml", &file("\"false\""));
    let told = project.compose(["up", "--wait", "--wait-timeout", "1"]).failed();
    assert!(told.contains("application not healthy after 1s"), "{told}");
}

#[test]
fn what_is_elsewhere_is_told_before_anything_is_touched() {
    let project =
        Project::new("services:\n  a: {image: busybox, secrets: [s]}\nsecrets: {s: {external: true}}\n");
    let told = project.compose(["up", "-d"]).failed();
    assert!(told.contains("unsupported external secret s: "), "{told}");
    assert_eq!(project.engine.docker(["network", "ls", "-q", "-f", "name=app_default"]).ok(), "");
    let far = "https://registry.example/compose.yaml";
    project.write("compose.yaml", &format!("include: [\"{far}\"]\nservices: {{a: {{image: busybox}}}}\n"));
    let told = project.compose(["config"]).failed();
    assert!(told.contains(far) && told.contains("neither a repository") && told.contains(":1:"), "{told}");
    project.write("compose.yaml", "services:\n  a: {provider: {type: x}}\n  b: {image: busybox}\n");
    assert!(project.compose(["up", "-d", "a"]).failed().contains("providers are not supported"));
}
