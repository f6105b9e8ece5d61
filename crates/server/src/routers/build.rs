//! Building images by the classic builder's door, and the builder's cache.

use std::sync::Arc;

use gantry_api::build::{BuildCache, BuildPruned};
use gantry_api::stream::{JsonError, JsonMessage};
use gantry_build::excerpt::excerpt;
use gantry_build::progress::{Events, Progress};
use gantry_build::request::{BuildRequest, Caller};
use gantry_build::{BuildError, Cause};
use gantry_names::ImageId;

use super::image_transfer::send;
use crate::App;
use crate::body::{BodySender, Gone};
use crate::bridge;
use crate::building::{self, Asked, Context, Story};
use crate::call::Call;
use crate::failure::Failure;
use crate::fetch;
use crate::reply::{self, Answer};
use crate::route::routes;

routes! {
    POST "/build/prune" => prune,
    POST "/build/cancel" => cancel,
    POST "/build" => build,
}

async fn prune(call: Call) -> Answer {
    let policy = building::policy(&call.query).map_err(|e| e.context("failed to prune build cache"))?;
    let builder = call.app.builder.clone();
    let pruned = blocking(move || Ok(builder.prune(&policy)?)).await?;
    call.app.engine.builder_pruned(pruned.bytes);
    let ids: Vec<String> = pruned.ids.iter().map(|id| building::short(id.hex())).collect();
    reply::ok(&BuildPruned {
        caches_deleted: (!ids.is_empty()).then_some(ids),
        space_reclaimed: pruned.bytes,
    })
}

/// The cache's lines of `system df`.
pub(super) async fn cache_lines(call: &Call) -> Result<Vec<BuildCache>, Failure> {
    let (builder, version) = (call.app.builder.clone(), call.version);
    blocking(move || Ok(builder.usage()?.iter().map(|row| building::line(row, version)).collect())).await
}

async fn cancel(call: Call) -> Answer {
    match call.query.get("id") {
        "" => Err(Failure::invalid("build ID not provided")),
        id => {
            call.app.building.cancel(id);
            Ok(reply::status(http::StatusCode::OK))
        }
    }
}

async fn build(call: Call) -> Answer {
    // The classic builder is 1, and what is meant by nothing.
    if call.query.get("version") == "2" {
        return super::build_session::build(call).await;
    }
    let asked = building::read(&call.query, &call.headers)?;
    let base = call.app.builder.folder.clone();
    let context = match asked.remote.as_str() {
        "" => {
            let body = bridge::reader(call.body);
            blocking(move || Context::unpack(&base, body)).await?
        }
        address => {
            let repository = gantry_git::Repository::parse(address);
            match repository {
                Some(repository) => {
                    let context = Context::empty(&base)?;
                    let checkout = gantry_git::check_out(&repository, context.root(), false).await;
                    let checkout = checkout.map_err(|error| Failure::invalid(error.to_string()))?;
                    context.below(&checkout.folder)?
                }
                None => {
                    let found = bridge::reader(fetch::get(&fetch::url(address)?).await?);
                    blocking(move || Context::of_either(&base, found)).await?
                }
            }
        }
    };
    let dockerfile = asked.dockerfile.clone();
    let (context, name, text) = blocking(move || {
        let (name, text) = context.dockerfile(&dockerfile)?;
        // Nothing was told yet: a file that is no Dockerfile is a refusal, not a failed build.
        gantry_dockerfile::parse(&text).map_err(|error| Failure::invalid(error.to_string()))?;
        Ok((context, name, text))
    })
    .await?;
    let source = text.clone();
    let request = request(&asked, &context, name, text);
    let (sender, answer) = reply::stream("application/json");
    let app = call.app;
    tokio::spawn(async move {
        let entry = app.building.enter(&asked.id);
        let work = converse(&app, &asked, request, &source, &sender);
        // Whoever leaves ends the build: dropping it stops its steps.
        tokio::select! {
            told = work => if told.is_err() { tracing::debug!("client gone before its build ended") },
            () = sender.closed() => tracing::debug!("a client has left its build"),
            () = entry.cancelled() => {
                let _gone = send(&sender, &JsonMessage::error("Build cancelled")).await;
            }
            () = app.ending.cancelled() => {
                let _gone = send(&sender, &JsonMessage::error("the engine is shutting down")).await;
            }
        }
        tidy(&app);
        // Its steps are ending in the background; what they read of the context is theirs no more.
        drop(context);
    });
    Ok(answer)
}

