//! Docker's own that Gantry has not, each with what to do instead.

use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::session::Session;
use crate::work;

pub static ALPHA: Command = Command {
    usage: "COMMAND",
    short: "Experimental commands",
    arity: Arity::AtLeast(0),
    interspersed: false,
    work: work!(alpha),
    ..COMMAND
};

pub static BRIDGE: Command = Command {
    usage: "COMMAND",
    short: "Convert compose files into another model",
    arity: Arity::AtLeast(0),
    interspersed: false,
    work: work!(bridge),
    ..COMMAND
};

async fn alpha(_: &Session, m: &Matches) -> Outcome {
    let instead = match m.words.first().map(String::as_str) {
        Some("publish") => ": use `compose publish`",
        Some("scale") => ": use `compose scale`",
        Some("watch") => ": use `compose watch`",
        Some("dry-run") => ": use --dry-run",
        _ => "",
    };
    Err(Failure::text(1, format!("compose alpha is not supported{instead}")))
}

async fn bridge(_: &Session, _: &Matches) -> Outcome {
    Err(Failure::text(1, "compose bridge is not supported: its converters are Docker's own images"))
}
