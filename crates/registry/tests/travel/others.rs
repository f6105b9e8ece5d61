//! Other people's clients: skopeo and crane, where they are installed.

use std::process::Command;

use gantry_names::Digest;
use serde_json::json;

use crate::keeper::{Traveller, noise};
use crate::places::Place;

fn ran(program: &str, arguments: &[&str]) -> Option<String> {
    let done = Command::new(program).args(arguments).output().ok()?;
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

fn skopeo(arguments: &[&str]) -> Option<String> {
    ran("skopeo", arguments)
}

/// crane speaks plain HTTP with this machine by itself.
fn crane(arguments: &[&str]) -> Option<String> {
    tokio::task::block_in_place(|| ran("crane", arguments))
}

#[tokio::test(flavor = "multi_thread")]
async fn crane_looks_copies_pushes_and_deletes() {
    let place = Place::open().await;
    let there = Traveller::new();
    let image = there.image(&[noise(1, 2_000_000), noise(2, 10)]);
    there.push(&place.at("app:1"), &image).await.unwrap();
    let Some(digest) = crane(&["digest", &place.at("app:1")]) else {
        eprintln!("crane is not installed: nothing to compare with");
        return;
    };
    assert_eq!(digest, image.to_string());
    let told = |arguments: &[&str]| crane(arguments).unwrap();
    assert!(told(&["manifest", &place.at("app:1")]).contains("\"layers\""));
    assert!(told(&["config", &place.at("app:1")]).contains("amd64"));
    told(&["copy", &place.at("app:1"), &place.at("other/app:2")]);
    told(&["tag", &place.at("other/app:2"), "3"]);
    assert_eq!(told(&["ls", &place.at("other/app")]), "2\n3");
    assert_eq!(told(&["catalog", &place.running.address().to_string()]), "app\nother/app");
    let kept = place.dir.path().join("kept").display().to_string();
    told(&["pull", "--format=oci", &place.at("other/app:3"), &kept]);
    told(&["push", &kept, &place.at("third:1")]);
    assert_eq!(Traveller::new().pull(&place.at("third:1")).await.unwrap().manifest.digest, image);
    told(&["delete", &place.at(&format!("third@{image}"))]);
    Traveller::new().pull(&place.at("third:1")).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_an_index_whole_and_packs_its_layers_anew() {
    let place = Place::open().await;
    let there = Traveller::new();
    let entry = |digest: &Digest, architecture: &str| {
        let size = std::fs::metadata(there.blobs.0.join(digest.hex())).unwrap().len();
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture},
        })
    };
    let images = [there.image(&[noise(1, 100_000)]), there.image(&[noise(2, 100_000)])];
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry(&images[0], "amd64"), entry(&images[1], "s390x")],
    });
    let index = there.put(index.to_string().as_bytes());
    there.push(&place.at("list:1"), &index).await.unwrap();
    let url = |name: &str| format!("docker://{}", place.at(name));
    let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    let copy = |words: &[&str]| {
        let all = [&["copy"][..], &plain, words].concat();
        tokio::task::block_in_place(|| skopeo(&all))
    };
    if copy(&["--all", "--preserve-digests", &url("list:1"), &url("copied:1")]).is_none() {
        eprintln!("skopeo is not installed: nothing to compare with");
        return;
    }
    assert_eq!(Traveller::new().pull(&place.at("copied:1")).await.unwrap().top.digest, index);
    // Of one registry it would take the layers over as they are.
    let other = Place::open().await;
    let packed = other.at("packed:1");
    copy(&["--all", "--dest-compress-format=zstd", &url("list:1"), &format!("docker://{packed}")]);
    let pulled = Traveller::new().pull(&packed).await.unwrap();
    assert_eq!(pulled.image.layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+zstd");
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_takes_what_we_pushed_and_we_take_what_skopeo_pushed() {
    let place = Place::open().await;
    let there = Traveller::new();
    let layer = noise(1, 2_000_000);
    let image = there.image(std::slice::from_ref(&layer));
    there.push(&place.at("app:1"), &image).await.unwrap();
    let url = |name: &str| format!("docker://{}", place.at(name));
    let kept = place.dir.path().join("kept").display().to_string();
    let from = ["copy", "--src-tls-verify=false", &url("app:1"), &format!("dir:{kept}")];
    if tokio::task::block_in_place(|| skopeo(&from)).is_none() {
        eprintln!("skopeo is not installed: nothing to compare with");
        return;
    }
    let copied = std::fs::read(format!("{kept}/{}", Digest::sha256_of(&layer).hex())).unwrap();
    assert!(copied == layer);
    let back = ["copy", "--dest-tls-verify=false", &format!("dir:{kept}"), &url("other:2")];
    tokio::task::block_in_place(|| skopeo(&back));
    let pulled = Traveller::new().pull(&place.at("other:2")).await.unwrap();
    assert_eq!(pulled.image.layers[0].digest, Digest::sha256_of(&layer));
    let listed =
        tokio::task::block_in_place(|| skopeo(&["list-tags", "--tls-verify=false", &url("app")])).unwrap();
    assert!(listed.contains("\"1\""), "{listed}");
    tokio::task::block_in_place(|| skopeo(&["delete", "--tls-verify=false", &url("app:1")]));
    Traveller::new().pull(&place.at("app:1")).await.unwrap_err();
}
