//! What leaves a build by BuildKit's door: several platforms, attestations, layouts, compressions; and what stays apart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::buildkit::{build, context, with_plugin};
use crate::harness::{Engine, PATIENCE, busybox};
use crate::travel::registry::Registry;

fn engine() -> Option<Engine> {
    let engine = with_plugin(|| Engine::shared(&[]))?;
    engine.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
    Some(engine)
}

/// An image layout in a folder.
struct Layout(PathBuf);

impl Layout {
    fn unpacked(engine: &Engine, archive: &str) -> Layout {
        let folder = engine.path(&format!("{archive}-unpacked"));
        fs::create_dir_all(&folder).unwrap();
        let done = Command::new("tar").arg("-xf").arg(engine.path(archive)).arg("-C").arg(&folder).status();
        assert!(done.unwrap().success());
        Layout(folder)
    }

    fn index(&self) -> Value {
        serde_json::from_slice(&fs::read(self.0.join("index.json")).unwrap()).unwrap()
    }

    fn document(&self, digest: &Value) -> Value {
        let hex = digest.as_str().unwrap().trim_start_matches("sha256:");
        serde_json::from_slice(&fs::read(self.0.join("blobs/sha256").join(hex)).unwrap()).unwrap()
    }

    /// What the first entry names.
    fn top(&self) -> Value {
        self.document(&self.index()["manifests"][0]["digest"])
    }

    /// The statements about the image at a place of the index, by the type of what they say.
    fn statement(&self, top: &Value, place: usize, kind: &str) -> Value {
        let image = &top["manifests"][place]["digest"];
        let about = top["manifests"].as_array().unwrap().iter();
        let mut found = about.filter(|entry| entry["annotations"]["vnd.docker.reference.digest"] == *image);
        let manifest = self.document(&found.next_back().unwrap()["digest"]);
        let layers = manifest["layers"].as_array().unwrap().iter();
        let mut layer = layers.filter(|layer| {
            layer["annotations"]["in-toto.io/predicate-type"].as_str().unwrap().contains(kind)
        });
        self.document(&layer.next_back().unwrap()["digest"])
    }
}

const SMALL: &str = "FROM scratch\nARG TARGETARCH\nCOPY f-$TARGETARCH /f\nLABEL l=v\n";

#[test]
fn two_platforms_and_what_is_said_of_them_are_one_index() {
    let Some(engine) = engine() else { return };
    let registry = Registry::start();
    let files = [("Dockerfile", SMALL), ("f-amd64", "amd"), ("f-arm64", "arm"), ("unneeded", "x")];
    let folder = context(&engine, "context", &files);
    let to = format!("type=oci,dest={}", engine.path("two").display());
    let name = registry.image("team/two:1");
    let platforms = "linux/amd64,linux/arm64";
    let asked = ["--platform", platforms, "--provenance", "mode=max,version=v0.2", "--sbom", "true"];
    build(&engine, &[&asked[..], &["-t", &name, "-o", &to, &folder]].concat()).ok();
    let layout = Layout::unpacked(&engine, "two");
    let top = layout.top();
    let platform = |place: usize| top["manifests"][place]["platform"]["architecture"].as_str().unwrap();
    assert_eq!(
        [platform(0), platform(1), platform(2), platform(3)],
        ["amd64", "arm64", "unknown", "unknown"]
    );
    let provenance = layout.statement(&top, 1, "provenance");
    assert_eq!(provenance["predicate"]["buildType"], "https://mobyproject.org/buildkit@v1");
    let subject = provenance["subject"][0]["name"].as_str().unwrap();
    assert!(subject.ends_with("team/two@1?platform=linux%2Farm64"), "{subject}");
    assert!(provenance.to_string().contains("infos"), "the Dockerfile is told: {provenance}");
    assert_eq!(layout.statement(&top, 0, "spdx")["predicate"]["spdxVersion"], "SPDX-2.3");

    // The same to a registry; the client of registries and the engine read it there.
    build(&engine, &[&asked[..], &["-t", &name, "--push", &folder]].concat()).ok();
    let seen = engine.docker(["buildx", "imagetools", "inspect", &name]).ok();
    assert!(seen.contains("linux/arm64") && seen.contains("attestation-manifest"), "{seen}");
    let told =
        engine.docker(["buildx", "imagetools", "inspect", &name, "--format", "{{json .Provenance}}"]).ok();
    assert!(told.contains("buildkit@v1"), "{told}");
    for architecture in ["amd64", "arm64"] {
        engine.docker(["rmi", &name]);
        let platform = format!("linux/{architecture}");
        engine.docker(["pull", "-q", "--platform", &platform, &name]).ok();
        assert_eq!(engine.inspect(&name, "{{.Architecture}}"), architecture);
    }
    let refused = build(&engine, &["--sbom", "generator=some/scanner", "-o", &to, &folder]).failed();
    assert!(refused.contains("some/scanner is not run"), "{refused}");
}

