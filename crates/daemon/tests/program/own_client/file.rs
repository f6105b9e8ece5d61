//! `config.json`: what a person has set is what both clients do.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{client, command, configure, said};
use crate::harness::{Engine, gantry};

#[test]
fn formats_of_the_file_are_the_lists() {
    let engine = Engine::start();
    engine.docker(["create", "--name", "box", "busybox"]).ok();
    engine.docker(["volume", "create", "papers"]).ok();
    let own = gantry();
    let host = engine.host();
    configure(
        &engine,
        r#"{"psFormat": "c {{.Names}}", "imagesFormat": "table {{.Repository}}", "networksFormat": "n {{.Name}}",
            "volumesFormat": "v {{.Name}}", "statsFormat": "s {{.Name}}"}"#,
    );
    for (args, wanted) in [
        (&["ps", "-a"][..], "c box"),
        (&["ps", "-a", "--format", "{{.Image}}"], "busybox"),
        (&["container", "ls", "-aq", "--no-trunc", "--filter", "name=nobody"], ""),
        (&["images"], "REPOSITORY\nbusybox"),
        (&["network", "ls", "--filter", "name=host"], "n host"),
        (&["volume", "ls"], "v papers"),
        (&["stats", "-a", "--no-stream"], "s box"),
    ] {
        for program in [own.as_path(), Path::new("docker")] {
            let args = [&["-H", host.as_str()], args].concat();
            assert_eq!(client(program, &engine, &args).ok(), wanted, "{program:?} {args:?}");
        }
    }
}

#[test]
fn proxies_of_the_file_reach_containers() {
    let engine = Engine::start();
    let own = gantry();
    let host = engine.host();
    let proxies = format!(
        r#"{{"proxies": {{"default": {{"httpProxy": "http://all:1", "noProxy": "a,b"}}, "{host}": {{"httpProxy": "http://this:1"}}}}}}"#
    );
    configure(&engine, &proxies);
    for program in [own.as_path(), Path::new("docker")] {
        let run = [
            "-H",
            &host,
            "run",
            "--rm",
            "--network",
            "none",
            "-e",
            "http_proxy=mine",
            "busybox",
            "sh",
            "-c",
            "env | grep -i proxy | sort",
        ];
        let seen = client(program, &engine, &run).ok();
        assert_eq!(seen, "HTTP_PROXY=http://this:1\nhttp_proxy=mine", "{program:?}");
    }
}

/// The keys of the file leave a container that runs on.
#[test]
fn detach_keys_of_the_file_leave_the_container() {
    let engine = Engine::start();
    configure(&engine, r#"{"detachKeys": "ctrl-x,q"}"#);
    for program in [gantry().display().to_string(), "docker".into()] {
        let line = format!(
            "{program} -H {} run -it --name box --network none busybox sh -c 'echo rea''dy; sleep 1000'",
            engine.host()
        );
        let mut script = command(Path::new("script"), &engine, &["-qefc", &line, "/dev/null"]);
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut seen = String::new();
        let mut output = child.stdout.take().unwrap();
        while !seen.contains("ready") {
            let mut bytes = [0; 256];
            let len = std::io::Read::read(&mut output, &mut bytes).unwrap();
            assert_ne!(len, 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..len]));
        }
        let mut keyboard = child.stdin.take().unwrap();
        keyboard.write_all(b"\x18q").unwrap();
        assert!(child.wait().unwrap().success(), "{program}");
        drop(keyboard);
        assert_eq!(engine.inspect("box", "{{.State.Running}}"), "true", "{program}");
        engine.docker(["rm", "-f", "box"]).ok();
    }
}

/// What another program has written is kept, and a file that is broken is told, not overwritten in silence.
#[test]
fn what_we_do_not_know_stays_in_the_file() {
    let engine = Engine::shared(&[]);
    let own = gantry();
    configure(
        &engine,
        r#"{"features": {"hooks": "true"}, "credsStore": "none-such", "future": [1, {"a": null}]}"#,
    );
    client(&own, &engine, &["context", "create", "far", "--docker", "host=tcp://far:1"]).ok();
    client(&own, &engine, &["context", "use", "far"]).ok();
    let text = std::fs::read_to_string(engine.path("client/config.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["future"], serde_json::json!([1, {"a": null}]));
    assert_eq!((&value["features"]["hooks"], &value["currentContext"]), (&"true".into(), &"far".into()));
    configure(&engine, "{ broken");
    let mut ps = Command::new(&own);
    ps.args(["-H", &engine.host(), "ps", "-q"]).env("DOCKER_CONFIG", engine.path("client"));
    let ps = said(ps);
    assert!(ps.code == 0 && ps.stderr.contains("config.json"), "{ps:?}");
}
