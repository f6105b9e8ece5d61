//! Whole images through real layers: needs root, for device nodes and overlay attributes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use gantry_archive::{Entry, Kind, PackedWriter, Packing, Reader, Writer};
use gantry_content::ContentStore;
use gantry_images::{
    CommitRequest, Error, ImageStore, ImportOptions, LoadOptions, Loaded, RemoveOptions, RunConfig,
    parse_changes,
};
use gantry_names::{Digest, Platform, Reference};
use gantry_snapshots::{RootView, Snapshotter};
use gantry_store::Store;
use serde_json::json;

struct House {
    images: ImageStore,
    snapshots: Arc<dyn Snapshotter>,
    folder: tempfile::TempDir,
}

fn house(driver: &str) -> House {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = gantry_snapshots::open(driver, &folder.path().join("snapshots")).unwrap();
    let content = ContentStore::open(&folder.path().join("content")).unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let images = ImageStore::open(store, content, Arc::clone(&snapshots)).unwrap();
    House { images, snapshots, folder }
}

impl House {
    fn load(&self, archive: Vec<u8>) -> Result<Vec<Loaded>, Error> {
        self.images.load(Cursor::new(archive), &LoadOptions::default(), &mut |_| {})
    }

    /// All paths of an image, each with what a file holds.
    fn seen(&self, name: &str) -> BTreeSet<String> {
        let image = self.images.inspect(name, None).unwrap();
        let chain = image.chain_id().map(|chain| chain.to_string());
        let rootfs = self.snapshots.view("look", chain.as_deref()).unwrap();
        let mut tar = Vec::new();
        RootView::of(&rootfs).unwrap().export(&mut tar).unwrap();
        self.snapshots.remove("look").unwrap();
        let mut reader = Reader::new(Cursor::new(tar));
        let mut seen = BTreeSet::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let mut text = String::new();
            if entry.kind == Kind::File {
                (&mut reader).take(100).read_to_string(&mut text).unwrap();
            }
            seen.insert(format!("{}={text}", String::from_utf8_lossy(&entry.name).trim_end_matches('/')));
        }
        seen
    }

    fn save(&self, names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut out = Vec::new();
        self.images.save(&names, None, &mut out).unwrap();
        out
    }

    fn blobs(&self) -> usize {
        let found = std::fs::read_dir(self.folder.path().join("content/blobs/sha256"));
        found.map_or(0, Iterator::count)
    }

    fn leftovers(&self) -> Vec<String> {
        let infos = self.snapshots.walk().unwrap();
        infos.into_iter().map(|info| info.name).filter(|name| !name.starts_with("sha256:")).collect()
    }
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, text) in files {
        match name.strip_suffix('/') {
            Some(folder) => writer.append_bytes(&Entry::dir(folder), b"").unwrap(),
            None => writer.append_bytes(&Entry::file(*name, text.len() as u64), text.as_bytes()).unwrap(),
        }
    }
    writer.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = PackedWriter::new(Vec::new(), Packing::Gzip(6));
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::sha256_of(layer)).collect();
    json!({ "architecture": Platform::host().architecture, "os": "linux", "config": { "Cmd": ["sh"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids } })
    .to_string()
    .into_bytes()
}

/// A docker-archive of one image; `stored` is what stands in the archive for each layer.
fn docker_archive(config: &[u8], stored: &[Vec<u8>], tags: &[&str]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut put = |name: &str, bytes: &[u8]| {
        writer.append_bytes(&Entry::file(name, bytes.len() as u64), bytes).unwrap();
    };
    put("config.json", config);
    let names: Vec<String> = (0..stored.len()).map(|number| format!("{number}/layer.tar")).collect();
    for (name, layer) in names.iter().zip(stored) {
        put(name, layer);
    }
    put(
        "manifest.json",
        json!([{ "Config": "config.json", "RepoTags": tags, "Layers": names }]).to_string().as_bytes(),
    );
    writer.finish().unwrap()
}

fn two_layers() -> (Vec<u8>, Vec<u8>) {
    let lower = tar(&[("etc/", ""), ("etc/a", "one"), ("etc/b", "two"), ("gone/", ""), ("gone/x", "x")]);
    let upper = tar(&[("etc/", ""), ("etc/.wh.b", ""), ("etc/c", "three"), (".wh.gone", "")]);
    (lower, upper)
}

