//! One request: built, sent, and its answer taken in one of the forms the API knows.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::body::{Body, ByteStream, JsonStream};
use crate::client::Client;
use crate::error::ClientError;
use crate::hijack::Hijacked;

/// Bytes of an error's body that are read.
const MAX_ERROR: usize = 1 << 20;

pub(crate) type Outgoing = Request<http_body_util::combinators::BoxBody<Bytes, std::io::Error>>;

/// A query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// An empty query.
    pub fn new() -> Query {
        Query::default()
    }

    /// Adds a pair.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Query {
        self.0.push((key.to_owned(), value.into()));
        self
    }

    /// Adds a pair unless the value is empty.
    #[must_use]
    pub fn with_some(self, key: &str, value: impl Into<String>) -> Query {
        let value = value.into();
        if value.is_empty() { self } else { self.with(key, value) }
    }

    /// Adds `key=1` when `on`.
    #[must_use]
    pub fn flag(self, key: &str, on: bool) -> Query {
        if on { self.with(key, "1") } else { self }
    }

    fn encode(&self, out: &mut String) {
        for (i, (key, value)) in self.0.iter().enumerate() {
            out.push(if i == 0 { '?' } else { '&' });
            escape(key, "", out);
            out.push('=');
            escape(value, "", out);
        }
    }
}

/// Percent-encodes everything but unreserved characters and those in `keep`.
fn escape(text: &str, keep: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// The noun of a path whose thing has no name: `/containers//stop` would be another endpoint, or none.
fn nameless(path: &str) -> Option<&'static str> {
    let (noun, rest) = path.strip_prefix('/')?.split_once('/')?;
    let name = rest.split('/').next().unwrap_or_default();
    if !name.trim().is_empty() {
        return None;
    }
    match noun {
        "containers" => Some("container"),
        "exec" => Some("exec"),
        "images" => Some("image"),
        "networks" => Some("network"),
        "volumes" => Some("volume"),
        "plugins" => Some("plugin"),
        "nodes" => Some("node"),
        "services" => Some("service"),
        "tasks" => Some("task"),
        "secrets" => Some("secret"),
        "configs" => Some("config"),
        _ => None,
    }
}

/// A request that is being built.
pub struct Call<'c> {
    client: &'c Client,
    method: Method,
    path: String,
    query: Query,
    headers: Vec<(&'static str, String)>,
    body: Option<Body>,
}

/// An answer whose body has not been read yet.
pub struct Answer(Response<Incoming>);

impl<'c> Call<'c> {
    pub(crate) fn new(client: &'c Client, method: Method, path: String) -> Call<'c> {
        Call { client, method, path, query: Query::new(), headers: Vec::new(), body: None }
    }

    /// The query string.
    #[must_use]
    pub fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// One more query pair.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.query = self.query.with(key, value);
        self
    }

