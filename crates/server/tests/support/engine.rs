//! An engine in a folder of its own. Nothing runs in it.

use gantry_build::Builder;
use gantry_build::progress::Output;
use gantry_build::step::{ImageWanted, Outside, Refusal, Step, Task};
use gantry_content::ContentStore;
use gantry_engine::{Engine, EngineConfig, Networking};
use gantry_errdefs::Class;
use gantry_images::ImageStore;
use gantry_names::ImageId;
use gantry_store::Store;
use std::path::Path;
use std::sync::Arc;

pub fn open(dir: &Path) -> (Engine, Builder) {
    let root = dir.join("data");
    std::fs::create_dir(&root).unwrap();
    let store = Store::open(&root.join("store.db")).unwrap();
    let content = ContentStore::open(&root.join("content")).unwrap();
    let snapshots = gantry_snapshots::open("native", &root.join("snapshots")).unwrap();
    let images = ImageStore::open(store.clone(), content, snapshots).unwrap();
    // No container is started here: any program stands for the shim.
    let folder = root.join("build");
    let builder = Builder::open(images.clone(), &store, Arc::new(Nobody), folder).unwrap();
    let config = EngineConfig::new(root, dir.join("run"), std::env::current_exe().unwrap());
    (Engine::open(config, store, images, Networking::plain()).unwrap(), builder)
}

/// Runs nothing and has no images.
struct Nobody;

impl Outside for Nobody {
    fn tagged(&self, _: &ImageId, _: &gantry_names::Reference) {}

    fn run(&self, _: Step, _: Output) -> Task<'_, Result<i32, Refusal>> {
        Box::pin(async { Ok(0) })
    }

    fn image(&self, wanted: ImageWanted, _: Output) -> Task<'_, Result<ImageId, Refusal>> {
        let message = format!("No such image: {}", wanted.name);
        Box::pin(async { Err(Refusal { class: Class::NotFound, message }) })
    }

    fn discard(&self, _: ImageId) -> Task<'_, ()> {
        Box::pin(async {})
    }
}