fn each_driver(test: impl Fn(&House)) {
    for driver in ["overlay", "native"] {
        let house = house(driver);
        test(&house);
        assert_eq!(house.leftovers(), Vec::<String>::new(), "{driver}");
    }
}

#[test]
fn a_docker_archive_becomes_an_image_whatever_its_layers_are_compressed_with() {
    let (lower, upper) = two_layers();
    each_driver(|house| {
        for (stored, whole) in [
            (vec![lower.clone(), upper.clone()], false),
            (vec![gzip(&lower), gzip(&upper)], false),
            (vec![lower.clone(), upper.clone()], true),
        ] {
            let archive = docker_archive(&config(&[&lower, &upper]), &stored, &["app:1"]);
            let loaded = house.load(if whole { gzip(&archive) } else { archive }).unwrap();
            assert_eq!(loaded[0].reference.as_ref().unwrap().familiar(), "app:1");
            let expected = ["etc=", "etc/a=one", "etc/c=three"].map(String::from);
            assert_eq!(house.seen("app:1"), BTreeSet::from(expected));
        }
    });
}

#[test]
fn what_is_saved_is_loaded_again_as_the_same_image() {
    let (lower, upper) = two_layers();
    let archive = docker_archive(&config(&[&lower, &upper]), &[lower, upper], &["app:1", "app:2", "other:x"]);
    each_driver(|house| {
        let loaded = house.load(archive.clone()).unwrap();
        let saved = house.save(&["app", "other:x"]);
        assert_eq!(saved, house.save(&["app", "other:x"]), "saving is the same each time");
        let second = self::house("overlay");
        let again = second.load(gzip(&saved)).unwrap();
        let names: BTreeSet<String> =
            again.iter().map(|l| l.reference.as_ref().unwrap().familiar()).collect();
        assert_eq!(names, ["app:1", "app:2", "other:x"].map(String::from).into());
        assert!(again.iter().all(|l| l.id == loaded[0].id));
        assert_eq!(second.seen("app:2"), house.seen("app:1"));
        assert_eq!(second.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn the_first_format_of_archives_is_read() {
    let (lower, upper) = two_layers();
    let mut writer = Writer::new(Vec::new());
    let mut put = |name: &str, bytes: &[u8]| {
        writer.append_bytes(&Entry::file(name, bytes.len() as u64), bytes).unwrap();
    };
    let arch = Platform::host().architecture;
    put(
        "aa/json",
        json!({ "id": "aa", "architecture": arch, "os": "linux", "created": "2014-01-01T00:00:00Z" })
            .to_string()
            .as_bytes(),
    );
    put("aa/layer.tar", &lower);
    let top = json!({ "id": "bb", "parent": "aa", "architecture": arch, "os": "linux", "config": { "Cmd": ["old"] },
        "container_config": { "Cmd": ["/bin/sh", "-c", "make"] } });
    put("bb/json", top.to_string().as_bytes());
    put("bb/layer.tar", &upper);
    put("repositories", json!({ "old/app": { "v1": "bb" } }).to_string().as_bytes());
    let archive = writer.finish().unwrap();
    each_driver(|house| {
        house.load(archive.clone()).unwrap();
        let image = house.images.inspect("old/app:v1", None).unwrap();
        assert_eq!(image.config.config.as_ref().unwrap().cmd.as_deref(), Some(&["old".to_owned()][..]));
        assert_eq!(image.config.history[1].created_by, "/bin/sh -c make");
        assert!(house.seen("old/app:v1").contains("etc/c=three"));
    });
}

#[test]
fn broken_archives_are_refused_and_leave_nothing() {
    let (lower, upper) = two_layers();
    let good = config(&[&lower, &upper]);
    each_driver(|house| {
        let refuse = |archive: Vec<u8>, words: &str| {
            let told = house.load(archive).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        };
        refuse(docker_archive(&good, &[upper.clone(), lower.clone()], &[]), "invalid diffID for layer 0");
        refuse(
            docker_archive(&good, std::slice::from_ref(&lower), &[]),
            "layers length mismatch: expected 2, got 1",
        );
        refuse(tar(&[("README", "hello")]), "it has neither a manifest.json");
        refuse(tar(&[("manifest.json", "{")]), "manifest.json:");
        refuse(tar(&[("manifest.json", r#"[{"Config":"c","Layers":[]}]"#)]), "c is missing");
        refuse(b"this is no tar at all".to_vec(), "");
        let escape = tar(&[("../../escape", "x")]);
        refuse(docker_archive(&config(&[&escape]), std::slice::from_ref(&escape), &[]), "");
        assert!(house.images.list(&Default::default()).unwrap().is_empty());
    });
}

#[test]
fn an_import_is_an_image_of_one_layer_with_its_changes() {
    each_driver(|house| {
        let changes = parse_changes(&["CMD [\"hello\"]", "ENV A=1"], &RunConfig::default()).unwrap();
        let reference = Some(Reference::parse("mine").unwrap());
        let options =
            ImportOptions { changes, message: "by hand".into(), reference, ..ImportOptions::default() };
        house.images.import(Cursor::new(gzip(&tar(&[("hello", "x")]))), &options).unwrap();
        let image = house.images.inspect("mine:latest", None).unwrap();
        assert_eq!(image.config.config.as_ref().unwrap().cmd.as_deref(), Some(&["hello".to_owned()][..]));
        assert_eq!(image.comment(), "by hand");
        assert_eq!(house.seen("mine"), ["hello=x".to_owned()].into());
    });
}

/// A push packs a plain layer, and the image has two blobs of it from then on.
#[test]
fn an_image_that_was_pushed_is_removed_with_both_blobs_of_a_layer() {
    each_driver(|house| {
        let reference = Some(Reference::parse("mine").unwrap());
        let options = ImportOptions { reference, ..ImportOptions::default() };
        house.images.import(Cursor::new(tar(&[("hello", "x")])), &options).unwrap();
        let plain = house.images.inspect("mine", None).unwrap().record.layers[0].clone();
        let packed = house.images.departing(&plain, ()).unwrap().landed().unwrap().unwrap();
        let image = house.images.inspect("mine", None).unwrap();
        assert_eq!(image.record.layers[0].blob, packed.blob);
        assert_ne!(plain.blob, packed.blob);
        house.images.remove("mine", RemoveOptions::default(), &|_| Vec::new()).unwrap();
        assert_eq!(house.blobs(), 0);
    });
}

/// A stream that is refused at its beginning is not taken to its end, and nothing of it stays.
#[test]
fn an_import_that_fails_leaves_nothing() {
    struct Endless(Cursor<Vec<u8>>, u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 += buffer.len() as u64;
            assert!(self.1 < 256 << 20, "it is read on and on");
            match self.0.read(buffer)? {
                0 => Ok(buffer.len()),
                read => Ok(read),
            }
        }
    }
    each_driver(|house| {
        let mut bad = tar(&[("hello", "x")]);
        bad.truncate(1024);
        bad.extend([b'?'; 512]);
        let error = house.images.import(Endless(Cursor::new(bad), 0), &ImportOptions::default()).unwrap_err();
        assert!(error.to_string().contains("tar"), "{error}");
        assert!(house.leftovers().is_empty());
        assert_eq!(house.blobs(), 0);
    });
}

#[test]
fn a_commit_adds_one_layer_and_an_unchanged_container_adds_none() {
    let (lower, upper) = two_layers();
    each_driver(|house| {
        let archive = docker_archive(&config(&[&lower, &upper]), &[lower.clone(), upper.clone()], &["base"]);
        let base = house.load(archive).unwrap().remove(0).id;
        let chain = house.images.get(&base).unwrap().chain_id().unwrap().to_string();
        let rootfs = house.snapshots.prepare("container", Some(&chain)).unwrap();
        let request = CommitRequest {
            snapshot: "container".into(),
            parent: Some(base.clone()),
            author: "me".into(),
            comment: "why".into(),
            created_by: "sh".into(),
            reference: Some(Reference::parse("next").unwrap()),
            ..CommitRequest::default()
        };
        let unchanged = house.images.commit(&request).unwrap();
        assert_eq!(house.images.get(&unchanged).unwrap().record.layers.len(), 2);
        assert!(house.images.get(&unchanged).unwrap().config.history.last().unwrap().empty_layer);
        let view = RootView::of(&rootfs).unwrap();
        view.untar("/", Cursor::new(tar(&[("etc/new", "fresh"), ("etc/a", "changed")])), &Default::default())
            .unwrap();
        drop(view);
        let changed = house.images.commit(&request).unwrap();
        assert_eq!(house.images.get(&changed).unwrap().record.layers.len(), 3);
        let seen = house.seen("next");
        assert!(seen.contains("etc/new=fresh") && seen.contains("etc/a=changed"), "{seen:?}");
        house.snapshots.remove("container").unwrap();
    });
}

#[test]
fn removal_takes_layers_and_blobs_along() {
    let (lower, upper) = two_layers();
    each_driver(|house| {
        let archive = docker_archive(&config(&[&lower, &upper]), &[lower.clone(), upper.clone()], &["app"]);
        house.load(archive).unwrap();
        house.images.remove("app", RemoveOptions::default(), &|_| Vec::new()).unwrap();
        house.images.sweep(std::time::Duration::ZERO).unwrap();
        assert!(house.snapshots.walk().unwrap().is_empty());
        assert!(house.images.content().list().unwrap().is_empty());
    });
}

#[test]
fn archives_of_an_original_tool_are_read() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        println!("skopeo is not installed: nothing to read");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (lower, upper) = two_layers();
    std::fs::write(at("in.tar"), docker_archive(&config(&[&lower, &upper]), &[lower, upper], &["app:1"]))
        .unwrap();
    let copy = |to: &str| {
        let from = format!("docker-archive:{}", at("in.tar").display());
        let done =
            Command::new("skopeo").args(["--insecure-policy", "copy", "-q", &from, to]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let read = |path: &Path| std::fs::read(path).unwrap();
    copy(&format!("oci-archive:{}:example.org/app:2", at("oci.tar").display()));
    copy(&format!("docker-archive:{}:app:3", at("docker.tar").display()));
    each_driver(|house| {
        let oci = house.load(read(&at("oci.tar"))).unwrap();
        assert_eq!(oci[0].reference.as_ref().unwrap().familiar(), "example.org/app:2");
        house.load(read(&at("docker.tar"))).unwrap();
        assert_eq!(house.seen("example.org/app:2"), house.seen("app:3"));
    });
}

/// The same image as an OCI-like archive: layers named by their digest, manifest last, as Docker writes since 25.
fn digest_named(config: &[u8], layers: &[Vec<u8>], more: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut put = |name: &str, bytes: &[u8]| {
        writer.append_bytes(&Entry::file(name, bytes.len() as u64), bytes).unwrap();
    };
    let names: Vec<String> =
        layers.iter().map(|layer| format!("blobs/sha256/{}", Digest::sha256_of(layer).hex())).collect();
    for (name, layer) in names.iter().zip(layers) {
        put(name, layer);
    }
    for (name, bytes) in more {
        put(name, bytes);
    }
    put("config", config);
    put(
        "manifest.json",
        json!([{ "Config": "config", "RepoTags": ["big:1"], "Layers": names }]).to_string().as_bytes(),
    );
    writer.finish().unwrap()
}

fn big_layer() -> Vec<u8> {
    let noise: String =
        (0..40_000u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    tar(&[("big", &noise)])
}

#[test]
fn a_large_blob_that_is_no_layer_does_not_disturb() {
    let layer = big_layer();
    let attestation = format!("{{\"predicate\":\"{}\"}}", "x".repeat(300_000)).into_bytes();
    let name = format!("blobs/sha256/{}", Digest::sha256_of(&attestation).hex());
    let archive = digest_named(&config(&[&layer]), std::slice::from_ref(&layer), &[(&name, attestation)]);
    each_driver(|house| {
        house.load(archive.clone()).unwrap();
        assert_eq!(house.images.inspect("big:1", None).unwrap().record.layers.len(), 1);
    });
}

#[test]
fn a_layer_that_is_here_is_not_read_again_and_a_name_that_moves_is_told() {
    let layer = big_layer();
    let mut archive = digest_named(&config(&[&layer]), std::slice::from_ref(&layer), &[]);
    each_driver(|house| {
        let mut archive = archive.clone();
        let first = house.load(archive.clone()).unwrap();
        assert_eq!((first.len(), &first[0].previous), (1, &None));
        // What comes under a known digest is not looked at: its bytes could be anything.
        archive[2000] ^= 1;
        assert_eq!(house.load(archive).unwrap()[0].id, first[0].id);
        let other = docker_archive(&config(&[]), &[], &["big:1"]);
        assert_eq!(house.load(other).unwrap()[0].previous.as_ref(), Some(&first[0].id));
    });
    // On a machine without it the same bytes are refused.
    archive[2000] ^= 1;
    let told = house("overlay").load(archive).unwrap_err().to_string();
    assert!(told.starts_with("invalid diffID for layer 0"), "{told}");
}

#[test]
fn a_damaged_blob_is_told_by_name_when_saved_and_when_unpacked() {
    let layer = gzip(&big_layer());
    let plain = big_layer();
    each_driver(|house| {
        let id = house
            .load(docker_archive(&config(&[&plain]), std::slice::from_ref(&layer), &["app"]))
            .unwrap()
            .remove(0)
            .id;
        let image = house.images.get(&id).unwrap();
        let blob = image.record.layers[0].blob.clone();
        let path = house.images.content().path(&blob).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5000] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let told = house.images.save(&["app".to_owned()], None, &mut Vec::new()).unwrap_err().to_string();
        assert!(told.contains(blob.as_str()) && told.contains("damaged"), "{told}");
        house.snapshots.remove(image.chain_id().unwrap().as_str()).unwrap();
        let told = house.images.unpack(&house.images.lease(), &id).unwrap_err().to_string();
        assert!(told.contains(blob.as_str()) && told.contains("damaged"), "{told}");
    });
}

#[test]
fn containers_share_their_mount_points_and_do_not_show_them() {
    let layer = tar(&[("etc/", ""), ("etc/hosts", "mine")]);
    each_driver(|house| {
        let id = house
            .load(docker_archive(&config(&[&layer]), std::slice::from_ref(&layer), &["app"]))
            .unwrap()
            .remove(0)
            .id;
        let lease = house.images.lease();
        let parent = house.images.container_parent(&lease, &id).unwrap();
        assert_eq!(house.images.container_parent(&lease, &id).unwrap(), parent);
        let view = RootView::of(&house.snapshots.prepare("container", Some(&parent)).unwrap()).unwrap();
        for path in
            ["/proc", "/sys", "/dev/console", "/dev/shm", "/etc/resolv.conf", "/etc/mtab", "/.dockerenv"]
        {
            view.stat(path).unwrap();
        }
        assert_eq!(view.stat("/etc/hosts").unwrap().size, 4, "what the image has stays");
        drop(view);
        assert_eq!(house.snapshots.changes("container").unwrap(), vec![]);
        house.snapshots.remove("container").unwrap();
        drop(lease);
        house.images.remove("app", RemoveOptions::default(), &|_| Vec::new()).unwrap();
        assert!(house.snapshots.walk().unwrap().is_empty(), "they go with the image");
    });
}

#[test]
fn what_was_half_unpacked_when_the_engine_went_away_is_gone_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let snapshots = gantry_snapshots::open("overlay", &folder.path().join("snapshots")).unwrap();
        let content = ContentStore::open(&folder.path().join("content")).unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        (ImageStore::open(store, content, Arc::clone(&snapshots)).unwrap(), snapshots)
    };
    let (images, snapshots) = open();
    let layer = big_layer();
    let archive = docker_archive(&config(&[&layer]), std::slice::from_ref(&layer), &["app"]);
    let id = images.load(Cursor::new(archive), &LoadOptions::default(), &mut |_| {}).unwrap().remove(0).id;
    let chain = images.get(&id).unwrap().chain_id().unwrap().to_string();
    snapshots.remove(&chain).unwrap();
    snapshots.prepare("unpack-0123", None).unwrap();
    snapshots.prepare("container", None).unwrap();
    drop((images, snapshots));
    let (_images, snapshots) = open();
    let left: Vec<String> = snapshots.walk().unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(left, ["container".to_owned(), chain], "and a layer that was lost is there again");
}

/// An image of two platforms and an attestation that is larger than a small document, as a build leaves it.
fn two_platforms(house: &House, name: &str) -> Digest {
    let content = house.images.content();
    let put = |bytes: &[u8]| content.put(bytes).unwrap();
    let (mut all, mut entries, mut images) = (Vec::new(), Vec::new(), Vec::new());
    let oci = |what: &str| format!("application/vnd.oci.image.{what}");
    for architecture in [Platform::host().architecture.as_str(), "s390x"] {
        let layer = tar(&[("etc/", ""), ("etc/made-for", architecture), ("big", &"x".repeat(200 << 10))]);
        let blob = put(&layer);
        let config = json!({
            "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": [blob] },
        })
        .to_string();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci("manifest.v1+json"),
            "config": { "mediaType": oci("config.v1+json"), "digest": put(config.as_bytes()), "size": config.len() },
            "layers": [{ "mediaType": oci("layer.v1.tar"), "digest": blob, "size": layer.len() }],
        })
        .to_string();
        let platform = json!({ "architecture": architecture, "os": "linux" });
        entries.push(json!({
            "mediaType": oci("manifest.v1+json"), "digest": put(manifest.as_bytes()), "size": manifest.len(), "platform": platform,
        }));
        all.extend([blob, put(config.as_bytes()), put(manifest.as_bytes())]);
        images.push((config, layer, manifest));
    }
    let said = json!({ "says": "y".repeat(300 << 10) }).to_string();
    let nothing =
        json!({ "architecture": "unknown", "os": "unknown", "rootfs": { "type": "layers", "diff_ids": [] } })
            .to_string();
    let attestation = json!({
        "schemaVersion": 2, "mediaType": oci("manifest.v1+json"),
        "config": { "mediaType": oci("config.v1+json"), "digest": put(nothing.as_bytes()), "size": nothing.len() },
        "layers": [{ "mediaType": "application/vnd.in-toto+json", "digest": put(said.as_bytes()), "size": said.len() }],
    })
    .to_string();
    entries.push(json!({
        "mediaType": oci("manifest.v1+json"), "digest": put(attestation.as_bytes()), "size": attestation.len(),
        "platform": { "architecture": "unknown", "os": "unknown" },
    }));
    all.extend([put(said.as_bytes()), put(nothing.as_bytes()), put(attestation.as_bytes())]);
    let index =
        json!({ "schemaVersion": 2, "mediaType": oci("index.v1+json"), "manifests": entries }).to_string();
    let lease = house.images.lease();
    let (config, layer, manifest) = &images[0];
    let layer = house.images.ingest_layer(&lease, None, None, layer.as_slice()).unwrap();
    let options = gantry_images::CreateOptions {
        manifest: Some(put(manifest.as_bytes())),
        index: Some(put(index.as_bytes())),
        companions: all,
        ..gantry_images::CreateOptions::default()
    };
    let id = house.images.create(config.as_bytes(), vec![layer], &options).unwrap();
    house.images.set_reference(&Reference::parse(name).unwrap(), &id).unwrap();
    options.index.unwrap()
}

#[test]
fn an_image_of_several_platforms_goes_and_comes_whole() {
    let from = house("overlay");
    let index = two_platforms(&from, "both:1");
    let archive = from.save(&["both:1"]);
    let to = house("overlay");
    let loaded = to.load(archive.clone()).unwrap();
    assert_eq!(loaded.len(), 1);
    let image = to.images.inspect("both:1", None).unwrap();
    assert_eq!(image.record.whole(), Some(&index));
    assert_eq!(image.record.companions.len(), 9);
    let other = Platform::parse("linux/s390x").unwrap();
    assert_eq!(to.images.inspect("both:1", Some(&other)).unwrap().config.architecture, "s390x");
    let members = |archive: &[u8]| {
        let mut reader = Reader::new(Cursor::new(archive));
        let mut names = BTreeSet::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            names.insert((String::from_utf8_lossy(&entry.name).into_owned(), entry.size));
        }
        names
    };
    assert_eq!(members(&to.save(&["both:1"])), members(&archive), "the same goes out again");
    // One platform alone.
    let mut alone = Vec::new();
    to.images.save(&["both:1".to_owned()], Some(&other), &mut alone).unwrap();
    assert!(alone.len() < archive.len() / 2, "{} bytes of {}", alone.len(), archive.len());
    let third = house("overlay");
    let options = LoadOptions { platform: Some(other.clone()) };
    third.images.load(Cursor::new(alone), &options, &mut |_| {}).unwrap();
    let image = third.images.inspect("both:1", Some(&other)).unwrap();
    assert_eq!((image.config.architecture.as_str(), image.record.whole()), ("s390x", None));
    // All of it goes with its name.
    to.images.remove("both:1", RemoveOptions { force: true, no_prune: false }, &|_| Vec::new()).unwrap();
    let _frees_the_rest = to.images.sweep(std::time::Duration::ZERO).unwrap();
    assert!(!to.images.content().contains(&index));
}
