//! Other people's clients: skopeo, where it is installed.

use std::process::Command;

use gantry_names::Digest;

use crate::keeper::{Traveller, noise};
use crate::places::Place;

fn skopeo(arguments: &[&str]) -> Option<String> {
    let done = Command::new("skopeo").args(arguments).output().ok()?;
    assert!(done.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8_lossy(&done.stdout).into_owned())
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
