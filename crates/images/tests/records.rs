//! Names, removal, listing and history: Docker's rules, over images without layers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use gantry_content::ContentStore;
use gantry_images::{
    CreateOptions, Error, Filters, ImageStore, Labels, ListOptions, PruneOptions, RemoveOptions, Removed, Use,
};
use gantry_names::{Digest, ImageId, Platform, Reference};
use gantry_store::Store;
use serde_json::json;

struct House {
    images: ImageStore,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = gantry_snapshots::open("native", folder.path()).unwrap();
    let content = ContentStore::open(&folder.path().join("content")).unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    House { images: ImageStore::open(store, content, Arc::clone(&snapshots)).unwrap(), _folder: folder }
}

impl House {
    /// An image made in the second `at`, named `names`.
    fn image(&self, at: u32, parent: Option<&ImageId>, names: &[&str]) -> ImageId {
        let config = json!({
            "architecture": Platform::host().architecture, "os": "linux", "created": format!("2024-01-01T00:00:{at:02}Z"),
            "config": { "Labels": { "n": at.to_string() } }, "rootfs": { "type": "layers", "diff_ids": [] },
            "history": [{ "created": "2024-01-01T00:00:00Z", "created_by": format!("step {at}"), "empty_layer": true }],
        });
        let options = CreateOptions { parent: parent.cloned(), ..CreateOptions::default() };
        let id = self.images.create(config.to_string().as_bytes(), Vec::new(), &options).unwrap();
        for name in names {
            self.images.set_reference(&Reference::parse(name).unwrap(), &id).unwrap();
        }
        id
    }

    fn remove(&self, name: &str, force: bool) -> Result<Vec<String>, String> {
        self.remove_used(name, force, &[])
    }

    fn remove_used(
        &self,
        name: &str,
        force: bool,
        users: &[(&ImageId, bool)],
    ) -> Result<Vec<String>, String> {
        let uses = |id: &ImageId| {
            let mine = users.iter().filter(|(used, _)| *used == id);
            mine.map(|(_, running)| Use { container: "c".repeat(64), running: *running }).collect()
        };
        let options = RemoveOptions { force, no_prune: false };
        let lines = self.images.remove(name, options, &uses).map_err(|error| error.to_string())?;
        let line = |removed: Removed| match removed {
            Removed::Untagged(name) => format!("Untagged: {name}"),
            Removed::Deleted(id) | Removed::Layer(id) => format!("Deleted: {id}"),
        };
        Ok(lines.into_iter().map(line).collect())
    }

    fn listed(&self, filters: Filters) -> Vec<String> {
        let list = self.images.list(&ListOptions { filters, ..ListOptions::default() }).unwrap();
        list.into_iter().map(|image| image.repo_tags.first().cloned().unwrap_or("<none>".into())).collect()
    }
}

#[test]
fn a_name_is_resolved_as_docker_does() {
    let house = house();
    let id = house.image(1, None, &["busybox", "example.org/app:v1"]);
    let digest = format!("busybox@{}", Digest::sha256_of(b"manifest"));
    house.images.set_reference(&Reference::parse(&digest).unwrap(), &id).unwrap();
    for name in [
        "busybox",
        "busybox:latest",
        "docker.io/library/busybox",
        "example.org/app:v1",
        &digest,
        id.hex(),
        id.as_str(),
        id.short(),
    ] {
        assert_eq!(house.images.resolve(name).unwrap(), id, "{name}");
    }
    assert_eq!(house.images.resolve(&format!("sha256:{}", id.short())).unwrap(), id);
    for (name, told) in [
        ("nope", "No such image: nope:latest"),
        ("busybox:2", "No such image: busybox:2"),
        ("UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"),
        ("", "invalid reference format"),
    ] {
        assert_eq!(house.images.resolve(name).unwrap_err().to_string(), told);
    }
    let missing = "0".repeat(64);
    assert_eq!(
        house.images.resolve(&missing).unwrap_err().to_string(),
        format!("No such image: sha256:{missing}")
    );
}

#[test]
fn the_beginning_of_several_ids_is_ambiguous() {
    let house = house();
    let ids: Vec<ImageId> = (0..20).map(|n| house.image(n, None, &[])).collect();
    // Twenty ids share a first digit by the pigeonhole principle.
    let first = |id: &ImageId| id.hex()[..1].to_owned();
    let shared = ids.iter().map(first).find(|c| ids.iter().filter(|id| first(id) == *c).count() > 1).unwrap();
    assert!(matches!(house.images.resolve(&shared), Err(Error::Ambiguous(_))));
}

#[test]
fn removing_a_name_untags_until_the_last_one_deletes() {
    let house = house();
    let id = house.image(1, None, &["app:1", "app:2"]);
    assert_eq!(house.remove("app:1", false).unwrap(), ["Untagged: app:1"]);
    assert_eq!(
        house.remove("app:2", false).unwrap(),
        ["Untagged: app:2".to_owned(), format!("Deleted: {id}")]
    );
    assert_eq!(house.remove("app:2", false).unwrap_err(), "No such image: app:2");
    assert!(!house.images.content().contains(&id.0), "its config goes with it");
}

