//! `config`: small secret or plain files of a cluster.

use base64::Engine as _;
use serde_json::{Value, json};

use super::objects;
use crate::command::{Arity, COMMAND, Command, entry};
use crate::commands::inspect::{Kind, inspect};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, list, text};
use crate::format::Fields;
use crate::parse::{duration, env, time};
use crate::print;
use crate::session::Session;
use crate::work;

pub static CONFIG: Command = Command {
    short: "Manage Swarm configs",
    below: &[
        entry(&["create"], &CREATE),
        entry(&["inspect"], &INSPECT),
        entry(&["ls", "list"], &LS),
        entry(&["rm", "remove"], &RM),
    ],
    ..COMMAND
};

static CREATE_FLAGS: &[Flag] = &[
    list("label", "Set a label").short('l').check(env::validate_label),
    text("template-driver", "Template driver"),
];

static CREATE: Command = Command {
    usage: "[OPTIONS] CONFIG file|-",
    short: "Create a config from a file or STDIN",
    flags: &[CREATE_FLAGS],
    arity: Arity::Exactly(2),
    work: work!(create),
    ..COMMAND
};

static INSPECT: Command = Command {
    usage: "[OPTIONS] CONFIG [CONFIG...]",
    short: "Display detailed information on one or more configs",
    flags: &[objects::INSPECT],
    arity: Arity::AtLeast(1),
    work: work!(inspect_all),
    ..COMMAND
};

static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List configs",
    aliases: &["config ls", "config list"],
    flags: &[objects::LS],
    work: work!(ls),
    ..COMMAND
};

static RM: Command = Command {
    usage: "CONFIG [CONFIG...]",
    short: "Remove one or more configs",
    aliases: &["config rm", "config remove"],
    arity: Arity::AtLeast(1),
    work: work!(rm),
    ..COMMAND
};

async fn create(s: &Session, m: &Matches) -> Outcome {
    let data = match m.words.get(1).map(String::as_str) {
        None => Vec::new(),
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)?;
            bytes
        }
        Some(path) => {
            std::fs::read(path).map_err(|e| format!("open {path}: {}", crate::terminal::io_text(&e)))?
        }
    };
    let mut body = json!({
        "Name": m.word(0),
        "Labels": m.map("label"),
        "Data": base64::engine::general_purpose::URL_SAFE.encode(data),
    });
    if m.has("driver") && m.changed("driver") {
        body["Driver"] = json!({"Name": m.text("driver")});
    }
    if m.changed("template-driver") {
        body["Templating"] = json!({"Name": m.text("template-driver")});
    }
    let made = s.client()?.object_create("configs", &body).await?;
    print::line(made["ID"].as_str().unwrap_or_default());
    Ok(())
}

async fn inspect_all(s: &Session, m: &Matches) -> Outcome {
    inspect(s, &[Kind::Object("configs", "config")], &m.words, m.text("format"), false).await
}

async fn ls(s: &Session, m: &Matches) -> Outcome {
    objects::list(s, m, "configs", "table {{.ID}}\\t{{.Name}}\\t{{.CreatedAt}}\\t{{.UpdatedAt}}", row).await
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    objects::remove(s, m, "configs").await
}

fn row(v: &Value) -> Fields {
    let passed = |key: &str| {
        let at = time::seconds_of(v[key].as_str().unwrap_or_default());
        format!("{} ago", duration::human(jiff::Timestamp::now().as_second() - at))
    };
    Fields::new("*config.configContext")
        .with("CreatedAt", "CREATED", passed("CreatedAt"))
        .with("Driver", "DRIVER", v["Spec"]["Driver"]["Name"].as_str().unwrap_or_default())
        .with("ID", "ID", v["ID"].as_str().unwrap_or_default())
        .labels(&v["Spec"]["Labels"])
        .with("Name", "NAME", v["Spec"]["Name"].as_str().unwrap_or_default())
        .with("UpdatedAt", "UPDATED", passed("UpdatedAt"))
}
