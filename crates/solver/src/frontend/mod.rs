//! Our own frontend behind BuildKit's door: from a client's attributes to a build.
//!
//! In BuildKit's order: the Dockerfile, its `.dockerignore`, the context, the stages.

mod caller;
mod context;
mod dockerfile;
mod files;
mod layout;
mod lint;
mod named;
mod options;
mod question;
mod result;

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_build::Built;
use gantry_build::progress::Progress;
use gantry_build::request::BuildRequest;
use gantry_buildkit::grpc::Status;
use gantry_buildkit::proto::ops::Definition;
use gantry_buildkit::session::Caller;
use gantry_dockerfile::ignore::Ignore;
use gantry_names::{Platform, Reference};

use crate::Inner;
use crate::cache;
use crate::job::{Job, Outcome};
use crate::story::Story;
use options::Options;
pub(crate) use options::{Wish, is_multi_platform};
pub(crate) use result::definition_of;

/// What a frontend gives back.
pub(crate) enum Answer {
    /// States, one a platform.
    Built(Vec<Outcome>),
    /// Documents: the answer to a question about the Dockerfile.
    Said(BTreeMap<String, Vec<u8>>),
}

/// Solves a request for a frontend: `dockerfile.v0`, or an image with a frontend that ours stands for.
pub(crate) async fn solve(
    inner: &Inner,
    job: &Job,
    attrs: &BTreeMap<String, String>,
    inputs: &BTreeMap<String, Definition>,
) -> Result<Answer, Status> {
    let options = Options::read(attrs)?;
    let caller = inner.sessions.get(&job.session).await?;
    let source = dockerfile::find(inner, job, &caller, &options).await?;
    let hidden = source.ignore.as_deref().and_then(|text| Ignore::parse(text).ok());
    let around = lint::Around::of(&source.text, hidden, &inner.builder.images);
    if options.question.as_deref() == Some("frontend.lint") {
        return Ok(Answer::Said(lint::answer(&source.text, &options, &around)));
    }
    if let Some(question) = &options.question {
        return question::answer(question, &source.text, &options).map(Answer::Said);
    }
    job.reads(&options.filename, &source.text);
    lint::warn(job, &source.vertex, &source.text, &options, &around)?;
    let (contexts, kept) = named::take(inner, job, &caller, &options, inputs).await?;
    let below = options.below.trim_matches('/').to_owned();
    let context_name = options.context_name.clone();
    let client = client(inner, caller.clone());
    let (cache_from, wishes) = here(inner, options.cache_from);
    let imports = cache::import(inner, job, &wishes, &client).await;
    let request = BuildRequest {
        dockerfile: source.text,
        dockerfile_name: options.filename.clone(),
        context: None,
        contexts,
        args: options.args,
        labels: options.labels,
        tags: Vec::new(),
        target: options.target,
        platform: None,
        no_cache: options.no_cache,
        cache_from,
        cache_only_from: false,
        imports,
        pull: options.pull,
        squash: false,
        caller: client,
        keep_failed: options.keep_failed,
        epoch: options.epoch,
        rewrite_timestamp: job.wishes.rewrite_timestamp,
        inline_cache: options.inline_cache || job.wishes.inline_cache,
        granted: job.wishes.granted.clone(),
        limits: options.limits,
    };
    let context = match source.context {
        Some(place) => place,
        None => {
            let needed = context::needed(inner, &request, &options.platforms).filter(|_| below.is_empty());
            let needed = needed.unwrap_or_default();
            context::take(inner, job, &caller, &context_name, source.ignore, needed).await?
        }
    };
    let request = BuildRequest { context: Some(context.path.join(below)), ..request };
    let outcomes = platforms(inner, job, request, &options.platforms, options.explain).await;
    drop((context, kept));
    outcomes.map(Answer::Built)
}

/// The images that are here, and what is to be asked for elsewhere.
fn here(inner: &Inner, wishes: Vec<Wish>) -> (Vec<Reference>, Vec<Wish>) {
    let (mut images, mut rest) = (Vec::new(), Vec::new());
    for wish in wishes {
        match wish {
            Wish::Registry(name) if inner.builder.images.resolve(&name.familiar()).is_ok() => {
                images.push(name)
            }
            other => rest.push(other),
        }
    }
    (images, rest)
}

/// A session's client as the builder asks it.
pub(crate) fn client(inner: &Inner, caller: Caller) -> Arc<dyn gantry_build::request::Caller> {
    Arc::new(caller::Client::new(caller, &inner.builder.folder.join("agents")))
}

/// Builds for every platform, side by side.
async fn platforms(
    inner: &Inner,
    job: &Job,
    request: BuildRequest,
    platforms: &[Platform],
    explain: bool,
) -> Result<Vec<Outcome>, Status> {
    let several = platforms.len() > 1;
    let wanted: Vec<Option<Platform>> = match platforms {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let one_stage = gantry_dockerfile::parse(&request.dockerfile).is_ok_and(|file| file.stages.len() == 1);
    let builds = wanted.into_iter().map(|platform| {
        let prefix = platform.as_ref().filter(|_| several).map(ToString::to_string);
        let request = BuildRequest { platform: platform.clone(), ..request.clone() };
        async move {
            let story = Story::new(job, prefix, one_stage, explain);
            let built = one(inner, &story, request).await?;
            Ok::<_, Status>(Outcome { platform: platform.unwrap_or_else(Platform::host), built })
        }
    });
    futures_util::future::try_join_all(builds).await
}

async fn one(inner: &Inner, story: &Story<'_>, request: BuildRequest) -> Result<Arc<Built>, Status> {
    let text = request.dockerfile.clone();
    let (progress, mut events) = Progress::channel();
    let telling = async {
        while let Some(event) = events.next().await {
            story.tell(event);
        }
    };
    let (built, ()) = tokio::join!(inner.builder.solve(request, progress), telling);
    built.map(Arc::new).map_err(|error| story.failed(&error, &text))
}
