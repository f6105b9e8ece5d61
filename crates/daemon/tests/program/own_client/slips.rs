//! Slips of the hand and bad surroundings: a sentence and a failure, never another deed, never something lost.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{client, command, configure, said};
use crate::harness::{Engine, Said, gantry};

/// A line of shell in which `gantry` is ours, on this engine.
fn shell(engine: &Engine, line: &str) -> Said {
    let line = format!("gantry() {{ {} -H {} \"$@\"; }}\n{line}", gantry().display(), engine.host());
    said(command(Path::new("bash"), engine, &["-c", &line]))
}

#[test]
fn a_name_that_is_empty_is_refused_by_both_clients() {
    let engine = Engine::start();
    let host = engine.host();
    for words in [
        &["stop", ""][..],
        &["start", ""],
        &["kill", ""],
        &["logs", ""],
        &["wait", ""],
        &["export", ""],
        &["stats", "--no-stream", ""],
        &["exec", "", "true"],
        &["network", "rm", ""],
        &["volume", "rm", ""],
        &["tag", "", "x"],
    ] {
        let args = [&["-H", host.as_str()], words].concat();
        client(Path::new("docker"), &engine, &args).failed();
        let complaint = client(&gantry(), &engine, &args).failed();
        let is_told =
            complaint.contains("name or ID: value is empty") || complaint.contains("is not a valid");
        assert!(is_told, "{words:?}: {complaint}");
    }
}

#[test]
fn a_full_disk_behind_the_output_is_told_and_a_reader_that_left_is_not() {
    let engine = Engine::start();
    for line in [
        "gantry images >/dev/full",
        "gantry save busybox >/dev/full",
        "gantry run --rm --network none busybox echo x >/dev/full",
    ] {
        let told = shell(&engine, line);
        assert_eq!(
            (told.code, told.stderr.as_str()),
            (1, "write /dev/stdout: no space left on device\n"),
            "{line}"
        );
    }
    for line in
        ["run --name talker --network none busybox yes", "save busybox", "exec talker yes", "attach talker"]
    {
        let told = shell(&engine, &format!("gantry {line} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"));
        assert_eq!((told.code, told.stderr.as_str()), (141, ""), "{line}");
    }
}

#[test]
fn archives_are_for_their_owner_and_a_failed_one_leaves_nothing() {
    let engine = Engine::start();
    shell(&engine, "gantry save -o busybox.tar busybox").ok();
    let mode = std::fs::metadata(engine.path("busybox.tar")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let complaint = shell(&engine, "gantry save -o nowhere/x.tar busybox").failed();
    assert!(
        complaint.contains("invalid output path: stat nowhere: no such file or directory"),
        "{complaint}"
    );
    shell(&engine, "gantry save -o half.tar nosuch").failed();
    assert!(!engine.path("half.tar").exists());
}

#[test]
fn settings_that_cannot_be_read_are_told_and_kept() {
    let engine = Engine::start();
    configure(&engine, "{\"auths\": {\"r.example\": {\"auth\": \"bWU6c2VjcmV0\"}}");
    let told = shell(&engine, "gantry images -q");
    assert!(
        told.code == 0 && told.stderr.contains("WARNING: Error parsing config file ("),
        "{}",
        told.stderr
    );
    let complaint = shell(&engine, "gantry context use default").failed();
    assert!(complaint.contains("is left as it is: mend it first"), "{complaint}");
    let kept = std::fs::read_to_string(engine.path("client/config.json")).unwrap();
    assert!(kept.contains("bWU6c2VjcmV0"));
}

#[test]
fn whoever_asks_for_signed_images_is_not_given_others() {
    let engine = Engine::start();
    let run = "run --rm --network none busybox echo ran";
    for line in [
        format!("DOCKER_CONTENT_TRUST=1 gantry {run}"),
        "gantry pull --disable-content-trust=false busybox".to_owned(),
    ] {
        let complaint = shell(&engine, &line).failed();
        assert!(complaint.contains("signatures of a notary are not checked by this client"), "{complaint}");
    }
    let told = shell(
        &engine,
        &format!("DOCKER_CONTENT_TRUST=1 gantry {}", run.replace("run", "run --disable-content-trust")),
    );
    assert_eq!(told.ok(), "ran");
}

#[test]
fn a_terminal_is_not_attached_to_without_one() {
    let engine = Engine::start();
    engine.docker(["run", "-dt", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).ok();
    for line in ["attach box", "exec -it box true"] {
        assert_eq!(
            shell(&engine, &format!("gantry {line}")).failed().trim(),
            "the input device is not a TTY"
        );
    }
    assert!(shell(&engine, "gantry exec -it nosuch true").failed().contains("No such container: nosuch"));
}

#[test]
fn a_context_of_nothing_told_is_the_engine_of_now() {
    let engine = Engine::empty(&[]);
    let host = engine.host();
    for program in [gantry().as_path(), Path::new("docker")] {
        let says = |args: &[&str]| client(program, &engine, &[&["-H", host.as_str()], args].concat());
        says(&["context", "create", "now"]).ok();
        let inspected = says(&["context", "inspect", "now", "--format", "{{.Endpoints.docker.Host}}"]).ok();
        assert_eq!(inspected, host, "{program:?}");
        let both = ["context", "create", "both", "--from", "default", "--docker", "host=tcp://x:1"];
        assert_eq!(says(&both).failed().trim(), "cannot use --docker flag when --from is set");
        assert_eq!(says(&["context", "create", "odd", "--docker", "x"]).code, 125);
        assert!(says(&["context", "update", "default"]).failed().contains("is a reserved context name"));
        says(&["context", "export", "default", "default.tar"]).ok();
        says(&["context", "import", "again", "default.tar"]).ok();
        says(&["context", "rm", "now", "again"]).ok();
        std::fs::remove_file(engine.path("default.tar")).unwrap();
    }
}
