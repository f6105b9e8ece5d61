//! The server's side of RFC 6455, as much as `attach/ws` needs: the handshake, data both ways, ping, close.

use crate::failure::Failure;
use base64::Engine as _;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Keystrokes and pasted text; nobody sends files through an attached terminal.
const PAYLOAD_MAX: u64 = 1 << 20;

/// Subprotocols are not spoken; named for the reader of a capture.
pub(crate) const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The answer to a client's key.
///
/// # Errors
/// Requests that are no websocket handshake.
pub(crate) fn accept(headers: &HeaderMap) -> Result<String, Failure> {
    let is = |name: HeaderName, word: &str| {
        headers.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.eq_ignore_ascii_case(word))
    };
    let key = headers.get(SEC_WEBSOCKET_KEY).and_then(|v| v.to_str().ok()).map(str::trim);
    match key {
        Some(key) if is(UPGRADE, "websocket") && is(SEC_WEBSOCKET_VERSION, "13") => {
            let digest = ring::digest::digest(
                &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
                format!("{key}{GUID}").as_bytes(),
            );
            Ok(base64::engine::general_purpose::STANDARD.encode(digest))
        }
        _ => Err(Failure::invalid("not a websocket handshake")),
    }
}

/// A frame from us: never masked, never cut.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 10);
    out.put_u8(0x80 | opcode);
    match payload.len() {
        len @ 0..=125 => out.put_u8(len as u8),
        len @ 126..=0xffff => {
            out.put_u8(126);
            out.put_u16(len as u16);
        }
        len => {
            out.put_u8(127);
            out.put_u64(len as u64);
        }
    }
    out.put_slice(payload);
    out.freeze()
}

/// Data from us: binary since API 1.28, text before.
pub(crate) fn data(binary: bool, payload: &[u8]) -> Bytes {
    frame(if binary { BINARY } else { TEXT }, payload)
}

/// A closing frame: status 1000, normal.
pub(crate) fn close() -> Bytes {
    frame(CLOSE, &1000u16.to_be_bytes())
}

/// What a client's frame means to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Input for the process.
    Data(Vec<u8>),
    /// Answer with a pong of the same payload.
    Ping(Vec<u8>),
    /// Nothing to do.
    Pong,
    /// The client is leaving.
    Close,
}

/// Reads one frame. `None` at the end of the connection.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Received>> {
    let mut head = [0; 2];
    if let Err(err) = from.read_exact(&mut head).await {
        return if err.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(err) };
    }
    let bad = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
    if head[1] & 0x80 == 0 {
        return Err(bad("a client's frame must be masked"));
    }
    let len = match head[1] & 0x7f {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        short => u64::from(short),
    };
    if len > PAYLOAD_MAX {
        return Err(bad("frame too long"));
    }
    let mut mask = [0; 4];
    from.read_exact(&mut mask).await?;
    let mut payload = vec![0; len as usize];
    from.read_exact(&mut payload).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(Some(match head[0] & 0x0f {
        // A continued message is input like any other: the process sees one stream of bytes.
        0 | TEXT | BINARY => Received::Data(payload),
        CLOSE => Received::Close,
        PING => Received::Ping(payload),
        PONG => Received::Pong,
        _ => return Err(bad("unknown frame")),
    }))
}

/// Writes a frame.
pub(crate) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: Bytes) -> io::Result<()> {
    to.write_all(&frame).await?;
    to.flush().await
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    frame(PONG, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn handshake() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        headers
    }

    #[test]
    fn the_rfc_s_own_example() {
        assert_eq!(accept(&handshake()).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut other = handshake();
        other.remove(SEC_WEBSOCKET_KEY);
        assert_eq!(accept(&other).unwrap_err().status, 400);
    }

    #[tokio::test]
    async fn masked_frames_are_read_and_others_refused() {
        // RFC 6455 section 5.7: a single-frame masked text message, "Hello".
        let mut wire: &[u8] =
            &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58, 0x88, 0x80, 0, 0, 0, 0];
        assert_eq!(read(&mut wire).await.unwrap(), Some(Received::Data(b"Hello".to_vec())));
        assert_eq!(read(&mut wire).await.unwrap(), Some(Received::Close));
        assert_eq!(read(&mut wire).await.unwrap(), None);
        assert!(read(&mut &[0x81u8, 0x05][..]).await.is_err());
        assert!(read(&mut &[0x81u8, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0][..]).await.is_err());
    }

    #[test]
    fn lengths_have_three_forms() {
        assert_eq!(&data(true, b"ab")[..], [0x82, 2, b'a', b'b']);
        assert_eq!(&data(false, &[0; 300])[..4], [0x81, 126, 1, 44]);
        assert_eq!(&data(true, &vec![0; 70_000])[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }
}
