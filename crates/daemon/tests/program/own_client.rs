//! Our client beside the original: one configuration, each other's contexts, plugins; and what only ours has.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Engine, Said, gantry};

fn said(mut command: Command) -> Said {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Ours or the original with the configuration of `engine`, and no address.
fn client(program: &Path, engine: &Engine, args: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.args(args).env("DOCKER_CONFIG", engine.path("client")).env("DOCKER_CLI_HINTS", "false");
    command.env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT").current_dir(engine.path(""));
    said(command)
}

#[test]
fn both_clients_know_each_others_contexts() {
    let engine = Engine::empty(&[]);
    let (own, program) = (gantry(), Path::new("docker"));
    let ours = |args: &[&str]| client(&own, &engine, args);
    let theirs = |args: &[&str]| client(program, &engine, args);
    let host = format!("host={}", engine.host());
    let version = engine.docker(["version", "-f", "{{.Server.Version}}"]).ok();
    ours(&["context", "create", "aa", "--description", "made by us", "--docker", &host]).ok();
    theirs(&["context", "create", "bb", "--docker", &host]).ok();
    theirs(&["context", "use", "aa"]).ok();
    assert_eq!(ours(&["context", "show"]).ok(), "aa");
    assert_eq!(ours(&["version", "-f", "{{.Server.Version}}"]).ok(), version);
    assert_eq!(theirs(&["version", "-f", "{{.Server.Version}}"]).ok(), version);
    ours(&["context", "use", "bb"]).ok();
    assert_eq!(theirs(&["context", "show"]).ok(), "bb");
    for name in ["aa", "bb"] {
        assert_eq!(ours(&["context", "inspect", name]).ok(), theirs(&["context", "inspect", name]).ok());
    }
    theirs(&["context", "export", "aa", "aa.tar"]).ok();
    ours(&["context", "import", "a2", "aa.tar"]).ok();
    ours(&["context", "export", "bb", "bb.tar"]).ok();
    theirs(&["context", "import", "b2", "bb.tar"]).ok();
    ours(&["context", "update", "a2", "--description", "changed"]).ok();
    let format = "{{.Name}}|{{.Description}}|{{.DockerEndpoint}}|{{.Current}}";
    let list = theirs(&["context", "ls", "--format", format]).ok();
    assert!(list.contains(&format!("a2|changed|{}|false", engine.host())), "{list}");
    // Each client has a default of its own.
    let without_default = |text: String| {
        text.lines().filter(|line| !line.starts_with("default|")).map(str::to_owned).collect::<Vec<_>>()
    };
    let own_list = ours(&["context", "ls", "--format", format]).ok();
    assert_eq!(without_default(own_list), without_default(list));
    assert!(ours(&["context", "rm", "bb"]).failed().contains("in use"));
    ours(&["context", "use", "default"]).ok();
    theirs(&["context", "rm", "aa", "a2"]).ok();
    ours(&["context", "rm", "bb", "b2"]).ok();
    assert_eq!(theirs(&["context", "ls", "-q"]).ok(), "default");
}

#[test]
fn dockers_client_runs_us_as_its_plugin_and_we_run_its_plugins() {
    let engine = Engine::empty(&[]);
    let own = gantry();
    client(&own, &engine, &["install-plugin"]).ok();
    let host = engine.host();
    let docker = |args: &[&str]| client(Path::new("docker"), &engine, args);
    assert_eq!(
        docker(&["-H", &host, "gantry", "version", "-f", "{{.Server.Version}}"]).ok(),
        env!("CARGO_PKG_VERSION")
    );
    assert!(docker(&["--help"]).ok().contains("gantry*"));
    assert!(docker(&["-H", &host, "gantry", "top"]).ok().starts_with("NAME "));
    client(&own, &engine, &["install-plugin", "--remove"]).ok();
    let script = engine.path("client/cli-plugins/docker-echo");
    fs::write(&script, "#!/bin/sh\necho \"$DOCKER_HOST $*\"\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(client(&own, &engine, &["-H", &host, "echo", "a", "-b"]).ok(), format!("{host} echo a -b"));
    // What another program has put there stays.
    let foreign = engine.path("client/cli-plugins/docker-gantry");
    fs::write(&foreign, "").unwrap();
    assert!(client(&own, &engine, &["install-plugin"]).failed().contains("is another program"));
}

#[test]
fn bash_completes_commands_flags_and_names_of_the_engine() {
    let engine = Engine::start();
    engine.docker(["create", "--name", "webserver", "busybox"]).ok();
    engine.docker(["volume", "create", "papers"]).ok();
    let script = client(&gantry(), &engine, &["completion", "bash"]).ok();
    let complete = |line: &str| {
        let mut bash = Command::new("bash");
        let ask = "eval \"$1\"; COMP_LINE=$2 COMP_POINT=${#2}; _gantry; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let line = line.replacen("gantry", &gantry().display().to_string(), 1);
        bash.args(["-c", ask, "bash", &script, &line]).env("DOCKER_HOST", engine.host());
        bash.env("DOCKER_CONFIG", engine.path("client"));
        said(bash).ok()
    };
    assert_eq!(complete("gantry container rena"), "rename");
    assert_eq!(complete("gantry rm -f web"), "webserver");
    assert_eq!(complete("gantry volume rm "), "papers");
    assert_eq!(complete("gantry run --network no"), "none");
    assert_eq!(complete("gantry run --network=no"), "none");
    assert_eq!(complete("gantry run --read-"), "--read-only");
    // Readline has cut the word behind the colon.
    assert_eq!(complete("gantry rmi busybox:la"), "latest");
}
