//! The cluster's nouns and plugins: thin calls. An engine that is no manager says so itself.

pub mod checkpoint;
pub mod config;
pub mod node;
mod objects;
mod payload;
pub mod plugin;
pub mod secret;
pub mod service;
pub mod stack;

use gantry_client::Query;
use serde_json::{Value, json};

use crate::command::{Arity, COMMAND, Command, entry};
use crate::failure::Outcome;
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

pub static SWARM: Command = Command {
    short: "Manage Swarm",
    below: &[
        entry(&["ca"], &CA),
        entry(&["init"], &INIT),
        entry(&["join"], &JOIN),
        entry(&["join-token"], &JOIN_TOKEN),
        entry(&["leave"], &LEAVE),
        entry(&["unlock"], &UNLOCK),
        entry(&["unlock-key"], &UNLOCK_KEY),
        entry(&["update"], &UPDATE),
    ],
    ..COMMAND
};

static SPEC_FLAGS: &[Flag] = &[
    switch("autolock", "Lock managers when they stop"),
    flag("cert-expiry", Kind::Duration, "How long certificates of nodes last").default("2160h0m0s"),
    flag("dispatcher-heartbeat", Kind::Duration, "Time between heartbeats").default("5s"),
    list("external-ca", "Certificate authority elsewhere"),
    flag("max-snapshots", Kind::Uint, "Older snapshots to keep"),
    flag("snapshot-interval", Kind::Uint, "Log entries between snapshots").default("10000"),
    flag("task-history-limit", Kind::Int, "Old tasks to keep").default("5"),
];

static INIT_FLAGS: &[Flag] = &[
    text("advertise-addr", "Address for the others (<ip|interface>[:port])"),
    text("availability", "active, pause or drain").default("active"),
    text("data-path-addr", "Address for data"),
    flag("data-path-port", Kind::Uint, "Port for data (1024 - 49151)"),
    list("default-addr-pool", "Pool of subnets in CIDR form"),
    flag("default-addr-pool-mask-length", Kind::Uint, "Length of a subnet's mask").default("24"),
    switch("force-new-cluster", "Make a new cluster of this node's state"),
    text("listen-addr", "Address to listen on (<ip|interface>[:port])").default("0.0.0.0:2377"),
];

static INIT: Command = Command {
    usage: "[OPTIONS]",
    short: "Initialize a swarm",
    flags: &[INIT_FLAGS, SPEC_FLAGS],
    work: work!(init),
    ..COMMAND
};

fn spec(m: &Matches, mut spec: Value) -> Value {
    let mut put = |flag: &str, path: [&str; 2], value: Value| {
        if m.changed(flag) {
            spec[path[0]][path[1]] = value;
        }
    };
    put("autolock", ["EncryptionConfig", "AutoLockManagers"], json!(m.on("autolock")));
    put("cert-expiry", ["CAConfig", "NodeCertExpiry"], json!(m.nanos("cert-expiry")));
    put("dispatcher-heartbeat", ["Dispatcher", "HeartbeatPeriod"], json!(m.nanos("dispatcher-heartbeat")));
    put("max-snapshots", ["Raft", "KeepOldSnapshots"], json!(m.int("max-snapshots")));
    put("snapshot-interval", ["Raft", "SnapshotInterval"], json!(m.int("snapshot-interval")));
    put(
        "task-history-limit",
        ["Orchestration", "TaskHistoryRetentionLimit"],
        json!(m.int("task-history-limit")),
    );
    spec
}

