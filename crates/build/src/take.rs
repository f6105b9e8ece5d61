//! COPY, ADD and WORKDIR: files that come from somewhere.

use std::sync::Arc;

use gantry_dockerfile::expand;
use gantry_dockerfile::ignore::Ignore;
use gantry_dockerfile::instruction::{Add, Copy, Located, Sources};
use gantry_images::ConfigChange;
use gantry_names::{ContainerId, Digest};

use crate::failure::Cause;
use crate::files::{Chmod, Root};
use crate::place::{self, Origin, Placed};
use crate::plan::{self, Source};
use crate::progress::{Output, StepNumber, Transfer};
use crate::remote::{self, RemoteError};
use crate::roots::Ground;
use crate::stage::{Result, StageBuild};
use crate::step::Task;

impl StageBuild {
    /// The folder a `--from` (or none: the context) names, and what of it stays behind.
    pub(crate) async fn source_root(&self, from: &str, located: &Located) -> Result<(Root, Ignore)> {
        if from.is_empty() {
            return self.build.context();
        }
        let build = &self.build;
        let names = build.request.contexts.keys().cloned().collect();
        let source =
            plan::resolve(&build.file, self.index, from, &names, located.span).map_err(Cause::Syntax)?;
        let root = match source {
            Source::Stage(index) => build.stage_root(index).await?,
            Source::Named(name) => return build.named_root(&name, self.step).await,
            Source::Image(name) => build.image_root(name, self.step).await?,
            Source::Scratch => return Err(Cause::Value("COPY --from=scratch has nothing to copy".into())),
        };
        Ok((root, Ignore::default()))
    }

    pub(crate) async fn copy(&mut self, copy: &Copy, located: &Located, step: StepNumber) -> Result<()> {
        let from = self.expanded(&copy.from)?;
        let words = self.all_expanded(&copy.sources.paths)?;
        let mut placed = self.placed("COPY", &copy.sources)?;
        if !words.is_empty() {
            let (root, ignore) = self.source_root(&from, located).await?;
            placed.origins.push(Origin { root, ignore, words, unpack: false, _scratch: None });
        }
        placed.keep_owner = !from.is_empty() && placed.chown.is_empty();
        placed.parents = copy.parents;
        self.place(placed, located, step, copy.sources.link).await
    }

    pub(crate) async fn add(&mut self, add: &Add, located: &Located, step: StepNumber) -> Result<()> {
        let words = self.all_expanded(&add.sources.paths)?;
        let checksum = self.expanded(&add.checksum)?;
        let mut placed = self.placed("ADD", &add.sources)?;
        let (far, near): (Vec<String>, Vec<String>) =
            words.into_iter().partition(|path| remote::is_remote(path));
        if !checksum.is_empty() && (far.len() != 1 || !near.is_empty()) {
            return Err(Cause::Value("checksum can't be specified for multiple or local sources".into()));
        }
        if !near.is_empty() {
            let (root, ignore) = self.build.context()?;
            let unpack = add.unpack.unwrap_or(true);
            placed.origins.push(Origin { root, ignore, words: near, unpack, _scratch: None });
        }
        for address in far {
            placed.origins.push(self.fetched(&address, add, &checksum, step).await?);
        }
        self.place(placed, located, step, add.sources.link).await
    }

    /// A file or a repository of another machine, in a folder of its own.
    async fn fetched(&self, address: &str, add: &Add, checksum: &str, step: StepNumber) -> Result<Origin> {
        let scratch = self.build.scratch()?;
        let output = Output::new(self.build.progress.clone(), step);
        let shown = gantry_git::without_password(address);
        let word = match gantry_git::Repository::parse(address) {
            Some(repository) => {
                output.transfer(Transfer { status: format!("Cloning {shown}"), ..Transfer::default() });
                let keep = add.keep_git_dir.unwrap_or(false);
                let checkout = gantry_git::check_out(&repository, scratch.path(), keep)
                    .await
                    .map_err(RemoteError::from)?;
                if !checksum.is_empty() && !checkout.commit.starts_with(checksum) {
                    return Err(Cause::Value(format!(
                        "expected checksum to match {checksum}, got {}",
                        checkout.commit
                    )));
                }
                checkout.folder
            }
            None => {
                output.transfer(Transfer { status: format!("Downloading {shown}"), ..Transfer::default() });
                let expected = match checksum {
                    "" => None,
                    text => Some(Digest::parse(text).map_err(|error| Cause::Value(error.to_string()))?),
                };
                let to_folder =
                    place::absolute_folder(&self.expanded(&add.sources.target)?, "/").ends_with('/');
                remote::web::download(address, expected.as_ref(), scratch.path(), to_folder).await?
            }
        };
        Ok(Origin {
            root: Root::open(scratch.path())?,
            ignore: Ignore::default(),
            words: vec![word],
            unpack: add.unpack.unwrap_or(false),
            _scratch: Some(scratch),
        })
    }

    fn all_expanded(&self, paths: &[String]) -> Result<Vec<String>> {
        paths.iter().map(|path| self.expanded(path)).collect()
    }

    /// What COPY and ADD have in common, with no origin yet.
    fn placed(&self, name: &'static str, sources: &Sources) -> Result<Placed> {
        let target = self.expanded(&sources.target)?;
        let chmod = self.expanded(&sources.chmod)?;
        let chmod = match chmod.as_str() {
            "" => None,
            text => Some(Chmod::parse(text).map_err(|error| Cause::Value(error.to_string()))?),
        };
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
            origins: Vec::new(),
            inline,
            target: place::absolute_folder(&target, self.working_dir()),
            chown: self.expanded(&sources.chown)?,
            keep_owner: false,
            chmod,
            exclude: self.all_expanded(&sources.exclude)?,
            parents: false,
            newest: self.build.newest(),
        })
    }

    /// Looks the files up by what they hold, else copies them.
    async fn place(&mut self, placed: Placed, located: &Located, step: StepNumber, link: bool) -> Result<()> {
        // An owner's name is looked up in the state before: such a layer depends on it.
        let link = link && placed.chown.chars().all(|c| c.is_ascii_digit() || c == ':');
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
                Ok(copied.map_err(Cause::ended)??)
            })
        };
        match link {
            true => self.linked(&located.original, inputs, step, work).await,
            false => self.cached(&located.original, inputs, step, Ground::Parent, work).await,
        }
    }

    /// WORKDIR changes the config and makes the folder where it is missing.
    pub(crate) async fn workdir(&mut self, path: &str, text: &str) -> Result<()> {
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
                Ok(to.make_folders(&path, 0, 0).map(|_| ())?)
            })
        };
        self.cached(text, inputs, step, Ground::Parent, work).await?;
        self.point.config.config = config;
        Ok(())
    }
}
