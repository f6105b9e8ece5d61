//! A whole build: its stages side by side, then the image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_dockerfile::{Dockerfile, Instruction, ParseError, Span, Stage};
use gantry_images::{CreateOptions, ImageConfig, ImageStore, Layer, Lease};
use gantry_names::{ChainId, Digest, ImageId, Platform, Reference};
use gantry_store::{Store, StoreError};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cache::{Cache, Point};
pub use crate::failure::{BuildError, Cause, Failed};
use crate::inline::{self, Inline};
pub use crate::kept::FAILED_LABEL;
use crate::mounts::CacheMounts;
use crate::plan::{self, Plan, Source};
use crate::progress::{Event, Output, Progress, Started, StepNumber};
use crate::request::{BuildRequest, NamedContext};
use crate::scope::{self, Globals, StageScope};
use crate::stage::StageBuild;
use crate::step::{ImageWanted, Outside};
use crate::upkeep::Gc;

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
    /// What of the cache is thrown away without being asked.
    pub gc: Gc,
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
        Ok(Self { images, cache, outside, folder, mounts, gc: Gc::default() })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("folder", &self.folder).finish_non_exhaustive()
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
    pub(crate) folder: PathBuf,
    pub(crate) lease: Arc<Lease>,
    /// The end of each planned stage, once it is there.
    ends: BTreeMap<usize, watch::Sender<Option<Arc<Point>>>>,
    /// The keys of the steps so far.
    trail: Mutex<Vec<Digest>>,
    /// Images that were asked for.
    images_used: Mutex<BTreeMap<String, Digest>>,
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
    /// The key of the step that led here; none where there was none.
    pub key: Option<Digest>,
    /// The keys of all steps of the build, each behind the one it stands on.
    pub trail: Vec<Digest>,
    /// The images it stands on or took files from, by name, with the digests their registries know them by.
    pub bases: BTreeMap<String, Digest>,
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
        self.name(&id, tags)?;
        Ok(id)
    }

    /// Gives an image names.
    pub fn name(&self, id: &ImageId, tags: &[Reference]) -> gantry_images::Result<()> {
        for tag in tags {
            self.images.tag_image(id, &tag.or_latest())?;
            self.outside.tagged(id, &tag.or_latest());
        }
        Ok(())
    }

    /// An image that came from elsewhere, layer by layer, as if it had been built: others may stand on it.
    pub fn adopt(&self, document: Vec<u8>, layers: Vec<Layer>, lease: Lease) -> gantry_images::Result<Built> {
        let config: ImageConfig = serde_json::from_slice(&document).map_err(std::io::Error::other)?;
        let diff_ids = config.diff_ids();
        if diff_ids.len() != layers.len() {
            let (expected, found) = (diff_ids.len(), layers.len());
            return Err(gantry_images::Error::LayerCount { expected, found });
        }
        let (mut below, mut placed) = (None, Vec::new());
        for (index, (diff_id, layer)) in diff_ids.iter().zip(layers).enumerate() {
            let mut layer = Layer { diff_id: diff_id.clone(), ..layer };
            self.images.unpack_layer(&lease, below.as_ref(), &layer, index)?;
            let chain = ChainId::extend(below.as_ref(), diff_id);
            layer.size = self.images.snapshots().usage(chain.as_str())?.bytes;
            placed.push(layer);
            below = Some(chain);
        }
        let _lease = Arc::new(lease);
        Ok(Built {
            config,
            document,
            layers: placed,
            key: None,
            trail: Vec::new(),
            bases: BTreeMap::new(),
            _lease,
        })
    }

    /// Builds, and makes no image of it yet.
    pub async fn solve(&self, request: BuildRequest, progress: Progress) -> Result<Built, BuildError> {
        let (file, globals, plan) = read(&request)?;
        let mut total = file.global_args.len();
        let mut steps = BTreeMap::new();
        for stage in &plan.stages {
            let first = total + 1;
            total = first + file.stages[stage.index].instructions.len();
            steps.insert(stage.index, (first, total));
        }
        let ends = plan.stages.iter().map(|stage| (stage.index, watch::channel(None).0)).collect();
        let inline = Inline::of(&self.images, &request.cache_from, &request.imports);
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
            trail: Mutex::default(),
            images_used: Mutex::default(),
            bases: Mutex::default(),
            total,
        });
        let ended = Arc::clone(&build).run(&plan).await;
        build.flush().await;
        ended
    }
}