    /// A header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn json_body(mut self, body: &impl Serialize) -> Self {
        // A value of our own making always serializes; an empty body would be refused by the engine and told.
        self.body = Some(Body::bytes(serde_json::to_vec(body).unwrap_or_default()));
        self.header("content-type", "application/json")
    }

    /// A body of another kind.
    #[must_use]
    pub fn body(mut self, body: Body, content_type: &str) -> Self {
        self.body = Some(body);
        self.header("content-type", content_type)
    }

    /// Sends the request whatever the answer's status.
    pub async fn send_raw(self) -> Result<Answer, ClientError> {
        self.client.gate.pass().await;
        self.send_now().await
    }

    async fn send_now(self) -> Result<Answer, ClientError> {
        let version = self.client.version().await?;
        self.send_at(Some(&version)).await
    }

    /// Sends the request below the given version, or below none: what negotiation itself has to do.
    pub(crate) async fn send_at(self, version: Option<&str>) -> Result<Answer, ClientError> {
        let (client, request) = self.request(None, version)?;
        Ok(Answer(client.exchange(request, true).await?))
    }

    /// Sends the request; a failure's status becomes an error with the engine's sentence.
    pub async fn send(self) -> Result<Answer, ClientError> {
        let route = self.path.clone();
        let answer = self.send_raw().await?;
        answer.check(&route).await
    }

    /// The same for a request that is under way until its answer is read.
    async fn read(self) -> Result<Bytes, ClientError> {
        let route = self.path.clone();
        self.send_now().await?.check(&route).await?.stream().collect().await
    }

    /// Sends the request and reads the answer as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|e| ClientError::Protocol(e.to_string()))
    }

    /// Sends the request and reads the answer as any JSON; an empty one is null.
    pub async fn value(self) -> Result<Value, ClientError> {
        let bytes = self.bytes().await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|e| ClientError::Protocol(e.to_string()))
    }

    /// Sends the request and reads the answer's bytes.
    pub async fn bytes(self) -> Result<Bytes, ClientError> {
        if self.method.is_safe() {
            return self.send().await?.stream().collect().await;
        }
        let client = self.client;
        let _until_read = client.gate.enter().await;
        self.read().await
    }

    /// Sends the request; the answer's content does not matter.
    pub async fn done(self) -> Result<(), ClientError> {
        self.bytes().await.map(drop)
    }

    /// Sends the request and hands out the answer as it comes.
    pub async fn stream(self) -> Result<ByteStream, ClientError> {
        Ok(self.send().await?.stream())
    }

    /// Sends the request and hands out the answer as JSON messages.
    pub async fn messages(self) -> Result<JsonStream, ClientError> {
        Ok(self.stream().await?.json())
    }

    /// Sends the request and takes the connection over.
    pub async fn hijack(self) -> Result<Hijacked, ClientError> {
        self.take_over("tcp").await
    }

    /// Sends the request and takes the connection over for another protocol.
    pub async fn take_over(self, protocol: &str) -> Result<Hijacked, ClientError> {
        self.client.gate.pass().await;
        let route = self.path.clone();
        let version = self.client.version().await?;
        let (client, request) = self.request(Some(protocol), Some(&version))?;
        let answer = Answer(client.exchange(request, false).await?);
        let content_type = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upgraded = hyper::upgrade::on(answer.0)
                .await
                .map_err(|e| ClientError::Protocol(format!("unable to upgrade to tcp: {e}")))?;
            return Ok(Hijacked::upgraded(upgraded, content_type));
        }
        let answer = answer.check(&route).await?;
        Ok(Hijacked::read_only(answer.stream().into_reader(), content_type))
    }

    fn request(
        self,
        upgrade: Option<&str>,
        version: Option<&str>,
    ) -> Result<(&'c Client, Outgoing), ClientError> {
        if let Some(noun) = nameless(&self.path) {
            return Err(ClientError::Protocol(format!("invalid {noun} name or ID: value is empty")));
        }
        let mut target = String::new();
        if let Some(version) = version {
            target.push_str("/v");
            target.push_str(version);
        }
        escape(&self.path, "/:@", &mut target);
        self.query.encode(&mut target);
        let mut builder = Request::builder()
            .method(self.method)
            .uri(target)
            .header(header::HOST, self.client.host_header())
            .header(header::USER_AGENT, self.client.user_agent());
        for (name, value) in self.client.extra_headers() {
            builder = builder.header(name, value);
        }
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        if let Some(protocol) = upgrade {
            builder = builder.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, protocol);
        }
        let body = self.body.unwrap_or_else(Body::empty);
        let request = builder.body(body.0).map_err(|e| ClientError::Protocol(e.to_string()))?;
        Ok((self.client, request))
    }
}

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// The body as it comes.
    pub fn stream(self) -> ByteStream {
        ByteStream(self.0.into_body())
    }

    async fn check(self, route: &str) -> Result<Answer, ClientError> {
        let status = self.status();
        // Whoever asks for what is there already is told so; no other redirection is an answer of this API.
        if status.is_success() || status.is_informational() || status == StatusCode::NOT_MODIFIED {
            return Ok(self);
        }
        if status.is_redirection() {
            return Err(ClientError::Protocol("unexpected redirect in response".into()));
        }
        let bytes = self.stream().collect().await.unwrap_or_default();
        let bytes = &bytes[..bytes.len().min(MAX_ERROR)];
        let message = match serde_json::from_slice::<Value>(bytes) {
            Ok(Value::Object(map)) if map.get("message").is_some_and(Value::is_string) => {
                map["message"].as_str().unwrap_or_default().trim().to_owned()
            }
            _ => String::from_utf8_lossy(bytes).trim().to_owned(),
        };
        let message = if message.is_empty() {
            format!(
                "request returned {} for API route and version {route}, check if the server supports the requested API version",
                match status.canonical_reason() {
                    Some(reason) => format!("{} {reason}", status.as_u16()),
                    None => status.as_u16().to_string(),
                }
            )
        } else {
            message
        };
        Err(ClientError::Daemon { status: status.as_u16(), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_without_a_name_is_asked_of_nobody() {
        assert_eq!(nameless("/containers//stop"), Some("container"));
        assert_eq!(nameless("/volumes/ "), Some("volume"));
        assert_eq!(nameless("/networks/"), Some("network"));
        assert_eq!(nameless("/containers/json"), None);
        assert_eq!(nameless("/images/a//b/json"), None);
        assert_eq!(nameless("/_ping"), None);
    }

    #[test]
    fn queries_are_encoded() {
        let mut out = String::new();
        Query::new().with("a", "x y/&").flag("b", true).flag("c", false).with_some("d", "").encode(&mut out);
        assert_eq!(out, "?a=x%20y%2F%26&b=1");
        let mut path = String::new();
        escape("/images/a/b:c@sha256:d/e f", "/:@", &mut path);
        assert_eq!(path, "/images/a/b:c@sha256:d/e%20f");
    }
}
