//! A whole build: its stages side by side, then the image.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_dockerfile::{Dockerfile, Instruction, Span, Stage};
use gantry_images::{ImageStore, Lease};
use gantry_names::Digest;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::builder::Builder;
use crate::built::Built;
use crate::cache::{Cache, Point};
use crate::failure::{BuildError, Cause};
use crate::file;
use crate::inline::Inline;
use crate::mounts::CacheMounts;
use crate::plan::{Plan, Source};
use crate::progress::{Event, Progress, Started, StepNumber};
use crate::request::BuildRequest;
use crate::scope::{self, Globals, StageScope};
use crate::stage::StageBuild;
use crate::step::Outside;

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
    pub(crate) ends: BTreeMap<usize, watch::Sender<Option<Arc<Point>>>>,
    /// The keys of the steps so far.
    pub(crate) trail: Mutex<Vec<Digest>>,
    /// Images that were asked for.
    pub(crate) images_used: Mutex<BTreeMap<String, Digest>>,
    /// How many layers the base of each stage has.
    pub(crate) bases: Mutex<BTreeMap<usize, usize>>,
    total: usize,
}

impl Build {
    pub(crate) fn new(
        builder: &Builder,
        request: BuildRequest,
        progress: Progress,
        file: Dockerfile,
        globals: Globals,
        plan: &Plan,
    ) -> Build {
        let mut total = file.global_args.len();
        let mut steps = BTreeMap::new();
        for stage in &plan.stages {
            let first = total + 1;
            total = first + file.stages[stage.index].instructions.len();
            steps.insert(stage.index, (first, total));
        }
        let inline = Inline::of(&builder.images, &request.cache_from, &request.imports);
        Build {
            request,
            steps,
            triggers: AtomicUsize::new(total),
            file,
            globals,
            progress,
            cache: Arc::clone(&builder.cache),
            outside: Arc::clone(&builder.outside),
            images: builder.images.clone(),
            mounts: builder.mounts.clone(),
            inline,
            folder: builder.folder.clone(),
            lease: Arc::new(builder.images.lease()),
            ends: plan.stages.iter().map(|stage| (stage.index, watch::channel(None).0)).collect(),
            trail: Mutex::default(),
            images_used: Mutex::default(),
            bases: Mutex::default(),
            total,
        }
    }

    pub(crate) async fn run(self: Arc<Self>, plan: &Plan) -> Result<Built, BuildError> {
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
        if let Some(syntax) =
            self.file.directives.syntax.as_deref().filter(|image| !file::is_own_frontend(image))
        {
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

    /// What every time of a copied file is cut to.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.request.epoch.filter(|_| self.request.rewrite_timestamp)
    }

    /// Notes the key of a step.
    pub(crate) fn passed(&self, key: &Digest) {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
    }

    /// A state this build stands on stays while it runs. `false` where it is gone already.
    pub(crate) fn keep(&self, point: &Point) -> bool {
        self.images.hold_layers(&self.lease, &point.layers)
    }

    /// Writes the cache down in the background.
    pub(crate) fn flush_soon(self: &Arc<Self>) {
        let build = Arc::clone(self);
        tokio::spawn(async move { build.flush().await });
    }

    pub(crate) async fn flush(&self) {
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
}

/// Whether an instruction makes or takes files.
pub(crate) fn has_place(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::Run(_) | Instruction::Copy(_) | Instruction::Add(_) | Instruction::Workdir(_)
    )
}
