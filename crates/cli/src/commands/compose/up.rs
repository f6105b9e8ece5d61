//! `compose up`.

use std::collections::BTreeSet;
use std::time::Duration;

use gantry_compose::logs::{Attach, OnExit, Printer, attached};
use gantry_compose::names::Separator;
use gantry_compose::plan::{self, Options, Recreate, diverged_volumes};
use gantry_compose::up::looking_again;
use gantry_compose::{Container, Observed, look, observe, start, up};
use gantry_compose_file::project::Project;

use super::ground::{Ground, ansi, is_set};
use super::prepare::{self, Wish};
use super::{DRY_RUN, applied, lock, watch};
use crate::command::{Arity, COMMAND, Command, Names};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::print;
use crate::session::Session;
use crate::terminal;
use crate::work;

/// Flags of `up` and `create`.
pub(super) static MAKING: &[Flag] = &[
    switch("build", "Build images before starting containers"),
    switch("no-build", "Do not build an image, even if it is missing"),
    text("pull", "Pull before running (\"always\"|\"missing\"|\"never\")").default("policy"),
    switch("quiet-pull", "Pull without showing progress"),
    switch("force-recreate", "Make containers anew even if nothing changed"),
    switch("no-recreate", "Leave containers that exist as they are"),
    switch("remove-orphans", "Remove containers of services that are not in the file"),
    list("scale", "How many containers of a service: SERVICE=NUM"),
    switch("yes", "Say yes to every question").short('y'),
    switch("y", "Older spelling of --yes").hidden(),
    switch("allow-insecure-ssl", "Accepted: fig's, the engine knows its registries").hidden(),
];

static FLAGS: &[Flag] = &[
    switch("abort-on-container-exit", "Stop all containers when one ends"),
    switch("abort-on-container-failure", "Stop all containers when one fails"),
    switch("always-recreate-deps", "Make dependencies anew, too"),
    list("attach", "Show the output of these services only"),
    switch("attach-dependencies", "Show the output of dependencies, too"),
    switch("detach", "Run in the background").short('d'),
    text("exit-code-from", "End with the code of this service; implies --abort-on-container-exit"),
    switch("locked", "Use the images that `lock` recorded, and no others"),
    switch("menu", "Accepted: there is no menu"),
    list("no-attach", "Do not show the output of these services"),
    switch("no-color", "Without colours"),
    switch("no-deps", "Leave dependencies alone"),
    switch("no-log-prefix", "Without names before lines"),
    switch("no-start", "Make containers, start none"),
    switch("quiet-build", "Build without output"),
    switch("renew-anon-volumes", "Make anonymous volumes anew").short('V'),
    flag("timeout", Kind::Int, "Patience of stops in seconds").short('t'),
    switch("timestamps", "Show times"),
    switch("wait", "Come back when all is running or healthy; implies --detach"),
    flag("wait-timeout", Kind::Int, "How long --wait may take, in seconds"),
    switch("watch", "Watch the sources and bring changes in").short('w'),
];

pub static UP: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Create and start containers",
    examples: &[
        ("-d --wait", "In the background, and come back when all is well"),
        ("--build --force-recreate web", "Build one service anew and replace it"),
        ("-d --scale web=3", "Three of one service"),
    ],
    flags: &[FLAGS, MAKING, DRY_RUN],
    arity: Arity::AtLeast(0),
    names: Names::None,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    check(m)?;
    let mut ground = Ground::load(s, m, "Running", &m.words)?;
    if ground.project.services.is_empty() {
        return Err("no service selected".into());
    }
    scale(&mut ground.project, &m.all("scale"))?;
    if m.on("locked") {
        lock::apply(&mut ground.project)?;
    }
    if m.on("no-deps") {
        without_dependencies(&mut ground.project, &m.words);
    }
    let from = m.text("exit-code-from");
    if !from.is_empty() && !ground.project.services.contains_key(from) {
        return Err(format!("no such service: {from}").into());
    }
    let attach = attach_to(&ground.project, m)?;
    let wish = Wish {
        pull: m.text("pull"),
        build: m.on("build"),
        no_build: m.on("no-build"),
        quiet_pull: m.on("quiet-pull"),
        quiet_build: m.on("quiet-build"),
    };
    let wait_timeout = u64::try_from(m.int("wait-timeout")).ok().filter(|t| *t > 0);
    let starts = start::Options { wait: m.on("wait"), wait_timeout };
    let background = m.on("detach") || m.on("wait") || ground.dry_run();
    let making = Making {
        options: options(m),
        yes: m.on("yes") || m.on("y"),
        starts: Some(starts).filter(|_| background && !m.on("no-start")),
        // What `rollback` goes back to is a whole project.
        keeps: m.words.is_empty(),
    };
    let containers = make(&ground, &wish, &making).await?;
    if m.on("no-start") || background {
        return Ok(());
    }
    ground.progress().finish();
    let on_exit = match () {
        () if m.on("abort-on-container-failure") => OnExit::StopOnFailure,
        () if m.on("abort-on-container-exit") || !from.is_empty() => OnExit::Stop,
        () => OnExit::Nothing,
    };
    let attach = Attach {
        services: attach,
        on_exit,
        exit_code_from: Some(from.to_owned()).filter(|f| !f.is_empty()),
        timeout: making.options.timeout,
    };
    match stay(&ground, m, &wish, making, containers, &attach).await? {
        0 => Ok(()),
        code => Err(Failure::silent(code as u8)),
    }
}

