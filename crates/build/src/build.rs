//! A whole build: its stages side by side, then the image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use gantry_dockerfile::ignore::Ignore;
use gantry_dockerfile::{Dockerfile, ParseError, Span, Stage};
use gantry_errdefs::{Class, Classified};
use gantry_images::{CreateOptions, ImageConfig, ImageStore, Layer, Lease};
use gantry_names::{ChainId, ContainerId, Digest, ImageId, Platform};
use gantry_snapshots::RootView;
use gantry_store::StoreError;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::cache::{Cache, Point};
use crate::files::{FileError, Root};
use crate::plan::{self, Plan, Source};
use crate::progress::{Event, Progress};
use crate::request::{BuildRequest, NamedContext};
use crate::scope::{self, Globals, StageScope};
use crate::stage::{Prepared, StageBuild};
use crate::step::{Outside, Refusal};

/// What builds work with; one for all builds of an engine.
#[derive(Clone)]
pub struct Builder {
    /// Images, their layers and blobs.
    pub images: ImageStore,
    /// The steps of all builds.
    pub cache: Arc<Cache>,
    /// Runs steps, finds base images.
    pub outside: Arc<dyn Outside>,
    /// Own folder below the data root: scratch space and cache mounts.
    pub folder: PathBuf,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why a build failed, and where in the file.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{}: {cause}", span.first)]
pub struct BuildError {
    /// Name of the Dockerfile.
    pub file: String,
    /// Lines of the instruction.
    pub span: Span,
    /// The instruction as written.
    pub instruction: String,
    /// What went wrong.
    #[source]
    pub cause: Box<Cause>,
}

/// What can go wrong with an instruction.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The file is no Dockerfile.
    #[error(transparent)]
    Syntax(ParseError),
    /// A value, once expanded, means nothing.
    #[error("{0}")]
    Value(String),
    /// Files of a COPY or ADD.
    #[error("COPY failed: {0}")]
    File(#[from] FileError),
    /// A RUN ended badly.
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Exit {
        /// Its words.
        command: String,
        /// Its exit code.
        code: i32,
    },
    /// A step could not run, or a base image could not be had.
    #[error(transparent)]
    Outside(Refusal),
    /// Images and layers.
    #[error(transparent)]
    Image(#[from] gantry_images::Error),
    /// Snapshots.
    #[error(transparent)]
    Snapshot(#[from] gantry_snapshots::Error),
    /// Records.
    #[error(transparent)]
    Store(StoreError),
    /// Another stage of the same build failed first.
    #[error("the build was cut off: another stage failed")]
    Elsewhere,
    /// A task of ours panicked.
    #[error("the build ended early: {0}")]
    Ended(JoinError),
}

impl Cause {
    pub(crate) fn store(error: StoreError) -> Self {
        Cause::Store(error)
    }

    pub(crate) fn ended(error: JoinError) -> Self {
        Cause::Ended(error)
    }
}

impl Classified for BuildError {
    fn class(&self) -> Class {
        match &*self.cause {
            Cause::Syntax(_) | Cause::Value(_) | Cause::Exit { .. } => Class::InvalidArgument,
            Cause::File(error) => error.class(),
            Cause::Outside(refusal) => refusal.class,
            Cause::Image(error) => error.class(),
            Cause::Snapshot(error) => error.class(),
            Cause::Store(_) | Cause::Elsewhere | Cause::Ended(_) => Class::Internal,
        }
    }
}

/// One build on its way.
pub(crate) struct Build {
    pub(crate) request: BuildRequest,
    pub(crate) file: Dockerfile,
    pub(crate) globals: Globals,
    pub(crate) progress: Progress,
    pub(crate) cache: Arc<Cache>,
    pub(crate) outside: Arc<dyn Outside>,
    images: ImageStore,
    folder: PathBuf,
    lease: Lease,
    /// The end of each planned stage, once it is there.
    ends: BTreeMap<usize, watch::Sender<Option<Arc<Point>>>>,
    total: usize,
}

impl Builder {
    /// Builds, tags, and gives the image's id.
    pub async fn build(&self, request: BuildRequest, progress: Progress) -> Result<ImageId, BuildError> {
        let name = request.dockerfile_name.clone();
        let syntax = |error: ParseError| BuildError {
            file: name.clone(),
            span: error.span,
            instruction: String::new(),
            cause: Box::new(Cause::Syntax(error)),
        };
        let file = gantry_dockerfile::parse(&request.dockerfile).map_err(&syntax)?;
        let host = Platform::host();
        let target_platform = request.platform.clone().unwrap_or_else(|| host.clone());
        let target = request.target.clone().unwrap_or_default();
        let mut globals = Globals::new(
            &request.args,
            &host,
            &target_platform,
            if target.is_empty() { "default" } else { &target },
        );
        for located in &file.global_args {
            let gantry_dockerfile::Instruction::Arg(args) = &located.instruction else { continue };
            for (name, default) in args {
                globals
                    .declare(name, default.as_deref(), file.directives.escape)
                    .map_err(|message| syntax(ParseError { span: located.span, message }))?;
            }
        }
        let contexts: BTreeSet<String> = request.contexts.keys().cloned().collect();
        let plan = plan::plan(&file, &globals, &contexts, request.target.as_deref()).map_err(&syntax)?;
        let total = plan.stages.iter().map(|stage| 1 + file.stages[stage.index].instructions.len()).sum();
        let ends = plan.stages.iter().map(|stage| (stage.index, watch::channel(None).0)).collect();
        let build = Arc::new(Build {
            request,
            file,
            globals,
            progress,
            cache: Arc::clone(&self.cache),
            outside: Arc::clone(&self.outside),
            images: self.images.clone(),
            folder: self.folder.clone(),
            lease: self.images.lease(),
            ends,
            total,
        });
        build.run(&plan).await
    }
}

impl Build {
    async fn run(self: Arc<Self>, plan: &Plan) -> Result<ImageId, BuildError> {
        let mut tasks: JoinSet<Result<StageScope, BuildError>> = JoinSet::new();
        let mut first_step = 1;
        for stage in &plan.stages {
            let build = Arc::clone(&self);
            let (index, base, platform, step) =
                (stage.index, stage.base.clone(), stage.platform.clone(), first_step);
            first_step += 1 + self.stage(index).instructions.len();
            tasks.spawn(async move { build.stage_task(index, base, platform, step).await });
        }
        let mut scopes = Vec::new();
        let mut failure: Option<BuildError> = None;
        while let Some(ended) = tasks.join_next().await {
            let result =
                ended.unwrap_or_else(|error| Err(self.error(Span::default(), "", Cause::Ended(error))));
            match result {
                Ok(scope) => scopes.push(scope),
                // Stages that were waiting for the one that failed are not the cause.
                Err(error) if matches!(*error.cause, Cause::Elsewhere) && failure.is_some() => {}
                Err(error) => {
                    if failure.as_ref().is_none_or(|first| matches!(*first.cause, Cause::Elsewhere)) {
                        failure = Some(error);
                    }
                    tasks.abort_all();
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let unused = scope::unused(&self.globals, &scopes);
        if !unused.is_empty() {
            let text = format!("[Warning] One or more build-args [{}] were not consumed", unused.join(" "));
            self.progress.tell(Event::Warning { text });
        }
        let target = plan.stages.last().map_or(0, |stage| stage.index);
        let point = self.end_of(target).await.map_err(|cause| self.error(Span::default(), "", cause))?;
        self.finish(&point)
            .map_err(|cause| self.error(self.stage(target).span, &self.stage(target).original, cause))
    }

    async fn stage_task(
        self: Arc<Self>,
        index: usize,
        base: Source,
        platform: Option<String>,
        step: usize,
    ) -> Result<StageScope, BuildError> {
        let (span, original) = (self.stage(index).span, self.stage(index).original.clone());
        self.started(step, index, &original);
        let base = self.base(base, platform).await.map_err(|cause| self.error(span, &original, cause))?;
        self.progress.tell(Event::Done { step, id: self.state_id(&base) });
        let (point, scope) = StageBuild::new(Arc::clone(&self), index, base, step + 1).run().await?;
        if let Some(end) = self.ends.get(&index) {
            end.send_replace(Some(Arc::new(point)));
        }
        Ok(scope)
    }

    async fn base(&self, base: Source, platform: Option<String>) -> Result<Point, Cause> {
        let platform = match platform {
            Some(text) => Some(Platform::parse(&text).map_err(|error| Cause::Value(error.to_string()))?),
            None => self.request.platform.clone(),
        };
        match base {
            Source::Scratch => {
                let platform = platform.unwrap_or_else(Platform::host);
                let config = ImageConfig {
                    architecture: platform.architecture,
                    os: platform.os,
                    variant: platform.variant,
                    rootfs: Some(Default::default()),
                    ..ImageConfig::default()
                };
                Ok(Point { config, ..Point::default() })
            }
            Source::Stage(index) => Ok((*self.end_of(index).await?).clone()),
            Source::Image(name) => self.image_point(name, platform).await,
            Source::Named(name) => match self.request.contexts.get(&name) {
                Some(NamedContext::Image(reference)) => {
                    self.image_point(reference.familiar(), platform).await
                }
                _ => Err(Cause::Value(format!("{name} is a folder: a stage cannot stand on it"))),
            },
        }
    }

    async fn image_point(&self, name: String, platform: Option<Platform>) -> Result<Point, Cause> {
        let id = self.outside.image(name, platform, self.request.pull).await.map_err(Cause::Outside)?;
        let image = self.images.get(&id)?;
        if let Some(chain) = image.chain_id() {
            self.lease.hold(&chain);
        }
        Ok(Point { config: (*image.config).clone(), layers: image.record.layers, key: Some(id.0) })
    }

    /// Waits for a stage's end.
    async fn end_of(&self, index: usize) -> Result<Arc<Point>, Cause> {
        let end = self.ends.get(&index).ok_or(Cause::Elsewhere)?;
        let mut end = end.subscribe();
        let point = end.wait_for(Option::is_some).await.map_err(|_| Cause::Elsewhere)?;
        point.clone().ok_or(Cause::Elsewhere)
    }

    fn finish(&self, point: &Point) -> Result<ImageId, Cause> {
        let mut config = point.config.clone();
        config.created = config.history.last().and_then(|step| step.created.clone());
        if !self.request.labels.is_empty() {
            let labels = config.config.get_or_insert_default().labels.get_or_insert_default();
            labels.extend(self.request.labels.clone());
        }
        let bytes = serde_json::to_vec(&config).map_err(|error| Cause::Value(error.to_string()))?;
        let options = CreateOptions { built_here: true, ..CreateOptions::default() };
        let id = self.images.create(&bytes, point.layers.clone(), &options)?;
        for tag in &self.request.tags {
            self.images.tag_image(&id, &tag.or_latest())?;
        }
        Ok(id)
    }

    pub(crate) fn stage(&self, index: usize) -> &Stage {
        &self.file.stages[index]
    }

    pub(crate) fn started(&self, step: usize, index: usize, text: &str) {
        let stage = self.stage(index).from.name.clone().unwrap_or_else(|| index.to_string());
        self.progress.tell(Event::Started { step, total: self.total, stage, text: text.to_owned() });
    }

    pub(crate) fn error(&self, span: Span, instruction: &str, cause: Cause) -> BuildError {
        let file = self.request.dockerfile_name.clone();
        BuildError { file, span, instruction: instruction.to_owned(), cause: Box::new(cause) }
    }

    /// Twelve digits that name a state as an image would be named.
    pub(crate) fn state_id(&self, point: &Point) -> String {
        serde_json::to_vec(&point.config)
            .map_or_else(|_| String::new(), |bytes| Digest::sha256_of(&bytes).short().to_owned())
    }

    pub(crate) fn context(&self) -> Result<(Root, Ignore), Cause> {
        let missing = || Cause::Value("this build has no context to copy from".into());
        let folder = self.request.context.as_ref().ok_or_else(missing)?;
        let root = Root::open(folder)?;
        // `<Dockerfile>.dockerignore` wins over `.dockerignore`.
        for name in [format!("{}.dockerignore", self.request.dockerfile_name), ".dockerignore".into()] {
            if root.stat(&name, true)?.is_some() {
                let text = std::fs::read_to_string(folder.join(&name)).map_err(FileError::io(&name))?;
                let ignore = Ignore::parse(&text).map_err(|error| Cause::Value(error.to_string()))?;
                return Ok((root, ignore));
            }
        }
        Ok((root, Ignore::default()))
    }

    /// The finished root of an earlier stage, to read.
    pub(crate) async fn stage_root(&self, index: usize) -> Result<Root, Cause> {
        let point = self.end_of(index).await?;
        self.root_of(point.chain().as_ref())
    }

    pub(crate) async fn image_root(&self, name: String) -> Result<Root, Cause> {
        let point = self.image_point(name, self.request.platform.clone()).await?;
        self.root_of(point.chain().as_ref())
    }

    pub(crate) async fn named_root(&self, name: &str) -> Result<Root, Cause> {
        match self.request.contexts.get(name) {
            Some(NamedContext::Folder(folder)) => Ok(Root::open(folder)?),
            Some(NamedContext::Image(reference)) => self.image_root(reference.familiar()).await,
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

    pub(crate) async fn prepare(&self, parent: Option<&ChainId>) -> Result<Prepared, Cause> {
        let key = format!("build-{}", ContainerId::random().short());
        self.images.snapshots().prepare(&key, parent.map(ChainId::as_str))?;
        Ok(Prepared { key, parent: parent.cloned(), images: self.images.clone(), done: false })
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
            let layer = build.images.layer_of_snapshot(&build.lease, &prepared.key, parent.as_ref(), true)?;
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

    /// The folder of a cache mount, the same for every build that names it.
    pub(crate) fn cache_folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let folder = self.folder.join("mounts").join(Digest::sha256_of(name.as_bytes()).hex());
        std::fs::create_dir_all(&folder).map(|()| folder)
    }
}

fn seen(rootfs: &gantry_snapshots::Rootfs) -> Result<Root, Cause> {
    let view = RootView::of(rootfs)?;
    // The descriptor keeps the mount it was opened in.
    Ok(Root::from(view.root().open_dir(b"").map_err(FileError::io("/"))?))
}
