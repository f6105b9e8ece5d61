//! The engine ends without a word; a new one over the same folders finds everything.

use gantry_engine::record::State;
use gantry_engine::spec::RestartPolicy;
use gantry_engine::{Engine, ListRequest};

use crate::setup::{Home, open};

/// Another engine over the same folders. The store's lock is the first's until all of it is dropped, so its tasks are
/// ended with its runtime.
fn reopened(dir: &std::path::Path) -> Engine {
    let begun = std::time::Instant::now();
    while gantry_store::Store::open(&dir.join("data/store.db")).is_err() {
        assert!(begun.elapsed() < crate::setup::PATIENCE, "the store is let go");
        std::thread::park_timeout(crate::setup::GLANCE);
    }
    open(dir)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn containers_outlive_the_engine_and_their_ends_are_harvested() {
    let first = runtime();
    let (dir, lives, ended, waits) = first.block_on(async {
        let home = Home::new().await;
        let lives = home.run(&["sh", "-c", "echo before; sleep 1; echo after; sleep 1000"], |_| ()).await;
        let ended = home.run(&["sh", "-c", "sleep 0.5; exit 4"], |_| ()).await;
        let waits =
            home.run(&["sh", "-c", "sleep 0.5; exit 1"], |spec| spec.restart = RestartPolicy::Always).await;
        (home.dir, lives, ended, waits)
    });
    first.shutdown_background();
    let record = |engine: &Engine, id: &str| {
        let rt = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| rt.block_on(engine.container_inspect(id, false))).unwrap().record
    };
    // Only its exit record will say that it has ended while nobody looked.
    let exit = dir.path().join("run").join(&ended).join("exit.json");
    let begun = std::time::Instant::now();
    while !exit.exists() {
        assert!(begun.elapsed() < crate::setup::PATIENCE, "the shim writes the exit");
        std::thread::park_timeout(crate::setup::GLANCE);
    }
    let second = runtime();
    second.block_on(async {
        let engine = reopened(dir.path());
        engine.restore().await.unwrap();
        let home = Home { dir, engine };
        assert!(matches!(record(&home.engine, &lives).state, State::Running(_)));
        assert_eq!(record(&home.engine, &ended).state.exit_code(), 4);
        home.until(&waits, |record| record.restart_count >= 1).await;
        home.until_log(&lives, "after").await;
        assert!(home.log(&lives).await.starts_with("before\nafter\n"));
        home.engine.container_kill(&lives, "").await.unwrap();
        assert_eq!(home.wait(&lives).await, 137);
        home.close().await;
    });
}

#[test]
fn what_was_half_made_or_half_gone_is_undone_or_finished() {
    let first = runtime();
    let (dir, whole) = first.block_on(async {
        let home = Home::new().await;
        let whole = home.create(&["true"], |_| ()).await;
        (home.dir, whole)
    });
    first.shutdown_background();
    let orphan = "ab".repeat(32);
    std::fs::create_dir_all(dir.path().join("data/containers").join(&orphan)).unwrap();
    std::fs::create_dir_all(dir.path().join("run").join(&orphan)).unwrap();
    let second = runtime();
    second.block_on(async {
        let engine = reopened(dir.path());
        engine.restore().await.unwrap();
        assert!(!dir.path().join("data/containers").join(&orphan).exists());
        assert!(!dir.path().join("run").join(&orphan).exists());
        let all = engine.container_list(ListRequest { all: true, ..Default::default() }).await.unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].record.id.as_str(), whole);
        Home { dir, engine }.close().await;
    });
}

/// A start, a rename and a prune that wait while the container is removed; each of them writes the record.
#[test]
fn what_waits_behind_a_removal_does_not_bring_the_container_back() {
    let first = runtime();
    let dir = first.block_on(async {
        let home = Home::new().await;
        let id = home.create(&["true"], |_| ()).await;
        let engine = &home.engine;
        // Each is asked in this order, and all but the first wait.
        let (removed, started, renamed, pruned) = tokio::join!(
            engine.container_remove(&id, false, false, false),
            engine.container_start(&id),
            engine.container_rename(&id, "late"),
            engine.container_prune(Default::default()),
        );
        removed.unwrap();
        for refused in [started.unwrap_err(), renamed.unwrap_err()] {
            assert_eq!(refused.to_string(), format!("No such container: {id}"));
        }
        assert_eq!(pruned.unwrap().deleted, Vec::<String>::new());
        let mut late = crate::setup::spec(&["true"]);
        late.auto_remove = true;
        let late = engine.container_create(late, Some("late")).await.unwrap();
        engine.container_remove(late.id.as_str(), false, false, false).await.unwrap();
        home.dir
    });
    first.shutdown_background();
    let second = runtime();
    second.block_on(async {
        let engine = reopened(dir.path());
        engine.restore().await.unwrap();
        let all = engine.container_list(ListRequest { all: true, ..Default::default() }).await.unwrap();
        assert!(all.is_empty(), "{:?}", all[0].record);
        Home { dir, engine }.close().await;
    });
}