#[test]
fn the_store_keeps_what_was_built_whole_and_pushes_it_whole() {
    let Some(engine) = engine() else { return };
    let registry = Registry::start();
    let files = [("Dockerfile", SMALL), ("f-amd64", "amd"), ("f-arm64", "arm")];
    let folder = context(&engine, "context", &files);
    let name = registry.image("team/whole:1");
    build(
        &engine,
        &["--platform", "linux/amd64,linux/arm64", "--provenance", "mode=max", "-t", &name, &folder],
    )
    .ok();
    let of = |platform: &str| {
        engine.docker(["image", "inspect", "--platform", platform, "-f", "{{.Architecture}}", &name]).ok()
    };
    assert_eq!((of("linux/amd64"), of("linux/arm64")), ("amd64".into(), "arm64".into()));
    // The other platform's image has no name of its own, and a prune does not take what the name stands for.
    engine.docker(["image", "prune", "-f"]).ok();
    engine.docker(["buildx", "prune", "-af"]).ok();
    assert_eq!(of("linux/arm64"), "arm64");
    engine.docker(["push", "-q", &name]).ok();
    let seen = engine.docker(["buildx", "imagetools", "inspect", &name]).ok();
    assert!(seen.contains("linux/arm64") && seen.contains("linux/amd64"), "{seen}");
    assert!(seen.contains("attestation-manifest"), "{seen}");
    engine
        .docker(["create", "--name", "other", "--network", "none", "--platform", "linux/arm64", &name, "x"])
        .ok();
    engine.docker(["cp", "other:/f", &engine.path("f").display().to_string()]).ok();
    assert_eq!(fs::read_to_string(engine.path("f")).unwrap(), "arm");
    engine.docker(["rm", "other"]).ok();
    // One platform of it, by itself.
    let single = registry.image("team/single:1");
    engine.docker(["tag", &name, &single]).ok();
    engine.docker(["push", "-q", "--platform", "linux/arm64", &single]).ok();
    let seen = engine.docker(["buildx", "imagetools", "inspect", "--raw", &single]).ok();
    assert!(seen.contains("\"layers\"") && !seen.contains("\"manifests\""), "{seen}");
    // An attestation that somebody asked for is kept for an image of one platform as well.
    let one = registry.image("team/one:1");
    build(&engine, &["--provenance", "mode=max", "-t", &one, &folder]).ok();
    engine.docker(["push", "-q", &one]).ok();
    let told =
        engine.docker(["buildx", "imagetools", "inspect", &one, "--format", "{{json .Provenance}}"]).ok();
    assert!(told.contains("buildType"), "{told}");
    // When the name goes, all of it goes.
    let blobs = || fs::read_dir(engine.path("data/content/blobs/sha256")).map_or(0, Iterator::count);
    let before = blobs();
    engine.docker(["rmi", "-f", &name, &single, &one]).ok();
    engine.docker(["image", "prune", "-af"]).ok();
    engine.docker(["buildx", "prune", "-af"]).ok();
    assert!(blobs() < before, "{before} blobs are still {}", blobs());
}

