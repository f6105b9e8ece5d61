//! Our own client's build flags, each driven for real: agents, contexts of other machines, registries, pictures of
//! progress, interrupts, and what is asked of the builder itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::buildkit::{agent, context};
use crate::harness::{Engine, Said, busybox, gantry};
use crate::travel::registry::Registry;
use crate::web::{Web, repository};

fn client(engine: &Engine, args: &[&str]) -> Command {
    let mut command = Command::new(gantry());
    command.arg("-H").arg(engine.host()).args(args).stdin(Stdio::null());
    command.env("DOCKER_CONFIG", engine.path("client")).env_remove("DOCKER_BUILDKIT");
    command
}

fn run(engine: &Engine, args: &[&str]) -> Said {
    let output = client(engine, args).output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// An engine with busybox that reaches registries of this machine.
pub(crate) fn shared() -> Engine {
    let engine = Engine::shared(&[]);
    engine.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
    engine
}

#[test]
fn a_step_of_our_clients_build_speaks_with_an_agent() {
    let engine = Engine::start();
    let socket = engine.path("agent.sock");
    agent(&socket);
    let text = "FROM busybox\nRUN --mount=type=ssh test -S \"$SSH_AUTH_SOCK\" && echo socket > /seen\nCMD cat /seen\n";
    let folder = context(&engine, "context", &[("Dockerfile", text)]);
    let ssh = format!("default={}", socket.display());
    run(&engine, &["build", "-t", "app", "--ssh", &ssh, &folder]).ok();
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "app"]).ok(), "socket");
    let required =
        context(&engine, "required", &[("Dockerfile", "FROM busybox\nRUN --mount=type=ssh,required true\n")]);
    assert!(run(&engine, &["build", &required]).failed().contains("unset ssh forward key"));
}

#[test]
fn contexts_come_from_repositories_and_archives_of_other_machines() {
    let engine = shared();
    let files =
        [("sub/Dockerfile", "FROM busybox\nCOPY f /f\nCMD cat /f\n"), ("sub/f", "of the repository\n")];
    let work = context(&engine, "work", &files);
    let site = engine.path("site").display().to_string();
    fs::create_dir(&site).unwrap();
    repository(&work, &format!("{site}/app.git"));
    let packed = Command::new("tar")
        .args(["-C", &format!("{work}/sub"), "-czf", &format!("{site}/c.tar.gz"), "."])
        .status();
    assert!(packed.unwrap().success());
    let web = Web::of(&site);
    let from = |address: &str, tag: &str| {
        run(&engine, &["build", "--platform", "linux/amd64", "-t", tag, address]).ok();
        engine.docker(["run", "--rm", "--network", "none", tag]).ok()
    };
    assert_eq!(from(&format!("{}/app.git#main:sub", web.address()), "git"), "of the repository");
    assert_eq!(from(&format!("{}/c.tar.gz", web.address()), "tar"), "of the repository");
    assert!(run(&engine, &["build", &format!("{}/nothing.git#main", web.address())]).code != 0);
}

#[test]
fn results_go_to_a_registry_under_every_name_and_private_bases_come_from_one() {
    let engine = shared();
    let registry = Registry::start();
    let folder = context(&engine, "context", &[("Dockerfile", "FROM busybox\nRUN echo x > /x\n")]);
    let (one, two) = (registry.image("a/b:1"), registry.image("a/b:2"));
    run(&engine, &["build", "--push", "-t", &one, "-t", &two, &folder]).ok();
    for name in [&one, &two] {
        engine.docker(["rmi", name]).ok();
        engine.docker(["pull", "-q", name]).ok();
    }
    // A registry that wants a password: both doors take it from the client's settings.
    let users = engine.path("users");
    let made = Command::new("htpasswd").args(["-Bbn", "ann", "secret"]).output().unwrap();
    fs::write(&users, made.stdout).unwrap();
    let private = Registry::with(&["--htpasswd", &users.display().to_string()]);
    let base = private.image("base:1");
    engine.docker(["login", "-u", "ann", "-p", "secret", &private.address]).ok();
    engine.docker(["tag", "busybox", &base]).ok();
    engine.docker(["push", "-q", &base]).ok();
    let on = context(&engine, "on", &[("Dockerfile", &format!("FROM {base}\nRUN echo private > /p\n"))]);
    for door in ["0", "1"] {
        engine.docker(["rmi", &base]).ok();
        let said = client(&engine, &["build", &on]).env("DOCKER_BUILDKIT", door).output().unwrap();
        assert!(said.status.success(), "{door}: {}", String::from_utf8_lossy(&said.stderr));
    }
    engine.docker(["logout", &private.address]).ok();
    engine.docker(["rmi", "-f", &base]).ok();
    assert!(run(&engine, &["build", "--pull", &on]).code != 0);
}

