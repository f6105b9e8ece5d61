//! The store against real files: crash, damage, migrations, a full disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use gantry_errdefs::{Class, Classified};
use gantry_store::{Store, StoreError, Table};

const PETS: Table<String, u32> = Table::new("test.pets");
const HOMES: Table<String, String> = Table::new("test.homes");

fn key(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_failed_closure_leaves_no_table_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).unwrap();
    let failed = store.write(|tx| {
        tx.put(PETS, &key("rex"), &1)?;
        tx.put(HOMES, &key("rex"), &key("shed"))?;
        Err::<(), _>(StoreError::Closed)
    });
    assert!(failed.is_err());
    assert_eq!(store.read(|tx| tx.len(PETS)).unwrap(), 0);
    assert_eq!(store.read(|tx| tx.get(HOMES, &key("rex"))).unwrap(), None);
}

#[test]
fn rows_survive_reopening_and_list_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    {
        let store = Store::open(&path).unwrap();
        store
            .write(|tx| {
                tx.put(PETS, &key("b/2"), &2)?;
                tx.put(PETS, &key("a/1"), &1)?;
                tx.put(PETS, &key("a/0"), &0)
            })
            .unwrap();
    }
    let store = Store::open(&path).unwrap();
    let all = store.read(|tx| tx.list(PETS)).unwrap();
    assert_eq!(all.rows, vec![(key("a/0"), 0), (key("a/1"), 1), (key("b/2"), 2)]);
    let some = store.read(|tx| tx.list_from(PETS, "a/")).unwrap();
    assert_eq!(some.rows.len(), 2);
    assert!(store.write_freeing(|tx| tx.remove(PETS, &key("a/1"))).unwrap());
    assert!(!store.write_freeing(|tx| tx.remove(PETS, &key("a/1"))).unwrap());
}

#[test]
fn a_damaged_row_costs_only_itself_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let store = Store::open(&path).unwrap();
    store
        .write(|tx| {
            tx.put(PETS, &key("good"), &1)?;
            tx.put(PETS, &key("bad"), &77_777_777)
        })
        .unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let mut hits = 0;
    for at in 0..bytes.len() - 8 {
        if &bytes[at..at + 8] == b"77777777" {
            bytes[at] = b'6';
            hits += 1;
        }
    }
    assert!(hits > 0, "the row is in the file");
    std::fs::write(&path, bytes).unwrap();

    let store = Store::open(&path).unwrap();
    let listing = store.read(|tx| tx.list(PETS)).unwrap();
    assert_eq!(listing.rows, vec![(key("good"), 1)]);
    assert_eq!(listing.damaged.len(), 1);
    assert_eq!(listing.damaged[0].key, "bad");
    assert!(matches!(store.read(|tx| tx.get(PETS, &key("bad"))), Err(StoreError::Damaged(_))));
    store.write(|tx| tx.remove_text(PETS, "bad")).unwrap();
    assert!(store.read(|tx| tx.list(PETS)).unwrap().damaged.is_empty());
}

#[test]
fn migrations_run_once_and_a_newer_store_is_refused() {
    const OLD: Table<String, serde_json::Value> = Table::new("test.pets");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.db")).unwrap();
    store.migrate("pets", &[|tx| tx.put(OLD, &key("rex"), &serde_json::json!("3"))]).unwrap();
    let steps: [gantry_store::Migration; 2] = [
        |_| panic!("the first step ran already"),
        |tx| {
            for (name, value) in tx.list(OLD)?.rows {
                let age: u32 = value.as_str().and_then(|age| age.parse().ok()).unwrap_or(0);
                tx.put(PETS, &name, &age)?;
            }
            Ok(())
        },
    ];
    store.migrate("pets", &steps).unwrap();
    store.migrate("pets", &steps).unwrap();
    assert_eq!(store.read(|tx| tx.get(PETS, &key("rex"))).unwrap(), Some(3));
    let refused = store.migrate("pets", &steps[..1]).unwrap_err();
    assert!(refused.to_string().contains("use a newer program"), "{refused}");
}

#[test]
fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let _first = Store::open(&path).unwrap();
    let second = Store::open(&path).err().expect("refused");
    assert_eq!(second.class(), Class::Conflict);
}

