//! BuildKit's door under the original buildx, unmodified.

use crate::harness::{Engine, PATIENCE, Said, busybox};
use crate::travel::registry::Registry;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

/// The plugin, got once; none where this machine's distribution has none.
fn buildx() -> Option<&'static Path> {
    static PLUGIN: OnceLock<Option<PathBuf>> = OnceLock::new();
    PLUGIN
        .get_or_init(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/buildx.sh");
            let said = Command::new(script).stderr(Stdio::inherit()).output().expect("the script runs");
            let path = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            said.status.success().then(|| PathBuf::from(path))
        })
        .as_deref()
}

/// An engine whose client has the plugin; none, with a sentence, where there is no plugin.
fn engine() -> Option<Engine> {
    with_plugin(Engine::start)
}

pub(crate) fn with_plugin(start: impl FnOnce() -> Engine) -> Option<Engine> {
    let plugin = buildx().or_else(|| {
        eprintln!("skipped: docker-buildx cannot be had here");
        None
    })?;
    let engine = start();
    let plugins = engine.path("client/cli-plugins");
    fs::create_dir_all(&plugins).unwrap();
    symlink(plugin, plugins.join("docker-buildx")).unwrap();
    Some(engine)
}

/// A folder to build from.
pub(crate) fn context(engine: &Engine, name: &str, files: &[(&str, &str)]) -> String {
    let folder = engine.path(name);
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder.display().to_string()
}

/// A build; its progress is on standard error.
pub(crate) fn build(engine: &Engine, args: &[&str]) -> Said {
    engine.docker(["buildx", "build", "--progress=plain"].iter().chain(args))
}

/// The same in the background.
fn spawn(engine: &Engine, args: &[&str]) -> Child {
    let mut command = engine.client();
    command.args(["buildx", "build", "--progress=plain"]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The bytes a line of the progress says to have been transferred: `#4 transferring context: 27.46kB 0.1s done`.
pub(crate) fn transferred(progress: &str) -> f64 {
    let lines =
        progress.lines().filter_map(|line| line.split_once("transferring context: ")).map(|(_, rest)| rest);
    let sizes = lines.filter(|rest| rest.contains("done")).map(|rest| {
        let size = rest.split_whitespace().next().unwrap();
        let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &size[digits.len()..] {
            "B" => 1.0,
            "kB" => 1e3,
            "MB" => 1e6,
            other => panic!("what is {other}? {progress}"),
        };
        digits.parse::<f64>().unwrap() * unit
    });
    sizes.sum()
}

#[test]
fn an_image_is_built_named_run_and_found_in_the_cache() {
    let Some(engine) = engine() else { return };
    let files = [
        (
            "Dockerfile",
            "# syntax=docker/dockerfile:1\nFROM busybox AS base\nARG V=1\nRUN echo built $V > /v\nFROM base\nCOPY f /f\nCMD cat /v /f\n",
        ),
        ("f", "a file\n"),
        ("left-out", "x"),
        (".dockerignore", "left-*\n"),
    ];
    let folder = context(&engine, "context", &files);
    let (id, about) = (engine.path("id").display().to_string(), engine.path("about").display().to_string());
    let args = [
        "-t",
        "one",
        "-t",
        "two:2",
        "--build-arg",
        "V=7",
        "--label",
        "l=v",
        "--iidfile",
        &id,
        "--metadata-file",
        &about,
        &folder,
    ];
    let first = build(&engine, &args);
    let progress = first.stderr.clone();
    first.ok();
    for wanted in [
        "[internal] load build definition from Dockerfile",
        "[internal] load .dockerignore",
        "[internal] load build context",
        "[base 1/2] FROM docker.io/library/busybox:latest",
        "[base 2/2] RUN echo built $V > /v",
        "[stage-1 2/2] COPY f /f",
        "exporting to image",
        "naming to docker.io/library/two:2",
    ] {
        assert!(progress.contains(wanted), "{wanted:?} is missing:\n{progress}");
    }
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "one"]).ok(), "built 7\na file");
    assert_eq!(
        engine.inspect("two:2", "{{.Id}} {{.Config.Labels.l}}"),
        format!("{} v", fs::read_to_string(&id).unwrap())
    );
    let about: serde_json::Value = serde_json::from_str(&fs::read_to_string(&about).unwrap()).unwrap();
    assert_eq!(about["image.name"], "docker.io/library/one:latest,docker.io/library/two:2");

    let again = build(&engine, &args).stderr;
    assert_eq!(again.matches("CACHED").count(), 3, "{again}");
    assert_eq!(engine.inspect("one", "{{.Id}}"), fs::read_to_string(&id).unwrap());
    let anew = build(&engine, &["--no-cache-filter", "base", &folder]).stderr;
    assert!(anew.contains("[base 2/2] RUN") && anew.matches("CACHED").count() == 1, "{anew}");
}