#[test]
fn progress_is_lines_json_or_a_picture_and_an_interrupt_ends_the_step() {
    let engine = Engine::start();
    let folder = context(&engine, "context", &[("Dockerfile", "FROM busybox\nRUN echo said\n")]);
    let plain = run(&engine, &["build", "--no-cache", "--progress", "plain", &folder]);
    assert!(plain.stderr.contains("[2/2] RUN echo said") && plain.stderr.contains(" said"), "{plain:?}");
    let raw = run(&engine, &["build", "--no-cache", "--progress", "rawjson", &folder]);
    let lines: Vec<serde_json::Value> =
        raw.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        lines.iter().any(|line| !line["vertexes"].is_null())
            && lines.iter().any(|line| !line["logs"].is_null())
    );
    // script(1) gives it a terminal.
    let line =
        format!("{} -H {} build --no-cache --progress tty {folder}", gantry().display(), engine.host());
    let shown =
        Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    let picture = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.status.success() && picture.contains("RUN echo said") && picture.contains('\u{1b}'),
        "{picture}"
    );

    let waits = context(&engine, "waits", &[("Dockerfile", "FROM busybox\nRUN echo begun && sleep 1000\n")]);
    let mut command = client(&engine, &["build", "--progress", "plain", &waits]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains(" begun\n") {
        assert_ne!(told.read_line(&mut seen).unwrap(), 0, "{seen}");
    }
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    engine.until(&["ps", "-aq"], "");
}

#[test]
fn stages_without_cache_one_layer_and_files_in_every_form() {
    let engine = Engine::start();
    let text = "FROM busybox AS a\nRUN echo a > /a\nFROM a AS b\nRUN echo b > /b\nRUN echo c > /c\n";
    let folder = context(&engine, "context", &[("Dockerfile", text)]);
    run(&engine, &["build", "-t", "app", &folder]).ok();
    let again = run(&engine, &["build", "--progress", "plain", "--no-cache-filter", "b", &folder]).stderr;
    assert_eq!(again.matches("CACHED").count(), 2, "{again}");
    run(&engine, &["build", "--squash", "-t", "squashed", &folder]).ok();
    // What the last stage made is one layer on its base.
    assert_eq!(engine.inspect("app", "{{len .RootFS.Layers}}"), "4");
    assert_eq!(engine.inspect("squashed", "{{len .RootFS.Layers}}"), "3");
    let out = |name: &str| engine.path(name).display().to_string();
    for (kind, name) in [("local", "d"), ("tar", "t"), ("oci", "o"), ("docker", "k")] {
        run(&engine, &["build", "-o", &format!("type={kind},dest={}", out(name)), &folder]).ok();
    }
    assert_eq!(fs::read_to_string(engine.path("d/b")).unwrap(), "b\n");
    for name in ["t", "o", "k"] {
        let listed = Command::new("tar").arg("-tf").arg(engine.path(name)).output().unwrap();
        assert!(listed.status.success() && !listed.stdout.is_empty(), "{name}");
    }
    assert!(run(&engine, &["build", "-o", "type=moon", &folder]).code != 0);
}

#[test]
fn the_builder_tells_of_itself_and_its_past_and_is_emptied() {
    let engine = Engine::start();
    let folder =
        context(&engine, "context", &[("Dockerfile", "FROM busybox\nRUN echo in the past; echo x > /x\n")]);
    run(&engine, &["build", "-t", "app", &folder]).ok();
    let used = run(&engine, &["buildx", "du"]).ok();
    assert!(used.contains("RUN echo in the past") && used.contains("Total:"), "{used}");
    assert!(run(&engine, &["buildx", "ls"]).ok().contains("running"));
    let about = run(&engine, &["buildx", "inspect"]).ok();
    assert!(about.contains("Driver: docker") && about.contains("linux/"), "{about}");
    assert!(run(&engine, &["buildx", "history", "ls"]).ok().contains("Completed"));
    assert!(run(&engine, &["buildx", "history", "logs"]).ok().contains("in the past"));
    run(&engine, &["buildx", "history", "rm", "--all"]).ok();
    assert!(!run(&engine, &["buildx", "history", "ls"]).ok().contains("Completed"));
    assert!(run(&engine, &["buildx", "prune", "-af"]).ok().contains("Total reclaimed space:"));
    assert!(!run(&engine, &["buildx", "du"]).ok().contains("RUN echo"));
    assert!(run(&engine, &["builder", "prune", "-f"]).ok().contains("0B"));
}

#[test]
fn a_classic_build_is_ended_by_the_id_its_client_gave_it() {
    let engine = Engine::start();
    let folder =
        context(&engine, "context", &[("Dockerfile", "FROM busybox\nRUN echo begun && sleep 1000\n")]);
    let archive = engine.path("c.tar");
    assert!(
        Command::new("tar").args(["-C", &folder, "-cf"]).arg(&archive).arg(".").status().unwrap().success()
    );
    let socket = engine.host().trim_start_matches("unix://").to_owned();
    let curl = |args: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sN", "--unix-socket", &socket, "-X", "POST"]).args(args);
        command
    };
    let data = format!("@{}", archive.display());
    let mut building = curl(&[
        "-H",
        "Content-Type: application/x-tar",
        "--data-binary",
        &data,
        "http://x/build?buildid=mine",
    ]);
    let mut child = building.stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("begun\\n\"") {
        assert_ne!(told.read_line(&mut seen).unwrap(), 0, "{seen}");
    }
    assert!(curl(&["http://x/build/cancel?id=mine"]).output().unwrap().status.success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut told, &mut rest).unwrap();
    assert!(rest.contains("Build cancelled"), "{rest}");
    child.wait().unwrap();
    engine.until(&["ps", "-aq"], "");
    assert_eq!(engine.docker(["images", "-q", "--filter", "dangling=true"]).ok(), "");
}
