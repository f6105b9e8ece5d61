//! `network ls`.

use gantry_client::Query;
use serde_json::Value;

use crate::command::{COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::{Fields, Format, Listing, short_id};
use crate::parse::{filters, time};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    flag("filter", Kind::Filter, "Only what fits (\"driver=bridge\")").short('f'),
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("no-trunc", "Do not cut anything"),
    switch("quiet", "Only ids").short('q'),
];

pub static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List networks",
    aliases: &["network ls", "network list"],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let query = Query::new().with_some("filters", filters::encode(&m.all("filter")));
    let mut networks = s.client()?.network_list(query).await?;
    networks.sort_by_key(|n| n["Name"].as_str().unwrap_or_default().to_owned());
    let format = Format::choose(
        m.text("format"),
        s.config().text("networksFormat"),
        m.on("quiet").then_some("{{.ID}}"),
        "table {{.ID}}\\t{{.Name}}\\t{{.Driver}}\\t{{.Scope}}",
    );
    let trunc = !m.on("no-trunc");
    let mut listing = Listing::new(format, &row(&Value::Null, trunc))?;
    for network in &networks {
        listing.add(row(network, trunc))?;
    }
    print::out(&listing.finish());
    Ok(())
}

fn row(network: &Value, trunc: bool) -> Fields {
    let word = |key: &str| network[key].as_str().unwrap_or_default();
    let flag = |key: &str| network[key].as_bool().unwrap_or(false).to_string();
    let created = match word("Created").parse::<jiff::Timestamp>() {
        Ok(at) => time::go_full(at),
        Err(_) => String::new(),
    };
    // Engines from before the flag have IPv4 always.
    let ipv4 = network.get("EnableIPv4").and_then(Value::as_bool).unwrap_or(false).to_string();
    Fields::new("*formatter.networkContext")
        .with("CreatedAt", "CREATED AT", created)
        .with("Driver", "DRIVER", word("Driver"))
        .with("ID", "NETWORK ID", if trunc { short_id(word("Id")) } else { word("Id").to_owned() })
        .with("IPv4", "IPV4", ipv4)
        .with("IPv6", "IPV6", flag("EnableIPv6"))
        .with("Internal", "INTERNAL", flag("Internal"))
        .labels(&network["Labels"])
        .with("Name", "NAME", word("Name"))
        .with("Scope", "SCOPE", word("Scope"))
}
