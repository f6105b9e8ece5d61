//! Images on the move: loaded, saved, imported, committed, pulled, pushed.

use super::archive::tar;
use super::image::{platform, repo_tag};
use super::registry;
use crate::body::{BodySender, Gone, RequestBody};
use crate::bridge;
use crate::call::{Call, document};
use crate::convert::create;
use crate::failure::Failure;
use crate::fetch;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::container::Config;
use gantry_api::error::IdResponse;
use gantry_api::stream::{JsonMessage, JsonProgress};
use gantry_engine::{CommitRequest, ImportRequest, Progress, PullRequest, PushRequest};
use gantry_errdefs::Class;
use gantry_names::{DiffId, Digest, Platform, Reference};
use http::StatusCode;
use std::future::Future;
use tokio::sync::mpsc;

routes! {
    POST "/images/create" => create,
    POST "/images/load" => load,
    POST "/images/{}/push" => push,
    GET "/images/get" => save,
    GET "/images/{}/get" => save,
    POST "/commit" => commit,
}

/// Messages waiting for a slow client.
const MESSAGES: usize = 64;

fn message(progress: Progress) -> JsonMessage {
    let detail = (progress.current > 0 || progress.total > 0).then(|| JsonProgress {
        current: i64::try_from(progress.current).unwrap_or(i64::MAX),
        total: i64::try_from(progress.total).unwrap_or(i64::MAX),
        ..Default::default()
    });
    // Docker prints an empty detail beside every status of a layer.
    let empty = (!progress.id.is_empty() && !progress.status.is_empty()).then(JsonProgress::default);
    JsonMessage {
        stream: progress.stream,
        status: progress.status,
        progress_detail: detail.or(empty),
        id: progress.id,
        aux: progress.aux,
        ..Default::default()
    }
}

pub(super) async fn send(sender: &BodySender, message: &JsonMessage) -> Result<(), Gone> {
    match reply::json_bytes(message) {
        // Docker ends each message with both.
        Ok(mut bytes) => {
            bytes.pop();
            bytes.extend_from_slice(b"\r\n");
            sender.send(bytes).await
        }
        Err(_) => Ok(()),
    }
}

/// How a failure is told before anything else was.
#[derive(Clone, Copy)]
enum Early {
    /// As any failure: a status and a message.
    Plain,
    /// As the stream's only message, which is how Docker tells it of `load`.
    InStream,
}

/// Runs work that tells its progress. What fails after something was told is the stream's last message.
async fn progress<W, F>(early: Early, work: W) -> Answer
where
    W: FnOnce(mpsc::Sender<Progress>) -> F,
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (tx, mut rx) = mpsc::channel(MESSAGES);
    let work = tokio::spawn(work(tx));
    let failed = |_| Failure::internal("the engine failed at this request; see its log");
    let first = rx.recv().await;
    let (sender, answer) = reply::stream("application/json");
    let Some(first) = first else {
        // It has ended without a word: the outcome is all there is.
        match (work.await.map_err(failed).and_then(|outcome| outcome), early) {
            (Ok(()), _) => {}
            (Err(failure), Early::Plain) => return Err(failure),
            (Err(failure), Early::InStream) => {
                tokio::spawn(async move { send(&sender, &JsonMessage::error(failure.message)).await });
            }
        }
        return Ok(answer);
    };
    tokio::spawn(async move {
        let mut next = Some(first);
        while let Some(told) = next {
            if send(&sender, &message(told)).await.is_err() {
                // Nobody listens: the work goes on or stops as the engine sees fit, its words are dropped.
                break;
            }
            next = rx.recv().await;
        }
        drop(rx);
        let outcome = work.await.map_err(failed).and_then(|outcome| outcome);
        if let Err(failure) = outcome
            && send(&sender, &JsonMessage::error(failure.message)).await.is_err()
        {
            tracing::debug!("client gone before its failure was told");
        }
    });
    Ok(answer)
}

async fn create(call: Call) -> Answer {
    let wanted = match call.query.get("platform") {
        text if text.is_empty() || call.version.before(32) => None,
        text => Some(Platform::parse(text).map_err(|e| Failure::invalid(e.to_string()))?),
    };
    match call.query.get("fromImage") {
        "" => import(call, wanted).await,
        _ => pull(call, wanted).await,
    }
}