#[test]
fn save_takes_all_platforms_along_and_load_keeps_them() {
    let Some(engine) = engine() else { return };
    let folder =
        context(&engine, "context", &[("Dockerfile", SMALL), ("f-amd64", "amd"), ("f-arm64", "arm")]);
    let both = ["--platform", "linux/amd64,linux/arm64", "--provenance", "mode=max"];
    build(&engine, &[&both[..], &["-t", "whole:1", &folder]].concat()).ok();
    let at = |name: &str| engine.path(name).display().to_string();
    let index = |archive: &str| {
        let layout = Layout::unpacked(&engine, archive);
        (layout.index()["manifests"][0]["digest"].clone(), layout.top()["manifests"].as_array().map(Vec::len))
    };
    engine.docker(["save", "-o", &at("whole.tar"), "whole:1"]).ok();
    let saved = index("whole.tar");
    assert_eq!(saved.1, Some(4), "two images and what is said of each");
    engine.docker(["save", "--platform", "linux/arm64", "-o", &at("arm.tar"), "whole:1"]).ok();
    assert_eq!(index("arm.tar").1, None, "one manifest");
    engine.docker(["rmi", "-f", "whole:1"]).ok();
    engine.docker(["image", "prune", "-af"]).ok();
    engine.docker(["buildx", "prune", "-af"]).ok();
    engine.docker(["load", "-q", "-i", &at("whole.tar")]).ok();
    let format = "{{.Architecture}}";
    for (platform, architecture) in [("linux/amd64", "amd64"), ("linux/arm64", "arm64")] {
        let told = engine.docker(["image", "inspect", "--platform", platform, "-f", format, "whole:1"]);
        assert_eq!(told.ok(), architecture);
    }
    engine.docker(["save", "-o", &at("again.tar"), "whole:1"]).ok();
    assert_eq!(index("again.tar"), saved);
    engine.docker(["rmi", "-f", "whole:1"]).ok();
}

/// A file system where emulators of other machines' programs are registered.
struct Emulator(tempfile::TempDir);

impl Emulator {
    /// One for 64-bit ARM from the distribution's package; none where the kernel or the package has none.
    fn register(engine: &Engine) -> Option<Emulator> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/emulator.sh");
        let said = Command::new(script).arg(engine.path("emulator")).output().unwrap();
        if !said.status.success() {
            eprintln!("skipped: {}", String::from_utf8_lossy(&said.stderr));
            return None;
        }
        let at = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "binfmt_misc", "binfmt_misc"]).arg(at.path()).status();
        if !mounted.unwrap().success() {
            eprintln!("skipped: this kernel has no binfmt_misc");
            return None;
        }
        let emulator = Emulator(at);
        let program = engine.path("emulator/qemu-aarch64").display().to_string();
        // The magic of its ELF files; F: opened now, so that it is there in every root.
        let rule = format!(
            ":{}:M::\\x7f\\x45\\x4c\\x46\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:{program}:F",
            Emulator::NAME
        );
        fs::write(emulator.0.path().join("register"), rule).unwrap();
        Some(emulator)
    }

    const NAME: &str = "gantry-test-aarch64";
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may never have been registered.
        let _gone = fs::write(self.0.path().join(Emulator::NAME), "-1").is_ok();
        assert!(Command::new("umount").arg(self.0.path()).status().unwrap().success());
    }
}

#[test]
fn a_step_of_another_machine_says_what_it_needs_and_runs_with_it() {
    let Some(engine) = engine() else { return };
    let text = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"/bin/busybox uname -m > /arch\"]\n";
    let folder = context(&engine, "context", &[("Dockerfile", text)]);
    let Some(emulator) = Emulator::register(&engine) else { return };
    fs::copy(engine.path("emulator/busybox"), format!("{folder}/busybox")).unwrap();
    let out = engine.path("out");
    let to = out.display().to_string();
    let args = ["--platform", "linux/arm64", "--no-cache", "-o", &to, &folder];
    build(&engine, &args).ok();
    assert_eq!(fs::read_to_string(out.join("arch")).unwrap().trim(), "aarch64");
    drop(emulator);
    // Whoever has an emulator of their own on this machine is not asked again.
    let said = build(&engine, &args);
    if said.code != 0 {
        for word in ["exec format error", "the image is for linux/arm64", "binfmt_misc"] {
            assert!(said.stderr.contains(word), "{word:?} is not in {}", said.stderr);
        }
    }
}

#[test]
fn packages_of_an_image_are_listed() {
    let Some(engine) = engine() else { return };
    let status =
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u4\n";
    let files = [("Dockerfile", "FROM busybox\nCOPY status /var/lib/dpkg/status\n"), ("status", status)];
    let folder = context(&engine, "context", &files);
    let to = format!("type=oci,dest={}", engine.path("one").display());
    build(&engine, &["--sbom=true", "--provenance=false", "-o", &to, &folder]).ok();
    let layout = Layout::unpacked(&engine, "one");
    let top = layout.top();
    let packages = layout.statement(&top, 0, "spdx")["predicate"]["packages"].clone();
    let locator = packages[0]["externalRefs"][0]["referenceLocator"].as_str().unwrap();
    assert_eq!(locator, "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64");
}

