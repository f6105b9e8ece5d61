//! Our own frontend behind BuildKit's door: from a client's attributes to a build.
//!
//! In BuildKit's order: the Dockerfile, its `.dockerignore`, the context, the stages.

mod caller;
mod files;
mod layout;
mod lint;
mod options;
mod question;

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_build::build::Built;
use gantry_build::progress::Progress;
use gantry_build::request::{BuildRequest, NamedContext};
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::ops::{Definition, Input, Op, OpMetadata, SourceOp};
use gantry_buildkit::session::{Caller, Wanted};
use gantry_dockerfile::ignore::Ignore;
use gantry_names::{Digest, Platform, Reference};
use prost::Message;

use crate::Inner;
use crate::cache;
use crate::job::{Job, Outcome, Work};
use crate::kept::Place;
use crate::story::Story;
use crate::uploads;
use options::Options;
pub(crate) use options::{Wish, is_multi_platform};

/// How a definition of ours names an earlier result.
const RESULTS: &str = "gantry-result://";

/// Where a client's uploads seem to be.
const UPLOADS: &str = "http://buildkit-session/";

/// What a frontend gives back.
pub(crate) enum Answer {
    /// States, one a platform.
    Built(Vec<Outcome>),
    /// Documents: the answer to a question about the Dockerfile.
    Said(BTreeMap<String, Vec<u8>>),
}

