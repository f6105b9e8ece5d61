//! The pull-through cache.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use gantry_names::Digest;

use crate::cuts::bad_line;
use crate::keeper::{Traveller, noise};
use crate::places::Place;

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_brings_once_and_serves_while_upstream_is_down() {
    let upstream = Place::open().await;
    let there = Traveller::new();
    let layer = noise(3, 5 << 20);
    let image = there.image(&[layer.clone(), noise(4, 50)]);
    there.push(&upstream.at("team/app:1"), &image).await.unwrap();
    let (line, through) = bad_line(upstream.running.address(), 0, 0).await;
    let cache = Place::configured(&format!("proxy: {{remoteurl: 'http://{line}'}}")).await;

    // Two at once, neither of which knows of the other.
    let (one, two) = (Traveller::new(), Traveller::new());
    let name = cache.at("team/app:1");
    let (a, b) = tokio::join!(one.pull(&name), two.pull(&name));
    assert_eq!((a.unwrap().manifest.digest, b.unwrap().manifest.digest), (image.clone(), image.clone()));
    assert!(one.holds(&Digest::sha256_of(&layer)) && two.holds(&Digest::sha256_of(&layer)));

    let bytes = through.load(std::sync::atomic::Ordering::Relaxed);
    assert!(bytes < layer.len() as u64 + 20_000, "{bytes} bytes came from upstream");

    let err = one.push(&cache.at("team/app:2"), &image).await.unwrap_err();
    assert!(!one.texts().is_empty());
    assert!(err.to_string().contains("there") || one.pull(&cache.at("team/app:2")).await.is_err());

    upstream.running.stop().await;
    let three = Traveller::new();
    assert_eq!(three.pull(&name).await.unwrap().manifest.digest, image);
    three.pull(&cache.at("team/unseen:1")).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moved_upstream_moves_here() {
    let upstream = Place::open().await;
    let there = Traveller::new();
    let (old, new) = (there.image(&[noise(1, 10)]), there.image(&[noise(2, 10)]));
    there.push(&upstream.at("app:1"), &old).await.unwrap();
    let cache = Place::configured(&format!("proxy: {{remoteurl: \"{}\"}}", upstream.url(""))).await;
    let here = Traveller::new();
    assert_eq!(here.pull(&cache.at("app:1")).await.unwrap().manifest.digest, old);
    there.push(&upstream.at("app:1"), &new).await.unwrap();
    assert_eq!(here.pull(&cache.at("app:1")).await.unwrap().manifest.digest, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_upstream_reaches_no_client_and_is_not_kept() {
    let upstream = Place::open().await;
    let there = Traveller::new();
    let layer = noise(5, 300_000);
    let digest = Digest::sha256_of(&layer);
    let image = there.image(&[layer]);
    there.push(&upstream.at("app:1"), &image).await.unwrap();
    let blob = format!("docker/registry/v2/blobs/sha256/{}/{}/data", &digest.hex()[..2], digest.hex());
    let path = upstream.root.join(&blob);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let cache = Place::configured(&format!("proxy: {{remoteurl: \"{}\"}}", upstream.url(""))).await;
    let here = Traveller::with(gantry_distribution::Settings { attempts: 1, ..Default::default() });
    here.pull(&cache.at("app:1")).await.unwrap_err();
    assert!(!here.holds(&digest));
    assert!(!cache.root.join(&blob).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_several_registries_answers_for_each_and_for_no_other() {
    let mirror = Place::open().await;
    let there = Traveller::new();
    let (ours, theirs) = (there.image(&[noise(1, 10)]), there.image(&[noise(2, 10)]));
    there.push(&mirror.at("team/app:1"), &ours).await.unwrap();
    there.push(&mirror.at("ghcr.example/team/app:1"), &theirs).await.unwrap();
    there.push(&mirror.at("quay.example_8443/team/app:1"), &theirs).await.unwrap();
    let mirrors = vec![mirror.url("")];
    let here = Traveller::with(gantry_distribution::Settings { mirrors, attempts: 1, ..Default::default() });
    for name in ["ghcr.example/team/app:1", "quay.example:8443/team/app:1"] {
        assert_eq!(here.pull(name).await.unwrap().manifest.digest, theirs);
    }
    // There is a `team/app` here, but it is not that registry's.
    here.pull("other.example/team/app:1").await.unwrap_err();

    let upstream = Place::open().await;
    there.push(&upstream.at("team/app:1"), &theirs).await.unwrap();
    let cache = Place::configured(&format!("proxy: {{remoteurl: '{}'}}", upstream.url(""))).await;
    let mirrors = vec![cache.url("")];
    let here = Traveller::with(gantry_distribution::Settings { mirrors, attempts: 1, ..Default::default() });
    let name = upstream.at("team/app:1");
    here.pull(&name).await.unwrap();
    upstream.running.stop().await;
    let mirrors = vec![cache.url("")];
    let again = Traveller::with(gantry_distribution::Settings { mirrors, attempts: 1, ..Default::default() });
    assert_eq!(again.pull(&name).await.unwrap().manifest.digest, theirs);
    again.pull("other.example/team/app:1").await.unwrap_err();
}

/// CVE-2026-33540: upstream, or who stands between, names a token service of somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn upstream_does_not_say_who_is_told_a_caches_password() {
    let (thief, seen) = asks_for_a_login(None);
    let (upstream, heard) = asks_for_a_login(Some(&thief));
    let (honest, told) = asks_for_a_login(None);
    for upstream in [&upstream, &honest] {
        let settings = format!("proxy: {{remoteurl: 'http://{upstream}', username: ann, password: secret}}");
        let cache = Place::configured(&settings).await;
        Traveller::new().pull(&cache.at("team/app:1")).await.unwrap_err();
    }
    assert!(!heard.lock().unwrap().is_empty());
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new(), "the thief");
    // Upstream's own service is asked, with the password.
    assert!(told.lock().unwrap().iter().any(|head| head.contains("/token?") && head.contains("Basic ")));
}

/// A server that has tokens given out by `realm`, or by itself, and never gives one; and what it was asked.
fn asks_for_a_login(realm: Option<&str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (realm, heads) = (realm.unwrap_or(&address).to_owned(), Arc::<Mutex<Vec<String>>>::default());
    let all = Arc::clone(&heads);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            all.lock().unwrap().push(head.join("\n"));
            let login = format!("WWW-Authenticate: Bearer realm=\"http://{realm}/token\",service=\"x\"\r\n");
            let answer =
                format!("HTTP/1.1 401 Unauthorized\r\n{login}Connection: close\r\nContent-Length: 0\r\n\r\n");
            // Who has hung up has seen enough.
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    (address, heads)
}
