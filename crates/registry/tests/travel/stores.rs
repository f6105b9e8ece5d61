//! The registry on far storage: everything it does on files it does there.

use std::path::Path;
use std::time::Duration;

use gantry_names::Digest;
use gantry_registry::Running;
use gantry_registry::config::Config;

use crate::cuts::bad_line;
use crate::hostile::{ask, ask_bytes};
use crate::keeper::{Traveller, noise};
use crate::places;
use crate::providers::{self, Login, Provider};

async fn serve(directory: &Path, storage: &str, more: &str) -> Running {
    let text = format!(
        "version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\nhttp: {{addr: 127.0.0.1:0}}\nstorage:\n  {storage}\n{more}\ngantry: {{workdirectory: {}, collect: {{grace: 0s}}}}\n",
        directory.display()
    );
    gantry_registry::start(Config::from_text(&text, Vec::new()).unwrap()).await.unwrap()
}

/// Every object the registry keeps, through its own catalogue.
async fn catalogue(registry: &Running) -> String {
    ask(registry.address(), "GET", "/v2/_catalog", "", b"").await
}

/// A life: push in parts, mount, pull, a cut upload that goes on in the next life, redirect or not, delete, collect.
async fn journey(storage: &str, signs: bool) {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let there = Traveller::new();
    let large = noise(1, 13_000_000);
    let image = there.image(&[large.clone(), noise(2, 3000)]);
    let registry = serve(here, storage, "").await;
    let to = registry.address();
    assert!(ask(to, "GET", "/debug/health", "", b"").await.contains(" 200 "));
    there.push(&format!("{to}/team/app:1"), &image).await.unwrap();
    let digest = Digest::sha256_of(&large);
    let mounted = format!("/v2/other/blobs/uploads/?mount={digest}&from=team/app");
    assert!(ask(to, "POST", &mounted, "", b"").await.contains(" 201 "));

    let redirected = ask(to, "GET", &format!("/v2/team/app/blobs/{digest}"), "", b"").await;
    assert_eq!(redirected.contains(" 307 "), signs, "{}", &redirected[..200.min(redirected.len())]);
    let pulled = Traveller::new().pull(&format!("{to}/team/app:1")).await.unwrap();
    assert_eq!(pulled.manifest.digest, image);

    let begun = ask(to, "POST", "/v2/cut/blobs/uploads/", "", b"").await;
    let location = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
    assert!(ask(to, "PATCH", &location, "Content-Range: 0-4\r\n", b"hello").await.contains(" 202 "));
    registry.stop().await;

    let registry = serve(here, storage, "  redirect: {disable: true}\n").await;
    let to = registry.address();
    assert!(ask(to, "PATCH", &location, "Content-Range: 5-9\r\n", b"world").await.contains(" 202 "));
    let done = format!("{location}?digest={}", Digest::sha256_of(b"helloworld"));
    assert!(ask(to, "PUT", &done, "", b"").await.contains(" 201 "));
    let pulled = Traveller::new().pull(&format!("{to}/team/app:1")).await.unwrap();
    assert_eq!(pulled.manifest.digest, image);
    let range = ask(to, "GET", &format!("/v2/team/app/blobs/{digest}"), "Range: bytes=3-9\r\n", b"").await;
    assert!(range.contains(" 206 ") && range.contains("content-length: 7"), "{range}");
    let listed = catalogue(&registry).await;
    assert!(listed.contains("team/app"), "{listed}");

    let tagged = ask(to, "DELETE", "/v2/team/app/manifests/1", "", b"").await;
    assert!(tagged.contains(" 202 "), "{tagged}");
    registry.stop().await;
    let config = here.join("config.yml");
    std::fs::write(
        &config,
        format!("version: 0.1\nstorage:\n  {storage}\ngantry: {{workdirectory: {}}}\n", here.display()),
    )
    .unwrap();
    let collected = tokio::task::spawn_blocking(move || {
        std::process::Command::new(crate::places::PROGRAM)
            .args(["garbage-collect", "--grace", "0s", "--delete-untagged"])
            .arg(config)
            .output()
            .unwrap()
    });
    let collected = collected.await.unwrap();
    let said = String::from_utf8_lossy(&collected.stdout).into_owned();
    assert!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
    // The manifest, its config, two layers, and the blob of the cut upload that no image names.
    assert!(said.contains("5 blobs deleted"), "{said}");
    let registry = serve(here, storage, "").await;
    assert!(
        ask(registry.address(), "GET", &format!("/v2/team/app/blobs/{digest}"), "", b"")
            .await
            .contains("BLOB_UNKNOWN")
    );
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_lives_on_s3() {
    if let Some(provider) = providers::s3().await {
        journey(&provider.storage, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_lives_on_google_cloud_storage() {
    if let Some(provider) = providers::gcs().await {
        journey(&provider.storage, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_lives_on_azure() {
    let directory = tempfile::tempdir().unwrap();
    if let Some(provider) = providers::azure(directory.path()).await {
        journey(&provider.storage, true).await;
    }
}

/// What is in the container, by Swift's own listing.
async fn objects(provider: &Provider) -> Vec<String> {
    let who = "X-Auth-User: test:tester\r\nX-Auth-Key: testing\r\n";
    let passed = ask(provider.address, "GET", "/auth/v1.0", who, b"").await;
    let header = |name: &str| {
        let line =
            passed.lines().find_map(|line| line.to_lowercase().starts_with(name).then(|| line.to_owned()));
        line.unwrap().split_once(": ").unwrap().1.trim().to_owned()
    };
    let (token, storage) = (header("x-auth-token"), header("x-storage-url"));
    let path = storage.splitn(4, '/').nth(3).unwrap().to_owned();
    let listed =
        ask(provider.address, "GET", &format!("/{path}/images"), &format!("X-Auth-Token: {token}\r\n"), b"")
            .await;
    listed.lines().filter(|line| line.starts_with("deep/")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_lives_on_swift_and_leaves_no_segment() {
    for login in [Login::One, Login::Dynamic] {
        let directory = tempfile::tempdir().unwrap();
        let Some(provider) = providers::swift(directory.path(), login).await else { return };
        journey(&provider.storage, true).await;
        let left = objects(&provider).await;
        assert!(left.iter().any(|key| key.starts_with("deep/down/files/")), "{left:?}");
        assert!(!left.iter().any(|key| key.contains("segments/")), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_logs_in_with_keystone() {
    for login in [Login::Two, Login::Three] {
        let directory = tempfile::tempdir().unwrap();
        let Some(provider) = providers::swift(directory.path(), login).await else { return };
        journey(&provider.storage, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swift_that_forgot_its_tokens_is_logged_in_to_again() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(provider) = providers::swift(there.path(), Login::One).await else { return };
    let registry = serve(here.path(), &provider.storage, "").await;
    let client = Traveller::new();
    let image = client.image(&[noise(5, 9_000_000)]);
    client.push(&format!("{}/a:1", registry.address()), &image).await.unwrap();
    let address = provider.address;
    drop(provider);
    // Its parts die after it: what still answers is the old one.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let Some(_provider) = providers::swift_at(there.path(), Login::One, address).await else { return };
    client.push(&format!("{}/a:2", registry.address()), &image).await.unwrap();
    let pulled = Traveller::new().pull(&format!("{}/a:2", registry.address())).await.unwrap();
    assert_eq!(pulled.manifest.digest, image);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_breaks_off_at_swift_is_gone_on_with() {
    for login in [Login::One, Login::Dynamic] {
        let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let Some(provider) = providers::swift(there.path(), login).await else { return };
        let client = Traveller::new();
        let layer = noise(6, 11_000_000);
        let image = client.image(std::slice::from_ref(&layer));
        let registry = serve(here.path(), &provider.storage, "").await;
        client.push(&format!("{}/a:1", registry.address()), &image).await.unwrap();
        registry.stop().await;

        // Swift names itself as it was asked for, so all of it goes this way.
        let (line, through) = bad_line(provider.address, 3, 2_000_000).await;
        let storage = provider.storage.replace(&provider.address.to_string(), &line.to_string());
        assert_ne!(storage, provider.storage);
        let registry = serve(here.path(), &storage, "  redirect: {disable: true}\n").await;
        let blob = format!("/v2/a/blobs/{}", Digest::sha256_of(&layer));
        let answer = ask_bytes(registry.address(), &blob).await;
        assert!(answer.ends_with(&layer), "{} bytes came", answer.len());
        let bytes = through.load(std::sync::atomic::Ordering::Relaxed);
        assert!(bytes > layer.len() as u64, "{bytes} went another way");
        assert!(bytes < layer.len() as u64 + 4_000_000, "{bytes} bytes for {}", layer.len());
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_swift_refuses_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let Some(provider) = providers::swift(directory.path(), Login::One).await else { return };
    let storage = provider.storage.replace("password: testing", "password: wrong");
    let text = format!(
        "storage:\n  {storage}\nhttp: {{addr: 127.0.0.1:0}}\ngantry: {{workdirectory: {}}}\n",
        directory.path().display()
    );
    let started = gantry_registry::start(Config::from_text(&text, Vec::new()).unwrap()).await;
    let said = started.err().unwrap().to_string();
    assert!(said.contains("was refused: 401"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dockers_registry_and_ours_share_a_swift() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(provider) = providers::swift(there.path(), Login::One).await else { return };
    let Some(theirs) = places::dockers_on(here.path(), &provider.storage.replace(", secretkey: signs", ""))
    else {
        return;
    };
    let client = Traveller::new();
    let (large, small) = (noise(7, 9_000_000), noise(8, 5_000));
    let image = client.image(&[large.clone(), small]);
    client.push(&format!("{}/theirs:1", theirs.address), &image).await.unwrap();
    let registry = serve(here.path(), &provider.storage, "").await;
    let pulled = Traveller::new().pull(&format!("{}/theirs:1", registry.address())).await.unwrap();
    assert_eq!(pulled.manifest.digest, image);
    let other = client.image(&[noise(9, 9_000_000)]);
    client.push(&format!("{}/ours:1", registry.address()), &other).await.unwrap();
    let pulled = Traveller::new().pull(&format!("{}/ours:1", theirs.address)).await.unwrap();
    assert_eq!(pulled.manifest.digest, other);
    // Its dynamic object goes with its segments.
    assert!(objects(&provider).await.iter().any(|key| key.contains("/segments/")));
    for (repository, tag) in [("theirs", "1"), ("ours", "1")] {
        let gone =
            ask(registry.address(), "DELETE", &format!("/v2/{repository}/manifests/{tag}"), "", b"").await;
        assert!(gone.contains(" 202 "), "{gone}");
    }
    registry.stop().await;
    drop(theirs);
    let registry = serve(here.path(), &provider.storage, "").await;
    let collected = ask(registry.address(), "GET", "/v2/_catalog", "", b"").await;
    assert!(collected.contains("ours"), "{collected}");
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_store_that_is_away_is_told_and_acknowledges_nothing() {
    let Some(provider) = providers::s3().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let registry = serve(directory.path(), &provider.storage, "").await;
    drop(provider);
    let digest = Digest::sha256_of(b"x");
    let upload = format!("/v2/a/blobs/uploads/?digest={digest}");
    let asked = ask(registry.address(), "POST", &upload, "", b"x");
    let answer = tokio::time::timeout(Duration::from_secs(120), asked).await.unwrap();
    assert!(answer.contains(" 50"), "{answer}");
    assert!(ask(registry.address(), "GET", "/debug/health", "", b"").await.contains(" 503 "));
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_are_told_at_the_start() {
    for (storage, told) in [
        ("swift: {authurl: \"http://x\"}", "storage.swift.container is not set"),
        (
            "swift: {container: a, authurl: \"http://x\", username: a, password: b, authversion: 7}",
            "authversion is 1",
        ),
        ("s3: {region: x}", "storage.s3.bucket is not set"),
        ("oss: {}", "filesystem, s3, gcs, azure, swift"),
    ] {
        let text = format!("storage:\n  {storage}\nhttp: {{addr: 127.0.0.1:0}}\n");
        let Err(err) = gantry_registry::start(Config::from_text(&text, Vec::new()).unwrap()).await else {
            panic!("{storage} was taken");
        };
        assert!(err.to_string().contains(told), "{storage}: {err}");
    }
}