/// A Dockerfile and what it may read.
struct Source {
    text: String,
    /// The context's place; none yet where it is on the session.
    context: Option<Place>,
    /// Patterns of `<Dockerfile>.dockerignore`.
    ignore: Option<String>,
    /// The line of work that found it.
    vertex: String,
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
    let source = dockerfile(inner, job, &caller, &options).await?;
    let hidden = source.ignore.as_deref().and_then(|text| Ignore::parse(text).ok());
    if options.question.as_deref() == Some("frontend.lint") {
        return Ok(Answer::Said(lint::answer(&source.text, &options, hidden.as_ref())));
    }
    if let Some(question) = &options.question {
        return question::answer(question, &source.text, &options).map(Answer::Said);
    }
    job.reads(&options.filename, &source.text);
    lint::warn(job, &source.vertex, &source.text, &options, hidden.as_ref())?;
    let (contexts, kept) = named(inner, job, &caller, &options, inputs).await?;
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
            let needed = needed(inner, &request, &options.platforms).filter(|_| below.is_empty());
            context(inner, job, &caller, &context_name, source.ignore, needed.unwrap_or_default()).await?
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

/// Finds the Dockerfile: on the session, in an uploaded archive, or as the upload itself.
async fn dockerfile(inner: &Inner, job: &Job, caller: &Caller, options: &Options) -> Result<Source, Status> {
    let mut context = None;
    if let Some(address) = &options.context {
        let work = job.work("[internal] load remote build context");
        let vertex = work.digest().to_owned();
        let taken = remote(inner, caller, address, options).await;
        let (place, archive) = work.ended(taken)?;
        if !options.dockerfile_is_local {
            let name = if archive { options.filename.as_str() } else { "Dockerfile" };
            let text = files::text(&place.path, name)?.ok_or_else(|| no_dockerfile(name))?;
            let ignore = files::text(&place.path, &format!("{name}.dockerignore"))?;
            return Ok(Source { text, context: Some(place), ignore, vertex });
        }
        context = Some(place);
    }
    let name = &options.filename;
    let work = job.work(&format!("[internal] load build definition from {name}"));
    let vertex = work.digest().to_owned();
    let found = local_dockerfile(inner, &work, caller, options).await;
    let (text, ignore) = work.ended(found)?;
    Ok(Source { text, context, ignore, vertex })
}

/// The context at an address: an upload, a repository, an archive or a lone Dockerfile. Whether it is a whole folder.
async fn remote(
    inner: &Inner,
    caller: &Caller,
    address: &str,
    options: &Options,
) -> Result<(Place, bool), Status> {
    if let Some(path) = address.strip_prefix(UPLOADS) {
        let pieces = files::Pieces::Session(caller.upload(&format!("/{path}")).await?);
        return files::upload(inner, pieces).await;
    }
    if let Some(name) = address.strip_prefix(uploads::ADDRESS) {
        let none = || Status::new(Code::Unavailable, "the build's context was not sent");
        let pieces = inner.uploads.take(name).await.ok_or_else(none)?;
        return files::upload(inner, files::Pieces::Request(pieces)).await;
    }
    files::fetch(inner, address, options.keep_git_dir).await
}

async fn local_dockerfile(
    inner: &Inner,
    work: &Work<'_>,
    caller: &Caller,
    options: &Options,
) -> Result<(String, Option<String>), Status> {
    let name = options.filename.trim_start_matches('/');
    let mut follow = vec![name.to_owned(), format!("{name}.dockerignore")];
    // The usual name may be written in small letters.
    let small = (name.rsplit('/').next() == Some("Dockerfile"))
        .then(|| format!("{}dockerfile", name.trim_end_matches("Dockerfile")));
    follow.extend(small.clone());
    let wanted = Wanted { name: options.dockerfile_name.clone(), exclude: Vec::new(), follow };
    let place = files::receive(inner, caller, work, &wanted, "dockerfile", "").await?;
    let mut text = files::text(&place.path, name)?;
    if let (None, Some(small)) = (&text, small) {
        text = files::text(&place.path, &small)?;
    }
    let ignore = files::text(&place.path, &format!("{name}.dockerignore"))?;
    Ok((text.ok_or_else(|| no_dockerfile(name))?, ignore))
}

fn no_dockerfile(name: &str) -> Status {
    Status::new(Code::Unknown, format!("failed to read dockerfile: open {name}: no such file or directory"))
}

/// The files of the context that some platform's build can ask for; `None`: all.
fn needed(inner: &Inner, request: &BuildRequest, platforms: &[Platform]) -> Option<Vec<String>> {
    let images = &inner.builder.images;
    if platforms.is_empty() {
        return gantry_build::needed(request, images);
    }
    let mut all = std::collections::BTreeSet::new();
    for platform in platforms {
        let request = BuildRequest { platform: Some(platform.clone()), ..request.clone() };
        all.extend(gantry_build::needed(&request, images)?);
    }
    Some(all.into_iter().collect())
}

/// Takes the context in, without what its `.dockerignore` leaves out, and only what is needed where that is known.
async fn context(
    inner: &Inner,
    job: &Job,
    caller: &Caller,
    context_name: &str,
    ignore: Option<String>,
    needed: Vec<String>,
) -> Result<Place, Status> {
    let patterns = match ignore {
        Some(text) => patterns(&text),
        None => {
            let work = job.work("[internal] load .dockerignore");
            let name = ".dockerignore".to_owned();
            let wanted =
                Wanted { name: context_name.to_owned(), exclude: Vec::new(), follow: vec![name.clone()] };
            let found = async {
                let place = files::receive(inner, caller, &work, &wanted, "context", "").await?;
                files::text(&place.path, &name)
            }
            .await;
            work.ended(found)?.map(|text| patterns(&text)).unwrap_or_default()
        }
    };
    Ignore::of(patterns.iter().map(String::as_str)).map_err(|error| options::invalid(error.to_string()))?;
    let work = job.work("[internal] load build context");
    // Builds that need other files of the same folder keep them apart: neither takes the other's away.
    let key = match caller.shared_key() {
        "" => String::new(),
        key => format!("{key}\0{}", needed.join("\0")),
    };
    let wanted = Wanted { name: context_name.to_owned(), exclude: patterns, follow: needed };
    let taken = files::receive(inner, caller, &work, &wanted, "context", &key).await;
    work.ended(taken)
}

/// The lines of a `.dockerignore` that say something.
fn patterns(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim);
    lines.filter(|line| !line.is_empty()).map(pattern).collect()
}

/// Anchored and without detours, as Docker's own reader of the file hands patterns on.
fn pattern(line: &str) -> String {
    let (back, path) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest.trim()));
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("{back}{}", if names.is_empty() { ".".to_owned() } else { names.join("/") })
}