#[test]
fn the_last_tag_of_a_repository_takes_its_digests_along() {
    let house = house();
    let digest = format!("app@{}", Digest::sha256_of(b"manifest"));
    let id = house.image(1, None, &["app:1", &digest]);
    let lines = house.remove("app:1", false).unwrap();
    assert_eq!(
        lines,
        ["Untagged: app:1".to_owned(), format!("Untagged: {digest}"), format!("Deleted: {id}")]
    );
}

#[test]
fn an_id_with_names_in_several_repositories_must_be_forced() {
    let house = house();
    let id = house.image(1, None, &["app:1", "other:1"]);
    let told = house.remove(id.short(), false).unwrap_err();
    let short = id.short();
    assert_eq!(
        told,
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    assert_eq!(house.remove(short, true).unwrap().len(), 3);
}

#[test]
fn an_id_with_one_name_goes_with_it() {
    let house = house();
    let id = house.image(1, None, &["app:1"]);
    assert_eq!(
        house.remove(id.short(), false).unwrap(),
        ["Untagged: app:1".to_owned(), format!("Deleted: {id}")]
    );
}

#[test]
fn containers_keep_their_image() {
    let house = house();
    let id = house.image(1, None, &["app:1"]);
    let (short, user) = (id.short(), "c".repeat(12));
    assert_eq!(
        house.remove_used("app:1", false, &[(&id, false)]).unwrap_err(),
        format!(
            "conflict: unable to remove repository reference \"app:1\" (must force) - container {user} is using its referenced image {short}"
        )
    );
    assert_eq!(
        house.remove_used(short, false, &[(&id, false)]).unwrap_err(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container {user}"
        )
    );
    assert_eq!(
        house.remove_used(short, true, &[(&id, true)]).unwrap_err(),
        format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running container {user}"
        )
    );
    assert_eq!(
        house.remove_used("app:1", true, &[(&id, true)]).unwrap(),
        ["Untagged: app:1"],
        "by name, force untags"
    );
    assert_eq!(house.remove_used(short, true, &[(&id, false)]).unwrap(), [format!("Deleted: {id}")]);
}

#[test]
fn nameless_parents_go_with_their_last_child_and_named_ones_stay() {
    let house = house();
    let base = house.image(1, None, &["base"]);
    let middle = house.image(2, Some(&base), &[]);
    let top = house.image(3, Some(&middle), &["top"]);
    let told = house.remove(middle.short(), true).unwrap_err();
    assert_eq!(
        told,
        format!(
            "conflict: unable to delete {} (cannot be forced) - image has dependent child images",
            middle.short()
        )
    );
    let gone = ["Untagged: top:latest".to_owned(), format!("Deleted: {top}"), format!("Deleted: {middle}")];
    assert_eq!(house.remove("top", false).unwrap(), gone);
    assert_eq!(house.listed(Filters::default()), ["base:latest"]);
}

#[test]
fn lists_are_filtered_as_docker_does() {
    let house = house();
    let base = house.image(1, None, &["ubuntu:14.04"]);
    house.image(2, Some(&base), &["example.org/my/app:v1"]);
    house.image(3, None, &[]);
    let middle = house.image(4, None, &[]);
    house.image(5, Some(&middle), &["busybox"]);
    let all = ["busybox:latest", "<none>", "example.org/my/app:v1", "ubuntu:14.04"];
    assert_eq!(house.listed(Filters::default()), all, "newest first, no nameless parents");
    let by = |filters: Filters| house.listed(filters);
    let reference = |pattern: &str| by(Filters { reference: vec![pattern.into()], ..Filters::default() });
    assert_eq!(reference("ubuntu"), ["ubuntu:14.04"]);
    assert_eq!(reference("*/*/app:v*"), ["example.org/my/app:v1"]);
    assert_eq!(reference("docker.io/library/busy*"), ["busybox:latest"]);
    assert_eq!(by(Filters { dangling: Some(true), ..Filters::default() }), ["<none>"]);
    assert_eq!(
        by(Filters { dangling: Some(false), ..Filters::default() }),
        ["busybox:latest", "example.org/my/app:v1", "ubuntu:14.04"]
    );
    assert_eq!(by(Filters { label: Labels::parse(["n=1"]), ..Filters::default() }), ["ubuntu:14.04"]);
    assert_eq!(
        by(Filters { before: vec!["example.org/my/app:v1".into()], ..Filters::default() }),
        ["ubuntu:14.04"]
    );
    assert_eq!(
        by(Filters { since: vec!["example.org/my/app:v1".into()], ..Filters::default() }),
        ["busybox:latest", "<none>"]
    );
}