async fn init(s: &Session, m: &Matches) -> Outcome {
    let start = json!({
        "Orchestration": {"TaskHistoryRetentionLimit": 5},
        "Raft": {"SnapshotInterval": 10000},
        "Dispatcher": {"HeartbeatPeriod": 5_000_000_000u64},
        "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000u64},
        "EncryptionConfig": {"AutoLockManagers": m.on("autolock")},
    });
    let body = json!({
        "ListenAddr": m.text("listen-addr"),
        "AdvertiseAddr": m.text("advertise-addr"),
        "DataPathAddr": m.text("data-path-addr"),
        "DataPathPort": m.int("data-path-port"),
        "DefaultAddrPool": m.all("default-addr-pool"),
        "SubnetSize": m.int("default-addr-pool-mask-length"),
        "ForceNewCluster": m.on("force-new-cluster"),
        "Availability": m.text("availability"),
        "AutoLockManagers": m.on("autolock"),
        "Spec": spec(m, start),
    });
    let client = s.client()?;
    let id = client.swarm_verb("init", Query::new(), Some(&body)).await?;
    let id = id.as_str().unwrap_or_default();
    print::line(&format!("Swarm initialized: current node ({id}) is now a manager.\n"));
    let token = client.swarm().await?["JoinTokens"]["Worker"].as_str().unwrap_or_default().to_owned();
    let info = client.info().await?;
    let address = info["Swarm"]["RemoteManagers"][0]["Addr"].as_str().unwrap_or_default();
    let program = &s.program;
    print::line(&format!(
        "To add a worker to this swarm, run the following command:\n\n    {program} swarm join --token {token} {address}\n\nTo add a manager to this swarm, run '{program} swarm join-token manager' and follow the instructions.\n"
    ));
    Ok(())
}

static JOIN_FLAGS: &[Flag] = &[
    text("advertise-addr", "Address for the others (<ip|interface>[:port])"),
    text("availability", "active, pause or drain").default("active"),
    text("data-path-addr", "Address for data"),
    text("listen-addr", "Address to listen on (<ip|interface>[:port])").default("0.0.0.0:2377"),
    text("token", "The swarm's token"),
];

