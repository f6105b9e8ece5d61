//! The control connection: one task owns it, callers send it requests.
//!
//! A caller that gives up (its future is dropped) does not disturb the others: the answer is still read, and thrown
//! away. The task ends when the last handle is dropped or the shim closes.

use std::collections::VecDeque;

use gantry_shim_protocol::{Request, Response};
use tokio::sync::{mpsc, oneshot};

use crate::ShimError;
use crate::connection::Connection;

/// Requests that wait for the connection. More callers than this wait in `send`.
const QUEUE: usize = 32;

type Asked = (Request, oneshot::Sender<Result<Response, ShimError>>);

/// Where requests go in.
#[derive(Debug, Clone)]
pub(crate) struct Control(mpsc::Sender<Asked>);

impl Control {
    /// Gives the connection to a task of its own.
    pub(crate) fn run(connection: Connection) -> Control {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(serve(connection, receiver));
        Control(sender)
    }

    /// Asks, and waits for the answer. `Failed` answers become errors.
    pub(crate) async fn ask(&self, request: Request) -> Result<Response, ShimError> {
        let (answer, answered) = oneshot::channel();
        self.0.send((request, answer)).await.map_err(|_| ShimError::Gone)?;
        match answered.await.map_err(|_| ShimError::Gone)?? {
            Response::Failed(failure) => Err(failure.into()),
            response => Ok(response),
        }
    }
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
