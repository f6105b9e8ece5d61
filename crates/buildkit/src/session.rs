//! A session: what a client exposes to an engine while a build runs, over a connection that was taken over.
//!
//! The client dials, then the roles turn round: it serves, the engine calls. The headers of the dial name the session
//! and the methods it has. Source: BuildKit's `session/` and moby's `POST /session`.

use std::collections::BTreeSet;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::grpc::client::{Answer, Channel};
use crate::grpc::{Outbound, Status};
use crate::proto::control::BytesMessage;
use crate::proto::session::{
    CheckAgentRequest, CredentialsRequest, CredentialsResponse, GetSecretRequest, GetSecretResponse,
};

/// The session's name.
pub const UUID: &str = "x-docker-expose-session-uuid";
/// What keeps the files of one folder's builds together.
pub const SHARED_KEY: &str = "x-docker-expose-session-sharedkey";
/// A method that the client serves; one header each.
pub const METHOD: &str = "x-docker-expose-session-grpc-method";

/// A folder's files.
pub const DIFF_COPY: &str = "/moby.filesync.v1.FileSync/DiffCopy";
/// An exporter's result.
pub const FILE_SEND: &str = "/moby.filesync.v1.FileSend/DiffCopy";
/// A secret's value.
pub const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// Whether an agent is forwarded.
pub const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
/// A conversation with an agent.
pub const FORWARD_AGENT: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
/// Who the person is at a registry.
pub const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
/// Bytes of the client's standard input.
pub const PULL: &str = "/moby.upload.v1.Upload/Pull";

/// Which of a folder's files are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The folder, as client and engine call it: `context`, `dockerfile`, ...
    pub name: String,
    /// Patterns of a `.dockerignore`.
    pub exclude: Vec<String>,
    /// Only these files and folders, links in their names followed.
    pub follow: Vec<String>,
}

/// The engine's end of a session.
#[derive(Debug, Clone)]
pub struct Caller {
    channel: Channel,
    methods: BTreeSet<String>,
    shared_key: String,
}

impl Caller {
    /// The session that these headers of a dial describe.
    pub fn new(channel: Channel, headers: &HeaderMap) -> Self {
        let methods = headers.get_all(METHOD).iter().filter_map(|value| value.to_str().ok());
        let shared_key = headers.get(SHARED_KEY).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self {
            channel,
            methods: methods.map(str::to_ascii_lowercase).collect(),
            shared_key: shared_key.to_owned(),
        }
    }

    /// What keeps the files of one folder's builds together; may be empty.
    pub fn shared_key(&self) -> &str {
        &self.shared_key
    }

    /// Resolves when the client has gone.
    pub async fn closed(&self) {
        self.channel.closed().await;
    }

    /// A call of a method by itself: the services of other modules.
    pub(crate) async fn open(&self, method: &str, metadata: HeaderMap) -> Result<(Outbound, Answer), Status> {
        self.need(method, "the client offers no content store")?;
        self.channel.open(method, metadata).await
    }

    /// One message there, one back.
    pub(crate) async fn unary<Q: prost::Message, A: prost::Message + Default>(
        &self,
        method: &str,
        metadata: HeaderMap,
        request: &Q,
    ) -> Result<A, Status> {
        self.need(method, "the client offers no content store")?;
        self.channel.unary(method, metadata, request).await
    }

    fn has(&self, method: &str) -> bool {
        self.methods.contains(&method.to_ascii_lowercase())
    }

    fn need(&self, method: &str, sentence: &str) -> Result<(), Status> {
        if self.has(method) {
            return Ok(());
        }
        Err(Status::new(crate::grpc::Code::Unimplemented, sentence))
    }

    /// Opens the transfer of a folder's files from the client.
    pub async fn files(&self, wanted: &Wanted) -> Result<(Outbound, Answer), Status> {
        self.need(DIFF_COPY, "no local sources enabled")?;
        let mut metadata = HeaderMap::new();
        put(&mut metadata, "dir-name", std::slice::from_ref(&wanted.name));
        put(&mut metadata, "exclude-patterns", &wanted.exclude);
        put(&mut metadata, "followpaths", &wanted.follow);
        self.channel.open(DIFF_COPY, metadata).await
    }

    /// Opens a folder of the client for files from here: an exporter's, by its number.
    pub async fn folder(&self, exporter: usize) -> Result<(Outbound, Answer), Status> {
        self.send(exporter, &[]).await
    }

    /// Opens a file of the client for an exporter's bytes, as [`BytesMessage`]s.
    pub async fn file(
        &self,
        exporter: usize,
        metadata: &[(String, String)],
    ) -> Result<(Outbound, Answer), Status> {
        self.send(exporter, metadata).await
    }