async fn pull(call: Call, wanted: Option<Platform>) -> Answer {
    let invalid = |e: &dyn std::fmt::Display| Failure::invalid(e.to_string());
    let (name, tag) = (call.query.get("fromImage"), call.query.get("tag"));
    // Clients that want all tags send the name with a colon behind it.
    let reference = Reference::parse(name.strip_suffix(':').unwrap_or(name)).map_err(|e| invalid(&e))?;
    // A name alone means every tag: clients put `latest` in where they mean it.
    let all_tags = tag.is_empty() && reference.tag().is_none() && reference.digest().is_none();
    let reference = match tag {
        "" => reference,
        // It may be a digest.
        tag => match tag.parse::<Digest>() {
            Ok(digest) => reference.without_tag().with_digest(digest),
            Err(_) => reference.with_tag(tag).map_err(|e| invalid(&e))?,
        },
    };
    if reference.familiar_name() == "scratch" {
        return Err(Failure::new(Class::Forbidden, "'scratch' is a reserved name"));
    }
    let request = PullRequest { reference, all_tags, platform: wanted, auth: registry::auth(&call) };
    let app = call.app;
    progress(Early::Plain, move |told| async move {
        let pulled = app.engine.image_pull(request, told).await.map_err(Failure::from);
        // A client that reads 401 asks its user for a password there and then; Docker says 500, and the client ends.
        pulled.map_err(|failure| match failure.status {
            StatusCode::UNAUTHORIZED => Failure { status: StatusCode::INTERNAL_SERVER_ERROR, ..failure },
            _ => failure,
        })
    })
    .await
}

async fn push(call: Call) -> Answer {
    let invalid = |e: &dyn std::fmt::Display| Failure::invalid(e.to_string());
    let reference = Reference::parse(&call.name).map_err(|e| invalid(&e))?;
    let reference = match call.query.get("tag") {
        "" => reference,
        tag => reference.with_tag(tag).map_err(|e| invalid(&e))?,
    };
    let wanted = if call.version.since(46) { call.query.platform_json("platform")? } else { None };
    let request = PushRequest { reference, platform: wanted.map(platform), auth: registry::auth(&call) };
    let app = call.app;
    progress(Early::Plain, move |told| async move {
        app.engine.image_push(request, told).await.map_err(Failure::from)
    })
    .await
}

async fn import(call: Call, wanted: Option<Platform>) -> Answer {
    let q = &call.query;
    let source = q.get("fromSrc").to_owned();
    let reference = repo_tag(q.get("repo"), q.get("tag"))?;
    let message = match q.get("message") {
        "" => format!("Imported from {source}"),
        text => text.to_owned(),
    };
    let request = ImportRequest { reference, message, changes: q.all("changes"), platform: wanted };
    let (app, body) = (call.app, call.body);
    progress(Early::Plain, move |told| async move {
        let body = if source == "-" {
            body
        } else {
            let url = fetch::url(&source)?;
            let found = fetch::get(&url).await?;
            say(&told, format!("Downloading from {url}")).await;
            RequestBody::from(found)
        };
        let id = app.engine.image_import(request, Box::new(bridge::reader(body))).await?;
        say(&told, id.to_string()).await;
        Ok(())
    })
    .await
}

async fn say(told: &mpsc::Sender<Progress>, status: String) {
    if told.send(Progress { status, ..Default::default() }).await.is_err() {
        tracing::debug!("client gone before its import ended");
    }
}

async fn load(call: Call) -> Answer {
    one_platform(&call)?;
    let quiet = call.query.flag_or("quiet", true);
    let body = Box::new(bridge::reader(call.body));
    let app = call.app;
    progress(Early::InStream, move |told| async move {
        app.engine.image_load(body, quiet, told).await.map_err(Failure::from)
    })
    .await
}

/// At most one platform, and only since 1.48.
fn one_platform(call: &Call) -> Result<Option<Platform>, Failure> {
    if call.version.before(48) {
        return Ok(None);
    }
    if call.query.all("platform").len() > 1 {
        return Err(Failure::invalid("multiple platform parameters not supported"));
    }
    Ok(call.query.platform_json("platform")?.map(platform))
}

async fn save(call: Call) -> Answer {
    let wanted = one_platform(&call)?;
    let names = match call.name.as_str() {
        "" => call.query.all("names"),
        name => vec![name.to_owned()],
    };
    // Ours: the diff ids of layers that the reader has.
    let without = call.query.all("without").into_iter().map(|text| text.parse::<Digest>().map(DiffId));
    let without = without.collect::<Result<_, _>>().map_err(|e| Failure::invalid(e.to_string()))?;
    Ok(tar(call.app.engine.image_save(names, wanted, without).await?))
}

async fn commit(call: Call) -> Answer {
    call.expect_json()?;
    let q = &call.query;
    let mut request = CommitRequest {
        container: q.get("container").to_owned(),
        reference: repo_tag(q.get("repo"), q.get("tag"))?,
        pause: q.flag_or("pause", true),
        author: q.get("author").to_owned(),
        comment: q.get("comment").to_owned(),
        changes: q.all("changes"),
        config: None,
    };
    let app = call.app.clone();
    let body = call.bytes().await?;
    if !body.iter().all(u8::is_ascii_whitespace) {
        let config: Option<Config> = gantry_api::decode_value(document(&body)?)
            .map_err(|e| Failure::invalid(format!("invalid JSON: {e}")))?;
        request.config = config.map(create::run_config).transpose()?;
    }
    let id = app.engine.commit(request).await?;
    reply::json(StatusCode::CREATED, &IdResponse { id: id.to_string() })
}
