//! `volume create`.

use serde_json::{Value, json};

use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, list, text};
use crate::parse::env;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("availability", "Cluster volume: active, pause or drain").default("active"),
    text("driver", "Volume driver").short('d').default("local"),
    text("group", "Cluster volume: its group"),
    list("label", "Set a label").check(env::validate_label),
    flag("limit-bytes", Kind::Bytes, "Cluster volume: largest size"),
    text("name", "The volume's name").hidden(),
    flag("opt", Kind::Map, "Option for the driver").short('o').default("map[]"),
    flag("required-bytes", Kind::Bytes, "Cluster volume: smallest size"),
    text("scope", "Cluster volume: single or multi").default("single"),
    flag("secret", Kind::Map, "Cluster volume: secrets").default("map[]"),
    text("sharing", "Cluster volume: none, readonly, onewriter or all").default("none"),
    list("topology-preferred", "Cluster volume: where it had better be"),
    list("topology-required", "Cluster volume: where it must be"),
    text("type", "Cluster volume: mount or block").default("block"),
];

pub static CREATE: Command = Command {
    usage: "[OPTIONS] [VOLUME]",
    short: "Create a volume",
    examples: &[
        ("--label stage=test orders", "A named volume"),
        ("-o type=tmpfs -o device=tmpfs -o o=size=64m scratch", "One in memory"),
    ],
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    if m.changed("name") && !m.words.is_empty() {
        return Err(
            "conflicting options: cannot specify a volume name through both --name and as a positional arg"
                .into(),
        );
    }
    let name = if m.words.is_empty() { m.text("name") } else { m.word(0) };
    let mut body = json!({
        "Name": name,
        "Driver": m.text("driver"),
    });
    // What was not asked for is not said: the engine shows `null` then.
    for (key, flag) in [("DriverOpts", "opt"), ("Labels", "label")] {
        if m.changed(flag) {
            body[key] = json!(m.map(flag));
        }
    }
    let cluster =
        ["availability", "group", "limit-bytes", "required-bytes", "scope", "secret", "sharing", "type"];
    if cluster.iter().any(|f| m.changed(f)) {
        body["ClusterVolumeSpec"] = cluster_spec(m);
    }
    let volume = s.client()?.volume_create(&body).await?;
    print::line(volume["Name"].as_str().unwrap_or_default());
    Ok(())
}

fn cluster_spec(m: &Matches) -> Value {
    let secrets: Vec<Value> = m.map("secret").iter().map(|(k, v)| json!({"Key": k, "Secret": v})).collect();
    json!({
        "Group": m.text("group"),
        "AccessMode": {"Scope": m.text("scope"), "Sharing": m.text("sharing")},
        "Secrets": secrets,
        "CapacityRange": {"RequiredBytes": m.bytes("required-bytes"), "LimitBytes": m.bytes("limit-bytes")},
        "Availability": m.text("availability"),
    })
}
