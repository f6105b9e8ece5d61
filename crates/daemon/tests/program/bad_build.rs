//! Builds that are to fail: by both doors, with a sentence that names line and word, and nothing left of them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::buildkit::with_plugin;
use crate::full::{Disk, entries};
use crate::harness::{Engine, PATIENCE, Said, busybox};

/// How a client asks for a build.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Door {
    Classic,
    BuildKit,
}

pub(crate) const DOORS: [Door; 2] = [Door::Classic, Door::BuildKit];

impl Door {
    /// A build; what it says on both streams is on standard error.
    pub(crate) fn build(self, engine: &Engine, args: &[&str], input: Stdio) -> Said {
        let mut command = engine.client();
        match self {
            Door::Classic => command.env("DOCKER_BUILDKIT", "0").arg("build"),
            Door::BuildKit => command.args(["buildx", "build", "--progress=plain"]),
        };
        let output = command.args(args).stdin(input).output().unwrap();
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

/// All that builds might leave: images, snapshots, folders, temporary files, steps.
fn state(engine: &Engine) -> Vec<String> {
    let mut all: Vec<String> =
        engine.docker(["images", "-aq", "--no-trunc"]).ok().lines().map(str::to_owned).collect();
    let folders = [
        "snapshots/overlay",
        "containers",
        "build/scratch",
        "build/contexts",
        "build/agents",
        "content/ingest",
    ];
    for folder in folders.map(|folder| engine.path("data").join(folder)) {
        if folder.is_dir() {
            all.extend(entries(&folder));
        }
    }
    let kept = engine.path("data/build/kept");
    if kept.is_dir() {
        all.extend(entries(&kept).into_iter().filter(|name| name.starts_with("once-")));
    }
    all.extend(
        entries(&engine.path("run"))
            .into_iter()
            .filter(|name| !matches!(name.as_str(), "netns" | "runtime" | "owner")),
    );
    all
}

/// Waits until there is no more than there was.
#[track_caller]
fn until_as_before(engine: &Engine, before: &[String], what: &str) {
    let begun = Instant::now();
    loop {
        let now = state(engine);
        if now == before {
            return;
        }
        let left: Vec<_> = now.iter().filter(|name| !before.contains(name)).collect();
        assert!(begun.elapsed() < PATIENCE, "{what} has left {left:?}\n{}", engine.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn site(engine: &Engine, name: &str, dockerfile: &[u8]) -> String {
    let folder = engine.path(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    folder.display().to_string()
}

fn shell(text: &str) {
    assert!(Command::new("sh").args(["-c", text]).status().unwrap().success(), "{text}");
}

#[test]
fn a_wrong_file_is_refused_with_its_line_and_its_word() {
    let Some(engine) = with_plugin(Engine::start) else { return };
    engine.docker_with(["buildx", "build", "-"], b"FROM busybox\nRUN true\n").ok();
    let before = state(&engine);
    let doubling = format!("FROM busybox\nENV A=aaaaaaaaaa\n{}", "ENV A=$A$A\n".repeat(40));
    let heredoc =
        format!("FROM busybox\nENV A={}\nCOPY <<EOF /f\n{}\nEOF\n", "x".repeat(50_000), "$A".repeat(200));
    let deep = format!("FROM busybox\nENV A={}x{}\n", "${B:-".repeat(5000), "}".repeat(5000));
    let cases: [(&[u8], &[&str]); 14] = [
        (b"FROM busybox\nRUNN x\n", &["line 2", "RUNN", "did you mean RUN"]),
        (b"FROM busybox\nCOPY missing /\n", &["missing", "COPY missing /"]),
        (b"FROM busybox\nADD nothing*here /\n", &["nothing*here"]),
        (b"FROM busybox\nRUN \xff\xfe\n", &["line 2", "not UTF-8"]),
        (b"FROM busybox\nONBUILD ONBUILD RUN x\n", &["line 2", "ONBUILD"]),
        (b"FROM busybox\nONBUILD FROM x\n", &["line 2", "FROM"]),
        (b"FROM busybox\nRUN cat <<EOF\nnever ends\n", &["line 2", "heredoc"]),
        (b"FROM busybox AS a\nCOPY --from=a / /x\n", &["COPY --from=a"]),
        (
            b"FROM busybox AS a\nCOPY --from=b /x /x\nFROM busybox AS b\nCOPY --from=a /x /x\n",
            &["COPY --from=b", "needs to be defined before"],
        ),
        (b"", &["ockerfile"]),
        (b"# nothing\n", &["no instructions"]),
        (doubling.as_bytes(), &["too large", "ENV A=$A$A"]),
        (heredoc.as_bytes(), &["too large", "COPY"]),
        (deep.as_bytes(), &["nested too deeply"]),
    ];
    for (text, words) in cases {
        let folder = site(&engine, "site", text);
        for door in DOORS {
            let said = door.build(&engine, &[&folder], Stdio::null());
            let shown = String::from_utf8_lossy(&text[..text.len().min(80)]);
            assert_ne!(said.code, 0, "{door:?} {shown}: {}", said.stderr);
            for word in words {
                assert!(said.stderr.contains(word), "{door:?} {shown}: {word:?} is not in {}", said.stderr);
            }
        }
    }
    until_as_before(&engine, &before, "a wrong file");
}

/// A small disk of its own, and archives that stand for more than it holds.
#[test]
fn bombs_and_full_disks_are_told_and_leave_nothing() {
    let Some(mut engine) = with_plugin(|| Engine::empty(&[])) else { return };
    engine.stop();
    let _disk = Disk::mount(&engine.path("data"), "size=80m,nr_inodes=8000");
    engine.launch();
    engine.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
    engine.docker_with(["buildx", "build", "-"], b"FROM busybox\nRUN true\n").ok();
    let work = engine.path("work");
    fs::create_dir(&work).unwrap();
    let at = work.display();
    // A file of zeros, a hole of a terabyte, and more files than there are inodes.
    shell(&format!(
        "cd {at} && mkdir zeros holes many && cd zeros && echo FROM busybox > Dockerfile && truncate -s 160M big && \
         tar cf - Dockerfile big | tee zeros.tar | gzip -1 > zeros.tar.gz && \
         (! command -v zstd || zstd -q -1 zeros.tar -o zeros.tar.zst) && rm zeros.tar big && \
         cd ../holes && echo FROM busybox > Dockerfile && truncate -s 1T hole && tar cSf holes.tar Dockerfile hole && rm hole && \
         cd ../many && echo FROM busybox > Dockerfile && mkdir d && (cd d && seq 12000 | xargs touch) && tar czf many.tar.gz Dockerfile d && rm -r d"
    ));
    let before = state(&engine);
    let archives = ["zeros/zeros.tar.gz", "zeros/zeros.tar.zst", "holes/holes.tar", "many/many.tar.gz"];
    for archive in archives.map(|name| work.join(name)).iter().filter(|archive| archive.exists()) {
        let name = archive.file_name().unwrap().to_str().unwrap();
        for door in DOORS {
            // As the context itself.
            let said = door.build(&engine, &["-"], fs::File::open(archive).unwrap().into());
            assert_ne!(said.code, 0, "{door:?} {name}: {}", said.stderr);
            // Buildx takes a zstd archive on standard input for a Dockerfile.
            let word = if name.ends_with("zst") && matches!(door, Door::BuildKit) {
                "not UTF-8"
            } else {
                "there is room for"
            };
            assert!(said.stderr.contains(word), "{door:?} {name}: {}", said.stderr);
            // And by ADD.
            let folder = site(&engine, "add", format!("FROM busybox\nADD {name} /\n").as_bytes());
            fs::copy(archive, Path::new(&folder).join(name)).unwrap();
            let said = door.build(&engine, &[&folder], Stdio::null());
            assert_ne!(said.code, 0, "{door:?} ADD {name}: {}", said.stderr);
            for word in ["there is room for", &format!(">>> ADD {name} /")] {
                assert!(said.stderr.contains(word), "{door:?}: {word:?} is not in {}", said.stderr);
            }
            until_as_before(&engine, &before, name);
        }
    }
    // A step that fills the disk, and one that takes all inodes; a context that does not fit.
    let steps = [
        ("RUN cat /dev/zero > /big", "RUN cat /dev/zero"),
        ("RUN mkdir /d && cd /d && seq 12000 | xargs touch", "RUN mkdir /d"),
    ];
    for (step, shown) in steps {
        let folder = site(&engine, "full", format!("FROM busybox\n{step}\n").as_bytes());
        for door in DOORS {
            let said = door.build(&engine, &[&folder], Stdio::null());
            assert_ne!(said.code, 0, "{door:?} {step}: {}", said.stderr);
            for word in ["No space left on device", shown] {
                assert!(said.stderr.contains(word), "{door:?}: {word:?} is not in {}", said.stderr);
            }
            // The state of a failed step is kept to be looked at, where there is room for it: not here, or a moment longer.
            let kept = ["images", "-q", "--filter", "label=gantry.build.failed"];
            for id in engine.docker(kept).ok().lines() {
                engine.docker(["rmi", "-f", id]).ok();
            }
            until_as_before(&engine, &before, step);
        }
    }
    let folder = site(&engine, "large", b"FROM busybox\nCOPY . /\n");
    shell(&format!("head -c 120000000 /dev/urandom > {folder}/random"));
    for door in DOORS {
        let said = door.build(&engine, &[&folder], Stdio::null());
        assert_ne!(said.code, 0, "{door:?}: {}", said.stderr);
        let told =
            ["there is room for", "o space left on device"].iter().any(|word| said.stderr.contains(word));
        assert!(told, "{door:?}: {}", said.stderr);
        until_as_before(&engine, &before, "a large context");
        assert!(entries(&engine.path("data/build/kept")).len() <= 12, "what does not fit is not kept");
    }
    // With room again, the same engine builds.
    engine.docker_with(["buildx", "build", "--no-cache", "-"], b"FROM busybox\nRUN echo yes\n").ok();
}

/// The plugin itself: killed, it cannot say good-bye.
fn spawn(engine: &Engine, args: &[&str], input: Stdio) -> Child {
    let mut command = Command::new(engine.path("client/cli-plugins/docker-buildx"));
    command.args(["build", "--progress=plain"]).args(args).env("DOCKER_HOST", engine.host());
    command.env("DOCKER_CONFIG", engine.path("client")).env("HOME", engine.path("client"));
    command.stdin(input).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn until_said(child: &mut Child, word: &str) {
    let mut progress = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(word) {
        let read = std::io::BufRead::read_line(&mut progress, &mut said).unwrap();
        assert_ne!(read, 0, "it ended before it said {word:?}: {said}");
    }
    // Its later words are not read, but its pipe is there until it is killed.
    std::mem::forget(progress);
}

#[test]
fn a_session_that_is_cut_leaves_nothing() {
    let Some(engine) = with_plugin(Engine::start) else { return };
    engine.docker_with(["buildx", "build", "-"], b"FROM busybox\nRUN true\n").ok();
    let before = state(&engine);
    // In the middle of a step.
    let text =
        b"FROM busybox\nRUN --mount=type=secret,id=s --mount=type=cache,target=/c echo begun && sleep 1000\n";
    let folder = site(&engine, "waits", text);
    let secret = engine.path("secret").display().to_string();
    fs::write(&secret, "x").unwrap();
    let mut child = spawn(&engine, &["--secret", &format!("id=s,src={secret}"), &folder], Stdio::null());
    until_said(&mut child, " begun\n");
    assert_ne!(state(&engine), before);
    child.kill().unwrap();
    child.wait().unwrap();
    until_as_before(&engine, &before, "a step whose client was killed");
    // In the middle of a context on standard input.
    let mut child = spawn(&engine, &["-"], Stdio::piped());
    let mut input = child.stdin.take().unwrap();
    shell(&format!("cd {0} && tar cf ../half.tar .", folder));
    let half = fs::read(engine.path("half.tar")).unwrap();
    std::io::Write::write_all(&mut input, &half[..half.len() / 2]).unwrap();
    std::io::Write::flush(&mut input).unwrap();
    until_said(&mut child, "load remote build context");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(input);
    until_as_before(&engine, &before, "a context that was cut off");
    // In the middle of a folder: what came of it is not kept for whole.
    let folder = site(&engine, "large", b"FROM busybox\nCOPY . /\n");
    for number in 0..40 {
        shell(&format!("head -c 2000000 /dev/urandom > {folder}/f{number}"));
    }
    let kept = || fs::read_dir(engine.path("data/build/kept")).map_or(0, Iterator::count);
    let (mut child, places) = (spawn(&engine, &[&folder], Stdio::null()), kept());
    until_said(&mut child, "load build context");
    child.kill().unwrap();
    child.wait().unwrap();
    until_as_before(&engine, &before, "a folder that was cut off");
    let begun = Instant::now();
    // The Dockerfile and the ignore file may have come whole: each is a folder and its weight.
    while kept() > places + 4 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", entries(&engine.path("data/build/kept")));
    }
    engine.docker(["buildx", "build", "-q", &folder]).ok();
}
