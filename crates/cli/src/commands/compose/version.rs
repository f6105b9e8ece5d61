//! `compose version`.

use gantry_compose::labels::SPOKEN;

use super::DRY_RUN;
use crate::command::{COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[text("format", "pretty or json").short('f'), switch("short", "Only the number")];

pub static VERSION: Command = Command {
    usage: "[OPTIONS]",
    short: "Show the Docker Compose version information",
    flags: &[FLAGS, DRY_RUN],
    work: work!(run),
    ..COMMAND
};

/// The Docker Compose that we behave as, and who we are.
pub fn line() -> String {
    format!("Docker Compose version v{SPOKEN} (Gantry {})", env!("CARGO_PKG_VERSION"))
}

async fn run(_: &Session, m: &Matches) -> Outcome {
    match (m.on("short"), m.text("format")) {
        (true, _) => print::line(SPOKEN),
        (false, "json") => print::line(&format!("{{\"version\":\"v{SPOKEN}\"}}")),
        _ => print::line(&line()),
    }
    Ok(())
}
