//! `compose port`.

use super::DRY_RUN;
use super::delegate::pick;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, text};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    flag("index", Kind::Int, "Which of the service's containers"),
    text("protocol", "tcp or udp").default("tcp"),
];

pub static PORT: Command = Command {
    usage: "[OPTIONS] SERVICE PRIVATE_PORT",
    short: "Print the public port for a port binding",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::Exactly(2),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let wrong = || format!("strconv.ParseUint: parsing {:?}: invalid syntax", m.word(1));
    let wanted: u16 = m.word(1).parse().map_err(|_| wrong())?;
    let protocol = m.text("protocol").to_lowercase();
    let (ground, _) = Ground::find(s, m, "Running", &m.words[..1]).await?;
    let container = pick(&ground, m.word(0), m.int("index"), false, true).await?;
    let ports = container.summary["Ports"].as_array().cloned().unwrap_or_default();
    for port in &ports {
        if port["PrivatePort"] == wanted && port["Type"] == *protocol {
            let ip = port["IP"].as_str().unwrap_or_default();
            print::line(&format!("{ip}:{}", port["PublicPort"].as_u64().unwrap_or(0)));
            return Ok(());
        }
    }
    let known: Vec<String> = ports
        .iter()
        .map(|p| {
            format!("{}/{}", p["PublicPort"].as_u64().unwrap_or(0), p["Type"].as_str().unwrap_or_default())
        })
        .collect();
    let told = format!("no port {wanted}/{protocol} for container {}: {}", container.name, known.join(", "));
    Err(Failure::text(1, told))
}
