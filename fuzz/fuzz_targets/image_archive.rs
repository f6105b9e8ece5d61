#![no_main]
//! No archive of images makes `load` panic or lose the store: Docker's of all eras and OCI layouts. The input is a list of
//! members (which name, how long, content), so that what is found lies behind the tar format; a name of a blob is its true digest.

use std::sync::LazyLock;

use gantry_archive::{Entry, Writer};
use gantry_images::{ImageStore, LoadOptions};
use gantry_names::Digest;
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 10] = [
    "manifest.json",
    "index.json",
    "oci-layout",
    "repositories",
    "config.json",
    "layer.tar",
    "a/VERSION",
    "a/json",
    "a/layer.tar",
    "b/json",
];

static STORE: LazyLock<(tempfile::TempDir, ImageStore)> = LazyLock::new(|| {
    // In memory: each load waits for the disk more than once.
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let snapshots = gantry_snapshots::open("native", folder.path()).expect("snapshots");
    let content = gantry_content::ContentStore::open(&folder.path().join("content")).expect("content");
    let store = gantry_store::Store::open(&folder.path().join("store.db")).expect("a store");
    let images = ImageStore::open(store, content, snapshots).expect("images");
    (folder, images)
});

fn archive(mut data: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    while let [which, high, low, rest @ ..] = data {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(rest.len());
        let (content, left) = rest.split_at(length);
        let name = match NAMES.get(usize::from(*which)) {
            Some(name) => (*name).to_owned(),
            None => format!("blobs/sha256/{}", Digest::sha256_of(content).hex()),
        };
        writer.append_bytes(&Entry::file(name, length as u64), content).expect("memory takes it");
        data = left;
    }
    writer.finish().expect("memory takes it")
}

fuzz_target!(|data: &[u8]| {
    let images = &STORE.1;
    let loaded = images.load(std::io::Cursor::new(archive(data)), &LoadOptions::default(), &mut |_| {});
    for one in loaded.into_iter().flatten() {
        images.inspect(&one.id.to_string(), None).expect("what was loaded is there");
    }
    let _ = images.load(std::io::Cursor::new(data.to_vec()), &LoadOptions::default(), &mut |_| {});
});
