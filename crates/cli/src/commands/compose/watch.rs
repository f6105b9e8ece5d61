//! `compose watch`: brings changes of the sources into the containers, as `develop.watch` asks.

mod rules;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_archive::{Entry, Writer};
use gantry_client::{Body, Frames, Query};
use gantry_compose::plan::{self, Recreate};
use gantry_compose::{Container, observe, start, stop};
use gantry_compose_file::project::{Hook, WatchAction};
use serde_json::json;
use tokio::sync::mpsc;

use super::ground::Ground;
use super::prepare::Wish;
use super::{DRY_RUN, build, up};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::work;
use rules::Rule;

static FLAGS: &[Flag] = &[
    switch("no-up", "Do not build and start first"),
    switch("prune", "Remove images that a rebuild left without a name").default("true"),
    switch("quiet", "Build without output"),
];

pub static WATCH: Command = Command {
    usage: "[SERVICE...]",
    short: "Watch build context for service and rebuild/refresh containers when files are updated",
    examples: &[("--no-up web", "What develop.watch says, for what runs already")],
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

/// A burst of changes is over when nothing changed for so long.
const QUIET_FOR: Duration = Duration::from_millis(200);

/// How to watch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Build without output.
    pub quiet: bool,
    /// Remove images that a rebuild left without a name.
    pub prune: bool,
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    let ground = Ground::load(s, m, "Watching", &m.words)?;
    let options = Options { quiet: m.on("quiet"), prune: m.on("prune") };
    // A mistake in the rules is told before anything is built.
    rules::of(&ground.project)?;
    if !m.on("no-up") {
        let wish = Wish { quiet_build: options.quiet, ..Wish::default() };
        up::make(&ground, &wish, &starting(plan::Options::default())).await?;
        ground.progress().finish();
    }
    watch(&ground, &options).await
}

fn starting(options: plan::Options) -> up::Making {
    up::Making { options, starts: Some(start::Options::default()), ..up::Making::default() }
}

fn say(text: &str) {
    print::line(&format!("⦿ {text}"));
}

/// Watches until it is ended.
pub async fn watch(ground: &Ground<'_>, options: &Options) -> Outcome {
    let rules = rules::of(&ground.project)?;
    for rule in rules.iter().filter(|rule| rule.initial_sync) {
        let files = tree::files(&rule.path);
        sync(ground, &rule.service, &rule.mapped(&files)).await?;
    }
    let (sender, mut changes) = mpsc::unbounded_channel();
    tree::watch(rules.iter().map(|rule| rule.path.clone()).collect(), sender)?;
    say("Watch enabled");
    while let Some(first) = changes.recv().await {
        let mut batch = vec![first];
        while let Ok(Some(more)) = tokio::time::timeout(QUIET_FOR, changes.recv()).await {
            batch.push(more);
        }
        batch.sort();
        batch.dedup();
        // One failure does not end the watch: the next change may mend it.
        if let Err(failure) = handle(ground, options, &rules, &batch).await {
            print::err(&format!("⦿ {failure}"));
        }
    }
    Ok(())
}

async fn handle(ground: &Ground<'_>, options: &Options, rules: &[Rule], batch: &[PathBuf]) -> Outcome {
    let mut rebuild: Vec<String> = Vec::new();
    let mut restart: Vec<String> = Vec::new();
    let mut exec: Vec<(String, Hook)> = Vec::new();
    let mut copies: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for rule in rules {
        let hit: Vec<PathBuf> = batch.iter().filter(|path| rule.fits(path)).cloned().collect();
        if hit.is_empty() {
            continue;
        }
        match rule.action {
            WatchAction::Rebuild => rebuild.push(rule.service.clone()),
            WatchAction::Restart => restart.push(rule.service.clone()),
            WatchAction::Sync | WatchAction::SyncRestart | WatchAction::SyncExec => {
                copies.entry(rule.service.clone()).or_default().extend(rule.mapped(&hit));
            }
        }
        match rule.action {
            WatchAction::SyncRestart => restart.push(rule.service.clone()),
            WatchAction::SyncExec => exec.extend(rule.exec.clone().map(|hook| (rule.service.clone(), hook))),
            _ => {}
        }
    }
    rebuild.sort();
    rebuild.dedup();
    if !rebuild.is_empty() {
        return self::rebuild(ground, options, &rebuild).await;
    }
    for (service, files) in &copies {
        say(&format!("Syncing service {service:?} after {} changes were detected", files.len()));
        sync(ground, service, files).await?;
    }
    for (service, hook) in &exec {
        for container in running(ground, service).await? {
            command(ground, &container.id, hook).await?;
        }
    }
    restart.sort();
    restart.dedup();
    if !restart.is_empty() {
        let all = observe::list_containers(ground.client, &ground.project.name, true).await?;
        stop::restart(&ground.scene(), &all, &restart, false, None).await?;
        ground.progress().finish();
        say(&format!("service(s) {restart:?} restarted"));
    }
    Ok(())
}

