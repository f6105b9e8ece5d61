//! One stage, instruction by instruction: look up, else do.

use std::sync::Arc;

use gantry_dockerfile::instruction::{Instruction, Located};
use gantry_dockerfile::{Stage, expand};
use gantry_images::{HistoryEntry, Layer, RunConfig, changes_of};
use gantry_names::{ChainId, ContainerId, Digest};

use crate::build::{Build, has_place};
use crate::cache::Point;
use crate::failure::{BuildError, Cause};
use crate::files::FileError;
use crate::key::{Difference, Inputs};
use crate::plan::{self, Source};
use crate::progress::{Event, Started, StepNumber};
use crate::roots::Ground;
use crate::scope::StageScope;
use crate::step::Task;

/// A stage on its way.
pub(crate) struct StageBuild {
    pub(crate) build: Arc<Build>,
    pub(crate) index: usize,
    pub(crate) scope: StageScope,
    pub(crate) point: Point,
    /// The step under way, or the last one.
    pub(crate) step: StepNumber,
    /// The step of the FROM.
    first: StepNumber,
    /// How many steps so far make or take files.
    places: usize,
    /// A CMD of this stage itself; an ENTRYPOINT forgets an inherited one only.
    cmd_is_own: bool,
    /// The first step that the cache had not, and why: all behind it are not there because of it.
    missed: Option<String>,
    pub(crate) no_cache: bool,
}

pub(crate) type Result<T> = std::result::Result<T, Cause>;

/// What makes a step's files, in the snapshot it is given.
pub(crate) trait Work: FnOnce(ContainerId) -> Task<'static, Result<()>> {}

impl<F: FnOnce(ContainerId) -> Task<'static, Result<()>>> Work for F {}

impl StageBuild {
    pub(crate) fn new(build: Arc<Build>, index: usize, base: Point, first: StepNumber) -> Self {
        let no_cache = build.request.no_cache.covers(build.stage(index).from.name.as_deref());
        Self {
            build,
            index,
            scope: StageScope::default(),
            point: base,
            step: first,
            first,
            places: 1,
            cmd_is_own: false,
            missed: None,
            no_cache,
        }
    }