/// How often an `up` that stays is begun again because others changed meanwhile what was looked at, and after which
/// pause.
const AGAIN: usize = 4;
const PAUSE: Duration = Duration::from_millis(300);

/// Starts the containers and shows what they say until they end. Answers the exit code.
async fn stay(
    ground: &Ground<'_>,
    m: &Matches,
    wish: &Wish<'_>,
    mut making: Making,
    mut containers: Vec<Container>,
    attach: &Attach,
) -> Result<i64, Failure> {
    let printer = Printer::new(
        ansi(ground.s) && !m.on("no-color"),
        !m.on("no-log-prefix"),
        m.on("timestamps"),
        terminal::stdout_is(),
    );
    let scene = ground.scene();
    let watching = watch::Options::default();
    for left in (0..=AGAIN).rev() {
        ground.s.forward_signals(true);
        let session = attached(&scene, &containers, attach, &printer);
        let ended = if m.on("watch") {
            tokio::select! {
                code = session => code,
                watched = watch::watch(ground, &watching) => return watched.map(|()| 0),
            }
        } else {
            session.await
        };
        match ended {
            Err(failure) if failure.is_stale() && left > 0 => {
                ground.s.forward_signals(false);
                ground.progress().warn(&looking_again(&failure));
                tokio::time::sleep(PAUSE).await;
                // What was forced was forced once.
                making.options.recreate = Recreate::Diverged;
                making.options.renew_anonymous = false;
                containers = make(ground, wish, &making).await?;
            }
            ended => return Ok(ended?),
        }
    }
    unreachable!("the last round returns")
}

fn check(m: &Matches) -> Outcome {
    let on = |name: &str| m.on(name);
    let aborts = on("abort-on-container-exit") || !m.text("exit-code-from").is_empty();
    let attaches = on("attach-dependencies") || m.changed("attach");
    let told = |text: &str| Err(Failure::text(1, text));
    if m.int("wait-timeout") < 0 {
        return told("--wait-timeout must be a non-negative integer");
    }
    if on("abort-on-container-exit") && on("abort-on-container-failure") {
        return told("--abort-on-container-failure cannot be combined with --abort-on-container-exit");
    }
    if on("wait") && (attaches || aborts) {
        return told(
            "--wait cannot be combined with --abort-on-container-exit, --attach or --attach-dependencies",
        );
    }
    if on("detach") && (attaches || aborts || on("abort-on-container-failure") || on("watch")) {
        return told(
            "--detach cannot be combined with --abort-on-container-exit, --abort-on-container-failure, --attach, --attach-dependencies or --watch",
        );
    }
    if m.changed("attach") && on("attach-dependencies") {
        return told("cannot combine --attach and --attach-dependencies");
    }
    for (one, other) in [
        ("build", "no-build"),
        ("force-recreate", "no-recreate"),
        ("always-recreate-deps", "no-recreate"),
        ("no-build", "watch"),
    ] {
        if on(one) && on(other) {
            return told(&format!("--{one} and --{other} are incompatible"));
        }
    }
    if on("renew-anon-volumes") && on("no-recreate") {
        return told("--no-recreate and --renew-anon-volumes are incompatible");
    }
    let removes = on("remove-orphans") && m.changed("remove-orphans");
    if is_set("COMPOSE_IGNORE_ORPHANS") && removes {
        return told("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans");
    }
    Ok(())
}

fn options(m: &Matches) -> Options {
    let forced = m.on("force-recreate") || m.on("renew-anon-volumes");
    let recreate = match () {
        () if m.on("no-recreate") => Recreate::Never,
        () if forced => Recreate::Force,
        () => Recreate::Diverged,
    };
    let recreate_dependencies = match () {
        () if m.on("no-recreate") => Recreate::Never,
        () if m.on("always-recreate-deps") => Recreate::Force,
        () => Recreate::Diverged,
    };
    Options {
        services: m.words.clone(),
        recreate,
        recreate_dependencies,
        renew_anonymous: m.on("renew-anon-volumes"),
        timeout: m.changed("timeout").then(|| m.int("timeout")),
        remove_orphans: remove_orphans(m),
        recreate_volumes: Vec::new(),
    }
}

/// `--remove-orphans`, or what the environment says.
pub(super) fn remove_orphans(m: &Matches) -> bool {
    if m.changed("remove-orphans") { m.on("remove-orphans") } else { is_set("COMPOSE_REMOVE_ORPHANS") }
}

