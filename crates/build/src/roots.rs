//! The folders and snapshots a build reads from and writes to.

use std::io::Read;
use std::sync::Arc;

use gantry_dockerfile::ignore::Ignore;
use gantry_images::Layer;
use gantry_names::{ChainId, ContainerId};
use gantry_snapshots::RootView;

use crate::build::Build;
use crate::failure::Cause;
use crate::files::{FileError, Root};
use crate::progress::StepNumber;
use crate::request::NamedContext;
use crate::stage::Prepared;

/// Bytes of a `.dockerignore` that are read.
const IGNORE_LIMIT: u64 = 1 << 20;

/// What a step's files are written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The state before.
    Parent,
    /// The same with the mount points that every container has, so that they are no part of a process's layer.
    MountPoints,
    /// An empty root: the layer will do on any state.
    Nothing,
}

impl Build {
    pub(crate) fn context(&self) -> Result<(Root, Ignore), Cause> {
        let missing = || Cause::Value("this build has no context to copy from".into());
        let folder = self.request.context.as_ref().ok_or_else(missing)?;
        let root = Root::open(folder)?;
        // `<Dockerfile>.dockerignore` wins over `.dockerignore`.
        let own = format!("{}.dockerignore", self.request.dockerfile_name);
        let ignore = ignore_of(&root, &[&own, ".dockerignore"])?;
        Ok((root, ignore))
    }

    /// The finished root of an earlier stage, to read.
    pub(crate) async fn stage_root(&self, index: usize) -> Result<Root, Cause> {
        let point = self.end_of(index).await?;
        self.root_of(point.chain().as_ref())
    }

    pub(crate) async fn image_root(&self, name: String, step: StepNumber) -> Result<Root, Cause> {
        let point = self.image_point(name, self.request.platform.clone(), step).await?;
        self.root_of(point.chain().as_ref())
    }

    pub(crate) async fn named_root(&self, name: &str, step: StepNumber) -> Result<(Root, Ignore), Cause> {
        match self.request.contexts.get(name) {
            Some(NamedContext::Folder(folder)) => {
                let root = Root::open(folder)?;
                let ignore = ignore_of(&root, &[".dockerignore"])?;
                Ok((root, ignore))
            }
            Some(NamedContext::Image(reference)) => {
                Ok((self.image_root(reference.familiar(), step).await?, Ignore::default()))
            }
            Some(NamedContext::Built(built)) => {
                Ok((self.root_of(built.chain().as_ref())?, Ignore::default()))
            }
            None => Err(Cause::Value(format!("no build context is called {name}"))),
        }
    }

    fn root_of(&self, chain: Option<&ChainId>) -> Result<Root, Cause> {
        let chain = chain.ok_or_else(|| Cause::Value("there is nothing in it to copy".into()))?;
        let rootfs = self.images.snapshots().rootfs(chain.as_str())?;
        seen(&rootfs)
    }

    /// The root of an active snapshot, to write.
    pub(crate) fn snapshot_root(&self, key: &str) -> Result<Root, Cause> {
        seen(&self.images.snapshots().rootfs(key)?)
    }

    /// A fresh snapshot for a layer on `parent`.
    pub(crate) async fn prepare(&self, parent: Option<&ChainId>, ground: Ground) -> Result<Prepared, Cause> {
        let (images, parent) = (self.images.clone(), parent.cloned());
        let made = tokio::task::spawn_blocking(move || {
            // An id, so that the engine's next start takes it for what a cut-off step has left.
            let key = ContainerId::random();
            let below = match ground {
                Ground::MountPoints => Some(images.init_layer(parent.as_ref())?),
                Ground::Parent => parent.as_ref().map(ToString::to_string),
                Ground::Nothing => None,
            };
            images.snapshots().prepare(key.as_str(), below.as_deref())?;
            Ok(Prepared { key, parent, images, done: false })
        });
        made.await.map_err(Cause::ended)?
    }

    /// Turns what a step wrote into a layer.
    pub(crate) async fn layer(
        self: &Arc<Self>,
        prepared: Prepared,
        parent: Option<&ChainId>,
    ) -> Result<Option<Layer>, Cause> {
        debug_assert_eq!(prepared.parent.as_ref(), parent, "a step's layer goes where its snapshot was made");
        let build = Arc::clone(self);
        let parent = parent.cloned();
        tokio::task::spawn_blocking(move || {
            let mut prepared = prepared;
            if let Some(newest) = build.newest() {
                let folder = build.images.snapshots().layer_dir(prepared.key.as_str())?;
                crate::files::clamp_times(&Root::open(&folder)?, newest)?;
            }
            let layer =
                build.images.layer_of_snapshot(&build.lease, prepared.key.as_str(), parent.as_ref(), true)?;
            prepared.done = true;
            Ok(layer)
        })
        .await
        .map_err(Cause::ended)?
    }

    /// A folder that goes away with its handle.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir, Cause> {
        let base = self.folder.join("scratch");
        std::fs::create_dir_all(&base)
            .and_then(|()| tempfile::tempdir_in(&base))
            .map_err(|e| FileError::io("scratch")(e).into())
    }
}

/// The first of these files that is there, as patterns.
fn ignore_of(root: &Root, names: &[&str]) -> Result<Ignore, Cause> {
    for name in names {
        if root.stat(name, true)?.is_none() {
            continue;
        }
        let mut bytes = Vec::new();
        root.file(name)?.take(IGNORE_LIMIT).read_to_end(&mut bytes).map_err(FileError::io(name))?;
        return Ignore::parse(&String::from_utf8_lossy(&bytes))
            .map_err(|error| Cause::Value(error.to_string()));
    }
    Ok(Ignore::default())
}

fn seen(rootfs: &gantry_snapshots::Rootfs) -> Result<Root, Cause> {
    let view = RootView::of(rootfs)?;
    // The descriptor keeps the mount it was opened in.
    Ok(Root::from(view.root().open_dir(b"").map_err(FileError::io("/"))?))
}
