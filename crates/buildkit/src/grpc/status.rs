//! How a call ended.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, HeaderValue};
use prost::Message;

/// gRPC's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Code {
    /// It went well.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// Not told.
    Unknown = 2,
    /// The request can never succeed.
    InvalidArgument = 3,
    /// Too late.
    DeadlineExceeded = 4,
    /// It is not here.
    NotFound = 5,
    /// It is here already.
    AlreadyExists = 6,
    /// The caller may not.
    PermissionDenied = 7,
    /// Too much.
    ResourceExhausted = 8,
    /// The state forbids it.
    FailedPrecondition = 9,
    /// Another was faster.
    Aborted = 10,
    /// Past an end.
    OutOfRange = 11,
    /// There is no such method.
    Unimplemented = 12,
    /// The server's fault.
    Internal = 13,
    /// Not now.
    Unavailable = 14,
    /// Data is gone.
    DataLoss = 15,
    /// Who are you?
    Unauthenticated = 16,
}

/// A detail of an error: a message of a named type. BuildKit writes its own as JSON.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// Its type.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// A [`Code`].
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// For programs.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

impl Status {
    /// An end with this code and text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), details: Vec::new() }
    }

    /// No such method.
    pub fn unimplemented(method: &str) -> Self {
        Self::new(Code::Unimplemented, format!("unknown method {method}"))
    }

    /// The connection or its other side has gone.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// With a detail that is JSON, as BuildKit's typed errors are.
    pub fn with_detail(mut self, type_url: &str, json: impl Into<Vec<u8>>) -> Self {
        self.details.push(Any { type_url: type_url.into(), value: json.into() });
        self
    }

    /// The trailers that tell this end.
    pub(crate) fn trailers(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("grpc-status", HeaderValue::from(self.code));
        let mut put = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                map.insert(name, value);
            }
        };
        if !self.message.is_empty() {
            put("grpc-message", percent(&self.message));
        }
        if !self.details.is_empty() {
            put("grpc-status-details-bin", STANDARD_NO_PAD.encode(self.encode_to_vec()));
        }
        map
    }

    /// The end that headers or trailers tell, if they tell one.
    pub(crate) fn told(map: &HeaderMap) -> Option<Self> {
        let text = |name: &str| map.get(name).and_then(|value| value.to_str().ok());
        let code = text("grpc-status")?.parse().unwrap_or(i32::from(Code::Unknown));
        let details = text("grpc-status-details-bin").and_then(|text| {
            let bytes = STANDARD_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)).ok()?;
            Status::decode(bytes.as_slice()).ok()
        });
        let message = unpercent(text("grpc-message").unwrap_or_default());
        Some(Self { code, message, details: details.map(|status| status.details).unwrap_or_default() })
    }

    /// Whether it went well.
    pub fn is_ok(&self) -> bool {
        self.code == i32::from(Code::Ok)
    }
}

impl From<h2::Error> for Status {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(h2::Reason::CANCEL) => Status::new(Code::Cancelled, "context canceled"),
            _ => Status::unavailable(error.to_string()),
        }
    }
}

impl From<prost::DecodeError> for Status {
    fn from(error: prost::DecodeError) -> Self {
        Status::new(Code::Internal, format!("the message cannot be read: {error}"))
    }
}

/// gRPC's own percent encoding: printable ASCII but `%` stays.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unpercent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_end_survives_its_trailers(code in 0i32..17, message in "\\PC{0,40}\n?%?", detail in prop::collection::vec(any::<u8>(), 0..40)) {
            let status = Status { code, message, details: Vec::new() }.with_detail("a/b", detail);
            prop_assert_eq!(Status::told(&status.trailers()), Some(status));
        }
    }
}
