//! A container's life: made, started, stopped, changed, looked at, removed.

use crate::call::{Call, document};
use crate::convert::{ancient, create, inspect as full, list as line};
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::container::{
    Change, ContainerCreated, ContainerTop, ContainerUpdate, ContainerUpdated, ContainerWaited,
    ContainersPruned, WaitError,
};
use gantry_engine::{ChangeKind, ListRequest, WaitCondition};
use gantry_names::Platform;
use jiff::Timestamp;

routes! {
    GET "/containers/json" => list,
    POST "/containers/create" => create,
    POST "/containers/prune" => prune,
    GET "/containers/{}/json" => inspect,
    GET "/containers/{}/top" => top,
    GET "/containers/{}/changes" => changes,
    POST "/containers/{}/start" => start,
    POST "/containers/{}/stop" => stop,
    POST "/containers/{}/restart" => restart,
    POST "/containers/{}/kill" => kill,
    POST "/containers/{}/pause" => pause,
    POST "/containers/{}/unpause" => unpause,
    POST "/containers/{}/rename" => rename,
    POST "/containers/{}/update" => update,
    POST "/containers/{}/wait" => wait,
    POST "/containers/{}/resize" => resize,
    DELETE "/containers/{}" => remove,
}

async fn list(call: Call) -> Answer {
    let q = &call.query;
    let request = ListRequest {
        all: q.flag("all"),
        limit: q.number("limit")?.unwrap_or(0),
        size: q.flag("size"),
        since: q.get("since").to_owned(),
        before: q.get("before").to_owned(),
        filters: q.filters()?.0,
    };
    let listed = call.app.engine.container_list(request).await?;
    let now = Timestamp::now();
    reply::ok(&listed.iter().map(|entry| line::summary(entry, now, call.version)).collect::<Vec<_>>())
}

async fn create(call: Call) -> Answer {
    call.expect_json()?;
    let name = call.query.get("name").to_owned();
    let platform = match call.query.get("platform") {
        text if text.is_empty() || call.version.before(41) => None,
        text => Some(Platform::parse(text).map_err(|e| Failure::invalid(e.to_string()))?),
    };
    let (app, version) = (call.app.clone(), call.version);
    let mut body = document(&call.bytes().await?)?;
    ancient::create(&mut body, version);
    let asked = create::asked(body, version, platform)?;
    let name = Some(name.as_str()).filter(|name| !name.is_empty());
    let made = app.engine.container_create(asked.spec, name).await?;
    let mut warnings = made.warnings;
    warnings.extend(asked.warnings);
    reply::created(&ContainerCreated { id: made.id.to_string(), warnings: Some(warnings) })
}

async fn prune(call: Call) -> Answer {
    let pruned = call.app.engine.container_prune(call.query.filters()?.0).await?;
    let deleted = Some(pruned.deleted).filter(|ids| !ids.is_empty());
    reply::ok(&ContainersPruned { containers_deleted: deleted, space_reclaimed: pruned.reclaimed })
}

async fn inspect(call: Call) -> Answer {
    let inspected = call.app.engine.container_inspect(&call.name, call.query.flag("size")).await?;
    let answer = full::inspect(&inspected, call.version);
    if call.version.since(20) {
        return reply::ok(&answer);
    }
    let mut answer = serde_json::to_value(&answer).map_err(|e| Failure::internal(e.to_string()))?;
    ancient::inspect(&mut answer, &inspected.record, call.version);
    reply::ok(&answer)
}

async fn top(call: Call) -> Answer {
    let args = match call.query.get("ps_args") {
        "" => "-ef",
        args => args,
    };
    let top = call.app.engine.container_top(&call.name, args).await?;
    reply::ok(&ContainerTop { processes: Some(top.processes), titles: Some(top.titles) })
}

async fn changes(call: Call) -> Answer {
    let changes = call.app.engine.container_changes(&call.name).await?;
    let change = |(kind, path)| Change {
        kind: match kind {
            ChangeKind::Modified => 0,
            ChangeKind::Added => 1,
            ChangeKind::Deleted => 2,
        },
        path,
    };
    // Docker prints `null` when nothing has changed.
    reply::ok(&Some(changes.into_iter().map(change).collect::<Vec<_>>()).filter(|list| !list.is_empty()))
}

