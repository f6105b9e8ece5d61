//! `network connect`.

use serde_json::{Map, Value, json};

use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, list, text};
use crate::parse::hosts;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    flag("alias", Kind::Strings, "Name of the container on the network"),
    flag("driver-opt", Kind::Strings, "Option for the driver"),
    flag("gw-priority", Kind::Int, "Highest one gives the default gateway"),
    text("ip", "Fixed IPv4 address"),
    text("ip6", "Fixed IPv6 address"),
    list("link", "Link to another container").check(hosts::check_link),
    flag("link-local-ip", Kind::Strings, "Link-local address"),
];

pub static CONNECT: Command = Command {
    usage: "[OPTIONS] NETWORK CONTAINER",
    short: "Connect a container to a network",
    examples: &[("--alias db --ip 10.9.0.7 back store", "Under another name, with a fixed address")],
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    names: Names::NetworkThenContainer,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut options = Map::new();
    for option in m.all("driver-opt") {
        let (key, value) = option.split_once('=').ok_or("invalid key/value pair format in driver options")?;
        options.insert(key.trim().into(), json!(value.trim()));
    }
    let list = |flag: &str| {
        let all = m.all(flag);
        if all.is_empty() { Value::Null } else { json!(all) }
    };
    let endpoint = json!({
        "IPAMConfig": {
            "IPv4Address": m.text("ip"),
            "IPv6Address": m.text("ip6"),
            "LinkLocalIPs": list("link-local-ip"),
        },
        "Links": list("link"),
        "Aliases": list("alias"),
        "DriverOpts": options,
        "GwPriority": m.int("gw-priority"),
    });
    let body = json!({"Container": m.word(1), "EndpointConfig": endpoint});
    Ok(s.client()?.network_connect(m.word(0), &body).await?)
}