/// After every build the cache is brought within its bounds, behind the client's back.
fn tidy(app: &App) {
    let builder = app.builder.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(err) = builder.collect() {
            tracing::warn!(err = gantry_errdefs::chain(&err), "tidy up the build cache");
        }
    });
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|_| Err(Failure::internal("the engine failed at this request; see its log")))
}

fn request(asked: &Asked, context: &Context, name: String, text: String) -> BuildRequest {
    BuildRequest {
        dockerfile: text,
        dockerfile_name: name,
        context: Some(context.root().to_owned()),
        contexts: Default::default(),
        args: asked.args.clone(),
        labels: asked.labels.clone(),
        tags: asked.tags.clone(),
        target: asked.target.clone(),
        platform: asked.platform.clone(),
        no_cache: asked.no_cache.clone(),
        cache_from: asked.cache_from.clone(),
        cache_only_from: asked.cache_only_from,
        imports: Vec::new(),
        pull: asked.pull,
        squash: asked.squash,
        caller: Arc::clone(&asked.caller) as Arc<dyn Caller>,
        keep_failed: !asked.force_remove,
        epoch: asked.epoch,
        rewrite_timestamp: asked.epoch.is_some(),
        inline_cache: true,
        granted: Default::default(),
        limits: asked.limits.clone(),
    }
}

/// Runs the build and tells it to its end.
async fn converse(
    app: &App,
    asked: &Asked,
    request: BuildRequest,
    source: &str,
    sender: &BodySender,
) -> Result<(), Gone> {
    let (progress, events) = Progress::channel();
    let work = app.builder.build(request, progress);
    let mut held = Vec::new();
    let mut story = Story::new(asked.explain, asked.remove);
    let quiet = asked.quiet;
    let telling = tell(&mut story, events, sender, quiet.then_some(&mut held));
    let (outcome, told) = tokio::join!(work, telling);
    told?;
    for message in story.rest() {
        match quiet {
            true => held.push(message),
            false => send(sender, &message).await?,
        }
    }
    match outcome {
        Ok(id) => succeeded(asked, &id, sender).await,
        Err(error) => {
            for message in held {
                send(sender, &message).await?;
            }
            failed(&error, source, sender).await
        }
    }
}

/// Tells events as they come; with `held`, keeps them for the case of a failure.
async fn tell(
    story: &mut Story,
    mut events: Events,
    sender: &BodySender,
    mut held: Option<&mut Vec<JsonMessage>>,
) -> Result<(), Gone> {
    while let Some(event) = events.next().await {
        for message in story.hear(event) {
            match &mut held {
                Some(held) => held.push(message),
                None => send(sender, &message).await?,
            }
        }
    }
    Ok(())
}

async fn succeeded(asked: &Asked, id: &ImageId, sender: &BodySender) -> Result<(), Gone> {
    if asked.quiet {
        return send(sender, &JsonMessage::stream(format!("{id}\n"))).await;
    }
    send(sender, &JsonMessage::aux(serde_json::json!({ "ID": id.to_string() }))).await?;
    send(sender, &JsonMessage::stream(format!("Successfully built {}\n", id.0.short()))).await?;
    for tag in &asked.tags {
        send(sender, &JsonMessage::stream(format!("Successfully tagged {}\n", tag.familiar()))).await?;
    }
    Ok(())
}

/// Where it failed, what is left to look at, and why.
async fn failed(error: &BuildError, source: &str, sender: &BodySender) -> Result<(), Gone> {
    let mut place = excerpt(&error.file, source, error.span);
    if let Cause::Exit(failed) = &*error.cause
        && let Some(state) = &failed.state
    {
        place.push_str(&format!("The step's state is kept: docker run --rm -it {}\n", state.0.short()));
    }
    if !place.is_empty() {
        send(sender, &JsonMessage::stream(place)).await?;
    }
    let message = gantry_errdefs::chain(&*error.cause);
    let code = match &*error.cause {
        Cause::Exit(failed) => failed.code,
        _ => 0,
    };
    let detail = JsonError { code: code.into(), message: message.clone() };
    send(sender, &JsonMessage { error_detail: Some(detail), error: message, ..JsonMessage::default() }).await
}