async fn start(call: Call) -> Answer {
    // A JSON object with anything in it has more than seven bytes.
    let len =
        call.headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if len.is_some_and(|len| len > 7) || (len.is_none() && !call.is_empty()) {
        if call.version.before(24) {
            return Err(Failure::invalid(
                "a HostConfig is taken when a container is created, not when it is started",
            ));
        }
        return Err(Failure::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    if !call.query.get("checkpoint").is_empty() {
        return Err(Failure::not_implemented("this engine does not checkpoint containers"));
    }
    call.app.engine.container_start(&call.name).await?;
    reply::no_content()
}

/// The signal (since 1.42) and the seconds to wait.
fn patience(call: &Call) -> Result<(Option<String>, Option<i64>), Failure> {
    let signal = Some(call.query.get("signal")).filter(|s| call.version.since(42) && !s.is_empty());
    Ok((signal.map(str::to_owned), call.query.number("t")?))
}

async fn stop(call: Call) -> Answer {
    let (signal, timeout) = patience(&call)?;
    call.app.engine.container_stop(&call.name, signal.as_deref(), timeout).await?;
    reply::no_content()
}

async fn restart(call: Call) -> Answer {
    let (signal, timeout) = patience(&call)?;
    call.app.engine.container_restart(&call.name, signal.as_deref(), timeout).await?;
    reply::no_content()
}

async fn kill(call: Call) -> Answer {
    let killed = call.app.engine.container_kill(&call.name, call.query.get("signal")).await;
    killed.map_err(|e| Failure::from(e).context(format_args!("cannot kill container: {}", call.name)))?;
    reply::no_content()
}

async fn pause(call: Call) -> Answer {
    call.app.engine.container_pause(&call.name).await?;
    reply::no_content()
}

async fn unpause(call: Call) -> Answer {
    call.app.engine.container_unpause(&call.name).await?;
    reply::no_content()
}

async fn rename(call: Call) -> Answer {
    call.app.engine.container_rename(&call.name, call.query.get("name")).await?;
    reply::no_content()
}

async fn update(call: Call) -> Answer {
    let (app, version, name) = (call.app.clone(), call.version, call.name.clone());
    let mut host = call.json_or_default::<ContainerUpdate>().await?.resources;
    if version.before(40) {
        host.pids_limit = None;
    }
    if version.since(42) {
        host.kernel_memory = 0;
    }
    // Anything below one means no limit.
    host.pids_limit = host.pids_limit.map(|limit| limit.max(0));
    let policy = match host.restart_policy.name.as_str() {
        "" => None,
        _ => Some(create::restart(&host.restart_policy)?),
    };
    let warnings = app.engine.container_update(&name, create::resources(&host), policy).await?;
    reply::ok(&ContainerUpdated { warnings: Some(warnings).filter(|w| !w.is_empty()) })
}

async fn wait(call: Call) -> Answer {
    let old = call.version.before(30);
    let condition = match call.query.get("condition") {
        _ if old => WaitCondition::NotRunning,
        "" | "not-running" => WaitCondition::NotRunning,
        "next-exit" => WaitCondition::NextExit,
        "removed" => WaitCondition::Removed,
        other => return Err(Failure::invalid(format!("invalid condition: {other:?}"))),
    };
    // Before 1.34 a removal that failed was told by an empty answer.
    let silent = matches!(condition, WaitCondition::Removed) && call.version.before(34);
    let exit = call.app.engine.container_wait(&call.name, condition).await?;
    let (sender, answer) = reply::stream("application/json");
    let told = async move {
        let Ok(waited) = exit.await else { return };
        if silent && waited.error.is_some() {
            return;
        }
        let body = ContainerWaited {
            error: waited.error.map(|message| WaitError { message }),
            status_code: waited.code.into(),
        };
        if let Ok(bytes) = reply::json_bytes(&body)
            && sender.send(bytes).await.is_err()
        {
            tracing::debug!("nobody waits any more");
        }
    };
    if old {
        // The head came with the body then.
        told.await;
    } else {
        tokio::spawn(told);
    }
    Ok(answer)
}

async fn resize(call: Call) -> Answer {
    let (height, width) = call.query.size()?;
    call.app.engine.container_resize(&call.name, height, width).await?;
    Ok(reply::status(http::StatusCode::OK))
}

async fn remove(call: Call) -> Answer {
    let q = &call.query;
    call.app.engine.container_remove(&call.name, q.flag("force"), q.flag("v"), q.flag("link")).await?;
    reply::no_content()
}
