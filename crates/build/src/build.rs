//! A whole build: its stages side by side, then the image.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_dockerfile::ignore::Ignore;
use gantry_dockerfile::{Dockerfile, Instruction, ParseError, Span, Stage};
use gantry_errdefs::{Class, Classified};
use gantry_images::{
    CreateOptions, Filters, HistoryEntry, ImageConfig, ImageStore, Labels, Layer, Lease, ListOptions,
};
use gantry_names::{ChainId, ContainerId, Digest, ImageId, Platform, Reference};
use gantry_snapshots::RootView;
use gantry_store::{Store, StoreError};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::cache::{Cache, Point};
use crate::files::{FileError, Root};
use crate::inline::{self, Inline};
use crate::mounts::{CacheMounts, MountsError};
use crate::plan::{self, Plan, Source};
use crate::progress::{Event, Output, Progress, Started, StepNumber};
use crate::remote::RemoteError;
use crate::request::{BuildRequest, NamedContext};
use crate::scope::{self, Globals, StageScope};
use crate::stage::{Prepared, StageBuild};
use crate::step::{ImageWanted, Outside, Refusal};

/// The label of a state that a failed step has left.
pub const FAILED_LABEL: &str = "gantry.build.failed";
/// How many of them are kept.
const FAILED_KEPT: usize = 3;
/// Bytes of a `.dockerignore` that are read.
const IGNORE_LIMIT: u64 = 1 << 20;

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
    /// Folders of `--mount=type=cache`.
    pub mounts: CacheMounts,
    /// What the cache may take by default; none: a part of the disk.
    pub keep_bytes: Option<u64>,
}

