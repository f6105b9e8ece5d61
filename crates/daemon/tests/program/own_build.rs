//! Builds by our own client on our engine, through BuildKit's door and without it.

use std::fs;
use std::process::{Command, Stdio};

use crate::buildkit::with_plugin;
use crate::harness::{Engine, Said, gantry};

fn build(engine: &Engine, args: &[&str], prepare: impl FnOnce(&mut Command)) -> Said {
    let mut command = Command::new(gantry());
    command.arg("-H").arg(engine.host()).arg("build").args(args);
    command.env("DOCKER_CONFIG", engine.path("client")).env_remove("DOCKER_BUILDKIT").stdin(Stdio::null());
    prepare(&mut command);
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn own(engine: &Engine, args: &[&str]) -> Said {
    let mut command = Command::new(gantry());
    command.arg("-H").arg(engine.host()).args(args).stdin(Stdio::null());
    let output = command.env("DOCKER_CONFIG", engine.path("client")).output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn folder(engine: &Engine, name: &str, files: &[(&str, &str)]) -> String {
    let folder = engine.path(name);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder.display().to_string()
}

#[test]
fn our_client_builds_with_secrets_and_contexts_and_takes_results_as_files() {
    let engine = Engine::start();
    let more = folder(&engine, "more", &[("x", "from more")]);
    let text = "FROM busybox AS one\nCOPY big .\nRUN --mount=type=secret,id=s cat /run/secrets/s > /seen\n\
                FROM scratch AS files\nCOPY --from=one /seen /seen\nCOPY --from=more x /x\nFROM one\n";
    let context = folder(&engine, "context", &[("Dockerfile", text), ("big", &"y".repeat(300_000))]);
    let secret = engine.path("secret");
    fs::write(&secret, "deep").unwrap();
    let secret = format!("id=s,src={}", secret.display());
    let more = format!("more={more}");
    let (iid, metadata) = (engine.path("iid"), engine.path("metadata"));
    let said = build(
        &engine,
        &[
            "-t",
            "a:1",
            "-t",
            "b",
            "--progress",
            "plain",
            "--secret",
            &secret,
            "--build-context",
            &more,
            "--iidfile",
            iid.to_str().unwrap(),
            "--metadata-file",
            metadata.to_str().unwrap(),
            &context,
        ],
        |_| {},
    );
    assert!(said.stderr.contains("#1 [internal] load build definition from Dockerfile\n"), "{said:?}");
    said.ok();
    let id = fs::read_to_string(&iid).unwrap();
    assert_eq!(engine.inspect("b:latest", "{{.Id}}"), id);
    let told: serde_json::Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    assert_eq!(told["containerimage.descriptor"]["digest"], id);
    // Nothing of the context changed: only the list of its files travels, and every step is there.
    let again = build(
        &engine,
        &["--progress", "plain", "--secret", &secret, "--build-context", &more, &context],
        |_| {},
    );
    assert!(
        again.stderr.contains("CACHED") && !again.stderr.contains("transferring context: 300"),
        "{again:?}"
    );
    // The result as files: what was there stays, and what comes is the person's.
    let out = folder(&engine, "out", &[("kept", "k")]);
    build(
        &engine,
        &["--target", "files", "-o", &out, "--secret", &secret, "--build-context", &more, &context],
        |_| {},
    )
    .ok();
    let read = |name: &str| fs::read_to_string(engine.path("out").join(name)).unwrap();
    assert_eq!((read("seen"), read("x"), read("kept")), ("deep".into(), "from more".into(), "k".into()));
    let tar = engine.path("files.tar");
    let output = format!("type=tar,dest={}", tar.display());
    build(
        &engine,
        &["--target", "files", "-o", &output, "--secret", &secret, "--build-context", &more, &context],
        |_| {},
    )
    .ok();
    let listed = Command::new("tar").arg("tf").arg(&tar).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.lines().any(|line| line.trim_start_matches("./") == "seen"), "{listed}");
}

#[test]
fn a_failing_step_is_told_with_its_output_and_its_place_and_leaves_no_file() {
    let engine = Engine::start();
    let text = "FROM busybox\nRUN echo before && false\n";
    let context = folder(&engine, "context", &[("Dockerfile", text)]);
    let iid = engine.path("iid");
    let output = format!("type=oci,dest={}", engine.path("out.tar").display());
    let said =
        build(&engine, &["--iidfile", iid.to_str().unwrap(), "-o", &output, &context], |_| {}).failed();
    let kept = "The step's state is kept: gantry build debug, or docker run --rm -it ";
    assert!(said.contains(&format!("------\n > [2/2] RUN echo before && false:\nbefore\n{kept}")), "{said}");
    assert!(said.contains("\n------\nDockerfile:2\n"), "{said}");
    assert!(said.contains("   2 | >>> RUN echo before && false\n"), "{said}");
    assert!(said.ends_with("did not complete successfully: exit code: 1"), "{said}");
    let left: Vec<_> = fs::read_dir(engine.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(
        !left.iter().any(|name| name.to_string_lossy().starts_with("out.tar")) && !iid.exists(),
        "{left:?}"
    );
}

#[test]
fn a_step_that_the_cache_had_not_says_which_input_differed() {
    let Some(engine) = with_plugin(Engine::start) else { return };
    let text = "FROM busybox\nARG V=1\nENV W=$V\nCOPY f /f\nRUN cat /f\n";
    let at = folder(&engine, "site", &[("Dockerfile", text), ("f", "one")]);
    build(&engine, &[&at], |_| ()).ok();
    std::fs::write(engine.path("site/f"), "two").unwrap();
    let told = build(&engine, &["--explain", &at], |_| ()).stderr;
    assert!(told.contains("not cached: changed: files f done"), "{told}");
    assert!(told.contains("not cached: the step before it changed: COPY f /f (changed: files f)"), "{told}");
    // An ENV has no line of its own: it is blamed.
    let buildx = ["buildx", "build", "--progress=plain", "--build-arg", "BUILDKIT_EXPLAIN=1"];
    let told = engine.docker(buildx.into_iter().chain(["--build-arg", "V=2", &at])).stderr;
    assert!(told.contains("not cached: the step before it changed: ENV W=$V (changed: values)"), "{told}");
    let told = engine.docker(["buildx", "build", "--progress=plain", "--build-arg", "V=3", &at]).stderr;
    assert!(!told.contains("not cached"), "{told}");
    std::fs::write(engine.path("site/f"), "three").unwrap();
    let told = build(&engine, &["--explain", &at], |command| {
        command.env("DOCKER_BUILDKIT", "0");
    })
    .stdout;
    assert!(told.contains(" ---> Not cached: changed: files f\n"), "{told}");
}

#[test]
fn the_state_of_a_failed_step_is_entered() {
    let engine = Engine::start();
    let none = own(&engine, &["build", "debug"]).failed();
    assert!(none.contains("no state of a failed step is kept here"), "{none}");
    let text = "FROM busybox\nENV A=b\nRUN echo half done > /state; exit 3\n";
    let at = folder(&engine, "site", &[("Dockerfile", text)]);
    let told = build(&engine, &["--progress", "plain", &at], |_| ()).failed();
    assert!(told.contains("The step's state is kept: gantry build debug"), "{told}");
    assert_eq!(own(&engine, &["build", "debug", "--list"]).ok().lines().count(), 1);
    let said = own(&engine, &["build", "debug", "sh", "-c", "cat /state; echo $A; exit 4"]);
    assert_eq!((said.code, said.stdout.as_str()), (4, "half done\nb\n"), "{said:?}");
    assert!(said.stderr.contains("RUN echo half done > /state; exit 3"), "{said:?}");
    // Nobody asked for it: nothing is kept.
    engine.docker(["image", "prune", "-af", "--filter", "label=gantry.build.failed"]).ok();
    build(&engine, &["--force-rm", &at], |_| ()).failed();
    assert_eq!(own(&engine, &["build", "debug", "--list"]).ok(), "");
}

#[test]
fn standard_input_brings_a_dockerfile_or_a_context() {
    let engine = Engine::start();
    let context = folder(
        &engine,
        "context",
        &[("Dockerfile", "FROM busybox\nCOPY Dockerfile /d\n"), ("own", "FROM scratch\nCOPY own /o\n")],
    );
    let packed = Command::new("tar").args(["-C", &context, "-cz", "."]).output().unwrap().stdout;
    let archive = engine.path("context.tgz");
    fs::write(&archive, packed).unwrap();
    let file = |path: &std::path::Path| Stdio::from(fs::File::open(path).unwrap());
    let id = build(&engine, &["-q", "-"], |c| {
        c.stdin(file(&archive));
    })
    .ok();
    assert!(id.starts_with("sha256:") && engine.inspect(&id, "{{len .RootFS.Layers}}") == "2", "{id}");
    let own = engine.path("context").join("own");
    let id = build(&engine, &["-q", "-f", "-", &context], |c| {
        c.stdin(file(&own));
    })
    .ok();
    assert_eq!(engine.inspect(&id, "{{len .RootFS.Layers}}"), "1");
}

#[test]
fn without_buildkit_the_classic_builder_builds_and_says_what_it_cannot() {
    let engine = Engine::start();
    let context = folder(&engine, "context", &[("Dockerfile", "FROM busybox\nRUN true\n")]);
    let classic = |args: &[&str]| {
        build(&engine, args, |c| {
            c.env("DOCKER_BUILDKIT", "0");
        })
    };
    assert!(classic(&[&context]).ok().contains("Step 2/2 : RUN true"));
    assert_eq!(
        classic(&["--secret", "id=s,env=HOME", &context]).failed(),
        "--secret needs BuildKit: leave DOCKER_BUILDKIT=0 out"
    );
    let lost = build(&engine, &["--secret", "id=s,src=/nowhere", &context], |_| {}).failed();
    assert_eq!(lost, "failed to stat secret s: /nowhere: no such file or directory");
}