/// What `make` is asked for.
#[derive(Default)]
pub(super) struct Making {
    /// How to go about it.
    pub options: Options,
    /// The answer to every question.
    pub yes: bool,
    /// How to start; none: nothing starts.
    pub starts: Option<start::Options>,
    /// Whether `rollback` may return to this state.
    pub keeps: bool,
}

/// Images, plan, containers; with `starts` also that these run. Answers the project's containers.
pub(super) async fn make(
    ground: &Ground<'_>,
    wish: &Wish<'_>,
    making: &Making,
) -> Result<Vec<Container>, Failure> {
    let (images, observed) =
        futures_util::future::join(prepare::prepare(ground, wish), look(ground.client, &ground.project.name))
            .await;
    let (images, mut observed) = (images?, observed?);
    if ground.project.services.values().any(|s| plan::starts_first(s) && !s.ports.is_empty()) {
        observed.hands_over = observe::hands_over(ground.client).await?;
    }
    let first = ground.separator() == Separator::Underscore;
    if first || observed.containers.iter().any(Container::is_of_compose_1) {
        observed.shared = observe::shared(ground.client, &ground.project).await?;
    }
    let mut options = making.options.clone();
    options.recreate_volumes = agreed(ground, &observed, making.yes).await;
    let scene = ground.scene();
    let tell_orphans = !is_set("COMPOSE_IGNORE_ORPHANS");
    if ground.dry_run() {
        let plan = up::prepare(&scene, &observed, &images, &options, tell_orphans)?;
        print::out(&plan.to_string());
        let containers = up::create(&scene, observed, &images, &plan).await?;
        if let Some(starts) = making.starts {
            start::start(&scene, &containers, starts).await?;
        }
        return Ok(containers);
    }
    let made = || {
        if making.keeps
            && let Err(err) = applied::keep(ground, &images)
        {
            ground.progress().warn(&format!("this state cannot be returned to: {err}"));
        }
    };
    let wish = up::Wish { options: &options, tell_orphans, starts: making.starts, made: &made };
    Ok(up::bring(&scene, observed, &images, &wish).await?)
}

/// The volumes, of those whose settings changed, that may be made anew.
async fn agreed(ground: &Ground<'_>, observed: &Observed, yes: bool) -> Vec<String> {
    let mut agreed = Vec::new();
    for key in diverged_volumes(&ground.project, observed) {
        let name = &ground.project.volumes[&key].name;
        let question = format!(
            "Volume {name:?} exists but doesn't match configuration in compose file. Recreate (data will be lost)?"
        );
        if yes || (terminal::stdin_is() && confirmed(question).await) {
            agreed.push(key);
        } else {
            ground.progress().warn(&format!(
                "volume {name:?} doesn't match configuration in compose file and is left as it is; --yes makes it anew, without its data"
            ));
        }
    }
    agreed
}

/// Asks the person. Beside the rest, so that Ctrl-C is heard.
pub(super) async fn confirmed(question: String) -> bool {
    tokio::task::spawn_blocking(move || print::confirm(&question)).await.unwrap_or(false)
}

/// `--scale SERVICE=NUM`
pub(super) fn scale(project: &mut Project, wishes: &[String]) -> Outcome {
    for wish in wishes {
        let wrong = || format!("invalid --scale option {wish:?}. Should be SERVICE=NUM");
        let (name, number) = wish.split_once('=').filter(|(_, n)| !n.is_empty()).ok_or_else(wrong)?;
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let service = project.services.get_mut(name).ok_or_else(|| format!("no such service: {name}"))?;
        service.scale = Some(number);
    }
    Ok(())
}

/// Leaves only the services that were named.
pub(super) fn without_dependencies(project: &mut Project, named: &[String]) {
    if named.is_empty() {
        return;
    }
    let (kept, others) =
        std::mem::take(&mut project.services).into_iter().partition(|(name, _)| named.contains(name));
    project.services = kept;
    let others: std::collections::BTreeMap<_, _> = others;
    project.disabled.extend(others);
}

/// Whose output is shown.
fn attach_to(project: &Project, m: &Matches) -> Result<BTreeSet<String>, Failure> {
    let mut all: BTreeSet<String> = m.all("attach").into_iter().collect();
    let unknown: Vec<&str> =
        all.iter().filter(|name| !project.services.contains_key(*name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        let told = format!("cannot attach to services not included in up: {}", unknown.join(", "));
        return Err(Failure::text(1, told));
    }
    if all.is_empty() {
        let named =
            |name: &String| m.words.is_empty() || m.on("attach-dependencies") || m.words.contains(name);
        let shown = project.services.values().filter(|s| s.attach.unwrap_or(true) && named(&s.name));
        all = shown.map(|s| s.name.clone()).collect();
    }
    for name in m.all("no-attach") {
        all.remove(&name);
    }
    Ok(all)
}
