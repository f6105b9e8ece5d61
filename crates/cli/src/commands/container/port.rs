//! `port`: where a container's ports are on the host.

use serde_json::Value;

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::parse::ports;
use crate::print;
use crate::session::Session;
use crate::work;

pub static PORT: Command = Command {
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    short: "List port mappings or a specific mapping for the container",
    examples: &[("web 80/tcp", "Where port 80 of it is to be reached")],
    aliases: &["container port", "port"],
    arity: Arity::Between(1, 2),
    names: Names::Running,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let container = s.client()?.container_inspect(m.word(0), false).await?;
    let empty = serde_json::Map::new();
    let published = container["NetworkSettings"]["Ports"].as_object().unwrap_or(&empty);
    let mut lines = Vec::new();
    if m.words.len() > 1 {
        let (port, proto) = ports::protocol(m.word(1))?;
        if port.parse::<u16>().is_err() {
            return Err(format!("invalid port '{port}'").into());
        }
        let found = published.get(&format!("{port}/{proto}")).filter(|b| !b.is_null());
        let Some(bindings) = found else {
            return Err(format!("Error: No public port '{}' published for {}", m.word(1), m.word(0)).into());
        };
        lines.extend(addresses(bindings));
    } else {
        for (port, bindings) in published {
            lines.extend(addresses(bindings).into_iter().map(|a| format!("{port} -> {a}")));
        }
    }
    lines.sort_by_key(|line| natural(line));
    for line in lines {
        print::line(&line);
    }
    Ok(())
}

fn addresses(bindings: &Value) -> Vec<String> {
    let one = |b: &Value| {
        let (ip, port) =
            (b["HostIp"].as_str().unwrap_or_default(), b["HostPort"].as_str().unwrap_or_default());
        if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
    };
    bindings.as_array().map(|list| list.iter().map(one).collect()).unwrap_or_default()
}

/// A key under which numbers in a text sort by their size.
fn natural(text: &str) -> Vec<(String, u64)> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(letters);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        out.push((word.to_owned(), number.parse().unwrap_or(0)));
        rest = after;
    }
    out
}
