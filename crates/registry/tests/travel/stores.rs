//! The registry on far storage: everything it does on files it does there.

use std::path::Path;
use std::time::Duration;

use gantry_names::Digest;
use gantry_registry::Running;
use gantry_registry::config::Config;

use crate::hostile::ask;
use crate::keeper::{Traveller, noise};
use crate::providers;

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
        ("swift: {authurl: \"http://x\"}", "s3api"),
        ("s3: {region: x}", "storage.s3.bucket is not set"),
        ("oss: {}", "filesystem, s3, gcs, azure"),
    ] {
        let text = format!("storage:\n  {storage}\nhttp: {{addr: 127.0.0.1:0}}\n");
        let Err(err) = gantry_registry::start(Config::from_text(&text, Vec::new()).unwrap()).await else {
            panic!("{storage} was taken");
        };
        assert!(err.to_string().contains(told), "{storage}: {err}");
    }
}
