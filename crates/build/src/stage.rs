//! One stage, instruction by instruction: look up, else do.

use std::sync::Arc;

use gantry_dockerfile::instruction::{Add, Command, Copy, Instruction, Located, Run, Sources};
use gantry_dockerfile::mount::{self, MountKind};
use gantry_dockerfile::{Stage, expand};
use gantry_images::{ConfigChange, HistoryEntry, RunConfig, changes_of, command_line};
use gantry_names::{ChainId, ContainerId, Digest};
use jiff::Timestamp;

use crate::build::{Build, BuildError, Cause, has_place};
use crate::cache::Point;
use crate::files::{self, Chmod, CopyOptions, FileError, Owner, Root};
use crate::key::Inputs;
use crate::place::{self, Placed};
use crate::plan::{self, Source};
use crate::progress::{Event, Output, Started, StepNumber};
use crate::scope::StageScope;
use crate::step::{Step, StepMount, Task};

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
    no_cache: bool,
}

type Result<T> = std::result::Result<T, Cause>;

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
            Instruction::Run(run) => self.run_step(run, located, step).await,
            Instruction::Copy(copy) => self.copy(copy, located, step).await,
            Instruction::Add(add) => self.add(add, located, step).await,
            Instruction::Workdir(path) => self.workdir(path, &located.original).await,
            Instruction::Maintainer(name) => {
                self.point.config.author.clone_from(name);
                self.described(&located.original, name)
            }
            other => self.describe(other, &located.original),
        }
    }

    fn env(&self) -> &[String] {
        self.point.config.config.as_ref().and_then(|config| config.env.as_deref()).unwrap_or_default()
    }

    fn config(&mut self) -> &mut RunConfig {
        self.point.config.config.get_or_insert_default()
    }

    fn escape(&self) -> char {
        self.build.file.directives.escape
    }

    fn expanded(&self, text: &str) -> Result<String> {
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
        if let Some(point) = self.build.cache.find(&key).map_err(Cause::store)?.filter(|_| !self.no_cache) {
            self.point = point;
            return Ok(());
        }
        self.history(text, true);
        self.point.key = Some(key.clone());
        self.build.cache.remember(&key, text, &inputs, &self.point, 0).map_err(Cause::store)
    }

    fn history(&mut self, text: &str, empty_layer: bool) {
        self.point.config.history.push(HistoryEntry {
            created: Some(Timestamp::now().to_string()),
            created_by: format!("{text} # buildkit"),
            empty_layer,
            ..HistoryEntry::default()
        });
    }

    /// Takes a step's result from the cache, or makes it by `work` on a snapshot and remembers it.
    async fn cached(
        &mut self,
        text: &str,
        inputs: Inputs,
        step: StepNumber,
        process: bool,
        work: impl FnOnce(ContainerId) -> Task<'static, Result<()>>,
    ) -> Result<()> {
        let key = inputs.key();
        let cache = &self.build.cache;
        if !self.no_cache {
            if let Some(point) = cache.find(&key).map_err(Cause::store)? {
                self.point = point;
                self.build.progress.tell(Event::Cached { step });
                return Ok(());
            }
            let because = cache.explain(text, &inputs).map_err(Cause::store)?;
            self.build.progress.tell(Event::Missed { step, because });
        }
        let snapshot = self.build.prepare(self.point.chain().as_ref(), process).await?;
        work(snapshot.key.clone()).await?;
        let layer = self.build.layer(snapshot, self.point.chain().as_ref()).await?;
        self.history(text, layer.is_none());
        let size = layer.as_ref().map_or(0, |layer| layer.size);
        if let Some(layer) = layer {
            let rootfs = self.point.config.rootfs.get_or_insert_default();
            rootfs.diff_ids.push(layer.diff_id.clone());
            self.point.layers.push(layer);
        }
        self.point.key = Some(key.clone());
        self.build.cache.remember(&key, text, &inputs, &self.point, size).map_err(Cause::store)
    }

    fn inputs(&self, text: &str) -> Inputs {
        Inputs::on(self.point.key.as_ref()).with("instruction", text)
    }

    async fn run_step(&mut self, run: &Run, located: &Located, step: usize) -> Result<()> {
        let shell = self.point.config.config.as_ref().and_then(|config| config.shell.clone());
        let args = command_of(&run.command, shell.as_deref());
        let run_args = self.scope.run_args(self.env());
        let network = match &run.network {
            Some(network) => self.expanded(network)?,
            None => self.build.request.limits.network.clone(),
        };
        let insecure = run.security.as_deref() == Some("insecure");
        let mut inputs =
            self.inputs(&located.original).with("command", args.join("\0")).with("network", &network);
        for arg in &run_args {
            let (name, value) = arg.split_once('=').unwrap_or((arg, ""));
            inputs = inputs.with(format!("arg {name}"), value);
        }
        let mut mounts = Vec::new();
        let mut kept = Vec::new();
        for text in &run.mounts {
            let text = self.expanded(text)?;
            let parsed = mount::parse(&text).map_err(Cause::Value)?;
            let (mount, input, keep) = self.mount(&parsed, located).await?;
            inputs = inputs.with(format!("mount {text}"), input);
            mounts.extend(mount);
            kept.push(keep);
        }
        let mut env = self.env().to_vec();
        if !env.iter().any(|line| line.starts_with("PATH=")) {
            env.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
        }
        env.extend(run_args);
        env.extend(self.scope.proxies(&self.build.globals));
        let config = self.point.config.config.clone().unwrap_or_default();
        let working_dir = if config.working_dir.is_empty() { "/".to_owned() } else { config.working_dir };
        let build = Arc::clone(&self.build);
        let command = args.join(" ");
        let work = |snapshot| -> Task<'static, Result<()>> {
            Box::pin(async move {
                let output = Output::new(build.progress.clone(), step);
                let step = Step {
                    snapshot,
                    args,
                    env,
                    user: config.user,
                    working_dir,
                    network,
                    insecure,
                    mounts,
                    limits: build.request.limits.clone(),
                };
                match build.outside.run(step, output).await.map_err(Cause::Outside)? {
                    0 => Ok(()),
                    code => Err(Cause::Exit { command, code }),
                }
            })
        };
        self.cached(&located.original, inputs, step, true, work).await?;
        drop(kept); // Folders made for mounts stay until the step is done.
        Ok(())
    }

    /// What a `--mount` becomes, what it adds to the key, and what has to live while the step runs.
    async fn mount(
        &self,
        mount: &mount::RunMount,
        located: &Located,
    ) -> Result<(Option<StepMount>, String, Option<tempfile::TempDir>)> {
        let target = place::absolute(&mount.target, self.working_dir());
        match &mount.kind {
            MountKind::Tmpfs { size } => {
                Ok((Some(StepMount::Tmpfs { target, size: *size }), String::new(), None))
            }
            MountKind::Cache { id, read_only, .. } => {
                let name = if id.is_empty() { &target } else { id };
                let source = self.build.cache_folder(name).map_err(FileError::io(name))?;
                Ok((Some(StepMount::Bind { source, target, read_only: *read_only }), String::new(), None))
            }
            MountKind::Bind { from, source, read_only } => {
                let (root, ignore) = self.source_root(from, located).await?;
                let source = source.trim_matches('/').to_owned();
                let digest = files::digest(&root, &ignore, &source)?;
                // The step gets a copy: the original may belong to a stage that is not mounted anywhere.
                let folder = self.build.scratch()?;
                let to = Root::open(folder.path())?;
                let options = CopyOptions { owner: Owner::Kept, chmod: None, ignore, newest: None };
                files::copy(&root, &source, &to, "mount", &options)?;
                let bind =
                    StepMount::Bind { source: folder.path().join("mount"), target, read_only: *read_only };
                Ok((Some(bind), digest.to_string(), Some(folder)))
            }
            MountKind::Secret { id, required, env: _, owner: _ } => {
                match self.build.request.caller.secret(id.clone()).await.map_err(Cause::Outside)? {
                    None if *required => Err(Cause::Value(format!("secret {id}: not found"))),
                    None => Ok((None, String::new(), None)),
                    Some(bytes) => {
                        let folder = self.build.scratch()?;
                        let source = folder.path().join("secret");
                        std::fs::write(&source, &bytes).map_err(FileError::io(id))?;
                        let target =
                            if mount.target.is_empty() { format!("/run/secrets/{id}") } else { target };
                        // A secret's value is no input: it changes nothing that may be kept.
                        Ok((
                            Some(StepMount::Bind { source, target, read_only: true }),
                            String::new(),
                            Some(folder),
                        ))
                    }
                }
            }
            MountKind::Ssh { id, required, .. } => {
                match self.build.request.caller.agent(id.clone()).await.map_err(Cause::Outside)? {
                    None if *required => Err(Cause::Value(format!("unset ssh forward key {id}"))),
                    None => Ok((None, String::new(), None)),
                    Some(socket) => {
                        let target =
                            if mount.target.is_empty() { "/run/buildkit/ssh_agent.0".into() } else { target };
                        Ok((
                            Some(StepMount::Bind { source: socket, target, read_only: false }),
                            String::new(),
                            None,
                        ))
                    }
                }
            }
        }
    }

    fn working_dir(&self) -> &str {
        self.point.config.config.as_ref().map_or("/", |config| config.working_dir.as_str())
    }

    /// The folder a `--from` (or none: the context) names, and what of it stays behind.
    async fn source_root(
        &self,
        from: &str,
        located: &Located,
    ) -> Result<(Root, gantry_dockerfile::ignore::Ignore)> {
        if from.is_empty() {
            return self.build.context();
        }
        let build = &self.build;
        let names = build.request.contexts.keys().cloned().collect();
        let source =
            plan::resolve(&build.file, self.index, from, &names, located.span).map_err(Cause::Syntax)?;
        let root = match source {
            Source::Stage(index) => build.stage_root(index).await?,
            Source::Named(name) => build.named_root(&name, self.step).await?,
            Source::Image(name) => build.image_root(name, self.step).await?,
            Source::Scratch => return Err(Cause::Value("COPY --from=scratch has nothing to copy".into())),
        };
        Ok((root, Default::default()))
    }

    async fn copy(&mut self, copy: &Copy, located: &Located, step: usize) -> Result<()> {
        let from = self.expanded(&copy.from)?;
        let (root, ignore) = self.source_root(&from, located).await?;
        let kept = !from.is_empty() && copy.sources.chown.is_empty();
        let placed = self.placed("COPY", &copy.sources, root, ignore, kept, copy.parents)?;
        self.place(placed, located, step).await
    }

    async fn add(&mut self, add: &Add, located: &Located, step: usize) -> Result<()> {
        let (local, remote): (Vec<String>, Vec<String>) =
            add.sources.paths.iter().cloned().partition(|path| !place::is_remote(path));
        if let Some(address) = remote.first() {
            return Err(Cause::Value(format!(
                "ADD {address}: this build cannot reach other machines yet; COPY the file instead"
            )));
        }
        let sources = Sources { paths: local, ..add.sources.clone() };
        let (root, ignore) = self.build.context()?;
        let mut placed = self.placed("ADD", &sources, root, ignore, false, false)?;
        placed.unpack = add.unpack.unwrap_or(true);
        self.place(placed, located, step).await
    }

    fn placed(
        &self,
        name: &'static str,
        sources: &Sources,
        root: Root,
        ignore: gantry_dockerfile::ignore::Ignore,
        keep_owner: bool,
        parents: bool,
    ) -> Result<Placed> {
        let mut words = Vec::new();
        for path in &sources.paths {
            words.push(self.expanded(path)?);
        }
        let target = self.expanded(&sources.target)?;
        let chmod = self.expanded(&sources.chmod)?;
        let chmod = if chmod.is_empty() {
            None
        } else {
            Some(Chmod::parse(&chmod).map_err(|e| Cause::Value(e.to_string()))?)
        };
        let mut exclude = Vec::new();
        for pattern in &sources.exclude {
            exclude.push(self.expanded(pattern)?);
        }
        let mut inline = Vec::new();
        for heredoc in &sources.inline {
            let text = heredoc.text();
            let text = if heredoc.expand {
                let variables = |name: &str| self.scope.get(self.env(), name);
                expand::body(&text, self.escape(), &variables).map_err(Cause::Value)?
            } else {
                text
            };
            inline.push((heredoc.name.clone(), text));
        }
        Ok(Placed {
            name,
            root,
            ignore,
            words,
            inline,
            target: place::absolute_folder(&target, self.working_dir()),
            chown: self.expanded(&sources.chown)?,
            keep_owner,
            chmod,
            exclude,
            parents,
            unpack: false,
        })
    }

    /// Looks the files up by what they hold, else copies them.
    async fn place(&mut self, placed: Placed, located: &Located, step: usize) -> Result<()> {
        let (placed, digests) = tokio::task::spawn_blocking(move || {
            let digests = placed.digests();
            (placed, digests)
        })
        .await
        .map_err(Cause::ended)?;
        let mut inputs = self
            .inputs(&located.original)
            .with("target", &placed.target)
            .with("owner", format!("{} {}", placed.chown, placed.keep_owner));
        for (word, digest) in digests? {
            inputs = inputs.with(format!("files {word}"), digest.to_string());
        }
        let build = Arc::clone(&self.build);
        let work = |snapshot: ContainerId| -> Task<'static, Result<()>> {
            Box::pin(async move {
                let to = build.snapshot_root(snapshot.as_str())?;
                let copied = tokio::task::spawn_blocking(move || placed.copy_into(&to)).await;
                copied.map_err(Cause::ended)?.map_err(Cause::File)
            })
        };
        self.cached(&located.original, inputs, step, false, work).await
    }

    /// WORKDIR changes the config and makes the folder where it is missing.
    async fn workdir(&mut self, path: &str, text: &str) -> Result<()> {
        let path = self.expanded(path)?;
        let path = place::absolute(&path, self.working_dir());
        self.config().apply(&[ConfigChange::WorkingDir(path.clone())]);
        let inputs = self.inputs(text).with("path", &path);
        let build = Arc::clone(&self.build);
        let step = self.step;
        let config = self.point.config.config.clone();
        let work = |snapshot: ContainerId| -> Task<'static, Result<()>> {
            Box::pin(async move {
                let to = build.snapshot_root(snapshot.as_str())?;
                to.make_folders(&path, 0, 0).map(|_| ()).map_err(Cause::File)
            })
        };
        self.cached(text, inputs, step, false, work).await?;
        self.point.config.config = config;
        Ok(())
    }
}

/// The words of a RUN; heredocs become part of the shell's text, or the text itself where the line is nothing else.
fn command_of(command: &Command, shell: Option<&[String]>) -> Vec<String> {
    match command {
        Command::Shell { line, heredocs } if !heredocs.is_empty() => {
            let alone = heredocs.len() == 1 && line.starts_with("<<") && !line.contains(char::is_whitespace);
            let text = if alone {
                heredocs[0].text()
            } else {
                let mut text = line.clone();
                for heredoc in heredocs {
                    text.push('\n');
                    text.push_str(&heredoc.content);
                    text.push_str(&heredoc.name);
                }
                text
            };
            command_line(&Command::Shell { line: text, heredocs: Vec::new() }, shell)
        }
        other => command_line(other, shell),
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