    /// Runs all instructions, ONBUILD triggers of the base first.
    pub(crate) async fn run(mut self) -> std::result::Result<(Point, StageScope), BuildError> {
        let stage: Stage = self.build.stage(self.index).clone();
        let triggers =
            self.point.config.config.as_mut().and_then(|config| config.on_build.take()).unwrap_or_default();
        for text in triggers {
            let parsed = gantry_dockerfile::stage::parse_fragment(&text)
                .map_err(|error| self.build.error(self.first, stage.span, &text, Cause::Syntax(error)))?;
            for located in parsed {
                if matches!(located.instruction, Instruction::Onbuild(_)) {
                    let cause = Cause::Value("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into());
                    return Err(self.build.error(self.first, stage.span, &text, cause));
                }
                // A trigger stands where the FROM stands.
                let located = Located { span: stage.span, ..located };
                let step = self.build.trigger();
                self.instruction(&located, step, Some(self.first)).await?;
            }
        }
        for (number, located) in stage.instructions.iter().enumerate() {
            self.instruction(located, self.first + 1 + number, None).await?;
        }
        Ok((self.point, self.scope))
    }

    async fn instruction(
        &mut self,
        located: &Located,
        step: StepNumber,
        within: Option<StepNumber>,
    ) -> std::result::Result<(), BuildError> {
        let mut after = vec![std::mem::replace(&mut self.step, step)];
        after.extend(self.sources_of(located));
        let place = (within.is_none() && has_place(&located.instruction)).then(|| {
            self.places += 1;
            (self.places, self.build.places(self.index))
        });
        let beginning = self.build.beginning(step, self.index, &located.original);
        self.build.started(Started { place, within, after, ..beginning });
        let done = self.dispatch(located, step).await;
        done.map_err(|cause| self.build.error(step, located.span, &located.original, cause))?;
        self.build.progress.tell(Event::Done { step, id: self.build.state_id(&self.point) });
        Ok(())
    }

    /// The last steps of the stages an instruction takes files from.
    fn sources_of(&self, located: &Located) -> Vec<StepNumber> {
        let names = self.build.request.contexts.keys().cloned().collect();
        plan::references(&located.instruction)
            .iter()
            .filter_map(|from| plan::resolve(&self.build.file, self.index, from, &names, located.span).ok())
            .filter_map(|source| match source {
                Source::Stage(index) => self.build.last_step(index),
                _ => None,
            })
            .collect()
    }

    async fn dispatch(&mut self, located: &Located, step: usize) -> Result<()> {
        match &located.instruction {
            Instruction::Arg(args) => self.arg(args, &located.original),
            Instruction::Run(run) => self.run_step(run, located, step).await.map_err(|cause| cause.of("RUN")),
            Instruction::Copy(copy) => self.copy(copy, located, step).await,
            Instruction::Add(add) => self.add(add, located, step).await.map_err(|cause| cause.of("ADD")),
            Instruction::Workdir(path) => {
                self.workdir(path, &located.original).await.map_err(|cause| cause.of("WORKDIR"))
            }
            Instruction::Maintainer(name) => {
                self.point.config.author.clone_from(name);
                self.described(&located.original, name)
            }
            other => self.describe(other, &located.original),
        }
    }

    pub(crate) fn env(&self) -> &[String] {
        self.point.config.config.as_ref().and_then(|config| config.env.as_deref()).unwrap_or_default()
    }

    pub(crate) fn config(&mut self) -> &mut RunConfig {
        self.point.config.config.get_or_insert_default()
    }

    pub(crate) fn escape(&self) -> char {
        self.build.file.directives.escape
    }

    pub(crate) fn expanded(&self, text: &str) -> Result<String> {
        let variables = |name: &str| self.scope.get(self.env(), name);
        expand::word(text, self.escape(), &variables).map(|(word, _)| word).map_err(Cause::Value)
    }

    /// ARG makes no layer and no image; only what uses it depends on it.
    fn arg(&mut self, args: &[(String, Option<String>)], text: &str) -> Result<()> {
        for (name, default) in args {
            let default = default.as_deref().map(|default| self.expanded(default)).transpose()?;
            let build = Arc::clone(&self.build);
            self.scope.declare(&build.globals, name, default);
        }
        self.described(text, "")
    }

    /// Instructions that only change the config.
    fn describe(&mut self, instruction: &Instruction, text: &str) -> Result<()> {
        let shell = self.point.config.config.as_ref().and_then(|config| config.shell.clone());
        let variables = |name: &str| self.scope.get(self.env(), name);
        let changes = changes_of(instruction, self.escape(), &variables, shell.as_deref())
            .map_err(|error| Cause::Value(error.to_string()))?;
        let cmd = self.config().cmd.clone();
        let own = self.cmd_is_own;
        self.config().apply(&changes);
        match instruction {
            Instruction::Cmd(_) => self.cmd_is_own = true,
            Instruction::Entrypoint(_) if own => self.config().cmd = cmd,
            _ => {}
        }
        // Values are part of the key: an expanded variable may change while the text does not.
        self.described(text, &format!("{changes:?}"))
    }

    /// Ends an instruction that makes no layer. Its state is remembered as well, with the time it was first made: a build
    /// that finds everything in the cache ends in the same image.
    fn described(&mut self, text: &str, values: &str) -> Result<()> {
        let inputs = self.inputs(text).with("values", values);
        let key = inputs.key();
        if let Some(point) = self.remembered(&key)? {
            self.found(point, &key, self.step);
            return Ok(());
        }
        if !self.take_inline(&key, None) {
            self.missed(text, &inputs, self.step);
            self.history(text, true);
        }
        self.reached(&key, text, &inputs, 0);
        Ok(())
    }

    /// Tells why the cache has not what a step makes: an input that is new, or the step before that had one.
    pub(crate) fn missed(&mut self, text: &str, inputs: &Inputs, step: StepNumber) {
        if self.no_cache {
            return;
        }
        let because = match (self.build.cache.explain(text, inputs), &self.missed) {
            (Difference::Parent, Some(first)) => format!("{}: {first}", Difference::Parent),
            // Nothing before it in this stage was new: so the ground is.
            (Difference::Parent, None) => "the base of its stage changed".to_owned(),
            (other, _) => other.to_string(),
        };
        self.missed.get_or_insert_with(|| format!("{text} ({because})"));
        self.build.progress.tell(Event::Missed { step, because });
    }

    /// Goes on from a state of the cache.
    fn found(&mut self, point: Point, key: &Digest, step: StepNumber) {
        self.point = point;
        self.build.passed(key);
        self.build.progress.tell(Event::Cached { step });
    }

    /// Remembers the state that the step of this key has led to.
    pub(crate) fn reached(&mut self, key: &Digest, text: &str, inputs: &Inputs, size: u64) {
        self.point.key = Some(key.clone());
        self.build.cache.remember(key, text, inputs, &self.point, size);
        self.build.passed(key);
    }

    /// The state the cache has for a key, unless it is not to be asked.
    fn remembered(&self, key: &Digest) -> Result<Option<Point>> {
        if self.no_cache {
            return Ok(None);
        }
        let mut found = self.build.cache.find(key);
        if self.build.request.cache_only_from {
            found = found.filter(|point| self.build.inline.leads_to(point));
        }
        // One that a prune took between the two is not here.
        Ok(found.filter(|point| self.build.keep(point)))
    }

    /// Takes what an image named by `--cache-from` says of a key: its history's line, and its layer.
    fn take_inline(&mut self, key: &Digest, layer: Option<Layer>) -> bool {
        let Some(step) = self.build.inline.get(key).filter(|_| !self.no_cache) else { return false };
        self.point.config.history.push(step.history.clone());
        if let Some(layer) = layer {
            self.push(layer);
        }
        true
    }

    pub(crate) fn push(&mut self, layer: Layer) {
        self.point.config.rootfs.get_or_insert_default().diff_ids.push(layer.diff_id.clone());
        self.point.layers.push(layer);
    }

    fn history(&mut self, text: &str, empty_layer: bool) {
        let (created, args) = (self.build.now(), self.scope.run_args(self.env()));
        // As BuildKit's: what reads histories knows these forms.
        let run = text.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("RUN "));
        let args = if run && !args.is_empty() {
            format!("|{} {} ", args.len(), args.join(" "))
        } else {
            String::new()
        };
        let created_by = match run {
            true => format!("RUN {args}{} # buildkit", text[4..].trim_start()),
            false => format!("{text} # buildkit"),
        };
        let comment = "buildkit.dockerfile.v0".to_owned();
        self.point.config.history.push(HistoryEntry {
            created: Some(created),
            created_by,
            comment,
            empty_layer,
            ..HistoryEntry::default()
        });
    }

