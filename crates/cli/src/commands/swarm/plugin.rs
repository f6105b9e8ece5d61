//! `plugin`: the engine's own plugins.

use gantry_client::Query;
use serde_json::{Value, json};

use super::objects;
use crate::command::{Arity, COMMAND, Command, entry};
use crate::commands::image::progress;
use crate::commands::inspect::{Kind as Thing, inspect};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, switch, text};
use crate::format::{Fields, short_id};
use crate::print;
use crate::session::Session;
use crate::tarball;
use crate::work;

pub static PLUGIN: Command = Command {
    short: "Manage plugins",
    below: &[
        entry(&["create"], &CREATE),
        entry(&["disable"], &DISABLE),
        entry(&["enable"], &ENABLE),
        entry(&["inspect"], &INSPECT),
        entry(&["install"], &INSTALL),
        entry(&["ls", "list"], &LS),
        entry(&["push"], &PUSH),
        entry(&["rm", "remove"], &RM),
        entry(&["set"], &SET),
        entry(&["upgrade"], &UPGRADE),
    ],
    ..COMMAND
};

static COMPRESS: &[Flag] = &[switch("compress", "Compress the context")];
static FORCE: &[Flag] = &[switch("force", "Even when it is in use").short('f')];
static TIMEOUT: &[Flag] = &[flag("timeout", Kind::Int, "Seconds to wait").default("30")];
static FORMAT: &[Flag] = &[text("format", "Format of the output: 'json' or a Go template").short('f')];
static TRUST: &[Flag] = &[switch("disable-content-trust", "Skip verification").default("true").hidden()];
static INSTALL_FLAGS: &[Flag] = &[
    text("alias", "Local name"),
    switch("disable", "Do not enable it"),
    switch("grant-all-permissions", "Do not ask"),
];
static UPGRADE_FLAGS: &[Flag] = &[
    switch("grant-all-permissions", "Do not ask"),
    switch("skip-remote-check", "Do not compare with the installed one"),
];
static NO_TRUNC: &[Flag] = &[switch("no-trunc", "Do not cut anything")];

static CREATE: Command = Command {
    usage: "[OPTIONS] PLUGIN PLUGIN-DATA-DIR",
    short: "Create a plugin from a rootfs and configuration. Plugin data directory must contain config.json and rootfs directory.",
    flags: &[COMPRESS],
    arity: Arity::Exactly(2),
    work: work!(create),
    ..COMMAND
};
static DISABLE: Command = Command {
    usage: "[OPTIONS] PLUGIN",
    short: "Disable a plugin",
    flags: &[FORCE],
    arity: Arity::Exactly(1),
    work: work!(disable),
    ..COMMAND
};
static ENABLE: Command = Command {
    usage: "[OPTIONS] PLUGIN",
    short: "Enable a plugin",
    flags: &[TIMEOUT],
    arity: Arity::Exactly(1),
    work: work!(enable),
    ..COMMAND
};
static INSPECT: Command = Command {
    usage: "[OPTIONS] PLUGIN [PLUGIN...]",
    short: "Display detailed information on one or more plugins",
    flags: &[FORMAT],
    arity: Arity::AtLeast(1),
    work: work!(inspect_all),
    ..COMMAND
};
static INSTALL: Command = Command {
    usage: "[OPTIONS] PLUGIN [KEY=VALUE...]",
    short: "Install a plugin",
    flags: &[INSTALL_FLAGS, TRUST],
    arity: Arity::AtLeast(1),
    work: work!(install),
    ..COMMAND
};
static LS: Command = Command {
    usage: "[OPTIONS]",
    short: "List plugins",
    aliases: &["plugin ls", "plugin list"],
    flags: &[objects::LS, NO_TRUNC],
    work: work!(ls),
    ..COMMAND
};
static PUSH: Command = Command {
    usage: "[OPTIONS] PLUGIN[:TAG]",
    short: "Push a plugin to a registry",
    flags: &[TRUST],
    arity: Arity::Exactly(1),
    work: work!(push),
    ..COMMAND
};
static RM: Command = Command {
    usage: "[OPTIONS] PLUGIN [PLUGIN...]",
    short: "Remove one or more plugins",
    aliases: &["plugin rm", "plugin remove"],
    flags: &[FORCE],
    arity: Arity::AtLeast(1),
    work: work!(rm),
    ..COMMAND
};
static SET: Command = Command {
    usage: "PLUGIN KEY=VALUE [KEY=VALUE...]",
    short: "Change settings for a plugin",
    arity: Arity::AtLeast(2),
    work: work!(set),
    ..COMMAND
};
static UPGRADE: Command = Command {
    usage: "[OPTIONS] PLUGIN [REMOTE]",
    short: "Upgrade an existing plugin",
    flags: &[UPGRADE_FLAGS, TRUST],
    arity: Arity::Between(1, 2),
    work: work!(upgrade),
    ..COMMAND
};

