//! Blobs of a client by their digests: where local caches and image layouts are.
//!
//! The engine calls ([`Store`]), the client serves a folder that is an OCI image layout ([`Layout`]). A client may have
//! several stores; each call names one. Source: containerd's `services/content/v1`, BuildKit's `session/content`.

mod layout;

use std::io::{self, Read};

use gantry_names::Digest;
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;

pub use layout::Layout;

use crate::grpc::client::Answer;
use crate::grpc::{Code, Status};
use crate::proto::content::{
    InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse, WriteAction, WriteContentRequest,
    WriteContentResponse,
};
use crate::session::Caller;

/// Size and age of a blob.
pub const INFO: &str = "/containerd.services.content.v1.Content/Info";
/// A blob's bytes.
pub const READ: &str = "/containerd.services.content.v1.Content/Read";
/// A blob on its way there.
pub const WRITE: &str = "/containerd.services.content.v1.Content/Write";
/// How far a write is.
pub const STATUS: &str = "/containerd.services.content.v1.Content/Status";
/// Forgets a write.
pub const ABORT: &str = "/containerd.services.content.v1.Content/Abort";

/// Names the store that a call is for.
pub const STORE: &str = "buildkit-attachable-store-id";

/// Bytes in one message.
const PIECE: usize = 1 << 20;
/// Pieces read ahead of a slow client.
const AHEAD: usize = 4;

/// One store of a session's client.
#[derive(Debug, Clone)]
pub struct Store {
    caller: Caller,
    id: String,
}

impl Store {
    /// The client's store of this name: `local:<folder>`, `oci:<key>`, `export`.
    pub fn new(caller: Caller, id: impl Into<String>) -> Self {
        Self { caller, id: id.into() }
    }

    fn metadata(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            map.insert(STORE, id);
        }
        map
    }

    /// The size of a blob; `None` where the client has it not.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, Status> {
        let request = InfoRequest { digest: digest.to_string() };
        let told: Result<InfoResponse, Status> = self.caller.unary(INFO, self.metadata(), &request).await;
        match told {
            Ok(told) => Ok(told.info.map(|info| u64::try_from(info.size).unwrap_or_default())),
            Err(status) if status.code == i32::from(Code::NotFound) => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// A blob's bytes from its beginning.
    pub async fn read(&self, digest: &Digest) -> Result<Reading, Status> {
        let (mut outbound, answer) = self.caller.open(READ, self.metadata()).await?;
        outbound.send(&ReadContentRequest { digest: digest.to_string(), ..Default::default() }).await?;
        outbound.close()?;
        Ok(Reading(answer))
    }

    /// A small blob whole. One of more than `limit` bytes, or with other bytes than its name says, is an error.
    pub async fn whole(&self, digest: &Digest, limit: usize) -> Result<Vec<u8>, Status> {
        let mut reading = self.read(digest).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = reading.next().await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > limit {
                return Err(Status::new(Code::OutOfRange, format!("{digest} is larger than {limit} bytes")));
            }
        }
        if digest.algorithm() == "sha256" && Digest::sha256_of(&bytes) != *digest {
            return Err(Status::new(Code::DataLoss, format!("{digest}: other bytes came")));
        }
        Ok(bytes)
    }

    /// Writes a blob, unless it is there.
    pub async fn write(
        &self,
        digest: &Digest,
        size: u64,
        from: impl Read + Send + 'static,
    ) -> Result<(), Status> {
        if self.size(digest).await? == Some(size) {
            return Ok(());
        }
        let (to, mut pieces) = mpsc::channel::<io::Result<Vec<u8>>>(AHEAD);
        let reading = tokio::task::spawn_blocking(move || pieces_of(from, &to));
        let (mut outbound, mut answer) = self.caller.open(WRITE, self.metadata()).await?;
        let total = i64::try_from(size).unwrap_or(i64::MAX);
        let message = |action: WriteAction, offset: u64, data: Vec<u8>| WriteContentRequest {
            action: action.into(),
            reference: format!("gantry-{digest}"),
            total,
            expected: digest.to_string(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            data,
            ..WriteContentRequest::default()
        };
        let mut offset = 0;
        let said = |answer: Option<WriteContentResponse>| {
            answer.ok_or_else(|| Status::unavailable("the client's store ended a write without a word"))
        };
        while let Some(piece) = pieces.recv().await {
            let piece = piece.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
            let next = offset + piece.len() as u64;
            outbound.send(&message(WriteAction::Write, offset, piece)).await?;
            said(answer.next().await?)?;
            offset = next;
        }
        reading.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        outbound.send(&message(WriteAction::Commit, offset, Vec::new())).await?;
        match answer.next::<WriteContentResponse>().await {
            // Somebody else was faster: it is there.
            Err(status) if status.code == i32::from(Code::AlreadyExists) => Ok(()),
            Err(status) => Err(status),
            Ok(last) => {
                said(last)?;
                // A store that has all may have ended the call already.
                let _over = outbound.close().is_err();
                answer.end().await
            }
        }
    }
}

/// Reads to the end; a reader that fails says so.
fn pieces_of(mut from: impl Read, to: &mpsc::Sender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = from.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let (over, piece) = match read {
            Ok(0) => return,
            Ok(_) => (false, Ok(piece)),
            Err(error) => (true, Err(error)),
        };
        if to.blocking_send(piece).is_err() || over {
            return;
        }
    }
}

/// A blob's bytes on their way here.
#[derive(Debug)]
pub struct Reading(Answer);

impl Reading {
    /// The next bytes; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        Ok(self.0.next::<ReadContentResponse>().await?.map(|piece| piece.data))
    }
}
