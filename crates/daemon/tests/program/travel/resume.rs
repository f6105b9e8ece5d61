//! Lines that break and engines that die: what has come stays.

use std::io::Read;

use super::line::Line;
use super::registry::Registry;
use crate::harness::Engine;

/// The large layer, which does not compress.
const LARGE: usize = 24 << 20;
/// Manifests, config, small layer and the heads of all answers.
const REST: u64 = 1_500_000;

/// Pushes an image `big`: busybox and a layer of so many random bytes. Returns its name.
pub fn push_big(registry: &str, size: usize) -> String {
    let engine = Engine::shared(&[]).with_busybox();
    let mut bytes = vec![0; size];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    let file = engine.path("noise");
    std::fs::write(&file, &bytes).unwrap();
    engine.docker(["create", "--name", "box", "--network", "none", "busybox"]).ok();
    engine.docker(["cp", "-q", &file.display().to_string(), "box:/noise"]).ok();
    let name = format!("{registry}/big");
    engine.docker(["commit", "box", &name]).ok();
    engine.docker(["push", "-q", &name]).ok();
    name
}

/// A registry with an image `big`, of [`LARGE`] bytes.
fn registry_with_big() -> Registry {
    let registry = Registry::start();
    push_big(&registry.address, LARGE);
    registry
}

#[test]
fn five_cuts_cost_next_to_nothing() {
    let registry = registry_with_big();
    let line = Line::cut(&registry.address, 5, 3 << 20);
    let engine = Engine::shared(&[]);
    let name = format!("{}/big", line.address);
    engine.docker(["pull", &name]).ok();
    assert!(line.cuts_left() <= 0, "{} cuts are left", line.cuts_left());
    let most = (LARGE as u64 + REST) * 105 / 100;
    assert!(line.came() <= most, "{} bytes came, {most} are allowed", line.came());
    let size = engine.docker(["run", "--rm", "--network", "none", &name, "stat", "-c", "%s", "/noise"]).ok();
    assert_eq!(size, LARGE.to_string());
}

#[test]
fn a_pull_that_was_killed_fetches_only_the_rest() {
    let registry = registry_with_big();
    let line = Line::to(&registry.address);
    line.slow(true);
    let mut engine = Engine::shared(&[]);
    let name = format!("{}/big", line.address);
    let pulling = engine.client().args(["pull", "-q", &name]).stderr(std::process::Stdio::null()).spawn();
    line.until(12 << 20);
    engine.crash();
    pulling.unwrap().wait().unwrap();
    line.slow(false);
    engine.launch();
    engine.docker(["pull", &name]).ok();
    let most = (LARGE as u64 + REST) * 105 / 100 + (1 << 20);
    assert!(line.came() <= most, "{} bytes came, {most} are allowed", line.came());
    let size = engine.docker(["run", "--rm", "--network", "none", &name, "stat", "-c", "%s", "/noise"]).ok();
    assert_eq!(size, LARGE.to_string());
}

#[test]
fn two_pulls_of_one_image_fetch_it_once() {
    let registry = registry_with_big();
    let line = Line::to(&registry.address);
    line.slow(true);
    let engine = Engine::shared(&[]);
    let name = format!("{}/big", line.address);
    std::thread::scope(|scope| {
        let pulls = [0, 1].map(|_| scope.spawn(|| engine.docker(["pull", "-q", &name])));
        for pull in pulls {
            pull.join().unwrap().ok();
        }
    });
    let most = (LARGE as u64 + REST) * 105 / 100;
    assert!(line.came() <= most, "{} bytes came, {most} are allowed", line.came());
}
