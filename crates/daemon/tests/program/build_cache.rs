//! Caches that travel: from one engine to a fresh one, by a folder, by a registry, inside an image.

use std::fs;
use std::process::{Command, Stdio};

use crate::buildkit::{build, context, with_plugin};
use crate::harness::{Engine, busybox, gantry};
use crate::travel::registry::Registry;

/// Two stages; what the first one made says when it was run.
const FILE: &str = "FROM busybox AS made\nRUN cat /proc/sys/kernel/random/uuid > /when\nENV A=b\nRUN echo more >> /when\n\
                    FROM busybox\nCOPY --from=made /when /when\nRUN cat /when > /seen\n";

fn fresh() -> Option<Engine> {
    let engine = with_plugin(|| Engine::shared(&[]))?;
    engine.docker(["load", "-q", "-i", &busybox().display().to_string()]).ok();
    Some(engine)
}

fn when(engine: &Engine, image: &str) -> String {
    engine.docker(["run", "--rm", "--network", "none", image, "cat", "/seen"]).ok()
}

#[test]
fn a_fresh_engine_takes_the_steps_of_another_from_a_folder_and_from_a_registry() {
    let (Some(one), Some(two), Some(three)) = (fresh(), fresh(), fresh()) else { return };
    let registry = Registry::start();
    let folder = context(&one, "context", &[("Dockerfile", FILE)]);
    let (kept, name) = (one.path("kept").display().to_string(), registry.image("team/cache:1"));
    let to_folder = format!("type=local,mode=max,dest={kept}");
    let to_registry = format!("type=registry,mode=max,compression=zstd,ref={name}");
    build(&one, &["-t", "app", "--cache-to", &to_folder, "--cache-to", &to_registry, &folder]).ok();
    let made = when(&one, "app");

    let from = format!("type=local,src={kept}");
    let said = build(&two, &["-t", "app", "--cache-from", &from, &folder]);
    assert_eq!(said.stderr.matches("CACHED").count(), 6, "{}", said.stderr);
    assert!(said.stderr.contains("importing cache manifest from local:sha256:"), "{}", said.stderr);
    assert_eq!(when(&two, "app"), made);

    let from = format!("type=registry,ref={name}");
    let said = build(&three, &["-t", "app", "--cache-from", &from, &folder]);
    assert_eq!(said.stderr.matches("CACHED").count(), 6, "{}", said.stderr);
    assert_eq!(when(&three, "app"), made);
    // It is an artifact like any other: a client of registries reads it.
    let raw = three.docker(["buildx", "imagetools", "inspect", "--raw", &name]).ok();
    let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.buildkit.cacheconfig.v0");
    assert!(manifest["layers"][0]["mediaType"].as_str().unwrap().ends_with("tar+zstd"), "{raw}");
}

#[test]
fn a_cache_that_is_gone_is_told_and_costs_a_build_and_no_more() {
    let Some(engine) = fresh() else { return };
    let registry = Registry::start();
    let folder = context(&engine, "context", &[("Dockerfile", "FROM busybox\nRUN echo x > /x\n")]);
    let from = format!("type=registry,ref={}", registry.image("never/was:1"));
    let said = build(&engine, &["-t", "app", "--cache-from", &from, &folder]);
    assert!(said.stderr.contains("importing cache manifest from"), "{}", said.stderr);
    said.ok();
    let kept = engine.path("kept").display().to_string();
    let to = format!("type=local,dest={kept}");
    build(&engine, &["--cache-to", &to, &folder]).ok();
    // A blob of the cache is damaged: its step is run.
    let blobs: Vec<_> =
        fs::read_dir(format!("{kept}/blobs/sha256")).unwrap().map(|e| e.unwrap().path()).collect();
    for blob in blobs.iter().filter(|blob| fs::read(blob).unwrap().starts_with(&[0x1f, 0x8b])) {
        fs::write(blob, "damaged").unwrap();
    }
    engine.docker(["buildx", "prune", "-af"]).ok();
    engine.docker(["rmi", "app"]).ok();
    let said = build(&engine, &["-t", "app", "--cache-from", &format!("type=local,src={kept}"), &folder]);
    assert!(said.stderr.contains("a cached step cannot be had"), "{}", said.stderr);
    said.ok();
    let refused =
        build(&engine, &["--cache-to", "type=azblob,name=x,account_url=http://127.0.0.1:1", &folder]);
    assert!(refused.stderr.contains("unknown cache exporter"), "{}", refused.stderr);
}

#[test]
fn an_image_of_a_registry_brings_the_steps_it_was_built_with() {
    let (Some(one), Some(two)) = (fresh(), fresh()) else { return };
    let registry = Registry::start();
    let name = registry.image("team/app:1");
    let folder = context(
        &one,
        "context",
        &[("Dockerfile", "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /seen\nENV A=1\n")],
    );
    build(&one, &["-t", &name, "--cache-to", "type=inline", "--output", "type=image,push=true", &folder])
        .ok();
    let said = build(&two, &["-t", "app", "--cache-from", &name, &folder]);
    assert_eq!(said.stderr.matches("CACHED").count(), 2, "{}", said.stderr);
    assert_eq!(when(&two, "app"), when(&one, &name));
}

#[test]
fn our_own_client_keeps_a_cache_in_a_folder() {
    let one = Engine::start();
    let folder = context(&one, "context", &[("Dockerfile", FILE)]);
    let kept = one.path("kept").display().to_string();
    let build = |args: &[&str]| {
        let mut command = Command::new(gantry());
        command.arg("-H").arg(one.host()).args(["build", "--progress", "plain"]).args(args).arg(&folder);
        let output = command.env("DOCKER_CONFIG", one.path("client")).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        told
    };
    build(&["-t", "app", "--cache-to", &format!("type=local,mode=max,dest={kept}")]);
    let made = when(&one, "app");
    one.docker(["rmi", "app"]).ok();
    one.docker(["builder", "prune", "-af"]).ok();
    let told = build(&["-t", "app", "--cache-from", &format!("type=local,src={kept}")]);
    assert_eq!(told.matches("CACHED").count(), 6, "{told}");
    assert_eq!(when(&one, "app"), made);
    let told = build(&["--cache-from", "type=local,src=/nowhere/at/all"]);
    assert!(told.contains("local cache import at /nowhere/at/all skipped"), "{told}");
}
