//! Answers.

use crate::body::{self, Body, BodySender};
use crate::failure::Failure;
use gantry_api::error::ErrorResponse;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

/// A response on its way.
pub(crate) type Reply = Response<Body>;

/// What a handler gives back.
pub(crate) type Answer = Result<Reply, Failure>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// JSON as Docker writes it: one line, newline at the end.
pub(crate) fn json_bytes(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut text = serde_json::to_vec(value).map_err(|e| Failure::internal(e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let mut reply = Response::new(body::full(json_bytes(value)?));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    Ok(reply)
}

/// 200 with a JSON body.
pub(crate) fn ok(value: &impl Serialize) -> Answer {
    json(StatusCode::OK, value)
}

/// 201 with a JSON body.
pub(crate) fn created(value: &impl Serialize) -> Answer {
    json(StatusCode::CREATED, value)
}

/// An answer without a body.
pub(crate) fn status(status: StatusCode) -> Reply {
    let mut reply = Response::new(body::empty());
    *reply.status_mut() = status;
    reply
}

/// 204.
pub(crate) fn no_content() -> Answer {
    Ok(status(StatusCode::NO_CONTENT))
}

/// 200 with a body that comes bit by bit, and its producing end.
pub(crate) fn stream(content_type: &'static str) -> (BodySender, Reply) {
    let (sender, body) = body::stream();
    let mut reply = Response::new(body);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    (sender, reply)
}

/// The same answer with one more header. A value that cannot be a header is left out.
pub(crate) fn with_header(mut reply: Reply, name: HeaderName, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
    reply
}

/// A failure as an answer: JSON, or plain text for clients from before JSON errors.
pub(crate) fn failed(failure: &Failure, plain: bool) -> Reply {
    if failure.status == StatusCode::NOT_MODIFIED {
        return status(failure.status);
    }
    let (bytes, content_type) = if plain {
        (format!("{}\n", failure.message).into_bytes(), HeaderValue::from_static("text/plain; charset=utf-8"))
    } else {
        let body = ErrorResponse { message: failure.message.clone() };
        (json_bytes(&body).expect("a string has a JSON form"), JSON)
    };
    let mut reply = Response::new(body::full(bytes));
    *reply.status_mut() = failure.status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}
