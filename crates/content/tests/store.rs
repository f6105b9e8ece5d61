//! The store on a real directory; what happens after a crash is played by dropping and opening anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use gantry_content::{ContentStore, Error};
use gantry_names::Digest;
use proptest::prelude::*;

fn fresh() -> (tempfile::TempDir, ContentStore) {
    let temp = tempfile::tempdir().unwrap();
    let store = ContentStore::open(temp.path()).unwrap();
    (temp, store)
}

#[test]
fn what_is_put_can_be_read_listed_and_deleted() {
    let (_temp, store) = fresh();
    let digest = store.put(b"hello").unwrap();
    assert_eq!(digest, Digest::sha256_of(b"hello"));
    assert_eq!(store.put(b"hello").unwrap(), digest);
    assert_eq!(store.read(&digest, 100).unwrap(), b"hello");
    assert_eq!(store.stat(&digest).unwrap().size, 5);
    assert_eq!(store.list().unwrap().len(), 1);
    let mut open = store.open_blob(&digest).unwrap();
    store.delete(&digest).unwrap();
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello", "a reader keeps what it opened");
    assert!(matches!(store.read(&digest, 100), Err(Error::NotFound(_))));
    assert!(matches!(store.delete(&digest), Err(Error::NotFound(_))));
}

#[test]
fn a_damaged_blob_is_told_by_name() {
    let (temp, store) = fresh();
    let digest = store.put(b"hello").unwrap();
    let path = temp.path().join("blobs/sha256").join(digest.hex());
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"hellO").unwrap();
    for told in [store.verify(&digest).unwrap_err(), store.read(&digest, 100).unwrap_err()] {
        assert!(told.to_string().contains(digest.as_str()), "{told}");
        assert!(matches!(told, Error::Damaged { .. }));
    }
}

#[test]
fn documents_larger_than_asked_for_are_refused() {
    let (_temp, store) = fresh();
    let digest = store.put(&[0; 1000]).unwrap();
    assert!(matches!(store.read(&digest, 999), Err(Error::TooLarge { size: 1000, max: 999, .. })));
    assert_eq!(store.read(&digest, 1000).unwrap().len(), 1000);
}

#[test]
fn an_ingest_goes_on_after_a_crash() {
    let (temp, store) = fresh();
    let mut first = store.ingest("layer x").unwrap();
    first.write_all(b"hel").unwrap();
    assert!(matches!(store.ingest("layer x"), Err(Error::Busy(_))), "one writer per key");
    drop(first);
    drop(store);
    let store = ContentStore::open(temp.path()).unwrap();
    let mut again = store.ingest("layer x").unwrap();
    assert_eq!(again.offset(), 3);
    again.write_all(b"lo").unwrap();
    let digest = Digest::sha256_of(b"hello");
    assert_eq!(again.commit(Some(&digest), Some(5)).unwrap(), digest);
    assert_eq!(store.read(&digest, 10).unwrap(), b"hello");
    assert_eq!(store.ingest("layer x").unwrap().offset(), 0, "a committed ingest is over");
}

#[test]
fn wrong_bytes_become_no_blob_and_are_thrown_away() {
    let (_temp, store) = fresh();
    let wanted = Digest::sha256_of(b"right");
    let mut ingest = store.ingest("key").unwrap();
    ingest.write_all(b"wrong").unwrap();
    assert!(matches!(ingest.commit(Some(&wanted), None), Err(Error::DigestMismatch { .. })));
    assert_eq!(store.ingest("key").unwrap().offset(), 0);
    let mut ingest = store.ingest("key").unwrap();
    ingest.write_all(b"right").unwrap();
    assert!(matches!(
        ingest.commit(Some(&wanted), Some(6)),
        Err(Error::SizeMismatch { expected: 6, found: 5 })
    ));
    assert_eq!(store.list().unwrap(), vec![]);
}

#[test]
fn nameless_ingests_do_not_outlive_their_process() {
    let (temp, store) = fresh();
    let mut ingest = store.ingest_nameless().unwrap();
    ingest.write_all(b"x").unwrap();
    std::mem::forget(ingest);
    drop(store);
    ContentStore::open(temp.path()).unwrap();
    assert_eq!(fs::read_dir(temp.path().join("ingest")).unwrap().count(), 0);
}

