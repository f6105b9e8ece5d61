//! `/_ping`: is somebody there, and how do we speak.

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::routes;
use crate::{body, reply::with_header};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, PRAGMA};
use http::{Method, Response};

routes! {
    GET "/_ping" => ping,
    HEAD "/_ping" => ping,
}

const BUILDER_VERSION: HeaderName = HeaderName::from_static("builder-version");
const SWARM: HeaderName = HeaderName::from_static("swarm");

/// 1 is the classic builder, 2 BuildKit.
const BUILDER: &str = "2";

async fn ping(call: Call) -> Answer {
    let reply = if call.method == Method::HEAD {
        reply::status(http::StatusCode::OK)
    } else {
        Response::new(body::full("OK"))
    };
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (PRAGMA, "no-cache"),
        (BUILDER_VERSION, BUILDER),
        (SWARM, "inactive"),
    ];
    Ok(headers.into_iter().fold(reply, |reply, (name, value)| with_header(reply, name, value)))
}