    /// Takes a step's result from the cache, or makes it by `work` on a snapshot and remembers it.
    pub(crate) async fn cached(
        &mut self,
        text: &str,
        inputs: Inputs,
        step: StepNumber,
        ground: Ground,
        work: impl Work,
    ) -> Result<()> {
        let key = inputs.key();
        if let Some(point) = self.remembered(&key)? {
            self.found(point, &key, step);
            return Ok(());
        }
        if let Some(layer) = self.build.foreign_layer(&key, self.point.chain(), self.no_cache).await? {
            let size = layer.as_ref().map_or(0, |layer| layer.size);
            self.take_inline(&key, layer);
            self.reached(&key, text, &inputs, size);
            self.build.progress.tell(Event::Cached { step });
            return Ok(());
        }
        self.missed(text, &inputs, step);
        let snapshot = self.build.prepare(self.point.chain().as_ref(), ground).await?;
        if let Err(mut cause) = work(snapshot.key.clone()).await {
            if let Cause::Exit(failed) = &mut cause {
                failed.state = self.build.keep_failed(snapshot, &self.point, text).await;
            }
            return Err(cause);
        }
        let layer = self.build.layer(snapshot, self.point.chain().as_ref()).await?;
        self.history(text, layer.is_none());
        let size = layer.as_ref().map_or(0, |layer| layer.size);
        if let Some(layer) = layer {
            self.push(layer);
        }
        self.reached(&key, text, &inputs, size);
        self.build.flush_soon();
        Ok(())
    }

    pub(crate) fn inputs(&self, text: &str) -> Inputs {
        let inputs = Inputs::on(self.point.key.as_ref()).with("instruction", text);
        match self.build.request.epoch {
            Some(epoch) => {
                inputs.with("SOURCE_DATE_EPOCH", format!("{epoch} {}", self.build.request.rewrite_timestamp))
            }
            None => inputs,
        }
    }

    pub(crate) fn working_dir(&self) -> &str {
        self.point.config.config.as_ref().map_or("/", |config| config.working_dir.as_str())
    }
}

/// Digests by source word.
pub(crate) type Digests = std::result::Result<Vec<(String, Digest)>, FileError>;

/// Kept for `Build::prepare`: a snapshot that goes away unless it becomes a layer.
pub(crate) struct Prepared {
    pub(crate) key: ContainerId,
    pub(crate) parent: Option<ChainId>,
    pub(crate) images: gantry_images::ImageStore,
    pub(crate) done: bool,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.done {
            // What cannot be removed now is swept when the engine starts again.
            let _swept_later = self.images.snapshots().remove(self.key.as_str());
        }
    }
}