async fn create(s: &Session, m: &Matches) -> Outcome {
    let dir = std::fs::canonicalize(m.word(1))?;
    let body = tarball::body(move |out| {
        let mut writer = gantry_archive::Writer::new(out);
        let root = gantry_archive::Root::open(&dir)?;
        gantry_archive::pack(&root, b"", &gantry_archive::PackOptions::default(), &mut writer)
            .map_err(std::io::Error::other)?;
        writer.finish().map_err(std::io::Error::other).map(drop)
    });
    s.client()?
        .post("/plugins/create")
        .with("name", m.word(0))
        .body(body, "application/x-tar")
        .done()
        .await?;
    print::line(m.word(0));
    Ok(())
}

async fn disable(s: &Session, m: &Matches) -> Outcome {
    let query = Query::new().flag("force", m.on("force"));
    s.client()?.post(format!("/plugins/{}/disable", m.word(0))).query(query).done().await?;
    print::line(m.word(0));
    Ok(())
}

async fn enable(s: &Session, m: &Matches) -> Outcome {
    let call = s.client()?.post(format!("/plugins/{}/enable", m.word(0)));
    call.with("timeout", m.int("timeout").to_string()).done().await?;
    print::line(m.word(0));
    Ok(())
}

async fn inspect_all(s: &Session, m: &Matches) -> Outcome {
    inspect(s, &[Thing::Object("plugins", "plugin")], &m.words, m.text("format"), false).await
}

/// What a plugin asks for, agreed to by the person or by flag.
async fn privileges(
    s: &Session,
    m: &Matches,
    remote: &str,
) -> Result<Option<Value>, crate::failure::Failure> {
    let asked = s.client()?.get("/plugins/privileges").with("remote", remote).value().await?;
    let list = asked.as_array().cloned().unwrap_or_default();
    if !list.is_empty() && !m.on("grant-all-permissions") {
        let mut text = format!("Plugin {remote:?} is requesting the following privileges:\n");
        for one in &list {
            text.push_str(&format!(" - {}: {}\n", one["Name"].as_str().unwrap_or_default(), one["Value"]));
        }
        if !print::confirm(&format!("{text}Do you grant the above permissions?")) {
            return Ok(None);
        }
    }
    Ok(Some(asked))
}

async fn install(s: &Session, m: &Matches) -> Outcome {
    let remote = m.word(0);
    let Some(granted) = privileges(s, m, remote).await? else { return Ok(()) };
    let name = if m.text("alias").is_empty() { remote } else { m.text("alias") };
    let client = s.client()?;
    let stream = client
        .post("/plugins/pull")
        .with("remote", remote)
        .with("name", name)
        .header("x-registry-auth", s.registry_auth(remote))
        .json_body(&granted)
        .messages()
        .await?;
    progress::show(stream, progress::Out::Stdout).await?;
    if m.words.len() > 1 {
        client.post(format!("/plugins/{name}/set")).json_body(&json!(m.words[1..])).done().await?;
    }
    if !m.on("disable") {
        client.post(format!("/plugins/{name}/enable")).with("timeout", "0").done().await?;
    }
    print::line(&format!("Installed plugin {remote}"));
    Ok(())
}

async fn ls(s: &Session, m: &Matches) -> Outcome {
    let table = "table {{.ID}}\\t{{.Name}}\\t{{.Description}}\\t{{.Enabled}}";
    objects::list(s, m, "plugins", table, |v| {
        let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        Fields::new("*plugin.pluginContext")
            .with("Description", "DESCRIPTION", word(&v["Config"]["Description"]))
            .with("Enabled", "ENABLED", v["Enabled"] == true)
            .with("ID", "ID", short_id(&word(&v["Id"])))
            .with("Name", "NAME", word(&v["Name"]))
            .with("PluginReference", "REFERENCE", word(&v["PluginReference"]))
    })
    .await
}

async fn push(s: &Session, m: &Matches) -> Outcome {
    let stream = s
        .client()?
        .post(format!("/plugins/{}/push", m.word(0)))
        .header("x-registry-auth", s.registry_auth(m.word(0)))
        .messages()
        .await?;
    progress::show(stream, progress::Out::Stdout).await.map(drop)
}

async fn rm(s: &Session, m: &Matches) -> Outcome {
    objects::remove(s, m, "plugins").await
}

async fn set(s: &Session, m: &Matches) -> Outcome {
    let call = s.client()?.post(format!("/plugins/{}/set", m.word(0)));
    Ok(call.json_body(&json!(m.words[1..])).done().await?)
}

async fn upgrade(s: &Session, m: &Matches) -> Outcome {
    let present = s.client()?.object("plugins", &format!("{}/json", m.word(0)), Query::new()).await?;
    let known = present["PluginReference"].as_str().unwrap_or(m.word(0)).to_owned();
    let remote = if m.words.len() > 1 { m.word(1).to_owned() } else { known };
    let Some(granted) = privileges(s, m, &remote).await? else { return Ok(()) };
    let stream = s
        .client()?
        .post(format!("/plugins/{}/upgrade", m.word(0)))
        .with("remote", remote.as_str())
        .header("x-registry-auth", s.registry_auth(&remote))
        .json_body(&granted)
        .messages()
        .await?;
    progress::show(stream, progress::Out::Stdout).await?;
    print::line(&format!("Upgraded plugin {} to {remote}", m.word(0)));
    Ok(())
}
