//! `node`: the machines of a cluster.

use gantry_client::Query;
use serde_json::{Value, json};

use super::objects;
use crate::command::{Arity, COMMAND, Command, entry};
use crate::commands::inspect::{Kind, inspect};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, list, switch, text};
use crate::format::Fields;
use crate::print;
use crate::session::Session;
use crate::work;

pub static NODE: Command = Command {
    short: "Manage Swarm nodes",
    below: &[
        entry(&["demote"], &DEMOTE),
        entry(&["inspect"], &INSPECT),
        entry(&["ls", "list"], &LS),
        entry(&["promote"], &PROMOTE),
        entry(&["ps"], &PS),
        entry(&["rm", "remove"], &RM),
        entry(&["update"], &UPDATE),
    ],
    ..COMMAND
};

static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List nodes in the swarm",
    aliases: &["node ls", "node list"],
    flags: &[objects::LS],
    work: work!(ls),
    ..COMMAND
};

static INSPECT: Command = Command {
    usage: "[OPTIONS] self|NODE [NODE...]",
    short: "Display detailed information on one or more nodes",
    flags: &[objects::INSPECT],
    arity: Arity::AtLeast(1),
    work: work!(inspect_all),
    ..COMMAND
};

static RM_FLAGS: &[Flag] = &[switch("force", "Also a node that is not down").short('f')];

static RM: Command = Command {
    usage: "[OPTIONS] NODE [NODE...]",
    short: "Remove one or more nodes from the swarm",
    aliases: &["node rm", "node remove"],
    flags: &[RM_FLAGS],
    arity: Arity::AtLeast(1),
    work: work!(rm),
    ..COMMAND
};

static PS: Command = Command {
    usage: "[OPTIONS] [NODE...]",
    short: "List tasks running on one or more nodes, defaults to current node",
    flags: &[objects::TASKS],
    arity: Arity::AtLeast(0),
    work: work!(ps),
    ..COMMAND
};

static PROMOTE: Command = Command {
    usage: "NODE [NODE...]",
    short: "Promote one or more nodes to manager in the swarm",
    arity: Arity::AtLeast(1),
    work: work!(promote),
    ..COMMAND
};

static DEMOTE: Command = Command {
    usage: "NODE [NODE...]",
    short: "Demote one or more nodes from manager in the swarm",
    arity: Arity::AtLeast(1),
    work: work!(demote),
    ..COMMAND
};

static UPDATE_FLAGS: &[Flag] = &[
    text("availability", "active, pause or drain"),
    list("label-add", "Set a label"),
    list("label-rm", "Remove a label"),
    text("role", "worker or manager"),
];

static UPDATE: Command = Command {
    usage: "[OPTIONS] NODE",
    short: "Update a node",
    flags: &[UPDATE_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(update),
    ..COMMAND
};

async fn ls(s: &Session, m: &Matches) -> Outcome {
    let table = "table {{.ID}}\\t{{.Hostname}}\\t{{.Status}}\\t{{.Availability}}\\t{{.ManagerStatus}}\\t{{.EngineVersion}}";
    objects::list(s, m, "nodes", table, row).await
}

fn row(n: &Value) -> Fields {
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let manager = match (n["ManagerStatus"]["Leader"] == true, &n["ManagerStatus"]["Reachability"]) {
        (true, _) => "Leader".to_owned(),
        (false, reach) => title(&word(reach)),
    };
    Fields::new("*node.nodeContext")
        .with("Availability", "AVAILABILITY", title(&word(&n["Spec"]["Availability"])))
        .with("EngineVersion", "ENGINE VERSION", word(&n["Description"]["Engine"]["EngineVersion"]))
        .with("Hostname", "HOSTNAME", word(&n["Description"]["Hostname"]))
        .with("ID", "ID", word(&n["ID"]))
        .with("ManagerStatus", "MANAGER STATUS", manager)
        .with("Self", "", false)
        .with("Status", "STATUS", title(&word(&n["Status"]["State"])))
        .with("TLSStatus", "TLS STATUS", "Unknown")
}

fn title(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `self` is the id of the node that we talk to.
async fn named(s: &Session, words: &[String]) -> Result<Vec<String>, crate::failure::Failure> {
    let mut out = Vec::new();
    for word in words {
        out.push(match word.as_str() {
            "self" => s.client()?.info().await?["Swarm"]["NodeID"].as_str().unwrap_or_default().to_owned(),
            other => other.to_owned(),
        });
    }
    Ok(out)
}

async fn inspect_all(s: &Session, m: &Matches) -> Outcome {
    let names = named(s, &m.words).await?;
    inspect(s, &[Kind::Object("nodes", "node")], &names, m.text("format"), false).await
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    objects::remove(s, m, "nodes").await
}

async fn ps(s: &Session, m: &Matches) -> Outcome {
    let words = if m.words.is_empty() { vec!["self".to_owned()] } else { m.words.clone() };
    let names = named(s, &words).await?;
    objects::tasks(s, m, "node", &names).await
}

async fn change(s: &Session, name: &str, edit: impl Fn(&mut Value)) -> Outcome {
    let client = s.client()?;
    let node = client.object("nodes", name, Query::new()).await?;
    let mut spec = node["Spec"].clone();
    edit(&mut spec);
    let id = node["ID"].as_str().unwrap_or_default();
    client.object_update("nodes", id, node["Version"]["Index"].as_u64().unwrap_or(0), &spec).await?;
    Ok(())
}

async fn promote(s: &Session, m: &Matches) -> Outcome {
    for name in &m.words {
        change(s, name, |spec| spec["Role"] = json!("manager")).await?;
        print::line(&format!("Node {name} promoted to a manager in the swarm."));
    }
    Ok(())
}

async fn demote(s: &Session, m: &Matches) -> Outcome {
    for name in &m.words {
        change(s, name, |spec| spec["Role"] = json!("worker")).await?;
        print::line(&format!("Manager {name} demoted in the swarm."));
    }
    Ok(())
}

async fn update(s: &Session, m: &Matches) -> Outcome {
    change(s, m.word(0), |spec| {
        for (flag, key) in [("availability", "Availability"), ("role", "Role")] {
            if m.changed(flag) {
                spec[key] = json!(m.text(flag));
            }
        }
        if spec["Labels"].is_null() {
            spec["Labels"] = json!({});
        }
        if let Some(labels) = spec["Labels"].as_object_mut() {
            labels.extend(m.map("label-add"));
            for gone in m.all("label-rm") {
                labels.shift_remove(&gone);
            }
        }
    })
    .await?;
    print::line(m.word(0));
    Ok(())
}
