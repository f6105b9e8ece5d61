//! One connection to a shim, framed.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use gantry_shim_protocol::{Decoder, Hello, Request, Response, VERSION, bundle, frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::ShimError;

/// What a unix socket's address may hold, its final zero excluded (unix(7)).
const LONGEST_ADDRESS: usize = 107;
/// Bytes asked of the socket at once.
const READ: usize = 4096;

/// A connection after both hellos.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: UnixStream,
    decoder: Decoder,
    /// The shim's process.
    pub(crate) shim_pid: u32,
}

impl Connection {
    /// Connects to a bundle's shim and sends a first request along with the hello.
    pub(crate) async fn open(bundle: &Path, first: &Request) -> Result<(Connection, Response), ShimError> {
        let stream = connect(&bundle.join(bundle::SOCKET), bundle).await?;
        let mut connection = Connection { stream, decoder: Decoder::default(), shim_pid: 0 };
        let mut wire = frame::encode(&Hello::mine())?;
        frame::encode_into(&mut wire, first)?;
        connection.stream.write_all(&wire).await?;
        connection.greet().await?;
        let response = connection.expect().await?;
        Ok((connection, response))
    }

    /// Says hello on a stream that a spawned shim holds the other end of.
    pub(crate) async fn inherit(stream: UnixStream) -> Result<(Connection, Response), ShimError> {
        let mut connection = Connection { stream, decoder: Decoder::default(), shim_pid: 0 };
        connection.greet().await?;
        let response = connection.expect().await?;
        Ok((connection, response))
    }

    async fn greet(&mut self) -> Result<(), ShimError> {
        let hello: Hello = self.expect().await?;
        if hello.version > VERSION || hello.version == 0 {
            return Err(ShimError::Unexpected(format!("protocol version {}", hello.version)));
        }
        self.shim_pid = hello.pid;
        Ok(())
    }

    pub(crate) async fn send(&mut self, message: &impl Serialize) -> Result<(), ShimError> {
        Ok(self.stream.write_all(&frame::encode(message)?).await?)
    }

    /// The next message; `None` when the shim has closed. Cancel-safe.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ShimError> {
        loop {
            if let Some(message) = self.decoder.take()? {
                return Ok(Some(message));
            }
            let mut bytes = [0; READ];
            match self.stream.read(&mut bytes).await {
                Ok(0) => return Ok(None),
                Ok(n) => self.decoder.push(&bytes[..n]),
                Err(err) if err.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(err) => return Err(err.into()),
            }
        }
    }

    async fn expect<T: DeserializeOwned>(&mut self) -> Result<T, ShimError> {
        self.next().await?.ok_or(ShimError::Gone)
    }

    /// The stream, and what was read of it beyond the last message.
    pub(crate) fn into_raw(self) -> (UnixStream, Vec<u8>) {
        (self.stream, self.decoder.into_rest())
    }
}

async fn connect(socket: &Path, bundle: &Path) -> Result<UnixStream, ShimError> {
    if socket.as_os_str().len() <= LONGEST_ADDRESS {
        return Ok(UnixStream::connect(socket).await?);
    }
    let folder = File::open(bundle)?;
    let short = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), bundle::SOCKET);
    Ok(UnixStream::connect(short).await?)
}