static JOIN: Command = Command {
    usage: "[OPTIONS] HOST:PORT",
    short: "Join a swarm as a node and/or manager",
    flags: &[JOIN_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(join),
    ..COMMAND
};

async fn join(s: &Session, m: &Matches) -> Outcome {
    let body = json!({
        "ListenAddr": m.text("listen-addr"),
        "AdvertiseAddr": m.text("advertise-addr"),
        "DataPathAddr": m.text("data-path-addr"),
        "RemoteAddrs": [m.word(0)],
        "JoinToken": m.text("token"),
        "Availability": m.text("availability"),
    });
    let client = s.client()?;
    client.swarm_verb("join", Query::new(), Some(&body)).await?;
    let manager = client.info().await?["Swarm"]["ControlAvailable"] == true;
    let role = if manager { "manager" } else { "worker" };
    print::line(&format!("This node joined a swarm as a {role}."));
    Ok(())
}

static LEAVE_FLAGS: &[Flag] = &[switch("force", "Also a manager, whatever is lost").short('f')];

static LEAVE: Command = Command {
    usage: "[OPTIONS]",
    short: "Leave the swarm",
    flags: &[LEAVE_FLAGS],
    work: work!(leave),
    ..COMMAND
};

async fn leave(s: &Session, m: &Matches) -> Outcome {
    s.client()?.swarm_verb("leave", Query::new().flag("force", m.on("force")), None).await?;
    print::line("Node left the swarm.");
    Ok(())
}

static UPDATE: Command = Command {
    usage: "[OPTIONS]",
    short: "Update the swarm",
    flags: &[SPEC_FLAGS],
    work: work!(update),
    ..COMMAND
};

/// Writes the swarm's settings back, changed, with the version they had.
async fn write_back(s: &Session, spec: Value, extra: Query) -> Outcome {
    let client = s.client()?;
    let version = client.swarm().await?["Version"]["Index"].as_u64().unwrap_or(0);
    client.swarm_verb("update", extra.with("version", version.to_string()), Some(&spec)).await?;
    Ok(())
}

async fn update(s: &Session, m: &Matches) -> Outcome {
    let present = s.client()?.swarm().await?["Spec"].clone();
    write_back(s, spec(m, present), Query::new()).await?;
    print::line("Swarm updated.");
    Ok(())
}

static CA_FLAGS: &[Flag] = &[
    text("ca-cert", "Certificate of the new authority"),
    text("ca-key", "Key of the new authority"),
    flag("cert-expiry", Kind::Duration, "How long certificates of nodes last").default("2160h0m0s"),
    switch("detach", "Do not wait").short('d'),
    list("external-ca", "Certificate authority elsewhere"),
    switch("quiet", "Say nothing").short('q'),
    switch("rotate", "Make a new authority"),
];

static CA: Command = Command {
    usage: "[OPTIONS]",
    short: "Display and rotate the root CA",
    flags: &[CA_FLAGS],
    work: work!(ca),
    ..COMMAND
};

async fn ca(s: &Session, m: &Matches) -> Outcome {
    let swarm = s.client()?.swarm().await?;
    if m.on("rotate") {
        let mut wanted = swarm["Spec"].clone();
        let turn = wanted["CAConfig"]["ForceRotate"].as_u64().unwrap_or(0) + 1;
        wanted["CAConfig"]["ForceRotate"] = json!(turn);
        write_back(s, wanted, Query::new()).await?;
    }
    print::out(s.client()?.swarm().await?["TLSInfo"]["TrustRoot"].as_str().unwrap_or_default());
    Ok(())
}

static TOKEN_FLAGS: &[Flag] =
    &[switch("quiet", "Only the token").short('q'), switch("rotate", "Make a new one")];

static JOIN_TOKEN: Command = Command {
    usage: "[OPTIONS] (worker|manager)",
    short: "Manage join tokens",
    flags: &[TOKEN_FLAGS],
    arity: Arity::Exactly(1),
    work: work!(join_token),
    ..COMMAND
};

async fn join_token(s: &Session, m: &Matches) -> Outcome {
    let (role, key, turn) = match m.word(0) {
        "worker" => ("worker", "Worker", "rotateWorkerToken"),
        "manager" => ("manager", "Manager", "rotateManagerToken"),
        other => return Err(format!("unknown role {other}").into()),
    };
    let client = s.client()?;
    let swarm = client.swarm().await?;
    if m.on("rotate") {
        write_back(s, swarm["Spec"].clone(), Query::new().with(turn, "true")).await?;
        if !m.on("quiet") {
            print::line(&format!("Successfully rotated {role} join token.\n"));
        }
    }
    let token = client.swarm().await?["JoinTokens"][key].as_str().unwrap_or_default().to_owned();
    if m.on("quiet") {
        print::line(&token);
        return Ok(());
    }
    let info = client.info().await?;
    let address = info["Swarm"]["RemoteManagers"][0]["Addr"].as_str().unwrap_or_default();
    print::line(&format!(
        "To add a {role} to this swarm, run the following command:\n\n    {} swarm join --token {token} {address}\n",
        s.program
    ));
    Ok(())
}

static UNLOCK: Command = Command { short: "Unlock swarm", work: work!(unlock), ..COMMAND };

async fn unlock(s: &Session, _: &Matches) -> Outcome {
    let mut key = String::new();
    std::io::stdin().read_line(&mut key)?;
    s.client()?.swarm_verb("unlock", Query::new(), Some(&json!({"UnlockKey": key.trim()}))).await?;
    Ok(())
}

static UNLOCK_KEY: Command = Command {
    usage: "[OPTIONS]",
    short: "Manage the unlock key",
    flags: &[TOKEN_FLAGS],
    work: work!(unlock_key),
    ..COMMAND
};

async fn unlock_key(s: &Session, m: &Matches) -> Outcome {
    let client = s.client()?;
    if m.on("rotate") {
        let swarm = client.swarm().await?;
        write_back(s, swarm["Spec"].clone(), Query::new().with("rotateManagerUnlockKey", "true")).await?;
    }
    let answer = client.get("/swarm/unlockkey").value().await;
    let answer = answer.map_err(|why| format!("could not fetch unlock key: {why}"))?;
    match answer["UnlockKey"].as_str() {
        None | Some("") => Err("no unlock key is set".into()),
        Some(key) => {
            print::line(key);
            Ok(())
        }
    }
}