/// The named contexts, those on the session taken in.
async fn named(
    inner: &Inner,
    job: &Job,
    caller: &Caller,
    options: &Options,
    inputs: &BTreeMap<String, Definition>,
) -> Result<(BTreeMap<String, NamedContext>, Vec<Place>), Status> {
    let mut contexts = BTreeMap::new();
    let mut kept = Vec::new();
    for (name, place) in &options.contexts {
        let found = match place {
            options::Place::Image(reference) => NamedContext::Image(reference.clone()),
            options::Place::Local(folder) => {
                let work = job.work(&format!("[context {name}] load from client"));
                let taken = local(inner, &work, caller, folder).await;
                let place = work.ended(taken)?;
                let context = NamedContext::Folder(place.path.clone());
                kept.push(place);
                context
            }
            options::Place::Scratch => {
                let place = inner.kept.take("", name);
                let place = place.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
                let context = NamedContext::Folder(place.path.clone());
                kept.push(place);
                context
            }
            options::Place::Input(input) => {
                let result = inputs.get(input).and_then(|definition| result_of(inner, definition));
                NamedContext::Built(result.ok_or_else(|| {
                    let text = format!(
                        "the context {name} is a graph of operations that no frontend of this engine made"
                    );
                    Status::new(Code::Unimplemented, text)
                })?)
            }
            options::Place::Remote(address) => {
                let work = job.work(&format!("[context {name}] load from {address}"));
                let taken = files::fetch(inner, address, options.keep_git_dir).await;
                let (place, _) = work.ended(taken)?;
                let context = NamedContext::Folder(place.path.clone());
                kept.push(place);
                context
            }
            options::Place::Layout(layout) => {
                let work = job.work(&format!("[context {name}] load from client's image layout"));
                let platform = options.platforms.first().cloned();
                let built = layout::load(inner, caller, layout, platform).await;
                NamedContext::Built(Arc::new(work.ended(built)?))
            }
        };
        contexts.insert(name.clone(), found);
    }
    Ok((contexts, kept))
}

async fn local(inner: &Inner, work: &Work<'_>, caller: &Caller, folder: &str) -> Result<Place, Status> {
    let wanted = |exclude, follow| Wanted { name: folder.to_owned(), exclude, follow };
    let name = ".dockerignore".to_owned();
    let ignore = {
        let place =
            files::receive(inner, caller, work, &wanted(Vec::new(), vec![name.clone()]), "ignore file", "")
                .await?;
        files::text(&place.path, &name)?
    };
    let exclude = ignore.map(|text| patterns(&text)).unwrap_or_default();
    files::receive(inner, caller, work, &wanted(exclude, Vec::new()), folder, caller.shared_key()).await
}

/// The earlier result that a definition of ours stands for.
fn result_of(inner: &Inner, definition: &Definition) -> Option<Arc<Built>> {
    definition.def.iter().find_map(|bytes| {
        let source = Op::decode(bytes.as_slice()).ok()?.source?;
        let (job, name) = source.identifier.strip_prefix(RESULTS)?.split_once('/')?;
        Some(inner.jobs.get(job)?.result(name)?.built)
    })
}

/// A definition that stands for a result of ours: another build of the same call may begin with it.
pub(crate) fn definition_of(job: &Job, name: &str) -> Definition {
    let source = SourceOp { identifier: format!("{RESULTS}{}/{name}", job.reference), ..SourceOp::default() };
    let op = Op { source: Some(source), ..Op::default() }.encode_to_vec();
    let input = Input { digest: Digest::sha256_of(&op).to_string(), index: 0 };
    let end = Op { inputs: vec![input], ..Op::default() }.encode_to_vec();
    // Clients take a definition without metadata for none at all.
    let metadata = [&op, &end].map(|op| (Digest::sha256_of(op).to_string(), OpMetadata::default())).into();
    Definition { def: vec![op, end], metadata }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_comments_go() {
        let text = "\u{feff}# no\n/a/./b\n\n !  c/../d \n**/*.log\n";
        assert_eq!(patterns(text), ["a/b", "!d", "**/*.log"]);
    }
}
