//! The socket by which `garbage-collect` reaches the registry that has the storage: one line of JSON each way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::RunError;
use crate::server::Server;
use crate::store::blocking;
use crate::store::collect::{Options, Report};

/// A request's length.
const LINE_MAX: u64 = 4096;
/// A request must be there by then; only its answer may take long.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
enum Answer {
    Done(Report),
    Failed(String),
}

/// Answers on the socket; only who may write to the storage's directory gets to it.
pub(super) async fn serve(listener: UnixListener, server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        // One after the other: two collections at once would only be in each other's way.
        let served = match accepted {
            Ok((stream, _)) => answer(stream, &server).await,
            Err(err) => Err(err),
        };
        if let Err(err) = served {
            tracing::debug!(error = %err, "a control request broke off");
        }
    }
}

async fn answer(stream: UnixStream, server: &Arc<Server>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut limited = BufReader::new(read.take(LINE_MAX));
    tokio::time::timeout(PATIENCE, limited.read_line(&mut line)).await??;
    let options: Options = serde_json::from_str(&line)?;
    let server = Arc::clone(server);
    let answer = match blocking(move || super::collect::collect(&server, options)).await {
        Ok(report) => Answer::Done(report),
        Err(err) => Answer::Failed(err.to_string()),
    };
    write.write_all(&serde_json::to_vec(&answer)?).await
}

/// Asks the registry whose own directory is `private`.
pub(super) async fn ask(private: &Path, options: Options) -> Result<Report, RunError> {
    let path = private.join("control.sock");
    let asked = async {
        let mut stream = UnixStream::connect(&path).await?;
        let mut line = serde_json::to_vec(&options)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        match serde_json::from_slice(&answer)? {
            Answer::Done(report) => Ok(report),
            Answer::Failed(text) => Err(std::io::Error::other(text)),
        }
    };
    asked.await.map_err(RunError::io("the running registry"))
}
