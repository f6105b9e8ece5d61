//! What `stop` and `restart` share: a signal and a patience.

use crate::commands::each;
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, text};
use crate::session::Session;

pub static FLAGS: &[Flag] = &[
    text("signal", "Signal to send instead of the container's own").short('s'),
    flag("time", Kind::Int, "Seconds to wait before killing").hidden(),
    flag("timeout", Kind::Int, "Seconds to wait before killing").short('t'),
];

/// Asks for every container, all at once; prints their names in order.
pub async fn ask(s: &Session, m: &Matches, verb: &str) -> Outcome {
    if m.changed("time") && m.changed("timeout") {
        return Err("conflicting options: cannot specify both --timeout and --time".into());
    }
    let client = s.client()?;
    let seconds = match (m.changed("timeout"), m.changed("time")) {
        (true, _) => Some(m.int("timeout")),
        (_, true) => Some(m.int("time")),
        _ => None,
    };
    each(&m.words, |name| async move {
        client.container_stop(&name, verb, m.text("signal"), seconds).await?;
        Ok(name)
    })
    .await
}
