//! Builds by the classic door, under the original client: `DOCKER_BUILDKIT=0 docker build`.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Engine, PATIENCE, Said};

/// A folder to build, and the engine that builds it.
struct Site {
    engine: Engine,
    folder: PathBuf,
}

impl Site {
    fn new() -> Site {
        // Docker's client offers --squash to no other engine.
        let engine = Engine::with(&["--experimental"]);
        let folder = engine.path("context");
        std::fs::create_dir(&folder).unwrap();
        Site { engine, folder }
    }

    fn write(&self, name: &str, text: &str) -> &Site {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.engine.client();
        command.env("DOCKER_BUILDKIT", "0").arg("build").args(args).stdin(Stdio::null());
        command
    }

    fn build(&self, args: &[&str]) -> Said {
        let folder = self.folder.display().to_string();
        let done = self.command(&[args, &[folder.as_str()]].concat()).output().unwrap();
        Said {
            code: done.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    fn run(&self, image: &str, args: &[&str]) -> String {
        let run = ["run", "--rm", "--network", "none", image];
        self.engine.docker([&run[..], args].concat()).ok()
    }

    /// What builds leave beside images and cache.
    fn leftovers(&self) -> Vec<String> {
        let names = |path: &str| {
            let entries = std::fs::read_dir(self.engine.path(path)).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let folders = ["data/containers", "data/build/scratch", "data/build/contexts", "run"];
        let all = folders.iter().flat_map(|folder| names(folder));
        all.filter(|name| !matches!(name.as_str(), "netns" | "runtime" | "owner")).collect()
    }

    /// Waits until nothing is left.
    #[track_caller]
    fn until_clean(&self) {
        let begun = std::time::Instant::now();
        while !self.leftovers().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{:?}\n{}", self.leftovers(), self.engine.log());
            self.engine.docker(["version"]).ok();
        }
    }
}

/// The text with every run of twelve hexadecimal digits as `ID`.
fn without_ids(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        let bare = word.trim_end();
        let is_id = bare.len() == 12 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        out.push_str(&if is_id { word.replace(bare, "ID") } else { word.to_owned() });
    }
    out
}

#[test]
fn the_stream_is_dockers() {
    let site = Site::new();
    site.write("a", "from the context\n").write(
        "Dockerfile",
        "ARG BASE=busybox\nFROM $BASE\nENV GREETING=hi\nRUN echo $GREETING\nCOPY a /a\nCMD [\"cat\", \"/a\"]\n",
    );
    let said = site.build(&["-t", "one:1", "-t", "two"]).ok();
    let (_, told) = said.split_once("Step 1/").unwrap();
    assert_eq!(
        without_ids(&format!("Step 1/{told}\n")),
        "Step 1/6 : ARG BASE=busybox\nStep 2/6 : FROM $BASE\n ---> ID\nStep 3/6 : ENV GREETING=hi\n ---> ID\n\
         Step 4/6 : RUN echo $GREETING\n ---> Running in ID\nhi\n ---> Removed intermediate container ID\n ---> ID\n\
         Step 5/6 : COPY a /a\n ---> ID\nStep 6/6 : CMD [\"cat\", \"/a\"]\n ---> ID\nSuccessfully built ID\n\
         Successfully tagged one:1\nSuccessfully tagged two:latest\n"
    );
    assert_eq!(site.run("one:1", &[]), "from the context");
    let again = site.build(&[]).ok();
    assert_eq!(again.matches(" ---> Using cache").count(), 4, "{again}");
    // The last state is the image.
    let told = again.rsplit(" ---> ").next().unwrap().split('\n').next().unwrap().to_owned();
    assert!(again.ends_with(&format!("Successfully built {told}")), "{again}");
    let id = site.build(&["-q"]).ok();
    assert_eq!(id, site.engine.docker(["image", "inspect", "-f", "{{.Id}}", "two"]).ok());
    assert_eq!(site.engine.docker(["ps", "-aq"]).ok(), "");
    site.until_clean();
}

#[test]
fn a_step_is_a_container_with_the_limits_that_were_asked_for() {
    let site = Site::new();
    site.write(
        "Dockerfile",
        "FROM busybox\nRUN grep -c . /proc/net/dev; grep db.test /etc/hosts; ulimit -n; df -k /dev/shm | tail -1; \
         cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; \
         grep -i seccomp: /proc/self/status; cat /proc/1/comm; ls /proc | grep -c '^[0-9]'\nRUN --network=none ls /sys/class/net\n",
    );
    let said = site
        .build(&[
            "--add-host",
            "db.test:10.1.2.3",
            "--ulimit",
            "nofile=123:456",
            "--shm-size",
            "2m",
            "--memory",
            "64m",
        ])
        .ok();
    for wanted in ["10.1.2.3\tdb.test\n", "\n123\n", " 2048 ", "\n67108864\n", "Seccomp:\t2", "\nlo\n"] {
        assert!(said.contains(wanted), "{wanted:?} in\n{said}");
    }
    assert!(!said.contains("\neth0\n"), "{said}");
}

#[test]
fn mounts_of_a_step_leave_no_trace_in_the_image() {
    let site = Site::new();
    site.write("sub/f", "inside\n").write(
        "Dockerfile",
        "FROM busybox\n\
         RUN --mount=type=cache,target=/root/.cache echo x >> /root/.cache/f && wc -l < /root/.cache/f\n\
         RUN --mount=type=bind,source=sub,target=/src --mount=type=tmpfs,target=/tmpfs cat /src/f && touch /tmpfs/x\n\
         RUN <<EOF\n#!/bin/cat\nthis text is a program\nEOF\n\
         RUN ls -d /src /tmpfs /root/.cache /proc/1 2>&1 | grep -c 'No such'\n",
    );
    let said = site.build(&["-t", "m"]).ok();
    for wanted in ["\n1\n", "\ninside\n", "\nthis text is a program\n", "\n3\n"] {
        assert!(said.contains(wanted), "{wanted:?} in\n{said}");
    }
    // The cache is there again for a build that runs the step anew.
    let again = site.build(&["--no-cache"]).ok();
    assert!(again.contains("\n2\n"), "{again}");
    let changed = site.engine.docker(["history", "--format", "{{.Size}}", "m"]).ok();
    assert!(changed.lines().take(4).all(|size| size == "0B"), "{changed}");
}

#[test]
fn a_failing_step_says_where_and_can_be_entered() {
    let site = Site::new();
    site.write("Dockerfile", "FROM busybox\n\nRUN echo words; echo left > /state; exit 7\nCMD x\n");
    let said = site.build(&["-t", "never"]);
    assert_eq!(said.code, 7, "{said:?}");
    assert!(said.stdout.contains("Dockerfile:3\n"), "{said:?}");
    assert!(said.stdout.contains("3 | >>> RUN echo words"), "{said:?}");
    let told = "The command '/bin/sh -c echo words; echo left > /state; exit 7' returned a non-zero code: 7";
    assert!(said.stderr.contains(told), "{said:?}");
    let (_, rest) = said.stdout.split_once("docker run --rm -it ").expect("an id to enter");
    assert_eq!(site.run(rest.lines().next().unwrap(), &["cat", "/state"]), "left");
    assert_eq!(site.engine.docker(["images", "-q", "never"]).ok(), "");
    // Without it, nothing is kept.
    let before = site.engine.docker(["images", "-aq"]).ok();
    site.write("Dockerfile", "FROM busybox\nRUN exit 8\n");
    assert_eq!(site.build(&["--force-rm"]).code, 8);
    assert_eq!(site.engine.docker(["images", "-aq"]).ok(), before);
    for (dockerfile, told) in [
        (
            "FROM busybox\nFORM x\n",
            "dockerfile parse error on line 2: unknown instruction: FORM (did you mean FROM?)",
        ),
        (
            "FROM busybox\nCOPY none /\n",
            "COPY failed: file not found in build context or excluded by .dockerignore",
        ),
        ("FROM busybox\nADD ../x /\n", "ADD failed: forbidden path outside the build context: ../x"),
        ("FROM busybox\nCOPY --from=9 / /\n", "invalid from flag value 9"),
        ("", "The Dockerfile (Dockerfile) cannot be empty"),
    ] {
        let said = site.write("Dockerfile", dockerfile).build(&[]);
        assert!(said.code != 0 && said.stderr.contains(told), "{dockerfile}: {said:?}");
    }
    site.until_clean();
}

#[test]
fn a_client_that_leaves_ends_its_build_and_a_crash_leaves_nothing() {
    let mut site = Site::new();
    site.write("Dockerfile", "FROM busybox\nRUN echo on its way; sleep 1234\n");
    let folder = site.folder.display().to_string();
    let begin = |site: &Site| {
        let mut client =
            site.command(&[&folder]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut told = String::new();
        let mut out = client.stdout.take().unwrap();
        let mut piece = [0; 256];
        while !told.contains("\non its way\n") {
            let read = out.read(&mut piece).unwrap();
            assert!(read > 0, "{told}");
            told.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        client
    };
    let mut client = begin(&site);
    client.kill().unwrap();
    client.wait().unwrap();
    site.until_clean();
    let mut client = begin(&site);
    assert!(!site.leftovers().is_empty());
    site.engine.crash();
    client.wait().unwrap();
    site.engine.launch();
    site.until_clean();
    assert_eq!(site.engine.docker(["ps", "-aq"]).ok(), "");
}

#[test]
fn the_cache_survives_restarts_and_is_pruned() {
    let mut site = Site::new();
    site.write("a", "1").write("Dockerfile", "FROM busybox\nCOPY a /\nRUN head -c 100000 /dev/zero > /big\n");
    let id = site.build(&["-q", "-t", "kept"]).ok();
    site.engine.docker(["rmi", "kept"]).ok();
    assert_eq!(site.engine.stop(), 0);
    site.engine.launch();
    assert_eq!(site.build(&["-q"]).ok(), id);
    let usage = site.engine.docker(["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}"]).ok();
    // What an image shares is counted with the image.
    assert!(usage.contains("Build Cache 2 0B"), "{usage}");
    // What an image shares stays without `--all`.
    let kept = site.engine.docker(["builder", "prune", "-f"]).ok();
    assert!(kept.ends_with("Total:\t0B") || kept.ends_with("Total reclaimed space: 0B"), "{kept}");
    site.engine.docker(["rmi", &id]).ok();
    let usage = site.engine.docker(["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}"]).ok();
    assert!(usage.contains("Build Cache 2 100kB"), "{usage}");
    let gone = site.engine.docker(["builder", "prune", "-a", "-f"]).ok();
    assert!(gone.contains("100kB"), "{gone}");
    assert!(site.build(&[]).ok().matches("Using cache").count() == 0);
}

#[test]
fn equal_inputs_make_equal_images_when_the_time_is_given() {
    let site = Site::new();
    site.write("a", "x")
        .write("Dockerfile", "FROM busybox\nCOPY a /\nRUN date > /dev/null; echo y > /b\nWORKDIR /w\n");
    let build = || site.build(&["-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1000000000"]).ok();
    let first = build();
    assert_eq!(build(), first);
    let created = site.engine.docker(["image", "inspect", "-f", "{{.Created}}", &first]).ok();
    assert_eq!(created, "2001-09-09T01:46:40Z");
    assert_eq!(site.run(&first, &["stat", "-c", "%Y", "/b"]), "1000000000");
}

#[test]
fn contexts_come_from_standard_input_and_one_layer_is_made_when_asked() {
    let site = Site::new();
    site.write("big", "1").write("Dockerfile", "FROM busybox\nCOPY big /big\nRUN rm /big; echo s > /small\n");
    let tar = Command::new("tar").arg("-C").arg(&site.folder).args(["-cJf", "-", "."]).output().unwrap();
    let mut client =
        site.command(&["-q", "--squash", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(&tar.stdout).unwrap();
    let done = client.wait_with_output().unwrap();
    assert!(done.status.success());
    let id = String::from_utf8(done.stdout).unwrap().trim().to_owned();
    assert_eq!(site.engine.docker(["image", "inspect", "-f", "{{len .RootFS.Layers}}", &id]).ok(), "2");
    assert_eq!(site.run(&id, &["sh", "-c", "cat /small; ls /big 2>&1 | grep -c 'No such'"]), "s\n1");
}
