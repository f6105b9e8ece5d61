//! The control connection: one task owns it, callers send it requests.
//!
//! A caller that gives up (its future is dropped) does not disturb the others: the answer is still read, and thrown
//! away. The task ends when the last handle is dropped or the shim closes.

use std::collections::VecDeque;
use std::time::Duration;

use gantry_shim_protocol::{Request, Response};
use tokio::sync::{mpsc, oneshot};

use crate::ShimError;
use crate::connection::Connection;

/// Requests that wait for the connection. More callers than this wait in `send`.
const QUEUE: usize = 32;
/// An answer may take its time. After so much of it we look whether the shim stands still: then none comes.
const LOOK: Duration = Duration::from_secs(2);

type Asked = (Request, oneshot::Sender<Result<Response, ShimError>>);

/// Where requests go in.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    requests: mpsc::Sender<Asked>,
    shim_pid: u32,
}

impl Control {
    /// Gives the connection to a task of its own.
    pub(crate) fn run(connection: Connection) -> Control {
        let (requests, receiver) = mpsc::channel(QUEUE);
        let shim_pid = connection.shim_pid;
        tokio::spawn(serve(connection, receiver));
        Control { requests, shim_pid }
    }

    /// Asks, and waits for the answer. `Failed` answers become errors.
    pub(crate) async fn ask(&self, request: Request) -> Result<Response, ShimError> {
        let (answer, mut answered) = oneshot::channel();
        self.requests.send((request, answer)).await.map_err(|_| ShimError::Gone)?;
        let answered = loop {
            match tokio::time::timeout(LOOK, &mut answered).await {
                Ok(answered) => break answered,
                Err(_) if is_stopped(self.shim_pid) => return Err(ShimError::Stopped(self.shim_pid)),
                Err(_) => {}
            }
        };
        match answered.map_err(|_| ShimError::Gone)?? {
            Response::Failed(failure) => Err(failure.into()),
            response => Ok(response),
        }
    }
}

/// Whether somebody has sent that process SIGSTOP, or traces it (proc_pid_stat(5), field 3).
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the program's name in brackets and may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

async fn serve(mut connection: Connection, mut asked: mpsc::Receiver<Asked>) {
    let mut waiting: VecDeque<oneshot::Sender<Result<Response, ShimError>>> = VecDeque::new();
    loop {
        tokio::select! {
            next = asked.recv() => match next {
                None if waiting.is_empty() => return,
                // The last handle is gone but an answer is due: nobody waits for it, so neither do we.
                None => return,
                Some((request, answer)) => match connection.send(&request).await {
                    Ok(()) => waiting.push_back(answer),
                    Err(err) => drop(answer.send(Err(err))),
                },
            },
            response = connection.next::<Response>() => match response {
                Ok(Some(response)) => match waiting.pop_front() {
                    Some(answer) => drop(answer.send(Ok(response))),
                    None => return,
                },
                Ok(None) => return,
                Err(err) => {
                    if let Some(answer) = waiting.pop_front() {
                        drop(answer.send(Err(err)));
                    }
                    return;
                }
            },
        }
    }
}
