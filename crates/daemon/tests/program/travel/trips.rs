//! There and back: what arrives is what left.

use std::process::Command;

use super::line::Line;
use super::registry::Registry;
use crate::harness::{Engine, busybox, gantry};

/// The digest that a push's last line names.
fn digest(said: &str) -> String {
    let line = said.lines().find(|line| line.contains("digest: sha256:")).unwrap_or_else(|| panic!("{said}"));
    line.split(' ').nth(2).unwrap().to_owned()
}

#[test]
fn what_is_pushed_is_pulled_elsewhere_under_the_same_digest() {
    let registry = Registry::start();
    let (here, there) = (Engine::shared(&[]).with_busybox(), Engine::shared(&[]));
    let name = registry.image("team/box:1");
    here.docker(["tag", "busybox", &name]).ok();
    let said = here.docker(["push", &name]).ok();
    let repository = registry.image("team/box");
    assert!(said.starts_with(&format!("The push refers to repository [{repository}]\n")), "{said}");
    assert!(said.contains(": Preparing\n") && said.contains(": Pushed\n"), "{said}");
    let pushed = digest(&said);
    let by_digest = format!("{repository}@{pushed}");
    let digests = ["image", "inspect", "-f", "{{join .RepoDigests \" \"}}"];
    assert_eq!(here.docker(digests.iter().chain(&["busybox"])).ok(), by_digest);

    let said = there.docker(["pull", &name]).ok();
    assert!(said.starts_with("1: Pulling from team/box\n"), "{said}");
    assert!(said.contains(": Pull complete\n") && said.contains(&format!("\nDigest: {pushed}\n")), "{said}");
    assert!(said.contains(&format!("Status: Downloaded newer image for {name}\n")), "{said}");
    let id = |engine: &Engine, name: &str| engine.docker(["images", "-q", "--no-trunc", name]).ok();
    assert_eq!(id(&there, &name), id(&here, "busybox"));
    assert_eq!(there.docker(digests.iter().chain(&[name.as_str()])).ok(), by_digest);
    assert_eq!(there.docker(["run", "--rm", "--network", "none", &name, "echo", "hi"]).ok(), "hi");

    let again = there.docker(["pull", &name]).ok();
    assert!(again.contains(": Already exists\n") && !again.contains("Pull complete"), "{again}");
    assert!(again.contains("Status: Image is up to date for"), "{again}");
    assert_eq!(digest(&there.docker(["push", &name]).ok()), pushed, "a pulled image keeps its manifest");
    there.docker(["rmi", &name]).ok();
    there.docker(["pull", "-q", &by_digest]).ok();
    assert!(there.docker(["image", "inspect", &by_digest]).ok().contains(&pushed));

    let seen = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}"])
        .arg(format!("docker://{name}"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&seen.stdout).trim(), pushed, "{seen:?}");
}

#[test]
fn layers_are_mounted_and_all_tags_travel() {
    let registry = Registry::start();
    let (here, there) = (Engine::shared(&[]).with_busybox(), Engine::shared(&[]));
    here.docker(["tag", "busybox", &registry.image("one:1")]).ok();
    here.docker(["push", &registry.image("one:1")]).ok();
    let two = registry.image("two");
    for tag in ["a", "b"] {
        here.docker(["tag", "busybox", &format!("{two}:{tag}")]).ok();
    }
    let said = here.docker(["push", "-a", &two]).ok();
    assert!(said.contains(": Mounted from one\n"), "{said}");
    assert!(said.contains("a: digest: ") && said.contains("b: digest: "), "{said}");
    let said = there.docker(["pull", "-a", &two]).ok();
    assert!(said.contains("a: Pulling from two\n") && said.contains("b: Pulling from two\n"), "{said}");
    assert!(said.contains(&format!("Status: Downloaded newer image for {two}\n")), "{said}");
    assert_eq!(there.docker(["images", "--format", "{{.Tag}}", &two]).ok().lines().count(), 2);
}