#[test]
fn a_failing_step_shows_its_output_and_its_place() {
    let Some(engine) = engine() else { return };
    let folder = context(
        &engine,
        "context",
        &[("Dockerfile", "FROM busybox\nRUN true\nRUN echo last words; exit 3\n")],
    );
    let failed = build(&engine, &["-t", "never", &folder]).failed();
    for wanted in [
        "last words",
        "ERROR: process \"/bin/sh -c echo last words; exit 3\" did not complete successfully: exit code: 3",
        "> [3/3] RUN echo last words; exit 3:",
        "Dockerfile:3",
        "   3 | >>> RUN echo last words; exit 3",
        "failed to solve: process \"/bin/sh -c echo last words; exit 3\" did not complete successfully: exit code: 3",
    ] {
        assert!(failed.contains(wanted), "{wanted:?} is missing:\n{failed}");
    }
    engine.docker(["image", "inspect", "never"]).failed();
    let folder = context(&engine, "typo", &[("Dockerfile", "FROM busybox\nRUM true\n")]);
    let failed = build(&engine, &[&folder]).failed();
    assert!(failed.contains("Dockerfile:2") && failed.contains(">>> RUM true"), "{failed}");
    let folder = context(&engine, "missing", &[("Dockerfile", "FROM busybox\nCOPY nothing /\n")]);
    let failed = build(&engine, &[&folder]).failed();
    assert!(failed.contains("\"/nothing\": not found"), "{failed}");
}

#[test]
fn secrets_agents_and_caches_are_there_for_a_step_and_gone_after_it() {
    let Some(engine) = engine() else { return };
    let text = "FROM busybox\n\
        RUN --mount=type=secret,id=token cat /run/secrets/token | sha256sum > /sum\n\
        RUN --mount=type=cache,target=/kept date >> /kept/log; wc -l < /kept/log > /lines\n\
        RUN test ! -s /run/secrets/token && test ! -s /kept/log\n";
    let folder = context(
        &engine,
        "context",
        &[
            ("Dockerfile", text),
            (
                "other",
                "FROM busybox\nRUN --mount=type=cache,target=/kept date >> /kept/log; cat /kept/log | wc -l > /n\nCMD cat /n\n",
            ),
        ],
    );
    let secret = engine.path("token");
    fs::write(&secret, "s3cret").unwrap();
    let secret = format!("id=token,src={}", secret.display());
    build(&engine, &["--secret", &secret, "-t", "one", &folder]).ok();
    let sum = engine.docker(["run", "--rm", "--network", "none", "one", "cat", "/sum", "/lines"]).ok();
    assert_eq!(sum, "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0  -\n1");
    let other = format!("{folder}/other");
    build(&engine, &["-f", &other, "-t", "two", &folder]).ok();
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "two"]).ok(), "2");
    let saved = engine.docker(["history", "--no-trunc", "one"]).ok();
    assert!(!saved.contains("s3cret"), "{saved}");
    let text = "FROM busybox\nRUN --mount=type=secret,id=none,required=true true\n";
    let folder = context(&engine, "required", &[("Dockerfile", text)]);
    let failed = build(&engine, &[&folder]).failed();
    assert!(failed.contains("secret none: not found"), "{failed}");
}

/// Answers every request for identities with none, as an empty agent does.
pub(crate) fn agent(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = [0; 5];
                while stream.read_exact(&mut request).is_ok() {
                    if stream.write_all(&[0, 0, 0, 5, 12, 0, 0, 0, 0]).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

#[test]
fn a_step_speaks_with_the_clients_agent() {
    let Some(engine) = engine() else { return };
    let text = "FROM busybox\nRUN --mount=type=ssh test -S /run/buildkit/ssh_agent.0 && while ! test -e /tmp/never; do sleep 0.1; done\n";
    let folder = context(&engine, "context", &[("Dockerfile", text)]);
    let socket = engine.path("agent.sock");
    agent(&socket);
    let forward = format!("default={}", socket.display());
    let mut child = spawn(&engine, &["--ssh", &forward, &folder]);
    let begun = Instant::now();
    let mut stream = loop {
        let found = fs::read_dir(engine.path("data/build/agents")).into_iter().flatten().next();
        // A socket is there a moment before somebody listens at it.
        let path = found.map(|entry| entry.unwrap().path().join("0.sock"));
        if let Some(Ok(stream)) = path.map(UnixStream::connect) {
            break stream;
        }
        assert!(begun.elapsed() < PATIENCE, "no agent's socket was made: {}", engine.log());
        std::thread::yield_now();
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[0, 0, 0, 1, 11]).unwrap();
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0, 0, 0, 5, 12, 0, 0, 0, 0]);
    interrupt(&mut child);
    let text = "FROM busybox\nRUN --mount=type=ssh,required=true true\n";
    let folder = context(&engine, "required", &[("Dockerfile", text)]);
    assert!(build(&engine, &[&folder]).failed().contains("unset ssh forward key"));
}

