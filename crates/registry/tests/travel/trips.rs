//! Push and pull, as people do.

use std::collections::HashMap;

use gantry_distribution::{RegistryError, Settings};
use gantry_names::{Digest, Reference};

use crate::keeper::{Traveller, noise};
use crate::places::{Place, dockers};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_comes_back_as_it_went() {
    let place = Place::open().await;
    round_trip(&place.running.address().to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_travels_through_dockers_own_registry_just_so() {
    let dir = tempfile::tempdir().unwrap();
    let Some(docker) = dockers(dir.path()) else {
        eprintln!("docker-registry is not installed: nothing to compare with");
        return;
    };
    round_trip(&docker.address.to_string()).await;
}

async fn round_trip(host: &str) {
    let there = Traveller::new();
    let layers = [noise(1, 3 << 20), noise(2, 100), noise(3, 700_000)];
    let image = there.image(&layers);
    let name = format!("{host}/team/app:v1");
    let pushed = there.push(&name, &image).await.unwrap();
    assert_eq!(pushed.digest, image);
    let texts = there.texts();
    assert_eq!(texts[0], format!("The push refers to repository [{host}/team/app]"));
    assert_eq!(texts.iter().filter(|text| *text == "Preparing").count(), 3);
    assert_eq!(texts.iter().filter(|text| *text == "Pushed").count(), 3);
    assert_eq!(*texts.last().unwrap(), format!("v1: digest: {image} size: {}", pushed.size));

    there.push(&name, &image).await.unwrap();
    assert_eq!(there.texts().iter().filter(|text| *text == "Layer already exists").count(), 3);

    let sources: HashMap<Digest, String> =
        layers.iter().map(|layer| (Digest::sha256_of(layer), "team/app".to_owned())).collect();
    there.push_from(&format!("{host}/team/other:v1"), &image, &sources).await.unwrap();
    assert_eq!(there.texts().iter().filter(|text| *text == "Mounted from team/app").count(), 3);

    let here = Traveller::new();
    let pulled = here.pull(&name).await.unwrap();
    assert_eq!(pulled.manifest.digest, image);
    for layer in &layers {
        assert!(here.holds(&Digest::sha256_of(layer)));
    }
    assert!(here.holds(&pulled.image.config.digest) && here.holds(&image));
    let texts = here.texts();
    assert_eq!(texts[0], "Pulling from team/app");
    for step in ["Pulling fs layer", "Verifying Checksum", "Download complete"] {
        assert_eq!(texts.iter().filter(|text| *text == step).count(), 3, "{step} in {texts:?}");
    }
    let by_digest = here.pull(&format!("{host}/team/app@{image}")).await.unwrap();
    assert_eq!(by_digest.manifest.digest, image);
    let reference = Reference::parse(&name).unwrap();
    assert_eq!(here.registry.tags(&reference, &here.credentials).await.unwrap(), ["v1"]);
    let inspected = here.registry.inspect(&reference, &here.credentials).await.unwrap();
    assert_eq!((inspected.descriptor.digest, inspected.platforms[0].architecture.as_str()), (image, "amd64"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_brings_the_image_of_this_machine() {
    let place = Place::open().await;
    let there = Traveller::new();
    let (mine, other) = (there.image(&[noise(1, 10)]), there.image(&[noise(2, 10)]));
    let host = gantry_names::Platform::host();
    let entry = |digest: &Digest, os: &str, architecture: &str| {
        let size = std::fs::metadata(there.blobs.0.join(digest.hex())).unwrap().len();
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
            "platform": {"os": os, "architecture": architecture},
        })
    };
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry(&other, "plan9", "mips"), entry(&mine, &host.os, &host.architecture)],
    });
    let index = there.put(index.to_string().as_bytes());
    there.push(&place.at("multi:1"), &index).await.unwrap();
    let here = Traveller::new();
    let pulled = here.pull(&place.at("multi:1")).await.unwrap();
    assert_eq!((pulled.top.digest, pulled.manifest.digest), (index, mine));
    assert!(!here.holds(&Digest::sha256_of(&noise(2, 10))), "the other platform's layer stays there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_in_dockers_words() {
    let place = Place::open().await;
    let traveller = Traveller::new();
    let image = traveller.image(&[noise(1, 10)]);
    traveller.push(&place.at("app:v1"), &image).await.unwrap();
    let name = place.at("app:nosuch");
    let err = traveller.pull(&name).await.unwrap_err();
    assert_eq!(err.to_string(), format!("manifest for {name} not found: manifest unknown: manifest unknown"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let err = traveller.pull(&format!("{free}/app:v1")).await.unwrap_err();
    assert_eq!(
        err.to_string(),
        format!("Get \"http://{free}/v2/app/manifests/v1\": dial tcp {free}: connect: connection refused")
    );
    let missing = Digest::sha256_of(b"missing");
    let err = traveller.push(&place.at("app:v2"), &missing).await.unwrap_err();
    assert!(matches!(err, RegistryError::Missing(digest) if digest == missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_answers_for_docker_hub_without_a_network() {
    let place = Place::open().await;
    let there = Traveller::new();
    let image = there.image(&[noise(1, 10)]);
    there.push(&place.at("library/busybox:1"), &image).await.unwrap();
    let here = Traveller::with(Settings { mirrors: vec![place.url("")], ..Settings::default() });
    let pulled = here.pull("busybox:1").await.unwrap();
    assert_eq!(pulled.manifest.digest, image);
    assert_eq!(here.texts()[0], "Pulling from library/busybox");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_the_hub_never_answers_for_another_registry() {
    let place = Place::open().await;
    let there = Traveller::new();
    let image = there.image(&[noise(1, 10)]);
    there.push(&place.at("app:1"), &image).await.unwrap();
    let here = Traveller::with(Settings { mirrors: vec![place.url("")], ..Settings::default() });
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    here.pull(&format!("{other}/app:1")).await.unwrap_err();
    // By digest the content speaks for itself.
    let pulled = here.pull(&format!("{other}/app@{image}")).await.unwrap();
    assert_eq!(pulled.manifest.digest, image);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_by_name() {
    let place = Place::open().await;
    let traveller = Traveller::new();
    let image = traveller.image(&[noise(1, 10)]);
    for name in ["library/ubuntu:1", "me/ubuntu-tools:1", "debian:1"] {
        traveller.push(&place.at(name), &image).await.unwrap();
    }
    let found = traveller.registry.search(&place.at("ubuntu"), 25, &traveller.credentials).await.unwrap();
    let names: Vec<_> = found.iter().map(|result| result.name.as_str()).collect();
    assert_eq!(names, ["library/ubuntu", "me/ubuntu-tools"]);
}