/// A process that dies in the middle of writing (without any destructor), by several writers at once, loses nothing that was told
/// as written.
#[test]
fn a_killed_writer_loses_no_committed_row() {
    const WRITERS: u32 = 4;
    if let Ok(path) = std::env::var("GANTRY_STORE_CRASH") {
        let store = Store::open(path.as_ref()).unwrap();
        let write = |writer: u32| {
            let store = store.clone();
            move || {
                for n in 0.. {
                    store.write(|tx| tx.put(PETS, &format!("{writer}/{n:06}"), &n)).unwrap();
                    println!("wrote {writer}/{n:06}");
                }
            }
        };
        let threads: Vec<_> = (0..WRITERS).map(|writer| std::thread::spawn(write(writer))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_writer_loses_no_committed_row", "--nocapture"])
        .env("GANTRY_STORE_CRASH", &path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut told = Vec::new();
    for line in lines {
        if let Some(row) = line.unwrap().strip_prefix("wrote ") {
            told.push(row.to_owned());
            if told.len() == 200 {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(told.len() >= 200);
    let store = Store::open(&path).unwrap();
    let lost = |row: &&String| store.read(|tx| tx.get(PETS, row)).unwrap().is_none();
    assert_eq!(told.iter().filter(lost).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Spoils all pages but the first, and leaves the time as it was: what a rotten disk does.
fn rot(path: &std::path::Path) {
    let time = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[4096..].fill(0xff);
    std::fs::write(path, bytes).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_file_that_rotted_while_it_was_closed_is_replaced_by_its_copy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = Store::open(&path).unwrap();
    store.write(|tx| tx.put(PETS, &key("rex"), &1)).unwrap();
    store.close().unwrap();
    assert!(matches!(store.read(|tx| tx.get(PETS, &key("rex"))), Err(StoreError::Closed)));
    rot(&path);
    let store = Store::open(&path).unwrap();
    assert!(store.is_restored());
    assert_eq!(store.read(|tx| tx.get(PETS, &key("rex"))).unwrap(), Some(1));
    assert!(dir.path().join("store.db.damaged").exists());
    // The copy is older than what is written now: it does not stand in by itself.
    store.write(|tx| tx.put(PETS, &key("new"), &2)).unwrap();
    drop(store);
    rot(&path);
    let before = std::fs::read(&path).unwrap();
    let Err(refused) = Store::open(&path) else { panic!("a rotten file was opened") };
    let told = refused.to_string();
    assert!(matches!(refused, StoreError::Unreadable { .. }), "{told}");
    assert!(told.contains("is damaged") && told.contains("store.db.kept"), "{told}");
    assert_eq!(std::fs::read(&path).unwrap(), before, "nothing was changed");
}

#[test]
fn a_closed_file_gives_back_the_room_of_what_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let len = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().len();
    let store = Store::open(&path).unwrap();
    const TEXTS: Table<String, String> = Table::new("texts");
    let keys = (0..2000).map(|n| key(&format!("key {n}"))).collect::<Vec<_>>();
    store.write(|tx| keys.iter().try_for_each(|key| tx.put(TEXTS, key, &"x".repeat(2000)))).unwrap();
    store.write(|tx| keys[1..].iter().try_for_each(|key| tx.remove(TEXTS, key).map(drop))).unwrap();
    let before = len("store.db");
    store.close().unwrap();
    assert!(before > 4_000_000 && len("store.db") < 512 << 10, "{before} bytes, then {}", len("store.db"));
    assert_eq!(len("store.db.kept"), len("store.db"));
    let store = Store::open(&path).unwrap();
    let rows = store.read(|tx| tx.list(TEXTS)).unwrap().rows;
    assert_eq!(rows, [(keys[0].clone(), "x".repeat(2000))]);
}

#[test]
fn a_file_that_is_gone_is_no_new_one_while_its_copy_lies_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    Store::open(&path).unwrap().close().unwrap();
    std::fs::remove_file(&path).unwrap();
    let Err(refused) = Store::open(&path) else { panic!("an empty store was made") };
    assert!(refused.to_string().contains("is missing"), "{refused}");
    assert!(!path.exists());
    std::fs::rename(dir.path().join("store.db.kept"), &path).unwrap();
    Store::open(&path).unwrap();
}
