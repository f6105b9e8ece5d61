//! `network rm`.

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[switch("force", "A missing network is no failure").short('f')];

pub static RM: Command = Command {
    usage: "NETWORK [NETWORK...]",
    short: "Remove one or more networks",
    aliases: &["network rm", "network remove"],
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    names: Names::Networks,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    let mut code = 0;
    for name in &m.words {
        match client.network_remove(name).await {
            Ok(()) => print::line(name),
            Err(err) if m.on("force") && err.is_not_found() => {}
            Err(err) => {
                print::err(&err.to_string());
                code = 1;
            }
        }
    }
    if code == 0 { Ok(()) } else { Err(Failure::text(code, format!("exit status {code}"))) }
}