/// Ctrl-C, and the end of it.
fn interrupt(child: &mut Child) {
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn two_builds_run_at_once_and_one_that_is_cut_off_leaves_nothing() {
    let Some(engine) = engine() else { return };
    let waits = "FROM busybox\nRUN echo begun && sleep 1000\n";
    let folder = context(&engine, "waits", &[("Dockerfile", waits)]);
    let mut child = spawn(&engine, &[&folder]);
    // The other one is built while this one waits.
    let other = context(&engine, "other", &[("Dockerfile", "FROM busybox\nRUN echo beside\n")]);
    let mut progress = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(" begun\n") {
        assert_ne!(std::io::BufRead::read_line(&mut progress, &mut said).unwrap(), 0, "it ended: {said}");
    }
    build(&engine, &["-t", "beside", &other]).ok();
    interrupt(&mut child);
    let begun = Instant::now();
    let steps = || {
        fs::read_dir(engine.path("run"))
            .unwrap()
            .filter(|entry| {
                !["netns", "owner"].iter().any(|known| entry.as_ref().unwrap().file_name() == *known)
            })
            .count()
    };
    while steps() > 0 {
        assert!(begun.elapsed() < PATIENCE, "the step is still there: {}", engine.log());
        std::thread::yield_now();
    }
    assert_eq!(engine.docker(["ps", "-aq"]).ok(), "");
    engine.docker(["image", "inspect", "beside"]).ok();
}

#[test]
fn only_what_changed_travels() {
    let Some(engine) = engine() else { return };
    let folder = context(
        &engine,
        "context",
        &[("Dockerfile", "FROM busybox\nCOPY . /src\nRUN cat /src/f7 > /seven\nCMD cat /seven\n")],
    );
    for file in 0..200 {
        fs::write(format!("{folder}/f{file}"), vec![b'x'; 50_000]).unwrap();
    }
    let first = build(&engine, &["-t", "one", &folder]).stderr;
    assert!(transferred(&first) > 10e6, "{first}");
    let unchanged = build(&engine, &["-t", "one", &folder]).stderr;
    assert!(transferred(&unchanged) < 50e3, "{unchanged}");
    fs::write(format!("{folder}/f7"), "changed").unwrap();
    fs::remove_file(format!("{folder}/f8")).unwrap();
    let changed = build(&engine, &["-t", "one", &folder]).stderr;
    assert!(transferred(&changed) < 50e3, "{changed}");
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "one"]).ok(), "changed");
    engine.docker(["run", "--rm", "--network", "none", "one", "test", "!", "-e", "/src/f8"]).ok();
}

#[test]
fn results_go_to_a_folder_and_to_archives() {
    let Some(engine) = engine() else { return };
    let text = "FROM busybox AS make\nRUN mkdir /out && echo made > /out/a && ln -s a /out/l && chmod 750 /out/a\n\
        FROM scratch AS files\nCOPY --from=make /out /\nFROM make\nCMD cat /out/a\n";
    let folder = context(&engine, "context", &[("Dockerfile", text)]);
    let out = |name: &str| engine.path(name).display().to_string();
    build(&engine, &["--target", "files", "-o", &out("folder"), &folder]).ok();
    assert_eq!(fs::read_to_string(engine.path("folder/a")).unwrap(), "made\n");
    assert_eq!(fs::read_link(engine.path("folder/l")).unwrap(), Path::new("a"));
    build(&engine, &["--target", "files", "-o", &format!("type=tar,dest={}", out("tar")), &folder]).ok();
    let listed = Command::new("tar").arg("-tf").arg(engine.path("tar")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "a\nl\n");
    build(&engine, &["-t", "kept:1", "-o", &format!("type=docker,dest={}", out("docker")), &folder]).ok();
    engine.docker(["image", "inspect", "kept:1"]).failed();
    assert_eq!(engine.docker(["load", "-i", &out("docker")]).ok(), "Loaded image: kept:1");
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "kept:1"]).ok(), "made");
    build(&engine, &["-t", "kept:2", "-o", &format!("type=oci,dest={}", out("oci")), &folder]).ok();
    let seen = Command::new("skopeo")
        .args(["inspect", "--config", &format!("oci-archive:{}", out("oci"))])
        .output()
        .unwrap();
    let config: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(config["config"]["Cmd"][2], "cat /out/a");
}

