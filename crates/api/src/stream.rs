//! Streams on the wire: progress messages of JSON streams, and the 8-byte frames of multiplexed output.

use crate::is_zero;
use serde::{Deserialize, Serialize};

/// A raw byte stream: a container with a terminal, or any hijacked connection of clients before 1.42.
pub const RAW_STREAM: &str = "application/vnd.docker.raw-stream";
/// Stdout and stderr in 8-byte-header frames.
pub const MULTIPLEXED_STREAM: &str = "application/vnd.docker.multiplexed-stream";

/// One message of a JSON stream (pull, push, load, build, import).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JsonMessage {
    #[serde(skip_serializing_if = "is_zero")]
    pub stream: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub status: String,
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<JsonProgress>,
    /// The bar as text; clients without a terminal of their own print it.
    #[serde(skip_serializing_if = "is_zero")]
    pub progress: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub id: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub from: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub time: i64,
    #[serde(rename = "timeNano", skip_serializing_if = "is_zero")]
    pub time_nano: i64,
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<JsonError>,
    #[serde(skip_serializing_if = "is_zero")]
    pub error: String,
    /// Data for programs: the image id of a build, the digest of a push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<serde_json::Value>,
}

impl JsonMessage {
    /// A line of output (build, load).
    pub fn stream(text: impl Into<String>) -> Self {
        JsonMessage { stream: text.into(), ..Default::default() }
    }

    /// A status line.
    pub fn status(text: impl Into<String>) -> Self {
        JsonMessage { status: text.into(), ..Default::default() }
    }

    /// A failure after the stream has begun.
    pub fn error(text: impl Into<String>) -> Self {
        let message = text.into();
        JsonMessage {
            error_detail: Some(JsonError { code: 0, message: message.clone() }),
            error: message,
            ..Default::default()
        }
    }

    /// Data for programs.
    pub fn aux(value: serde_json::Value) -> Self {
        JsonMessage { aux: Some(value), ..Default::default() }
    }
}

/// How far something is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JsonProgress {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub total: i64,
    /// Unix seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub start: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub hidecounts: bool,
    /// Empty means bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub units: String,
}

/// Why a stream ended early.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JsonError {
    #[serde(skip_serializing_if = "is_zero")]
    pub code: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub message: String,
}

/// Which stream a frame belongs to: the first byte of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamKind {
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
    /// An engine-side error after the stream has begun.
    SystemError = 3,
}

impl StreamKind {
    /// The kind of a header's first byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(StreamKind::Stdin),
            1 => Some(StreamKind::Stdout),
            2 => Some(StreamKind::Stderr),
            3 => Some(StreamKind::SystemError),
            _ => None,
        }
    }
}

/// The header of a frame: kind, three zero bytes, length big-endian.
pub fn frame_header(kind: StreamKind, len: u32) -> [u8; 8] {
    let len = len.to_be_bytes();
    [kind as u8, 0, 0, 0, len[0], len[1], len[2], len[3]]
}