#[test]
fn old_ingests_can_be_forgotten_but_not_live_ones() {
    let (_temp, store) = fresh();
    store.ingest("dead").unwrap().write_all(b"123").unwrap();
    let mut live = store.ingest("live").unwrap();
    live.write_all(b"1").unwrap();
    assert_eq!(store.forget_ingests(Duration::from_secs(3600)).unwrap(), 0);
    assert_eq!(store.forget_ingests(Duration::ZERO).unwrap(), 3);
    live.commit(None, Some(1)).unwrap();
}

#[test]
fn collection_spares_what_is_reachable_or_leased() {
    let (_temp, store) = fresh();
    let (old, kept) = (store.put(b"old").unwrap(), store.put(b"kept").unwrap());
    let lease = store.lease();
    let fresh = store.put(b"fresh").unwrap();
    let later = store.lease();
    assert!(store.touch(&kept));
    let gone = store.collect(|_| false).unwrap();
    assert_eq!((gone.blobs, gone.bytes), (vec![old], 3));
    drop(lease);
    assert_eq!(store.collect(|_| false).unwrap().blobs, vec![fresh], "the later lease began after it");
    drop(later);
    assert_eq!(store.collect(|digest| *digest == kept).unwrap().blobs, vec![]);
    assert_eq!(store.collect(|_| false).unwrap().blobs, vec![kept]);
}

/// Whoever brings blobs in has them on record before the lease ends: asked the other way round, both could have just missed it.
#[test]
fn leases_are_asked_before_records() {
    let (_temp, store) = fresh();
    let blob = store.put(b"1").unwrap();
    let lease = store.lease();
    assert!(store.touch(&blob));
    let asked = |_: &Digest| -> bool { panic!("the lease says enough") };
    assert_eq!(store.collect_among([&blob], asked).unwrap().blobs, vec![]);
    assert_eq!(store.collect(asked).unwrap().blobs, vec![]);
    drop(lease);
    assert_eq!(store.collect(|_| false).unwrap().blobs, vec![blob]);
}

#[test]
fn a_damaged_blob_is_replaced_by_its_bytes() {
    let (_temp, store) = fresh();
    let digest = store.put(b"whole").unwrap();
    let path = store.path(&digest).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"whale").unwrap();
    assert!(store.verify(&digest).is_err());
    assert_eq!(store.put(b"whole").unwrap(), digest);
    store.verify(&digest).unwrap();
}

#[test]
fn a_full_disk_refuses_writes_and_lets_go() {
    if !rustix_is_root() {
        return eprintln!("skipped: needs root");
    }
    // A small file system of our own, in a mount namespace of our own.
    let temp = tempfile::tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=1m none {dir} && GANTRY_FULL_DISK={dir} {exe} --exact the_inside_of_a_full_disk --nocapture",
        dir = temp.path().display(),
        exe = exe.display()
    );
    let done = std::process::Command::new("unshare").args(["-m", "sh", "-ec", &script]).output().unwrap();
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

#[test]
fn the_inside_of_a_full_disk() {
    let Some(dir) = std::env::var_os("GANTRY_FULL_DISK") else { return };
    let store = ContentStore::open(dir.as_ref()).unwrap();
    let digest = store.put(&[1; 600_000]).unwrap();
    let told = store.put(&[2; 600_000]).unwrap_err();
    assert!(
        matches!(&told, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull),
        "{told:?}"
    );
    fs::write(std::path::Path::new(&dir).join("rest"), vec![0; 1 << 20]).unwrap_err();
    assert_eq!(store.read(&digest, 1 << 20).unwrap().len(), 600_000);
    store.delete(&digest).unwrap();
    fs::remove_file(std::path::Path::new(&dir).join("rest")).unwrap();
    store.put(&[2; 600_000]).unwrap();
}

fn rustix_is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn however_an_ingest_is_cut_the_blob_is_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..5000), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let (_temp, store) = fresh();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.push(bytes.len());
        at.sort_unstable();
        let mut from = 0;
        for to in at {
            let mut ingest = store.ingest("key").unwrap();
            prop_assert_eq!(ingest.offset(), from as u64);
            ingest.write_all(&bytes[from..to]).unwrap();
            from = to;
        }
        let digest = store.ingest("key").unwrap().commit(None, None).unwrap();
        prop_assert_eq!(&digest, &Digest::sha256_of(&bytes));
        prop_assert_eq!(store.read(&digest, 1 << 20).unwrap(), bytes);
    }
}