#[test]
fn contexts_come_by_name_by_standard_input_and_with_limits() {
    let Some(engine) = engine() else { return };
    let text = "FROM base\nCOPY --from=files n /n\nRUN cat /n; grep x.test /etc/hosts; ulimit -n; df -h /dev/shm | tail -1\n";
    let folder = context(&engine, "context", &[("Dockerfile", text)]);
    let files = format!("files={}", context(&engine, "files", &[("n", "named\n")]));
    let progress = build(
        &engine,
        &[
            "--build-context",
            "base=docker-image://busybox",
            "--build-context",
            &files,
            "--add-host",
            "x.test:1.2.3.4",
            "--ulimit",
            "nofile=100:200",
            "--shm-size",
            "32m",
            "--network",
            "none",
            &folder,
        ],
    )
    .stderr;
    for wanted in ["named", "1.2.3.4", " 100", "32.0M", "[context files] load from client"] {
        assert!(progress.contains(wanted), "{wanted:?} is missing:\n{progress}");
    }
    let dockerfile = b"FROM busybox\nCMD echo from standard input\n";
    engine.docker_with(["buildx", "build", "-q", "-t", "piped", "-"], dockerfile).ok();
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "piped"]).ok(), "from standard input");
    let archive = Command::new("tar").args(["-C", &folder, "-cz", "."]).output().unwrap().stdout;
    let args = [
        "buildx",
        "build",
        "-q",
        "-t",
        "archived",
        "--build-context",
        "base=docker-image://busybox",
        "--build-context",
        &files,
        "-",
    ];
    engine.docker_with(args, &archive).ok();
    // Older plugins have no questions.
    if !engine.docker(["buildx", "build", "--help"]).stdout.contains("--call") {
        return;
    }
    let shown = engine.docker(["buildx", "build", "--call", "targets", &folder]).ok();
    assert!(shown.contains("(default)"), "{shown}");
    let odd = context(&engine, "odd", &[("Dockerfile", "FROM busybox as small\nRUN true\n")]);
    let found = engine.docker(["buildx", "build", "--check", &odd]);
    assert!(found.code != 0 && found.stdout.contains("FromAsCasing"), "{found:?}");
    let progress = build(&engine, &[&odd]).stderr;
    assert!(progress.contains("FromAsCasing"), "{progress}");
}

#[test]
fn a_target_stands_on_another_and_the_result_is_pushed() {
    let Some(engine) = with_plugin(|| Engine::shared(&[])) else { return };
    engine.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
    let registry = Registry::start();
    let folder = context(&engine, "context", &[("f", "below\n")]);
    let name = registry.image("team/app:1");
    let bake = serde_json::json!({ "target": {
        "base": {
            "context": folder, "output": ["type=cacheonly"],
            "dockerfile-inline": "FROM busybox\nCOPY f /base\n",
        },
        "app": {
            "context": folder, "contexts": { "base": "target:base" }, "tags": [name],
            "output": ["type=image,push=true"], "dockerfile-inline": "FROM base\nCMD cat /base\n",
        },
    }});
    let file = engine.path("bake.json").display().to_string();
    fs::write(&file, bake.to_string()).unwrap();
    let mut command = engine.client();
    command.env("BUILDX_BAKE_ENTITLEMENTS_FS", "0").args([
        "buildx",
        "bake",
        "--progress=plain",
        "-f",
        &file,
        "app",
    ]);
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    engine.docker(["rmi", &name]).ok();
    engine.docker(["pull", "-q", &name]).ok();
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", &name]).ok(), "below");
}

#[test]
fn the_past_is_told_and_the_cache_is_listed_and_thrown_away() {
    let Some(engine) = engine() else { return };
    let folder = context(
        &engine,
        "context",
        &[("Dockerfile", "FROM busybox\nRUN echo said in the past; echo x > /x\n")],
    );
    build(&engine, &["-t", "one", &folder]).ok();
    let listed = engine.docker(["buildx", "du"]).ok();
    assert!(listed.contains("Reclaimable:") && listed.lines().count() > 3, "{listed}");
    let inspected = engine.docker(["buildx", "inspect"]).ok();
    assert!(inspected.contains("Status:           running") && inspected.contains("linux/"), "{inspected}");
    // Older plugins have no such command.
    if engine.docker(["buildx", "history", "--help"]).stdout.contains("logs") {
        assert!(engine.docker(["buildx", "history", "ls"]).ok().contains("Completed"));
        let said = engine.docker(["buildx", "history", "logs"]);
        assert!(format!("{}{}", said.stdout, said.stderr).contains("said in the past"));
        engine.docker(["buildx", "history", "rm", "--all"]).ok();
        assert!(!engine.docker(["buildx", "history", "ls"]).ok().contains("Completed"));
    }
    let freed = engine.docker(["buildx", "prune", "-af"]).ok();
    assert!(freed.contains("Total:"), "{freed}");
    let progress = build(&engine, &[&folder]).stderr;
    assert!(progress.contains("said in the past"), "{progress}");
}
