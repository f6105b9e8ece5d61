//! `system dial-stdio`: our streams to the engine's socket; what `-H ssh://` runs on the far side.

use gantry_client::connect_raw;
use tokio::io::{AsyncWriteExt, copy, split, stdin, stdout};

use crate::command::{COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static DIAL_STDIO: Command =
    Command { short: "Connect STDIN and STDOUT to the engine", work: work!(run), ..COMMAND };

async fn run(s: &Session, _: &Matches) -> Outcome {
    let wire = connect_raw(&s.endpoint()?).await?;
    let (mut from, mut to) = split(wire);
    let up = async {
        let copied = copy(&mut stdin(), &mut to).await;
        to.shutdown().await?;
        copied.map(drop)
    };
    let down = async {
        let mut out = stdout();
        copy(&mut from, &mut out).await?;
        out.flush().await
    };
    tokio::pin!(up);
    tokio::pin!(down);
    // The engine's side decides: our input may end long before its last answer.
    tokio::select! {
        done = &mut down => done?,
        sent = &mut up => {
            sent?;
            down.await?;
        }
    }
    Ok(())
}
