//! For those who run the registry: health, metrics, the oldest ping.

use std::sync::Arc;

use http::{HeaderName, StatusCode};
use serde_json::json;

use crate::http::Answer;
use crate::refusal::Refusal;
use crate::server::{Request, Server, bytes, json as answer_json, plain, put};
use crate::store::blocking;

/// What the first registry's clients look for.
const OLD_VERSION: HeaderName = HeaderName::from_static("x-docker-registry-version");

/// `/v1/_ping`.
pub fn old_ping() -> Answer {
    let mut answer = answer_json(StatusCode::OK, &json!(true));
    put(&mut answer, OLD_VERSION, "0.9.0");
    answer
}

/// `/debug/health`: an empty object, or what is wrong.
pub async fn health(server: &Arc<Server>) -> Result<Answer, Refusal> {
    let store = Arc::clone(&server.store);
    Ok(match blocking(move || store.check()).await {
        Ok(()) => answer_json(StatusCode::OK, &json!({})),
        Err(err) => answer_json(StatusCode::SERVICE_UNAVAILABLE, &json!({"storagedriver": err.to_string()})),
    })
}

/// `/metrics` in Prometheus' text format.
pub fn metrics(server: &Arc<Server>, request: &Request) -> Result<Answer, Refusal> {
    if server.rules.metrics_apart && !request.peer.operator {
        return Ok(plain(StatusCode::NOT_FOUND));
    }
    let repositories = server.store.repositories(None, usize::MAX).len();
    let text = server.metrics.text(repositories, server.events.counts());
    Ok(bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}