#[test]
fn a_layout_in_a_folder_is_a_result_and_a_context() {
    let Some(engine) = engine() else { return };
    let folder = context(
        &engine,
        "base",
        &[("Dockerfile", "FROM busybox\nRUN echo from the layout > /base\nENV B=b\n")],
    );
    let at = engine.path("layout").display().to_string();
    build(&engine, &["--provenance=false", "-o", &format!("type=oci,tar=false,dest={at}"), &folder]).ok();
    let seen = Command::new("skopeo").args(["inspect", "--config", &format!("oci:{at}")]).output().unwrap();
    assert!(String::from_utf8_lossy(&seen.stdout).contains("B=b"), "{seen:?}");
    let text = "FROM base AS one\nRUN echo $B >> /base\nFROM busybox\nCOPY --from=one /base /one\nCOPY --from=base /base /two\nCMD cat /one /two\n";
    let app = context(&engine, "app", &[("Dockerfile", text)]);
    let named = format!("base=oci-layout://{at}");
    build(&engine, &["-t", "app", "--build-context", &named, &app]).ok();
    let said = engine.docker(["run", "--rm", "--network", "none", "app"]).ok();
    assert_eq!(said, "from the layout\nb\nfrom the layout");
    build(
        &engine,
        &[
            "-t",
            "other",
            "--build-context",
            "base=docker-image://app",
            &context(&engine, "third", &[("Dockerfile", "FROM base\nCMD cat /one\n")]),
        ],
    )
    .ok();
    assert_eq!(engine.docker(["run", "--rm", "--network", "none", "other"]).ok(), "from the layout\nb");
}