#[test]
fn what_is_not_there_is_told_in_dockers_words() {
    let registry = Registry::start();
    let engine = Engine::shared(&[]).with_busybox();
    let (nope, tag) = (registry.image("nope"), registry.image("box"));
    let err = engine.docker(["push", &nope]).failed();
    assert_eq!(err, format!("An image does not exist locally with the tag: {nope}"));
    engine.docker(["tag", "busybox", &tag]).ok();
    let err = engine.docker(["push", &format!("{tag}:2")]).failed();
    assert_eq!(err, format!("tag does not exist: {tag}:2"));
    let err = engine.docker(["pull", &nope]).failed();
    assert!(err.contains(&format!("manifest for {nope}:latest not found: manifest unknown")), "{err}");
    // A port nobody listens on.
    let err = engine.docker(["pull", "127.0.0.1:1/x"]).failed();
    assert!(err.contains("connect: connection refused"), "{err}");
    engine.docker(["push", &tag]).ok();
    let (status, found) = engine.http("GET", &format!("/distribution/{tag}/json"), "");
    assert_eq!(status, 200);
    assert_eq!(found["Platforms"][0]["os"], "linux");
    let found = engine.docker(["search", "--format", "{{.Name}}", &registry.image("bo")]).ok();
    assert_eq!(found, "box");
    let err = engine.docker(["search", "--limit", "101", "x"]).failed();
    assert!(err.contains("limit 101 is outside the range of [1, 100]"), "{err}");
    let err = engine.docker(["search", "--filter", "size=3", "x"]).failed();
    assert!(err.contains("invalid filter 'size'"), "{err}");
}

