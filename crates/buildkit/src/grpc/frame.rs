//! Messages on a stream: a flag byte, a length, the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use prost::Message;
use std::future::poll_fn;

use super::{Code, MESSAGE_BYTES, Status};

/// Flag and length.
const HEAD: usize = 5;

/// Messages that come.
#[derive(Debug)]
pub struct Inbound {
    stream: RecvStream,
    buffer: BytesMut,
    ended: bool,
}

impl Inbound {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: BytesMut::new(), ended: false }
    }

    /// The next message; `None` when the other side has said its last.
    pub async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        match self.raw().await? {
            Some(bytes) => Ok(Some(M::decode(bytes)?)),
            None => Ok(None),
        }
    }

    async fn raw(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(Some(message));
            }
            if self.ended {
                return Ok(None);
            }
            match self.stream.data().await {
                Some(chunk) => {
                    let chunk = chunk?;
                    self.stream.flow_control().release_capacity(chunk.len())?;
                    self.buffer.extend_from_slice(&chunk);
                }
                None if self.buffer.is_empty() => self.ended = true,
                None => return Err(Status::new(Code::Internal, "a message was cut off")),
            }
        }
    }

    fn whole(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(head) = self.buffer.get(..HEAD) else { return Ok(None) };
        let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if head[0] != 0 {
            return Err(Status::new(Code::Unimplemented, "compressed messages are not understood"));
        }
        if len > MESSAGE_BYTES {
            let text = format!("received message larger than max ({len} vs. {MESSAGE_BYTES})");
            return Err(Status::new(Code::ResourceExhausted, text));
        }
        if self.buffer.len() < HEAD + len {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    /// What came behind the last message.
    pub(crate) async fn trailers(&mut self) -> Result<Option<http::HeaderMap>, Status> {
        Ok(self.stream.trailers().await?)
    }
}

/// Messages that go.
#[derive(Debug)]
pub struct Outbound {
    pub(crate) stream: SendStream<Bytes>,
}

impl Outbound {
    /// Sends a message, as fast as the other side takes it.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<(), Status> {
        let len = message.encoded_len();
        let mut buffer = BytesMut::with_capacity(HEAD + len);
        buffer.put_u8(0);
        buffer.put_u32(u32::try_from(len).map_err(|_| Status::new(Code::ResourceExhausted, "too large"))?);
        buffer.put(message.encode_to_vec().as_slice());
        let mut rest = buffer.freeze();
        while !rest.is_empty() {
            self.stream.reserve_capacity(rest.len());
            let room = poll_fn(|cx| self.stream.poll_capacity(cx)).await;
            let room = room.ok_or_else(|| Status::unavailable("the stream is closed"))??;
            let piece = rest.split_to(room.min(rest.len()));
            self.stream.send_data(piece, false)?;
        }
        Ok(())
    }

    /// Says that no further message comes; for the calling side.
    pub fn close(mut self) -> Result<(), Status> {
        match self.stream.send_data(Bytes::new(), true) {
            // The other side has ended the call before it heard that this one had: what it said stands in the answer.
            Err(error) if !error.is_io() => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// Resolves when the other side has given the stream up, or the connection is gone.
    pub async fn gone(&mut self) {
        // Either way nobody listens any longer.
        let _reason = poll_fn(|cx| self.stream.poll_reset(cx)).await;
    }
}