#[test]
fn layers_leave_as_they_were_asked_for_and_equal_builds_are_equal() {
    let Some(engine) = engine() else { return };
    let folder = context(
        &engine,
        "context",
        &[
            ("Dockerfile", "FROM busybox\nRUN echo x > /x && touch -d @2000000000 /x\nCOPY f /f\n"),
            ("f", "f"),
        ],
    );
    let types = |name: &str, attributes: &str| {
        let to = format!("type=oci,dest={},{attributes}", engine.path(name).display());
        build(&engine, &["--provenance=false", "-o", &to, &folder]).ok();
        let layout = Layout::unpacked(&engine, name);
        let layers = layout.top()["layers"].as_array().unwrap().clone();
        layers
            .iter()
            .map(|layer| layer["mediaType"].as_str().unwrap().rsplit('.').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(types("zstd", "compression=zstd,compression-level=9,force-compression=true"), ["tar+zstd"; 3]);
    assert_eq!(types("gzip", "compression=gzip,annotation.a=b"), ["tar+gzip"; 3]);
    let seen = Command::new("skopeo")
        .args(["inspect", &format!("oci-archive:{}", engine.path("zstd").display())])
        .output()
        .unwrap();
    assert!(seen.status.success(), "{seen:?}");
    let mut digests = Vec::new();
    for run in ["first", "second"] {
        let to =
            format!("type=oci,dest={},rewrite-timestamp=true,compression=gzip", engine.path(run).display());
        build(
            &engine,
            &[
                "--no-cache",
                "--provenance=false",
                "--build-arg",
                "SOURCE_DATE_EPOCH=1000000000",
                "-o",
                &to,
                &folder,
            ],
        )
        .ok();
        digests.push(Layout::unpacked(&engine, run).index()["manifests"][0]["digest"].clone());
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_linked_layer_survives_a_new_base() {
    let Some(engine) = engine() else { return };
    let files = |base: &str| {
        format!("FROM busybox\nRUN echo {base} > /base\nCOPY --link f /deep/f\nCOPY g /g\nRUN true\n")
    };
    let folder = context(&engine, "context", &[("Dockerfile", &files("one")), ("f", "f"), ("g", "g")]);
    build(&engine, &["-t", "one", &folder]).ok();
    fs::write(Path::new(&folder).join("Dockerfile"), files("two")).unwrap();
    let said = build(&engine, &["-t", "two", &folder]);
    let cached = |progress: &str, step: &str| {
        let number =
            progress.lines().find(|line| line.contains(step)).unwrap().split(' ').next().unwrap().to_owned();
        progress.lines().any(|line| line == format!("{number} CACHED"))
    };
    assert!(cached(&said.stderr, "COPY --link f") && !cached(&said.stderr, "COPY g"), "{}", said.stderr);
    let layer = |image: &str| engine.inspect(image, "{{index .RootFS.Layers 2}}");
    assert_eq!(layer("one"), layer("two"));
    assert_eq!(
        engine.docker(["run", "--rm", "--network", "none", "two", "cat", "/base", "/deep/f"]).ok(),
        "two\nf"
    );
}

#[test]
fn only_needed_files_travel_and_of_ten_thousand_only_the_changed_one() {
    let Some(engine) = engine() else { return };
    let text =
        "FROM busybox\nCOPY src /src\nRUN --mount=type=bind,source=one,target=/one cat /one/f > /seen\n";
    let folder = context(&engine, "context", &[("Dockerfile", text), ("one/f", "seen")]);
    for file in 0..10_000 {
        let path = format!("{folder}/src/{}/f{file}", file % 100);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(path, format!("{file:0200}")).unwrap();
    }
    fs::write(format!("{folder}/huge"), vec![0_u8; 30_000_000]).unwrap();
    let bytes = |said: &str| crate::buildkit::transferred(said);
    let first = build(&engine, &["-t", "app", &folder]).stderr;
    assert!(bytes(&first) > 2e6 && bytes(&first) < 6e6, "{first}");
    let again = build(&engine, &["-t", "app", &folder]).stderr;
    fs::write(format!("{folder}/src/7/f7"), "changed").unwrap();
    let changed = build(&engine, &["-t", "app", &folder]).stderr;
    // Names and times of all files are told each time; of bytes only those of one file.
    assert!(bytes(&changed) - bytes(&again) < 1000.0, "{again}\n{changed}");
    assert_eq!(
        engine.docker(["run", "--rm", "--network", "none", "app", "cat", "/src/7/f7", "/seen"]).ok(),
        "changedseen"
    );
}

#[test]
fn what_is_not_done_is_said_while_it_builds() {
    let Some(engine) = engine() else { return };
    let text =
        "# syntax=some.example/frontend:9\nFROM busybox\nRUN --device=vendor.example/thing echo built > /x\n";
    let folder = context(&engine, "context", &[("Dockerfile", text)]);
    let mut raw = engine.client();
    let said = raw.args(["buildx", "build", "--progress=rawjson", "-t", "app", &folder]).output().unwrap();
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{told}");
    let warnings: Vec<String> = told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .flat_map(|line| line["warnings"].as_array().cloned().unwrap_or_default())
        .filter_map(|warning| warning["short"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(warnings.len(), 2, "{told}");
    let classic = engine.client().env("DOCKER_BUILDKIT", "0").args(["build", &folder]).output().unwrap();
    let said = String::from_utf8_lossy(&classic.stdout).into_owned();
    assert!(said.contains("some.example/frontend:9") && said.contains("no CDI devices"), "{said}");
    let required = context(
        &engine,
        "required",
        &[("Dockerfile", "FROM busybox\nRUN --device=vendor.example/thing,required true\n")],
    );
    assert!(build(&engine, &[&required]).failed().contains("no CDI devices"));
}

#[test]
fn the_cache_keeps_within_what_the_settings_allow_and_names_are_told() {
    let Some(mut engine) = self::engine() else { return };
    engine.stop();
    let rules = r#"{"builder": {"gc": {"policy": [{"all": true, "maxUsedSpace": "1MB"}]}}}"#;
    fs::write(engine.path("daemon.json"), rules).unwrap();
    engine.launch();
    let text =
        "FROM busybox\nRUN dd if=/dev/zero of=/a bs=1M count=3\nRUN dd if=/dev/zero of=/b bs=1M count=3\n";
    let folder = context(&engine, "context", &[("Dockerfile", text)]);
    build(&engine, &["-t", "app", &folder]).ok();
    // What is above the bound goes behind the client's back.
    let begun = Instant::now();
    loop {
        let listed = engine.docker(["buildx", "du"]).ok();
        if listed.lines().any(|line| line.starts_with("Total:") && !line.contains("MB")) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{listed}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let inspected = engine.docker(["buildx", "inspect"]).ok();
    assert!(inspected.contains("Max Used Space"), "{inspected}");
    // `--until 0s` would be this second's beginning.
    let end = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1;
    let told = engine
        .docker([
            "events",
            "--since",
            "1",
            &format!("--until={end}"),
            "-f",
            "event=tag",
            "--format",
            "{{.Actor.Attributes.name}}",
        ])
        .ok();
    assert!(told.contains("app:latest"), "{told}");
}
