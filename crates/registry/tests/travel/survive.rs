//! kill -9 in the middle of many pushes, and collection while pushes go on.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gantry_names::Digest;

use crate::hostile::ask;
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

/// Ours over a file system of its own with so much room; `None` where we may not mount.
fn in_little_room(root: &Path, size: &str) -> Option<Program> {
    let script = r#"mount -t tmpfs -o size=$2 little "$1" && exec "$0" serve --addr 127.0.0.1:0 --root "$1""#;
    let mut child = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, PROGRAM])
        .arg(root)
        .arg(size)
        .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let line = lines.next().unwrap().unwrap();
    let Some((_, address)) = line.rsplit_once("address=") else {
        eprintln!("no file system of its own for the registry: {line}");
        child.wait().unwrap();
        return None;
    };
    let address = address.parse().unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    Some(Program { child, address })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_serves_on_and_takes_pushes_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = in_little_room(dir.path(), "8m") else { return };
    let to = registry.address;
    let settings = gantry_distribution::Settings { attempts: 1, ..Default::default() };
    let there = Traveller::with(settings);
    let (small, large) = (there.image(&[noise(1, 3 << 20)]), there.image(&[noise(2, 20 << 20)]));
    there.push(&format!("{to}/app:small"), &small).await.unwrap();
    let err = there.push(&format!("{to}/app:large"), &large).await.unwrap_err();
    assert!(err.to_string().contains("no space left in the registry's storage"), "{err}");
    // In one request too, with the status for it.
    let blob = noise(3, 8 << 20);
    let upload = format!("/v2/app/blobs/uploads/?digest={}", Digest::sha256_of(&blob));
    let answer = ask(to, "POST", &upload, "", &blob).await;
    assert!(answer.contains(" 507 ") && answer.contains("UNAVAILABLE"), "{answer}");
    assert_eq!(Traveller::new().pull(&format!("{to}/app:small")).await.unwrap().manifest.digest, small);
    Traveller::new().pull(&format!("{to}/app:large")).await.unwrap_err();

    // What the cut upload left is given up by its client's end or by time; deleting makes room at once.
    let gone = ask(to, "DELETE", "/v2/app/manifests/small", "", b"").await;
    assert!(gone.contains(" 202 "), "{gone}");
    let pid = registry.child.id();
    let collected = Command::new("nsenter")
        .args(["--mount", "--target", &pid.to_string(), PROGRAM, "garbage-collect"])
        .args(["--grace", "0s", "--delete-untagged", "--root"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
    let fits = there.image(&[noise(4, 2 << 20)]);
    there.push(&format!("{to}/app:again"), &fits).await.unwrap();
    assert_eq!(Traveller::new().pull(&format!("{to}/app:again")).await.unwrap().manifest.digest, fits);
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