async fn running(ground: &Ground<'_>, service: &str) -> Result<Vec<Container>, Failure> {
    let all = observe::list_containers(ground.client, &ground.project.name, false).await?;
    Ok(all.into_iter().filter(|c| c.service == service && !c.is_one_off()).collect())
}

async fn rebuild(ground: &Ground<'_>, options: &Options, services: &[String]) -> Outcome {
    say(&format!("Rebuilding service(s) {services:?} after changes were detected..."));
    for name in services {
        let service = &ground.project.services[name];
        let extra = build::Extra { quiet: options.quiet, ..build::Extra::default() };
        build::service(ground, service, &extra).await?;
    }
    say(&format!("service(s) {services:?} successfully built"));
    let making = plan::Options {
        services: services.to_vec(),
        recreate: Recreate::Diverged,
        ..plan::Options::default()
    };
    up::make(ground, &Wish::default(), &starting(making)).await?;
    ground.progress().finish();
    if options.prune {
        let label = format!("{}={}", gantry_compose::labels::PROJECT, ground.project.name);
        let filters = json!({"dangling": ["true"], "label": [label]});
        ground.client.prune("images", Query::new().with("filters", filters.to_string())).await?;
    }
    Ok(())
}

/// Copies files into every running container of a service, and removes there what is gone here.
async fn sync(ground: &Ground<'_>, service: &str, files: &[(PathBuf, String)]) -> Outcome {
    let mut tar = Writer::new(Vec::new());
    let mut gone: Vec<String> = Vec::new();
    let broken = |e: gantry_archive::Error| Failure::text(1, e.to_string());
    for (here, there) in files {
        let name = there.trim_start_matches('/');
        match std::fs::symlink_metadata(here) {
            Err(_) => gone.push(there.clone()),
            Ok(meta) => {
                use std::os::unix::fs::MetadataExt;
                let (mut entry, bytes) = if meta.is_dir() {
                    (Entry::dir(name), Vec::new())
                } else if meta.is_symlink() {
                    let target = std::fs::read_link(here)?;
                    (Entry::symlink(name, target.to_string_lossy().into_owned()), Vec::new())
                } else {
                    // A file that went away between the two looks is told by its own event.
                    let Ok(bytes) = std::fs::read(here) else { continue };
                    (Entry::file(name, bytes.len() as u64), bytes)
                };
                entry.mode = meta.mode() & 0o7777;
                tar.append_bytes(&entry, &bytes).map_err(broken)?;
            }
        }
    }
    let tar = bytes::Bytes::from(tar.finish().map_err(broken)?);
    for container in running(ground, service).await? {
        if !gone.is_empty() {
            let words = ["rm", "-rf"].into_iter().map(str::to_owned).chain(gone.iter().cloned());
            let remove = Hook { command: Some(words.collect()), ..Hook::default() };
            command(ground, &container.id, &remove).await?;
        }
        if gone.len() < files.len() {
            let query = Query::new().with("path", "/");
            ground.client.container_unpack(&container.id, query, Body::bytes(tar.clone())).await?;
        }
    }
    Ok(())
}

/// Runs a command in a container; what it says is shown.
async fn command(ground: &Ground<'_>, id: &str, hook: &Hook) -> Outcome {
    let pairs = hook.environment.iter().map(|(k, v)| v.as_ref().map_or(k.clone(), |v| format!("{k}={v}")));
    let body = json!({
        "User": hook.user, "Privileged": hook.privileged, "WorkingDir": hook.working_dir,
        "Env": pairs.collect::<Vec<_>>(), "Cmd": hook.command, "AttachStdout": true, "AttachStderr": true,
    });
    let session = ground.client.exec_create(id, &body).await?;
    let streams = ground.client.exec_attach(&session, &json!({"Detach": false, "Tty": false})).await?;
    let mut frames = Frames::new(streams.reader);
    while let Some(frame) = frames.next().await? {
        print::bytes(&frame.bytes);
    }
    match ground.client.exec_inspect(&session).await?["ExitCode"].as_i64() {
        Some(0) => Ok(()),
        code => Err(Failure::text(1, format!("exit code {}", code.unwrap_or(-1)))),
    }
}

/// The path of `path` below `base`, if it is.
fn below<'p>(path: &'p Path, base: &Path) -> Option<&'p Path> {
    path.strip_prefix(base).ok()
}