#[test]
fn history_names_the_parents_that_are_here() {
    let house = house();
    let id = house.image(1, None, &["app"]);
    let history = house.images.history("app").unwrap();
    assert_eq!((history[0].id.as_str(), history[0].created_by.as_str()), (id.as_str(), "step 1"));
    assert_eq!(history[0].tags, ["app:latest"]);
}

#[test]
fn prune_takes_the_dangling_or_all_that_nobody_uses() {
    let house = house();
    let used = house.image(1, None, &["used"]);
    let dangling = house.image(2, None, &[]);
    house.image(3, None, &["unused"]);
    let uses = |id: &ImageId| {
        if *id == used { vec![Use { container: "c".repeat(64), running: false }] } else { Vec::new() }
    };
    let done = house.images.prune(&PruneOptions::default(), &uses).unwrap();
    assert_eq!(done.removed, [Removed::Deleted(dangling.to_string())]);
    let all = PruneOptions { filters: Filters { dangling: Some(false), ..Filters::default() } };
    assert_eq!(house.images.prune(&all, &uses).unwrap().removed.len(), 2);
    assert_eq!(house.listed(Filters::default()), ["used:latest"]);
}

#[test]
fn a_tag_is_a_tag() {
    let house = house();
    let (one, two) = (house.image(1, None, &["a"]), house.image(2, None, &["b"]));
    let name = Reference::parse("a").unwrap();
    assert_eq!(house.images.tag("b", &name).unwrap().previous, Some(one));
    assert_eq!(house.images.resolve("a").unwrap(), two);
    let digest = name.with_digest(Digest::sha256_of(b""));
    let told = house.images.tag("b", &digest).unwrap_err().to_string();
    assert_eq!(told, "refusing to create a tag with a digest reference");
}

#[test]
fn an_image_of_another_platform_is_told_with_both() {
    let house = house();
    house.image(1, None, &["app"]);
    let wanted = Platform::parse("linux/s390x").unwrap();
    let told = house.images.inspect("app", Some(&wanted)).unwrap_err().to_string();
    let host = Platform::host();
    let expected = format!("its platform ({host}) does not match the specified platform (linux/s390x)");
    assert_eq!(told, format!("image with reference app was found but {expected}"));
    house.images.inspect("app", Some(&Platform::host())).unwrap();
}

/// While a removal looks whether containers need the image, others go on: what they are told is done has to stand.
#[test]
fn what_happens_between_look_and_removal_is_kept() {
    let house = house();
    let name = |text: &str| Reference::parse(text).unwrap();
    let prune = |dangling, meanwhile: &dyn Fn()| {
        let filters = Filters { dangling: Some(dangling), ..Filters::default() };
        let uses = |_: &ImageId| {
            meanwhile();
            Vec::new()
        };
        house.images.prune(&PruneOptions { filters }, &uses).unwrap().removed
    };
    let nameless = house.image(1, None, &[]);
    let named = || drop(house.images.set_reference(&name("late"), &nameless).unwrap());
    assert_eq!(prune(true, &named), vec![]);
    assert_eq!(house.images.resolve("late").unwrap(), nameless);

    let (old, new) = (house.image(2, None, &["app"]), house.image(3, None, &[]));
    house.remove("late", false).unwrap();
    let moved = || drop(house.images.set_reference(&name("app"), &new).unwrap());
    assert_eq!(prune(false, &moved), vec![], "both were looked at before");
    assert_eq!(house.images.resolve("app").unwrap(), new);
    assert_eq!(house.images.get(&old).unwrap().names, vec![]);

    let options = RemoveOptions::default();
    let again = |_: &ImageId| {
        house.images.set_reference(&name("second"), &new).unwrap();
        Vec::new()
    };
    let refused = house.images.remove(new.as_str(), options, &again).unwrap_err();
    assert!(refused.to_string().contains("referenced in multiple repositories"), "{refused}");
    let child = std::cell::RefCell::new(None);
    let born = |_: &ImageId| {
        child.borrow_mut().get_or_insert_with(|| house.image(4, Some(&new), &["child"]));
        Vec::new()
    };
    house.images.remove("second", options, &born).unwrap();
    let refused = house.images.remove("app", RemoveOptions { force: true, ..options }, &born);
    assert_eq!(refused.unwrap(), vec![Removed::Untagged("app:latest".into())]);
    assert_eq!(house.images.get(&new).unwrap().names, vec![]);
}

/// Names alone fill the memory as well: an archive of links is no larger than the room it is compressed to.
#[test]
fn an_archive_of_countless_files_is_refused() {
    let mut archive = gantry_archive::Writer::new(Vec::new());
    for n in 0..=50_000 {
        let mut entry = gantry_archive::Entry::new(format!("l{n}"), gantry_archive::Kind::Symlink, 0o777);
        entry.link = "manifest.json".into();
        archive.append_bytes(&entry, b"").unwrap();
    }
    let archive = std::io::Cursor::new(archive.finish().unwrap());
    let refused = house().images.load(archive, &Default::default(), &mut |_| ()).unwrap_err();
    assert_eq!(refused.to_string(), "invalid archive: it has more than 50000 files");
}
