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
