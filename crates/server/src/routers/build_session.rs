//! `POST /build?version=2`: BuildKit's build with its progress as messages of a stream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_api::stream::{JsonError, JsonMessage};
use gantry_names::ContainerId;
use gantry_solver::{Message, Status};
use http_body_util::BodyExt;
use serde_json::json;

use super::image_transfer::send;
use crate::App;
use crate::body::{BodySender, Gone};
use crate::building::modern;
use crate::call::Call;
use crate::failure::Failure;
use crate::reply::{self, Answer};

/// Bytes of an upload in one piece for the solver.
const PIECES: usize = 16;

/// Runs the build, or brings the context of one.
pub(super) async fn build(call: Call) -> Answer {
    let id = call.query.get("buildid").to_owned();
    if let Some(id) = id.strip_prefix("upload-request:") {
        return upload(call.app.clone(), id.to_owned(), call).await;
    }
    let reference = ContainerId::random().short().to_owned();
    let mut request = modern::request(&call.query, reference.clone())?;
    let app = call.app.clone();
    if request.session.is_empty() {
        return Err(Failure::invalid(
            "a build by BuildKit's protocol needs a session: open one, or leave version=2 out",
        ));
    }
    // The body of this request, or that of another one: either is an upload by a name.
    let from_body = call.query.get("remote").is_empty();
    if from_body || call.query.get("remote") == modern::UPLOAD {
        let name = if from_body { &reference } else { &id };
        request.frontend_attrs.insert("context".into(), app.solver.upload_address(name));
    }
    if from_body {
        let (uploading, app) = (reference.clone(), app.clone());
        tokio::spawn(async move { feed(&app, &uploading, call.body).await });
    }
    let (sender, answer) = reply::stream("application/json");
    tokio::spawn(async move {
        let entry = app.building.enter(&id);
        let work = converse(&app, request, &reference, &sender);
        tokio::select! {
            told = work => if told.is_err() { tracing::debug!("client gone before its build ended") },
            () = sender.closed() => tracing::debug!("a client has left its build"),
            () = entry.cancelled() => {
                let _gone = send(&sender, &JsonMessage::error("context canceled")).await;
            }
            () = app.ending.cancelled() => {
                let _gone = send(&sender, &JsonMessage::error("the engine is shutting down")).await;
            }
        }
    });
    Ok(answer)
}

async fn converse(
    app: &App,
    request: gantry_solver::SolveRequest,
    reference: &str,
    sender: &BodySender,
) -> Result<(), Gone> {
    let makes_image = request.exporters.iter().any(|one| ["moby", "image"].contains(&one.kind.as_str()));
    let telling = async {
        let Some(mut progress) = app.solver.progress(reference).await else { return Ok(()) };
        while let Some(told) = progress.next().await {
            let aux = Some(json!(STANDARD.encode(told.encode_to_vec())));
            send(sender, &JsonMessage { id: "moby.buildkit.trace".into(), aux, ..JsonMessage::default() })
                .await?;
        }
        Ok(())
    };
    let (outcome, told) = tokio::join!(app.solver.solve(request), telling);
    told?;
    match outcome {
        Ok(response) if makes_image => {
            let aux = Some(json!({ "ID": response.get("containerimage.digest") }));
            send(sender, &JsonMessage { id: "moby.image.id".into(), aux, ..JsonMessage::default() }).await
        }
        Ok(_) => Ok(()),
        Err(Status { message, .. }) => {
            let message = format!("failed to solve: {message}");
            let detail = JsonError { code: 0, message: message.clone() };
            let failed = JsonMessage { error_detail: Some(detail), error: message, ..JsonMessage::default() };
            send(sender, &failed).await
        }
    }
}

/// The context of a build that another request asks for.
async fn upload(app: std::sync::Arc<App>, id: String, call: Call) -> Answer {
    match feed(&app, &id, call.body).await {
        true => Ok(reply::status(http::StatusCode::OK)),
        false => Err(Failure::invalid(format!("no build {id} waits for a context"))),
    }
}

/// Gives a body to the build that waits for it. Whether one did.
async fn feed(app: &App, id: &str, mut body: crate::body::RequestBody) -> bool {
    let (pieces, taken) = tokio::sync::mpsc::channel(PIECES);
    if !app.solver.offer(id, taken).await {
        return false;
    }
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        if pieces.send(data.to_vec()).await.is_err() {
            break;
        }
    }
    true
}