/// The file, its global variables, and which of its stages are needed.
pub(crate) fn read(request: &BuildRequest) -> Result<(Dockerfile, Globals, Plan), BuildError> {
    let syntax = |error: ParseError| BuildError {
        file: request.dockerfile_name.clone(),
        step: 0,
        span: error.span,
        instruction: String::new(),
        cause: Box::new(Cause::Syntax(error)),
    };
    let file = gantry_dockerfile::parse(&request.dockerfile).map_err(syntax)?;
    let host = Platform::host();
    let platform = request.platform.clone().unwrap_or_else(|| host.clone());
    let target = request.target.as_deref().filter(|target| !target.is_empty()).unwrap_or("default");
    let mut globals = Globals::new(&request.args, &host, &platform, target);
    for located in &file.global_args {
        let Instruction::Arg(args) = &located.instruction else { continue };
        for (name, default) in args {
            globals
                .declare(name, default.as_deref(), file.directives.escape)
                .map_err(|message| syntax(ParseError { span: located.span, message }))?;
        }
    }
    let contexts: BTreeSet<String> = request.contexts.keys().cloned().collect();
    let plan = plan::plan(&file, &globals, &contexts, request.target.as_deref()).map_err(syntax)?;
    Ok((file, globals, plan))
}

/// Whether a frontend's image is Docker's own, which ours stands for.
pub fn is_own_frontend(image: &str) -> bool {
    Reference::parse(image).is_ok_and(|reference| {
        ["docker/dockerfile", "docker/dockerfile-upstream"].contains(&reference.familiar_name().as_str())
    })
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
        if let Some(syntax) = self.file.directives.syntax.as_deref().filter(|image| !is_own_frontend(image)) {
            let text = format!(
                "[Warning] the frontend {syntax} of \"# syntax=\" is not run: the file is read as a Dockerfile of today"
            );
            self.progress.tell(Event::Warning { text });
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
                // Nothing of one platform is not nothing of another: their steps are told apart.
                let key = (platform != Platform::host())
                    .then(|| Digest::sha256_of(format!("scratch {platform}").as_bytes()));
                let config = ImageConfig {
                    architecture: platform.architecture,
                    os: platform.os,
                    variant: platform.variant,
                    rootfs: Some(Default::default()),
                    ..ImageConfig::default()
                };
                Ok(Point { config, key, ..Point::default() })
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

    pub(crate) async fn image_point(
        &self,
        name: String,
        platform: Option<Platform>,
        step: StepNumber,
    ) -> Result<Point, Cause> {
        let (pull, caller) = (self.request.pull, Arc::clone(&self.request.caller));
        let expected = platform.clone().unwrap_or_else(Platform::host);
        let wanted = ImageWanted { name: name.clone(), platform, pull, caller };
        let output = Output::new(self.progress.clone(), step);
        let id = self.outside.image(wanted, output).await.map_err(Cause::Outside)?;
        let image = self.images.get(&id)?;
        let found = image.config.platform();
        if !found.architecture.is_empty() && !found.matches(&expected) {
            let text = format!(
                "[Warning] InvalidBaseImagePlatform: Base image {name} was pulled with platform \"{found}\", expected \"{expected}\" for current build"
            );
            self.progress.tell(Event::Warning { text });
        }
        let known = image.record.index.clone().or(image.record.manifest.clone()).unwrap_or(id.0.clone());
        self.images_used.lock().unwrap_or_else(PoisonError::into_inner).insert(name, known);
        if let Some(chain) = image.chain_id() {
            self.lease.hold(&chain);
        }
        Ok(Point { config: (*image.config).clone(), layers: image.record.layers, key: Some(id.0) })
    }

    /// Waits for a stage's end.
    pub(crate) async fn end_of(&self, index: usize) -> Result<Arc<Point>, Cause> {
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
        let trail = std::mem::take(&mut *self.trail.lock().unwrap_or_else(PoisonError::into_inner));
        let bases = std::mem::take(&mut *self.images_used.lock().unwrap_or_else(PoisonError::into_inner));
        let (layers, key, _lease) = (point.layers.clone(), point.key.clone(), Arc::clone(&self.lease));
        Ok(Built { config, document, layers, key, trail, bases, _lease })
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

    /// Notes the key of a step.
    pub(crate) fn passed(&self, key: &Digest) {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
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
        self.document(&self.config(point), point)
            .map_or_else(|_| String::new(), |bytes| Digest::sha256_of(&bytes).short().to_owned())
    }
}

/// Whether an instruction makes or takes files.
pub(crate) fn has_place(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::Run(_) | Instruction::Copy(_) | Instruction::Add(_) | Instruction::Workdir(_)
    )
}