    async fn send(
        &self,
        exporter: usize,
        metadata: &[(String, String)],
    ) -> Result<(Outbound, Answer), Status> {
        self.need(FILE_SEND, "method moby.filesync.v1.FileSend/diffcopy not supported by the client")?;
        let mut map = HeaderMap::new();
        put(&mut map, "buildkit-attachable-exporter-id", &[exporter.to_string()]);
        put(&mut map, "buildkit-exporter-multi-platform", &["1".into()]);
        for (name, value) in metadata {
            put(&mut map, &format!("exporter-md-{name}"), std::slice::from_ref(value));
        }
        self.channel.open(FILE_SEND, map).await
    }

    /// A secret's value.
    pub async fn secret(&self, id: &str) -> Result<Vec<u8>, Status> {
        let not_found = || Status::new(crate::grpc::Code::NotFound, format!("secret {id}: not found"));
        if !self.has(SECRET) {
            return Err(not_found());
        }
        let request = GetSecretRequest { id: id.to_owned() };
        let answer: Result<GetSecretResponse, Status> =
            self.channel.unary(SECRET, HeaderMap::new(), &request).await;
        match answer {
            Ok(found) => Ok(found.data),
            Err(status) if status.code == i32::from(crate::grpc::Code::NotFound) => Err(not_found()),
            Err(status) => Err(status),
        }
    }

    /// Whether the client forwards an agent under this name.
    pub async fn check_agent(&self, id: &str) -> Result<(), Status> {
        self.need(CHECK_AGENT, "no SSH key is forwarded from the client")?;
        let request = CheckAgentRequest { id: id.to_owned() };
        self.channel.unary(CHECK_AGENT, HeaderMap::new(), &request).await
    }

    /// A conversation with the client's agent, as [`BytesMessage`]s.
    pub async fn agent(&self, id: &str) -> Result<(Outbound, Answer), Status> {
        let mut metadata = HeaderMap::new();
        put(&mut metadata, "buildkit.ssh.id", &[id.to_owned()]);
        self.channel.open(FORWARD_AGENT, metadata).await
    }

    /// User and secret for a registry; both empty: nobody in particular.
    pub async fn credentials(&self, host: &str) -> Result<CredentialsResponse, Status> {
        if !self.has(CREDENTIALS) {
            return Ok(CredentialsResponse::default());
        }
        let request = CredentialsRequest { host: host.to_owned() };
        self.channel.unary(CREDENTIALS, HeaderMap::new(), &request).await
    }

    /// Bytes that the client offers under a path, as [`BytesMessage`]s: its standard input.
    pub async fn upload(&self, path: &str) -> Result<Answer, Status> {
        self.need(PULL, "the client offers no upload")?;
        let mut metadata = HeaderMap::new();
        put(&mut metadata, "urlpath", &[path.to_owned()]);
        put(&mut metadata, "urlhost", &["buildkit-session".to_owned()]);
        let (outbound, answer) = self.channel.open(PULL, metadata).await?;
        outbound.close()?;
        Ok(answer)
    }
}

/// Writes a stream of [`BytesMessage`]s; they are cut below what Go takes in one.
pub async fn write(outbound: &mut Outbound, bytes: Vec<u8>) -> Result<(), Status> {
    const PIECE: usize = 1 << 20;
    if bytes.len() <= PIECE {
        return outbound.send(&BytesMessage { data: bytes }).await;
    }
    for piece in bytes.chunks(PIECE) {
        outbound.send(&BytesMessage { data: piece.to_vec() }).await?;
    }
    Ok(())
}

/// Puts values as BuildKit's metadata has them: if one is not plain ASCII, all are escaped and that is said.
fn put(metadata: &mut HeaderMap, name: &str, values: &[String]) {
    let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else { return };
    let escaped = values.iter().any(|value| HeaderValue::from_str(value).is_err() || !value.is_ascii());
    for value in values {
        let value = if escaped { escape(value) } else { value.clone() };
        if let Ok(value) = HeaderValue::from_str(&value) {
            metadata.append(key.clone(), value);
        }
    }
    if escaped && let Ok(key) = HeaderName::from_bytes(format!("{name}-encoded").as_bytes()) {
        metadata.insert(key, HeaderValue::from_static("1"));
    }
}

/// The values of a name, as they were put: if one is not plain ASCII, all are escaped.
pub fn values(metadata: &HeaderMap, name: &str) -> Vec<String> {
    let escaped = metadata.contains_key(format!("{name}-encoded"));
    let texts = metadata.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    texts.map(|text| if escaped { unescape(text) } else { text.to_owned() }).collect()
}

/// Go's `url.QueryUnescape`; what is no escape stays.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Go's `url.QueryEscape`.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_no_ascii_are_escaped_and_said_to_be() {
        let mut map = HeaderMap::new();
        put(&mut map, "exclude-patterns", &["*.log".into(), "ü b".into()]);
        let values: Vec<_> = map.get_all("exclude-patterns").iter().collect();
        assert_eq!(values, ["%2A.log", "%C3%BC+b"]);
        assert_eq!(map["exclude-patterns-encoded"], "1");
        assert_eq!(super::values(&map, "exclude-patterns"), ["*.log", "ü b"]);
    }
}
