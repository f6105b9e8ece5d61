//! A request as a handler sees it.

use crate::App;
use crate::body::RequestBody;
use crate::failure::Failure;
use crate::listen::Peer;
use crate::query::Query;
use gantry_api::version::ApiVersion;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// One request that a route has matched.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) method: Method,
    /// The version it is served in.
    pub(crate) version: ApiVersion,
    /// The path's variable.
    pub(crate) name: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    /// There when the client asked to take over the connection.
    pub(crate) upgrade: Option<OnUpgrade>,
    /// The client's end of the connection, where it is on this machine.
    pub(crate) client: Option<Peer>,
}

impl Call {
    /// Whether there is surely no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_end_stream() || self.headers.get(CONTENT_LENGTH).is_some_and(|len| len == "0")
    }

    /// Refuses a body that is not declared as JSON.
    pub(crate) fn expect_json(&self) -> Result<(), Failure> {
        let declared = self.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if declared.is_empty() && self.is_empty() {
            return Ok(());
        }
        let mime = declared.split(';').next().unwrap_or("").trim();
        if mime.is_empty() {
            let text = format!("malformed Content-Type header ({declared}): mime: no media type");
            return Err(Failure::invalid(text));
        }
        if !mime.eq_ignore_ascii_case("application/json") {
            let text = format!("unsupported Content-Type header ({declared}): must be 'application/json'");
            return Err(Failure::invalid(text));
        }
        Ok(())
    }

    /// The whole body, within the limit for documents.
    pub(crate) async fn bytes(self) -> Result<bytes::Bytes, Failure> {
        let limit = self.app.limits.document_bytes;
        match Limited::new(self.body, limit).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(err) if err.is::<http_body_util::LengthLimitError>() => Err(Failure {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                message: format!("request body is larger than {limit} bytes"),
            }),
            Err(err) => Err(Failure::invalid(format!("reading the request body: {err}"))),
        }
    }

    /// A JSON body; without one, the type's default, as Docker reads it.
    pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(self) -> Result<T, Failure> {
        self.expect_json()?;
        if self.is_empty() {
            return Ok(T::default());
        }
        self.json().await
    }

    /// A JSON body that must be there.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let value = document(&self.bytes().await?)?;
        gantry_api::decode_value(value).map_err(|e| Failure::invalid(format!("invalid JSON: {e}")))
    }
}

/// Credentials of a header. Bad ones count as none, as in Docker.
pub(crate) fn decode_auth(header: &[u8]) -> Option<serde_json::Value> {
    use base64::Engine as _;
    use base64::alphabet::{STANDARD, URL_SAFE};
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = GeneralPurpose::new(&URL_SAFE, lenient)
        .decode(header)
        .or_else(|_| GeneralPurpose::new(&STANDARD, lenient).decode(header))
        .ok()?;
    serde_json::from_slice(&text).ok()
}

/// The one JSON document of a body.
pub(crate) fn document(body: &[u8]) -> Result<Value, Failure> {
    let mut documents = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    let value = match documents.next() {
        None => return Err(Failure::invalid("invalid JSON: got EOF while reading request body")),
        Some(Err(e)) if e.is_eof() => return Err(Failure::invalid("invalid JSON: unexpected EOF")),
        Some(Err(e)) => return Err(Failure::invalid(format!("invalid JSON: {e}"))),
        Some(Ok(value)) => value,
    };
    let rest = &body[documents.byte_offset()..];
    if rest.iter().all(u8::is_ascii_whitespace) {
        Ok(value)
    } else {
        Err(Failure::invalid("unexpected content after JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn bad_documents_are_told_apart() {
        let text = |body: &[u8]| document(body).unwrap_err().message;
        assert_eq!(text(b""), "invalid JSON: got EOF while reading request body");
        assert_eq!(text(b"  "), "invalid JSON: got EOF while reading request body");
        assert_eq!(text(b"{"), "invalid JSON: unexpected EOF");
        assert_eq!(text(b"{} {}"), "unexpected content after JSON");
        assert!(text(b"nope").starts_with("invalid JSON: "));
        assert!(document(b"{}\n").is_ok());
    }
}
