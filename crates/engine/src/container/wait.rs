//! `wait`.

use tokio::sync::oneshot;

use super::Moment;
use crate::engine::Engine;
use crate::error::Result;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCondition {
    /// It does not run: at once if it does not run now. An exit after which it is restarted counts, as in Docker.
    NotRunning,
    /// Its next exit, even if it does not run yet.
    NextExit,
    /// It is gone.
    Removed,
}

/// What was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waited {
    /// The exit code.
    pub code: i32,
    /// Why there is none.
    pub error: Option<String>,
}

impl Engine {
    /// Begins to wait; the answer comes through the channel. Whatever happens after this returns is seen.
    pub async fn container_wait(
        &self,
        name: &str,
        condition: WaitCondition,
    ) -> Result<oneshot::Receiver<Waited>> {
        let container = self.find(name)?;
        let mut moment = container.moment();
        let exits = moment.borrow().exits;
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let met = moment.wait_for(|moment| {
                moment.removed
                    || match condition {
                        WaitCondition::NotRunning => !moment.alive || moment.exits > exits,
                        WaitCondition::NextExit => moment.exits > exits,
                        WaitCondition::Removed => false,
                    }
            });
            let mut answer = answer;
            tokio::select! {
                () = answer.closed() => {}
                met = met => {
                    // Who waits for the removal is told of no start that failed: the start itself told it.
                    let why = |moment: &Moment| {
                        moment.error.clone().filter(|_| condition != WaitCondition::Removed)
                    };
                    let waited = met.map(|moment| Waited { code: moment.code, error: why(&moment) });
                    let _ = answer.send(waited.unwrap_or(Waited { code: 0, error: None }));
                }
            }
        });
        Ok(answered)
    }
}
