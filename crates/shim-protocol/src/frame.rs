//! A frame: four bytes of length (big endian), then that many bytes of JSON.

use std::io::{self, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No frame is longer than this, length excluded. The longest honest one is an exec with a large environment.
pub const MAX_FRAME: usize = 1 << 20;

/// Bytes before the JSON.
const PREFIX: usize = 4;

/// What is wrong with a frame. A connection that sent one is closed: there is no way to find the next.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It says it is longer than any frame may be.
    #[error("frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(usize),
    /// Its JSON is not what is expected here.
    #[error("frame is not understood")]
    NotUnderstood(#[source] serde_json::Error),
    /// The connection ended inside a frame.
    #[error("frame is cut short")]
    CutShort,
    /// The connection failed.
    #[error("connection failed")]
    Io(#[from] io::Error),
}

/// One frame's bytes.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::with_capacity(128);
    encode_into(&mut out, message)?;
    Ok(out)
}

/// Appends one frame's bytes, so that several can leave in one write. On failure `out` is as before.
pub fn encode_into<T: Serialize>(out: &mut Vec<u8>, message: &T) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    if let Err(err) = serde_json::to_writer(&mut *out, message) {
        out.truncate(start);
        return Err(FrameError::NotUnderstood(err));
    }
    let len = out.len() - start - PREFIX;
    if len > MAX_FRAME {
        out.truncate(start);
        return Err(FrameError::TooLong(len));
    }
    out[start..start + PREFIX].copy_from_slice(&(len as u32).to_be_bytes());
    Ok(())
}

/// Reads one frame's message from a blocking stream; `None` at a clean end.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut prefix = [0; PREFIX];
    let mut got = 0;
    while got < PREFIX {
        match from.read(&mut prefix[got..]) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::CutShort),
            Ok(n) => got += n,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err.into()),
        }
    }
    let len = length(prefix)?;
    let mut text = vec![0; len];
    from.read_exact(&mut text).map_err(|err| match err.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::CutShort,
        _ => err.into(),
    })?;
    serde_json::from_slice(&text).map(Some).map_err(FrameError::NotUnderstood)
}

/// The length a prefix announces.
pub fn length(prefix: [u8; PREFIX]) -> Result<usize, FrameError> {
    let len = u32::from_be_bytes(prefix) as usize;
    if len > MAX_FRAME { Err(FrameError::TooLong(len)) } else { Ok(len) }
}

/// Takes bytes as they come and gives messages as they are complete: for a loop that must not block.
///
/// Holds at most one frame; memory is asked for as bytes arrive, not as a length promises.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    taken: usize,
}

impl Decoder {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, or `None` when more bytes are needed.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let rest = &self.bytes[self.taken..];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let len = length(*prefix)?;
        let Some(text) = rest.get(..len) else { return Ok(None) };
        let message = serde_json::from_slice(text).map_err(FrameError::NotUnderstood)?;
        self.taken += PREFIX + len;
        if self.taken == self.bytes.len() {
            // Give the memory back: a shim waits for days between two requests.
            *self = Decoder::default();
        }
        Ok(Some(message))
    }

    /// Whether a frame has begun and not ended.
    pub fn is_inside_a_frame(&self) -> bool {
        self.taken < self.bytes.len()
    }

    /// What came after the last message: raw bytes, once the conversation is an attachment.
    pub fn into_rest(mut self) -> Vec<u8> {
        self.bytes.split_off(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExecSpec, Request};
    use gantry_names::ExecId;
    use proptest::prelude::*;

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            Just(Request::Start),
            Just(Request::State),
            (any::<i32>(), any::<bool>()).prop_map(|(signal, all)| Request::Signal {
                signal,
                session: all.then(ExecId::random),
                all
            }),
            (any::<u16>(), any::<u16>()).prop_map(|(height, width)| Request::Resize {
                session: None,
                height,
                width
            }),
            (".*", any::<bool>()).prop_map(|(arg, tty)| {
                Request::ExecCreate(ExecSpec {
                    session: ExecId::random(),
                    process: serde_json::json!({ "args": [arg] }),
                    tty,
                    stdin: !tty,
                })
            }),
        ]
    }

    proptest! {
        #[test]
        fn messages_survive_any_splitting(
            requests in proptest::collection::vec(request(), 1..8),
            cuts in proptest::collection::vec(1usize..64, 1..32),
        ) {
            let mut wire = Vec::new();
            for request in &requests {
                encode_into(&mut wire, request).unwrap();
            }
            wire.extend_from_slice(b"raw");
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            let mut rest = &wire[..];
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                decoder.push(piece);
                rest = after;
                while let Some(request) = decoder.take::<Request>().unwrap() {
                    got.push(request);
                }
            }
            prop_assert_eq!(&got, &requests);
            prop_assert_eq!(decoder.into_rest(), b"raw");
            let mut blocking = &wire[..];
            for request in requests {
                prop_assert_eq!(read::<Request>(&mut blocking).unwrap(), Some(request));
            }
        }

        #[test]
        fn hostile_bytes_never_panic_and_never_loop(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            for _ in 0..=bytes.len() {
                if !matches!(decoder.take::<Request>(), Ok(Some(_))) {
                    break;
                }
            }
            let _ = read::<Request>(&mut &bytes[..]);
        }
    }

    #[test]
    fn a_length_past_the_limit_is_refused_before_a_byte_of_it_is_kept() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_be_bytes());
        assert!(matches!(decoder.take::<Request>(), Err(FrameError::TooLong(_))));
        let wire = u32::MAX.to_be_bytes();
        assert!(matches!(read::<Request>(&mut &wire[..]), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn a_message_past_the_limit_is_not_sent() {
        let mut out = b"before".to_vec();
        let long = "x".repeat(MAX_FRAME);
        assert!(matches!(encode_into(&mut out, &long), Err(FrameError::TooLong(_))));
        assert_eq!(out, b"before");
    }

    #[test]
    fn an_unknown_request_is_an_error_not_a_guess() {
        let wire = encode(&serde_json::json!({ "op": "format_disk" })).unwrap();
        assert!(matches!(read::<Request>(&mut &wire[..]), Err(FrameError::NotUnderstood(_))));
    }

    #[test]
    fn a_frame_cut_short_is_told() {
        let wire = encode(&Request::State).unwrap();
        assert!(matches!(read::<Request>(&mut &wire[..wire.len() - 1]), Err(FrameError::CutShort)));
        assert!(matches!(read::<Request>(&mut &wire[..2]), Err(FrameError::CutShort)));
        assert!(read::<Request>(&mut &wire[..0]).unwrap().is_none());
    }
}
