//! Exec: a second process in a running container.

use super::streams::streams;
use crate::call::Call;
use crate::detach;
use crate::failure::Failure;
use crate::hijack::Door;
use crate::reply::{self, Answer};
use crate::route::routes;
use crate::session::End;
use base64::Engine as _;
use bytes::Bytes;
use gantry_api::error::IdResponse;
use gantry_api::exec::{ExecCreate, ExecInspect, ExecProcess, ExecStart};
use gantry_engine::{Attachment, ExecRequest, ExecState, Output};
use tokio::sync::mpsc;

routes! {
    POST "/containers/{}/exec" => create,
    POST "/exec/{}/start" => start,
    POST "/exec/{}/resize" => resize,
    GET "/exec/{}/json" => inspect,
}

async fn create(call: Call) -> Answer {
    let (app, version, name) = (call.app.clone(), call.version, call.name.clone());
    let body: ExecCreate = call.json_or_default().await?;
    let command = body.cmd.unwrap_or_default();
    if command.is_empty() {
        return Err(Failure::invalid("No exec command specified"));
    }
    let keys = match body.detach_keys.as_str() {
        "" => Vec::new(),
        text => detach::keys(text)
            .map_err(|_| Failure::invalid(format!("Invalid escape keys ({text}) provided")))?,
    };
    let request = ExecRequest {
        command,
        env: body.env.unwrap_or_default(),
        user: body.user,
        working_dir: body.working_dir,
        tty: body.tty,
        privileged: body.privileged,
        stdin: body.attach_stdin,
        stdout: body.attach_stdout,
        stderr: body.attach_stderr,
        detach_keys: keys,
        console_size: body.console_size.filter(|_| version.since(42)),
    };
    let id = app.engine.exec_create(&name, request).await?;
    reply::created(&IdResponse { id: id.to_string() })
}

async fn start(mut call: Call) -> Answer {
    let (app, version, id) = (call.app.clone(), call.version, call.name.clone());
    call.expect_json()?;
    // The body is a document, what follows on the connection is input: both are needed.
    let (upgrade, client) = (call.upgrade.take(), call.client.take());
    let headers = call.headers.clone();
    let start: ExecStart = call.json_or_default().await?;
    let state = app.engine.exec_inspect(&id).await?;
    if start.detach {
        app.engine.exec_start_detached(&id).await?;
        return Ok(reply::status(http::StatusCode::OK));
    }
    let size = start.console_size.filter(|_| version.since(42) && start.tty);
    let keys = match state.request.detach_keys {
        keys if keys.is_empty() => detach::keys("")?,
        keys => keys,
    };
    // The start's own word says how the stream is written, whatever terminal the session was made with.
    let tty = start.tty;
    // A session that cannot start now is refused; what fails later is told in the stream, and by the exit code.
    app.engine.exec_can_start(&id)?;
    let door = Door::after_body(upgrade, headers, version, tty).after_head(client);
    let (engine, session) = (app.engine.clone(), id.clone());
    let begin = move || async move {
        let attachment = engine.exec_attach_start(&session, size).await;
        streams(attachment.unwrap_or_else(|err| told(&Failure::from(err))), keys)
    };
    Ok(door.open_then(begin, move |end| async move {
        if end == End::Detached {
            app.engine.exec_detached(&id).await;
        }
    }))
}

/// A stream that says why there is none.
fn told(failure: &Failure) -> Attachment {
    let (sender, output) = mpsc::channel(1);
    let line = Bytes::from(format!("{}\r\n", failure.message));
    if sender.try_send((Output::Stdout, line)).is_err() {
        tracing::debug!("a channel of one has no place");
    }
    Attachment { tty: false, output, stdin: None }
}

async fn resize(call: Call) -> Answer {
    let (height, width) = call.query.size()?;
    call.app.engine.exec_resize(&call.name, height, width).await?;
    Ok(reply::status(http::StatusCode::OK))
}

async fn inspect(call: Call) -> Answer {
    let ExecState { id, container, request, running, exit_code, pid, can_remove } =
        call.app.engine.exec_inspect(&call.name).await?;
    let mut words = request.command.into_iter();
    reply::ok(&ExecInspect {
        id: id.to_string(),
        running,
        exit_code: exit_code.map(i64::from),
        process_config: Some(ExecProcess {
            tty: request.tty,
            entrypoint: words.next().unwrap_or_default(),
            arguments: Some(words.collect()),
            privileged: Some(request.privileged),
            user: request.user,
        }),
        open_stdin: request.stdin,
        open_stderr: request.stderr,
        open_stdout: request.stdout,
        can_remove,
        container_id: container.to_string(),
        detach_keys: base64::engine::general_purpose::STANDARD.encode(&request.detach_keys),
        pid: pid.into(),
    })
}
