//! An engine in a folder of its own. Nothing runs in it.

use gantry_content::ContentStore;
use gantry_engine::{Engine, EngineConfig, Networking};
use gantry_images::ImageStore;
use gantry_store::Store;
use std::path::Path;

pub fn open(dir: &Path) -> Engine {
    let root = dir.join("data");
    std::fs::create_dir(&root).unwrap();
    let store = Store::open(&root.join("store.db")).unwrap();
    let content = ContentStore::open(&root.join("content")).unwrap();
    let snapshots = gantry_snapshots::open("native", &root.join("snapshots")).unwrap();
    let images = ImageStore::open(store.clone(), content, snapshots).unwrap();
    // No container is started here: any program stands for the shim.
    let config = EngineConfig::new(root, dir.join("run"), std::env::current_exe().unwrap());
    Engine::open(config, store, images, Networking::plain()).unwrap()
}