#[test]
fn a_loaded_image_is_not_fetched_again_and_a_damaged_blob_is() {
    let registry = Registry::start();
    let line = Line::to(&registry.address);
    let (here, there) = (Engine::shared(&[]).with_busybox(), Engine::shared(&[]).with_busybox());
    here.docker(["tag", "busybox", &registry.image("box")]).ok();
    let pushed = digest(&here.docker(["push", &registry.image("box")]).ok());
    let name = format!("{}/box", line.address);
    let said = there.docker(["pull", &name]).ok();
    assert!(said.contains(": Already exists\n") && line.came() < 8_000, "{} bytes: {said}", line.came());
    assert_eq!(digest(&there.docker(["push", &name]).ok()), pushed);

    // On the engine it was packed on, the layer's blob is what the registry has: spoil it.
    let layer = here.path("data/content/blobs/sha256");
    let largest = std::fs::read_dir(layer).unwrap().map(|entry| entry.unwrap().path());
    let mut largest: Vec<_> = largest.collect();
    largest.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
    let packed = largest.iter().rev().find(|path| std::fs::read(path).unwrap().starts_with(&[0x1f, 0x8b]));
    let packed = packed.expect("it was packed to be pushed");
    let mut bytes = std::fs::read(packed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(packed, &bytes).unwrap();
    let saved = here.path("saved.tar").display().to_string();
    assert_ne!(here.docker(["save", "-o", &saved, "busybox"]).code, 0, "the damage is told");
    here.docker(["pull", &registry.image("box")]).ok();
    here.docker(["save", "-o", &saved, "busybox"]).ok();
}

/// Our own client, which speaks with registries itself.
fn client(engine: &Engine, words: &[&str]) -> String {
    let mut command = Command::new(gantry());
    let told = command.args(words).env("DOCKER_CONFIG", engine.path("client")).output().unwrap();
    assert!(told.status.success(), "{words:?}: {told:?}");
    String::from_utf8_lossy(&told.stdout).trim_end().to_owned()
}

#[test]
fn an_index_is_made_of_images_and_carried_to_another_registry() {
    let (registry, other) = (Registry::start(), Registry::start());
    let (here, there) = (Engine::shared(&[]).with_busybox(), Engine::shared(&[]));
    let (one, list) = (registry.image("one:1"), registry.image("list:1"));
    here.docker(["tag", "busybox", &one]).ok();
    let pushed = digest(&here.docker(["push", &one]).ok());
    client(&here, &["manifest", "create", &list, &one]);
    client(&here, &["manifest", "annotate", "--os-version", "7", &list, &one]);
    let made = client(&here, &["manifest", "push", "--purge", &list]);
    let shown = client(&here, &["manifest", "inspect", &list]);
    assert!(shown.contains(&pushed) && shown.contains("\"os.version\": \"7\""), "{shown}");
    // Docker's client reads it as well.
    assert!(here.docker(["manifest", "inspect", "--insecure", &list]).ok().contains(&pushed));

    let copy = other.image("far/list:2");
    client(&here, &["imagetools", "create", "-t", &copy, &list]);
    let seen = client(&here, &["imagetools", "inspect", &copy]);
    assert!(seen.contains(&made) && seen.contains(&pushed), "{seen}");
    there.docker(["pull", "-q", &copy]).ok();
    assert_eq!(there.docker(["run", "--rm", "--network", "none", &copy, "echo", "hi"]).ok(), "hi");
}

#[test]
fn an_image_is_copied_between_engines_and_only_what_lacks_moves() {
    let (here, there) = (Engine::shared(&[]).with_busybox(), Engine::shared(&[]).with_busybox());
    here.docker(["create", "--name", "box", "--network", "none", "busybox"]).ok();
    here.docker(["cp", "-q", &busybox().display().to_string(), "box:/more"]).ok();
    here.docker(["commit", "box", "more:1"]).ok();
    let address = |engine: &Engine| format!("unix://{}", engine.path("gantry.sock").display());
    let (from, to) = (address(&here), address(&there));
    let said = client(&here, &["-H", &from, "image", "copy", "more:1", &to]);
    assert!(said.starts_with("more:1: 1 of 2 layers to copy\n"), "{said}");
    let id = |engine: &Engine| engine.docker(["images", "-q", "--no-trunc", "more:1"]).ok();
    assert_eq!(id(&here), id(&there));
    assert_eq!(there.docker(["run", "--rm", "--network", "none", "more:1", "ls", "/more"]).ok(), "/more");
    there.docker(["rmi", "more:1"]).ok();
    let said = client(&here, &["-H", &to, "image", "copy", "--from", &from, "-q", "more:1"]);
    assert_eq!(said, "more:1");
    assert_eq!(id(&here), id(&there));
}

#[test]
fn a_platform_is_chosen_from_an_index_and_another_is_told() {
    let registry = Registry::start();
    let (here, there) = (Engine::shared(&[]).with_busybox(), Engine::shared(&[]));
    let (one, two, list) = (registry.image("one:1"), registry.image("two:1"), registry.image("list:1"));
    here.docker(["tag", "busybox", &one]).ok();
    let mine = here.docker(["inspect", "-f", "{{.Os}}/{{.Architecture}}", "busybox"]).ok();
    here.docker(["push", "-q", "--platform", &mine, &one]).ok();
    let err = here.docker(["push", "--platform", "linux/s390x", &one]).failed();
    assert!(err.contains("does not match the specified platform (linux/s390x)"), "{err}");
    let image = here.docker(["create", "--network", "none", "busybox"]).ok();
    here.docker(["commit", "-c", "ENV OTHER=1", &image, &two]).ok();
    here.docker(["push", "-q", &two]).ok();
    client(&here, &["manifest", "create", &list, &one, &two]);
    client(&here, &["manifest", "annotate", "--arch", "s390x", &list, &two]);
    client(&here, &["manifest", "push", &list]);

    let env = |engine: &Engine| engine.docker(["inspect", "-f", "{{.Config.Env}}", &list]).ok();
    there.docker(["pull", "-q", &list]).ok();
    assert!(!env(&there).contains("OTHER"));
    let said = there.docker(["pull", "--platform", "linux/s390x", &list]).ok();
    assert!(env(&there).contains("OTHER"), "{said}");
    // The platform it came under is not what its config says: as with Docker, told and left to the person.
    assert!(said.contains("WARNING: image with reference") && said.contains("(linux/s390x)"), "{said}");
    let err = there.docker(["pull", "--platform", "linux/riscv64", &list]).failed();
    assert!(err.contains("no matching manifest for linux/riscv64 in the manifest list entries"), "{err}");
}