impl Builder {
    /// A builder over an engine's images and records.
    pub fn open(
        images: ImageStore,
        store: &Store,
        outside: Arc<dyn Outside>,
        folder: PathBuf,
    ) -> Result<Self, StoreError> {
        let cache = Arc::new(Cache::open(store.clone(), images.clone())?);
        let mounts = CacheMounts::open(&folder, store.clone());
        for left in ["scratch", "contexts"] {
            // Of builds that the engine's end has cut off.
            let _nothing_left = std::fs::remove_dir_all(folder.join(left));
        }
        Ok(Self { images, cache, outside, folder, mounts, keep_bytes: None })
    }
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
    /// The step; zero where it was none.
    pub step: StepNumber,
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
    /// Files of an instruction.
    #[error("{instruction} failed: {error}")]
    File {
        /// Its name.
        instruction: &'static str,
        /// What went wrong.
        #[source]
        error: FileError,
    },
    /// A RUN ended badly.
    #[error("The command '{}' returned a non-zero code: {}", .0.command, .0.code)]
    Exit(Box<Failed>),
    /// Another machine.
    #[error("ADD failed: {0}")]
    Remote(#[from] RemoteError),
    /// Cache mounts.
    #[error(transparent)]
    Mounts(#[from] MountsError),
    /// A step could not run, or a base image could not be had.
    #[error(transparent)]
    Outside(Refusal),
    /// Images and layers.
    #[error(transparent)]
    Image(#[from] gantry_images::Error),
    /// Snapshots.
    #[error(transparent)]
    Snapshot(#[from] gantry_snapshots::Error),
    /// Another stage of the same build failed first.
    #[error("the build was cut off: another stage failed")]
    Elsewhere,
    /// A task of ours panicked.
    #[error("the build ended early: {0}")]
    Ended(JoinError),
}

/// A command that ended badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its words.
    pub command: String,
    /// Its exit code.
    pub code: i32,
    /// The last it said.
    pub output: String,
    /// The state it left, as an image that can be run.
    pub state: Option<ImageId>,
}

impl From<FileError> for Cause {
    fn from(error: FileError) -> Self {
        Cause::File { instruction: "COPY", error }
    }
}

impl Cause {
    /// The same with the instruction whose files it is about.
    pub(crate) fn of(self, instruction: &'static str) -> Self {
        match self {
            Cause::File { error, .. } => Cause::File { instruction, error },
            other => other,
        }
    }

    pub(crate) fn ended(error: JoinError) -> Self {
        Cause::Ended(error)
    }
}

impl Classified for BuildError {
    fn class(&self) -> Class {
        match &*self.cause {
            Cause::Syntax(_) | Cause::Value(_) | Cause::Exit(_) | Cause::Remote(_) => Class::InvalidArgument,
            Cause::File { error, .. } => error.class(),
            Cause::Outside(refusal) => refusal.class,
            Cause::Image(error) => error.class(),
            Cause::Snapshot(error) => error.class(),
            Cause::Mounts(_) | Cause::Elsewhere | Cause::Ended(_) => Class::Internal,
        }
    }
}

/// One build on its way.
pub(crate) struct Build {
    pub(crate) request: BuildRequest,
    /// First and last step of each planned stage.
    steps: BTreeMap<usize, (StepNumber, StepNumber)>,
    /// Number of the last trigger that has one.
    triggers: AtomicUsize,
    pub(crate) file: Dockerfile,
    pub(crate) globals: Globals,
    pub(crate) progress: Progress,
    pub(crate) cache: Arc<Cache>,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) images: ImageStore,
    pub(crate) mounts: CacheMounts,
    /// What images named by `--cache-from` tell.
    pub(crate) inline: Inline,
    folder: PathBuf,
    pub(crate) lease: Arc<Lease>,
    /// The end of each planned stage, once it is there.
    ends: BTreeMap<usize, watch::Sender<Option<Arc<Point>>>>,
    /// How many layers the base of each stage has.
    bases: Mutex<BTreeMap<usize, usize>>,
    total: usize,
}

/// What a build has made: not an image yet, and nobody's but its holder's.
#[derive(Debug)]
pub struct Built {
    /// The image's config, labels included.
    pub config: ImageConfig,
    /// That config's document; its digest is the image's id.
    pub document: Vec<u8>,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// Holds the layers.
    _lease: Arc<Lease>,
}

impl Built {
    /// The snapshot of all layers; none for an empty root.
    pub fn chain(&self) -> Option<ChainId> {
        self.config.chain_id()
    }
}

impl Builder {
    /// Builds, tags, and gives the image's id.
    pub async fn build(&self, request: BuildRequest, progress: Progress) -> Result<ImageId, BuildError> {
        let (file, tags) = (request.dockerfile_name.clone(), request.tags.clone());
        let built = self.solve(request, progress).await?;
        self.image(&built, &tags).map_err(|error| BuildError {
            file,
            step: 0,
            span: Span::default(),
            instruction: String::new(),
            cause: Box::new(Cause::Image(error)),
        })
    }

    /// Makes an image of what was built, with these names.
    pub fn image(&self, built: &Built, tags: &[Reference]) -> gantry_images::Result<ImageId> {
        let options = CreateOptions { built_here: true, ..CreateOptions::default() };
        let id = self.images.create(&built.document, built.layers.clone(), &options)?;
        for tag in tags {
            self.images.tag_image(&id, &tag.or_latest())?;
        }
        Ok(id)
    }

    /// Builds, and makes no image of it yet.
    pub async fn solve(&self, request: BuildRequest, progress: Progress) -> Result<Built, BuildError> {
        let name = request.dockerfile_name.clone();
        let syntax = |error: ParseError| BuildError {
            file: name.clone(),
            step: 0,
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
            let Instruction::Arg(args) = &located.instruction else { continue };
            for (name, default) in args {
                globals
                    .declare(name, default.as_deref(), file.directives.escape)
                    .map_err(|message| syntax(ParseError { span: located.span, message }))?;
            }
        }
        let contexts: BTreeSet<String> = request.contexts.keys().cloned().collect();
        let plan = plan::plan(&file, &globals, &contexts, request.target.as_deref()).map_err(&syntax)?;
        let mut total = file.global_args.len();
        let mut steps = BTreeMap::new();
        for stage in &plan.stages {
            let first = total + 1;
            total = first + file.stages[stage.index].instructions.len();
            steps.insert(stage.index, (first, total));
        }
        let ends = plan.stages.iter().map(|stage| (stage.index, watch::channel(None).0)).collect();
        let inline = Inline::of(&self.images, &request.cache_from);
        let build = Arc::new(Build {
            request,
            steps,
            triggers: AtomicUsize::new(total),
            file,
            globals,
            progress,
            cache: Arc::clone(&self.cache),
            outside: Arc::clone(&self.outside),
            images: self.images.clone(),
            mounts: self.mounts.clone(),
            inline,
            folder: self.folder.clone(),
            lease: Arc::new(self.images.lease()),
            ends,
            bases: Mutex::default(),
            total,
        });
        let ended = Arc::clone(&build).run(&plan).await;
        build.flush().await;
        ended
    }
}

impl Build {
    async fn run(self: Arc<Self>, plan: &Plan) -> Result<Built, BuildError> {
        let mut tasks: JoinSet<Result<StageScope, BuildError>> = JoinSet::new();
        for (number, located) in self.file.global_args.iter().enumerate() {
            let step = number + 1;
            self.progress.tell(Event::Started(Started {
                step,
                total: self.total,
                stage: String::new(),
                nameless: true,
                place: None,
                within: None,
                after: Vec::new(),
                text: located.original.clone(),
            }));
            self.progress.tell(Event::Done { step, id: String::new() });
        }
        for stage in &plan.stages {
            let build = Arc::clone(&self);
            let (index, base, platform) = (stage.index, stage.base.clone(), stage.platform.clone());
            let first = self.steps[&index].0;
            tasks.spawn(async move {
                let progress = build.progress.clone();
                let ended = build.stage_task(index, base, platform, first).await;
                ended.inspect_err(|error| {
                    progress.tell(Event::Failed { step: error.step, error: error.cause.to_string() });
                })
            });
        }
        let mut scopes = Vec::new();
        let mut failure: Option<BuildError> = None;
        while let Some(ended) = tasks.join_next().await {
            let result =
                ended.unwrap_or_else(|error| Err(self.error(0, Span::default(), "", Cause::Ended(error))));
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
        let point = self.end_of(target).await.map_err(|cause| self.error(0, Span::default(), "", cause))?;
        let build = Arc::clone(&self);
        let finished = tokio::task::spawn_blocking(move || build.finish(target, &point)).await;
        finished
            .unwrap_or_else(|error| Err(Cause::Ended(error)))
            .map_err(|cause| self.error(0, self.stage(target).span, &self.stage(target).original, cause))
    }

    async fn stage_task(
        self: Arc<Self>,
        index: usize,
        base: Source,
        platform: Option<String>,
        step: usize,
    ) -> Result<StageScope, BuildError> {
        let (span, original) = (self.stage(index).span, self.stage(index).original.clone());
        let after = match base {
            Source::Stage(other) => self.last_step(other).into_iter().collect(),
            _ => Vec::new(),
        };
        self.started(Started {
            place: Some((1, self.places(index))),
            after,
            ..self.beginning(step, index, &original)
        });
        let base = self
            .base(base, platform, step)
            .await
            .map_err(|cause| self.error(step, span, &original, cause))?;
        self.progress.tell(Event::Done { step, id: self.state_id(&base) });
        self.bases.lock().unwrap_or_else(PoisonError::into_inner).insert(index, base.layers.len());
        let (point, scope) = StageBuild::new(Arc::clone(&self), index, base, step).run().await?;
        if let Some(end) = self.ends.get(&index) {
            end.send_replace(Some(Arc::new(point)));
        }
        Ok(scope)
    }

    async fn base(&self, base: Source, platform: Option<String>, step: StepNumber) -> Result<Point, Cause> {
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
            Source::Image(name) => self.image_point(name, platform, step).await,
            Source::Named(name) => match self.request.contexts.get(&name) {
                Some(NamedContext::Image(reference)) => {
                    self.image_point(reference.familiar(), platform, step).await
                }
                Some(NamedContext::Built(built)) => Ok(self.built_point(built)?),
                _ => Err(Cause::Value(format!("{name} is a folder: a stage cannot stand on it"))),
            },
        }
    }

    /// Another build's result, as the start of a stage.
    fn built_point(&self, built: &Built) -> Result<Point, Cause> {
        if let Some(chain) = built.chain() {
            self.lease.hold(&chain);
        }
        let key = Some(Digest::sha256_of(&built.document));
        Ok(Point { config: built.config.clone(), layers: built.layers.clone(), key })
    }

    async fn image_point(
        &self,
        name: String,
        platform: Option<Platform>,
        step: StepNumber,
    ) -> Result<Point, Cause> {
        let (pull, caller) = (self.request.pull, Arc::clone(&self.request.caller));
        let wanted = ImageWanted { name, platform, pull, caller };
        let output = Output::new(self.progress.clone(), step);
        let id = self.outside.image(wanted, output).await.map_err(Cause::Outside)?;
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

    fn finish(&self, target: usize, point: &Point) -> Result<Built, Cause> {
        let squashed;
        let point = match self.request.squash {
            true => {
                let bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
                let below = bases.get(&target).copied().unwrap_or_default();
                drop(bases);
                squashed = self.squash(point, below)?;
                &squashed
            }
            false => point,
        };
        let config = self.config(point);
        let document = self.document(&config, point).map_err(|error| Cause::Value(error.to_string()))?;
        Ok(Built { config, document, layers: point.layers.clone(), _lease: Arc::clone(&self.lease) })
    }

    /// The config of a state, were the build to end there.
    fn config(&self, point: &Point) -> ImageConfig {
        let mut config = point.config.clone();
        if let Some(last) = config.history.last() {
            config.created.clone_from(&last.created);
        }
        if !self.request.labels.is_empty() {
            let labels = config.config.get_or_insert_default().labels.get_or_insert_default();
            labels.extend(self.request.labels.clone());
        }
        config
    }

    /// The config's document, with what others may take as their cache.
    fn document(&self, config: &ImageConfig, point: &Point) -> serde_json::Result<Vec<u8>> {
        let mut document = serde_json::to_value(config)?;
        if self.request.inline_cache && !self.request.squash {
            inline::note(&mut document, point, &self.cache);
        }
        serde_json::to_vec(&document)
    }

    /// The time of what is made now.
    pub(crate) fn now(&self) -> String {
        let epoch = self.request.epoch.and_then(|seconds| Timestamp::from_second(seconds).ok());
        epoch.unwrap_or_else(Timestamp::now).to_string()
    }

    /// What every time of a copied file is cut to.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.request.epoch.filter(|_| self.request.rewrite_timestamp)
    }

    /// A state this build stands on stays while it runs.
    pub(crate) fn keep(&self, point: &Point) {
        let mut chain = None;
        for layer in &point.layers {
            let next = ChainId::extend(chain.as_ref(), &layer.diff_id);
            self.lease.hold(&next);
            self.images.content().touch(&layer.blob);
            chain = Some(next);
        }
    }

    /// Writes the cache down in the background.
    pub(crate) fn flush_soon(self: &Arc<Self>) {
        let build = Arc::clone(self);
        tokio::spawn(async move { build.flush().await });
    }

    async fn flush(&self) {
        let cache = Arc::clone(&self.cache);
        let flushed = tokio::task::spawn_blocking(move || cache.flush()).await;
        if let Ok(Err(error)) = flushed {
            // It is not lost: the next one writes it. A cache that cannot be written is no reason for a build to fail.
            let text = format!("[Warning] the build cache cannot be written: {error}");
            self.progress.tell(Event::Warning { text });
        }
    }

    /// Keeps what a command that failed has left, as an image without a name.
    pub(crate) async fn keep_failed(
        self: &Arc<Self>,
        snapshot: Prepared,
        point: &Point,
        text: &str,
    ) -> Option<ImageId> {
        if !self.request.keep_failed {
            return None;
        }
        let mut point = point.clone();
        if let Some(layer) = self.layer(snapshot, point.chain().as_ref()).await.ok()? {
            point.config.rootfs.get_or_insert_default().diff_ids.push(layer.diff_id.clone());
            point.layers.push(layer);
            point.config.history.push(HistoryEntry {
                created: Some(self.now()),
                created_by: format!("{text} # failed"),
                ..HistoryEntry::default()
            });
        }
        let config = point.config.config.get_or_insert_default();
        (config.entrypoint, config.healthcheck) = (None, None);
        config.cmd = Some(
            config
                .shell
                .as_ref()
                .and_then(|shell| shell.first().cloned())
                .map_or_else(|| vec!["/bin/sh".to_owned()], |shell| vec![shell]),
        );
        config.labels.get_or_insert_default().insert(FAILED_LABEL.to_owned(), text.to_owned());
        point.config.created = Some(self.now());
        let build = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || {
            let bytes = serde_json::to_vec(&point.config).ok()?;
            let options = CreateOptions { built_here: true, ..CreateOptions::default() };
            let id = build.images.create(&bytes, point.layers.clone(), &options).ok()?;
            Some((id, build.older_failures()))
        });
        let (id, older) = made.await.ok()??;
        for image in older {
            self.outside.discard(image).await;
        }
        Some(id)
    }

    /// States of failed steps but the newest: they were kept to be looked at, not to fill the disk.
    fn older_failures(&self) -> Vec<ImageId> {
        let labels = Labels::parse([FAILED_LABEL]);
        let filters = Filters { label: labels, dangling: Some(true), ..Filters::default() };
        let options = ListOptions { all: true, filters, ..ListOptions::default() };
        let mut found = self.images.list(&options).unwrap_or_default();
        found.sort_by_key(|summary| std::cmp::Reverse(summary.created));
        found.into_iter().skip(FAILED_KEPT).map(|summary| summary.id).collect()
    }

    pub(crate) fn stage(&self, index: usize) -> &Stage {
        &self.file.stages[index]
    }

    /// The last step of a planned stage.
    pub(crate) fn last_step(&self, index: usize) -> Option<StepNumber> {
        self.steps.get(&index).map(|(_, last)| *last)
    }

    /// The number of a trigger, behind all others.
    pub(crate) fn trigger(&self) -> StepNumber {
        self.triggers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many steps of a stage make or take files.
    pub(crate) fn places(&self, index: usize) -> usize {
        1 + self.stage(index).instructions.iter().filter(|located| has_place(&located.instruction)).count()
    }

    /// What is known of every step of a stage.
    pub(crate) fn beginning(&self, step: StepNumber, index: usize, text: &str) -> Started {
        let name = self.stage(index).from.name.clone();
        Started {
            step,
            total: self.total,
            nameless: name.is_none(),
            stage: name.unwrap_or_else(|| format!("stage-{index}")),
            place: None,
            within: None,
            after: Vec::new(),
            text: text.to_owned(),
        }
    }

    pub(crate) fn started(&self, started: Started) {
        self.progress.tell(Event::Started(started));
    }

    pub(crate) fn error(&self, step: StepNumber, span: Span, instruction: &str, cause: Cause) -> BuildError {
        let file = self.request.dockerfile_name.clone();
        BuildError { file, step, span, instruction: instruction.to_owned(), cause: Box::new(cause) }
    }

    /// Twelve digits that name a state as an image would be named; none for the empty one.
    pub(crate) fn state_id(&self, point: &Point) -> String {
        if point.layers.is_empty() && point.config.history.is_empty() {
            return String::new();
        }
        serde_json::to_vec(&self.config(point))
            .map_or_else(|_| String::new(), |bytes| Digest::sha256_of(&bytes).short().to_owned())
    }

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

    /// A fresh snapshot on `parent`. One that a process will run in stands on the mount points every container has, so
    /// that they are no part of the layer.
    pub(crate) async fn prepare(&self, parent: Option<&ChainId>, process: bool) -> Result<Prepared, Cause> {
        let (images, parent) = (self.images.clone(), parent.cloned());
        let made = tokio::task::spawn_blocking(move || {
            // An id, so that the engine's next start takes it for what a cut-off step has left.
            let key = ContainerId::random();
            let below = match process {
                true => Some(images.init_layer(parent.as_ref())?),
                false => parent.as_ref().map(ToString::to_string),
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

/// Whether an instruction makes or takes files.
pub(crate) fn has_place(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::Run(_) | Instruction::Copy(_) | Instruction::Add(_) | Instruction::Workdir(_)
    )
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
