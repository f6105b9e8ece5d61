//! The endpoints, one file per noun. [`dispatch`] is their table.

pub mod blob;
pub mod catalog;
pub mod manifest;
pub mod operate;
pub mod page;
pub mod referrers;
pub mod search;
pub mod tags;
pub mod upload;

use std::sync::Arc;

use http::{HeaderName, Method, StatusCode};
use serde_json::json;

use crate::http::Answer;
use crate::http::query::encode;
use crate::http::route::Route;
use crate::refusal::{Code, Refusal};
use crate::server::{Request, Server, json as answer_json, plain};

/// The digest of what was sent or stored.
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Sends a request to its endpoint.
pub async fn dispatch(server: &Arc<Server>, route: Route, request: Request) -> Result<Answer, Refusal> {
    let reading = matches!(request.method, Method::GET | Method::HEAD);
    match (route, request.method.as_str()) {
        (Route::Base, "GET" | "HEAD") => Ok(answer_json(StatusCode::OK, &json!({}))),
        (Route::Catalog, "GET" | "HEAD") => catalog::list(server, &request),
        (Route::Blob(name, digest), "GET" | "HEAD") => blob::get(server, request, name, digest).await,
        (Route::Blob(name, digest), "DELETE") => blob::delete(server, request, name, digest).await,
        (Route::Uploads(name), "POST") => upload::begin(server, request, name).await,
        (Route::Upload(name, id), "GET" | "HEAD") => upload::status(server, request, name, id).await,
        (Route::Upload(name, id), "PATCH") => upload::append(server, request, name, id).await,
        (Route::Upload(name, id), "PUT") => upload::finish(server, request, name, id).await,
        (Route::Upload(name, id), "DELETE") => upload::cancel(server, request, name, id).await,
        (Route::Manifest(name, target), "GET" | "HEAD") => manifest::get(server, request, name, target).await,
        (Route::Manifest(name, target), "PUT") => manifest::put(server, request, name, target).await,
        (Route::Manifest(name, target), "DELETE") => manifest::delete(server, request, name, target).await,
        (Route::NoTag(_), _) if reading => Err(Refusal::new(Code::ManifestUnknown)),
        (Route::NoTag(_), "DELETE") => Err(Refusal::new(Code::ManifestUnknown)),
        (Route::NoTag(_), "PUT") => Err(Refusal::saying(Code::TagInvalid, "invalid tag name")),
        (Route::Tags(name), "GET" | "HEAD") => tags::list(server, request, name).await,
        (Route::Referrers(name, digest), "GET" | "HEAD") => {
            referrers::list(server, request, name, digest).await
        }
        (Route::Search, "GET" | "HEAD") => search::find(server, &request),
        (Route::OldPing, "GET" | "HEAD") => Ok(operate::old_ping()),
        (Route::Token, "GET" | "POST") => server.access.token(request).await,
        (Route::Page, "GET" | "HEAD") => page::repositories(server, &request).await,
        (Route::RepositoryPage(name), "GET" | "HEAD") => page::repository(server, &request, name).await,
        (Route::Health, "GET" | "HEAD") => operate::health(server).await,
        (Route::Metrics, "GET" | "HEAD") => operate::metrics(server, &request),
        (Route::Nowhere, _) => Ok(plain(StatusCode::NOT_FOUND)),
        _ => Err(Refusal::new(Code::Unsupported)),
    }
}

/// `n` and `last` of a listing. `n` is capped; a broken one is refused.
pub(crate) fn paging(request: &Request, most: usize) -> Result<(usize, Option<&str>), Refusal> {
    let wanted = match request.query.get("n") {
        None | Some("") => most,
        Some(text) => match text.parse::<i64>() {
            Ok(n) if n >= 0 => usize::try_from(n).unwrap_or(most).min(most),
            _ => return Err(Refusal::new(Code::PaginationInvalid).with(json!({"n": text}))),
        },
    };
    Ok((wanted, request.query.get("last").filter(|last| !last.is_empty())))
}

/// The `Link` to the next page.
pub(crate) fn link_next(path: &str, n: usize, last: &str, more: &str) -> String {
    format!("<{path}?last={}&n={n}{more}>; rel=\"next\"", encode(last))
}
