//! kill -9 in the middle of many pushes, and collection while pushes go on.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gantry_names::Digest;

use crate::keeper::{Traveller, noise};
use crate::places::{PROGRAM, Program, program, serve};

/// Every blob below a root: those whose bytes are not their name are told.
fn blobs(root: &Path) -> (HashSet<String>, Vec<String>) {
    let (mut all, mut broken) = (HashSet::new(), Vec::new());
    let Ok(shards) = std::fs::read_dir(root.join("docker/registry/v2/blobs/sha256")) else {
        return (all, broken);
    };
    for shard in shards {
        for blob in std::fs::read_dir(shard.unwrap().path()).unwrap() {
            let blob = blob.unwrap();
            let name = blob.file_name().into_string().unwrap();
            match std::fs::read(blob.path().join("data")) {
                Ok(bytes) if Digest::sha256_of(&bytes).hex() == name => {}
                _ => broken.push(name.clone()),
            }
            all.insert(name);
        }
    }
    (all, broken)
}

fn collect(root: &Path, grace: &str) {
    let done = Command::new(PROGRAM)
        .args(["garbage-collect", "--grace", grace, "--delete-untagged", "--root"])
        .arg(root)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_registry_keeps_every_acknowledged_push_and_no_orphan() {
    const PUSHERS: u64 = 8;
    const PUSHES: u64 = 1000;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let there = Arc::new(Traveller::new());
    let mut acknowledged: Vec<(String, Digest)> = Vec::new();
    let next = Arc::new(AtomicU64::new(0));
    // Five lives, each ended in the middle of what it did; the work goes on in the next.
    for life in 1..=5 {
        let mut registry: Program = program(&root);
        let address = registry.address;
        let dead = Arc::new(AtomicBool::new(false));
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|_| {
                let (there, next, dead) = (Arc::clone(&there), Arc::clone(&next), Arc::clone(&dead));
                tokio::spawn(async move {
                    let mut done = Vec::new();
                    while !dead.load(Ordering::Relaxed) {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= PUSHES {
                            break;
                        }
                        let image =
                            there.image(&[noise(n, 3000 + (n as usize % 50) * 400), noise(n % 7, 500)]);
                        let name = format!("many/app{}:v{n}", n % 20);
                        if there.push(&format!("{address}/{name}"), &image).await.is_ok() {
                            done.push((name, image));
                        }
                    }
                    done
                })
            })
            .collect();
        while next.load(Ordering::Relaxed) < life * PUSHES / 5 {
            tokio::task::yield_now().await;
        }
        registry.child.kill().unwrap();
        registry.child.wait().unwrap();
        dead.store(true, Ordering::Relaxed);
        for pusher in pushers {
            acknowledged.extend(pusher.await.unwrap());
        }
    }
    assert!(acknowledged.len() > 500, "only {} pushes were acknowledged", acknowledged.len());

    let registry = program(&root);
    let here = Traveller::new();
    let mut needed = HashSet::new();
    for (name, image) in &acknowledged {
        let pulled = here.pull(&format!("{}/{name}", registry.address)).await.unwrap();
        assert_eq!(pulled.manifest.digest, *image);
    }
    drop(registry);
    collect(&root, "0s");
    let (all, broken) = blobs(&root);
    assert!(broken.is_empty(), "{broken:?}");
    // A tag that a broken push left half made is gone, and what a tag leads to, acknowledged or not, is whole; nothing
    // else is there.
    let registry = program(&root);
    for n in 0..20 {
        let name = gantry_names::Reference::parse(&format!("{}/many/app{n}", registry.address)).unwrap();
        for tag in here.registry.tags(&name, &here.credentials).await.unwrap() {
            let pulled = here.pull(&format!("{}:{tag}", name.name())).await.unwrap();
            needed.insert(pulled.manifest.digest.hex().to_owned());
            needed.insert(pulled.image.config.digest.hex().to_owned());
            needed.extend(pulled.image.layers.iter().map(|layer| layer.digest.hex().to_owned()));
        }
    }
    assert_eq!(all, needed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_during_pushes_loses_none_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let registry = program(&root);
    let address = registry.address;
    let over = Arc::new(AtomicBool::new(false));
    let collector = std::thread::spawn({
        let (over, root) = (Arc::clone(&over), root.clone());
        move || {
            let mut rounds = 0;
            while !over.load(Ordering::Relaxed) {
                // Short enough that layers go and come, long enough that most pushes get through.
                collect(&root, "200ms");
                rounds += 1;
            }
            rounds
        }
    });
    let there = Traveller::new();
    let mut acknowledged = Vec::new();
    for n in 0..120u64 {
        // The same few layers again and again, so that the collector and the pushes want the same blobs.
        let image = there.image(&[noise(n % 3, 5000), noise(n % 5, 800)]);
        let name = format!("{address}/app:v{}", n % 4);
        // A push slower than the grace may be told that its blob went; then it is not acknowledged.
        if there.push(&name, &image).await.is_ok() {
            acknowledged.retain(|(known, _)| *known != name);
            acknowledged.push((name, image));
        }
    }
    over.store(true, Ordering::Relaxed);
    assert!(collector.join().unwrap() > 0);
    assert!(!acknowledged.is_empty());
    for (name, image) in &acknowledged {
        assert_eq!(Traveller::new().pull(name).await.unwrap().manifest.digest, *image);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_dockers_registry_is_served_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let there = Traveller::new();
    let image = there.image(&[noise(1, 5000)]);
    {
        let Some(docker) = crate::places::dockers(dir.path()) else { return };
        there.push(&format!("{}/team/app:1", docker.address), &image).await.unwrap();
    }
    std::fs::rename(dir.path().join("docker"), dir.path().join("data")).unwrap();
    let running = serve(dir.path(), "").await;
    let pulled = Traveller::new().pull(&format!("{}/team/app:1", running.address())).await.unwrap();
    assert_eq!(pulled.manifest.digest, image);
}
