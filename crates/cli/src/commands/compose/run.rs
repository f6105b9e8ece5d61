//! `compose run`: one command in a container of its own.

use gantry_client::Query;
use gantry_compose::plan::Options;
use gantry_compose::run::{self, OneOff};
use gantry_compose::{names, observe, start};
use gantry_compose_file::project::{BindOptions, Mount, MountKind, Port, Service};

use super::ground::Ground;
use super::prepare::{self, Wish};
use super::{DRY_RUN, up};
use crate::command::{Arity, COMMAND, Command};
use crate::commands::container::{self, signals};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, list, switch, text};
use crate::parse::{env, mounts, ports};
use crate::print;
use crate::session::Session;
use crate::terminal::{self, Attached, Resizer, stream};
use crate::work;

static FLAGS: &[Flag] = &[
    switch("allow-insecure-ssl", "Accepted: fig's, the engine knows its registries").hidden(),
    switch("build", "Build the image first"),
    list("cap-add", "Add a capability"),
    list("cap-drop", "Drop a capability"),
    switch("detach", "Run in the background and print the container's id").short('d'),
    text("entrypoint", "Entrypoint in place of the image's"),
    list("env", "Set an environment variable").short('e'),
    list("env-from-file", "File with environment variables"),
    switch("interactive", "Keep STDIN open").short('i').default("true"),
    list("label", "Add a label").short('l'),
    text("name", "Name of the container"),
    switch("no-TTY", "Without a terminal").short('T'),
    switch("no-tty", "Without a terminal").hidden(),
    switch("no-deps", "Leave dependencies alone"),
    list("publish", "Publish a port").short('p'),
    text("pull", "Pull before running (\"always\"|\"missing\"|\"never\")").default("policy"),
    switch("quiet", "Say nothing but what the command says").short('q'),
    switch("quiet-build", "Build without output"),
    switch("quiet-pull", "Pull without showing progress"),
    switch("remove-orphans", "Remove containers of services that are not in the file"),
    switch("rm", "Remove the container when it ends"),
    switch("service-ports", "Publish the service's own ports").short('P'),
    switch("tty", "With a terminal").short('t').default("true").hidden(),
    switch("use-aliases", "Be found under the service's names"),
    text("user", "User to run as").short('u'),
    list("volume", "Bind mount a volume").short('v'),
    list("volumes", "Older spelling of --volume").hidden(),
    text("workdir", "Working folder inside the container").short('w'),
];

pub static RUN: Command = Command {
    usage: "[OPTIONS] SERVICE [COMMAND] [ARGS...]",
    short: "Run a one-off command on a service",
    examples: &[("--rm web sh", "A shell in a container like a service's")],
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(1),
    interspersed: false,
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let name = m.word(0).to_owned();
    let mut ground = Ground::load(s, m, "Running", std::slice::from_ref(&name))?;
    if m.on("quiet") {
        ground.hush();
    }
    if m.on("no-deps") {
        up::without_dependencies(&mut ground.project, std::slice::from_ref(&name));
    }
    let service = adjusted(&ground, m, &name)?;
    let wish = Wish {
        pull: m.text("pull"),
        build: m.on("build"),
        no_build: false,
        quiet_pull: m.on("quiet-pull") || m.on("quiet"),
        quiet_build: m.on("quiet-build") || m.on("quiet"),
    };
    if !m.on("no-deps") && ground.project.services.len() > 1 {
        dependencies(&mut ground, &name, &wish, m).await?;
    }
    // Only the service itself is left to prepare.
    let others: Vec<String> = ground.project.services.keys().filter(|n| **n != name).cloned().collect();
    let mut alone = ground.project.clone();
    alone.services.retain(|n, _| *n == name);
    let whole = std::mem::replace(&mut ground.project, alone);
    let images = prepare::prepare(&ground, &wish).await?;
    ground.project = whole;
    if ground.dry_run() {
        return Ok(());
    }
    networks_and_volumes(&ground, &name).await?;
    let containers = observe::list_containers(ground.client, &ground.project.name, true).await?;
    let image = names::image(&ground.project.name, &service, ground.separator());
    let facts = images.get(&image).cloned().unwrap_or_default();
    let one_off = OneOff {
        name: m.text("name").to_owned(),
        slug: slug()?,
        auto_remove: m.on("rm"),
        attach_stdin: service.stdin_open && !m.on("detach"),
        aliases: m.on("use-aliases"),
    };
    let wait = !m.on("no-deps") && !others.is_empty();
    let scene = ground.scene();
    let id = run::create(&scene, &service, &facts, &one_off, &containers, wait).await?;
    ground.progress().finish();
    if m.on("detach") {
        ground
            .client
            .container_start(&id, Query::new())
            .await
            .map_err(|e| container::run::start_failure(s, e.into()))?;
        run::started(&scene, &service, &id).await?;
        print::line(&id);
        return Ok(());
    }
    attached(s, &ground, &service, &id, m.on("rm")).await
}

/// The service with what the command line says of it.
fn adjusted(ground: &Ground<'_>, m: &Matches, name: &str) -> Result<Service, Failure> {
    let known = ground.project.services.get(name).ok_or_else(|| format!("no such service: {name}"))?;
    let mut service = known.clone();
    if m.changed("publish") && m.on("service-ports") {
        return Err(Failure::text(1, "--service-ports and --publish are incompatible"));
    }
    if !m.on("service-ports") {
        service.ports = published(&m.all("publish"))?;
    }
    let refused = m.on("no-TTY") || m.on("no-tty");
    if refused && m.changed("tty") {
        return Err(Failure::text(1, "--tty and --no-TTY can't be used together"));
    }
    service.tty = match () {
        () if m.changed("tty") => m.on("tty"),
        () if refused => false,
        () => terminal::stdout_is() && terminal::stdin_is(),
    };
    service.stdin_open = m.on("interactive");
    if m.words.len() > 1 {
        service.command = Some(m.words[1..].to_vec());
    }
    if m.changed("entrypoint") {
        service.entrypoint = Some(shell_words(m.text("entrypoint"))?);
        if m.words.len() == 1 {
            service.command = Some(Vec::new());
        }
    }
    for (flag, slot) in [("user", &mut service.user), ("workdir", &mut service.working_dir)] {
        if !m.text(flag).is_empty() {
            m.text(flag).clone_into(slot);
        }
    }
    let (added, dropped) = (m.all("cap-add"), m.all("cap-drop"));
    service.cap_drop.retain(|cap| !added.contains(cap));
    service.cap_add.retain(|cap| !dropped.contains(cap));
    service.cap_add.extend(added);
    service.cap_drop.extend(dropped);
    for pair in env::env(&m.all("env-from-file"), &[])? {
        set_variable(&mut service, &pair, ground);
    }
    for pair in m.all("env") {
        set_variable(&mut service, &pair, ground);
    }
    for label in m.all("label") {
        let (key, value) = label.split_once('=').ok_or("label must be set as KEY=VALUE")?;
        service.labels.insert(key.to_owned(), value.to_owned());
    }
    for volume in m.all("volume").into_iter().chain(m.all("volumes")) {
        service.volumes.push(mount(&volume));
    }
    Ok(service)
}

fn set_variable(service: &mut Service, pair: &str, ground: &Ground<'_>) {
    let (name, value) = match pair.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (pair, ground.project.environment.get(pair).cloned()),
    };
    if value.is_some() {
        service.environment.insert(name.to_owned(), value);
    }
}

fn published(specs: &[String]) -> Result<Vec<Port>, Failure> {
    let mut all = Vec::new();
    for (port, bindings) in ports::parse(specs, &[])?.bindings {
        let (target, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
        for binding in bindings.as_array().into_iter().flatten() {
            let text = |key: &str| binding[key].as_str().unwrap_or_default().to_owned();
            all.push(Port {
                target: target.parse().unwrap_or(0),
                protocol: protocol.to_owned(),
                host_ip: text("HostIp"),
                published: text("HostPort"),
                ..Port::default()
            });
        }
    }
    Ok(all)
}

/// `[source:]target[:ro]`; a source with a slash or a dot first is a path.
fn mount(text: &str) -> Mount {
    let mut parts: Vec<&str> = text.split(':').collect();
    let read_only = parts.len() > 1 && parts.last().is_some_and(|mode| mode.split(',').any(|m| m == "ro"));
    let has_mode = parts.len() > 2 || (parts.len() == 2 && !parts[1].starts_with('/'));
    if has_mode {
        parts.pop();
    }
    let (source, target) = match parts.as_slice() {
        [target] => (String::new(), (*target).to_owned()),
        [source, target, ..] => ((*source).to_owned(), (*target).to_owned()),
        [] => (String::new(), String::new()),
    };
    let is_path = source.starts_with(['/', '.', '~']);
    let source = if is_path { mounts::absolute_path(&source) } else { source };
    Mount {
        kind: if is_path { MountKind::Bind } else { MountKind::Volume },
        bind: is_path.then(|| BindOptions { create_host_path: true, ..BindOptions::default() }),
        source,
        target,
        read_only,
        ..Mount::default()
    }
}

/// Words as a shell would see them: quotes and backslashes, nothing else.
fn shell_words(text: &str) -> Result<Vec<String>, Failure> {
    let (mut words, mut word, mut some) = (Vec::new(), String::new(), false);
    let mut chars = text.chars();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => word.extend(chars.next()),
            (c, Some(_)) => word.push(c),
            ('\'' | '"', None) => (quote, some) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if some || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                some = false;
            }
            (c, None) => word.push(c),
        }
    }
    if quote.is_some() {
        return Err(Failure::text(1, format!("invalid command line string: {text}")));
    }
    if some || !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// Brings up what the service needs.
async fn dependencies(ground: &mut Ground<'_>, name: &str, wish: &Wish<'_>, m: &Matches) -> Outcome {
    let mut needed = ground.project.clone();
    if let Some(target) = needed.services.remove(name) {
        needed.disabled.insert(name.to_owned(), target);
    }
    let whole = std::mem::replace(&mut ground.project, needed);
    let options = Options { remove_orphans: up::remove_orphans(m), ..Options::default() };
    let making = up::Making { options, starts: Some(start::Options::default()), ..up::Making::default() };
    up::make(ground, wish, &making).await?;
    ground.project = whole;
    Ok(())
}

/// The networks and volumes of the service itself.
async fn networks_and_volumes(ground: &Ground<'_>, name: &str) -> Outcome {
    let observed = gantry_compose::look(ground.client, &ground.project.name).await?;
    let mut project = ground.project.clone();
    // Without containers of its own, its plan has only what they would stand on.
    project.services.retain(|key, _| key == name);
    for service in project.services.values_mut() {
        service.scale = Some(0);
    }
    project.drop_unused();
    let own = observed.containers.iter().filter(|c| c.service != name).cloned().collect();
    let there = gantry_compose::Observed { containers: own, ..observed };
    let alone = gantry_compose::Scene { project: &project, ..ground.scene() };
    let none = gantry_compose::Images::new();
    let plan = gantry_compose::up::prepare(&alone, &there, &none, &Options::default(), false)?;
    gantry_compose::up::create(&alone, there, &none, &plan).await?;
    Ok(())
}

/// Sixty-four letters that nobody else has.
fn slug() -> Result<String, Failure> {
    use std::io::Read;
    let mut bytes = [0u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

async fn attached(s: &Session, ground: &Ground<'_>, service: &Service, id: &str, removes: bool) -> Outcome {
    let client = ground.client;
    s.forward_signals(true);
    if service.tty && service.stdin_open && !terminal::stdin_is() {
        return Err("the input device is not a TTY".into());
    }
    let (keys_text, keys) = s.detach_keys("")?;
    let proxy = signals::forward(client.clone(), id.to_owned());
    let query = Query::new()
        .flag("stream", true)
        .flag("stdin", service.stdin_open)
        .flag("stdout", true)
        .flag("stderr", true)
        .with_some("detachKeys", keys_text);
    let hijacked = client.container_attach(id, query).await?;
    let wait = client.container_wait(id, if removes { "removed" } else { "next-exit" }).await?;
    if let Err(err) = client.container_start(id, Query::new()).await {
        return Err(err.into());
    }
    let resizer = (service.tty && terminal::stdout_is()).then(|| {
        let (client, id) = (client.clone(), id.to_owned());
        Resizer::start(move |rows, columns| {
            let (client, id) = (client.clone(), id.clone());
            async move { client.container_resize(&id, rows, columns).await }
        })
    });
    let scene = ground.scene();
    let hooks = async {
        run::started(&scene, service, id).await?;
        Ok::<(), Failure>(())
    };
    let streams = Attached { stdin: service.stdin_open, stdout: true, stderr: true, tty: service.tty };
    let output = container::run::finish(stream(hijacked, streams, keys), wait.wait_result());
    let (code, hooked) = futures_util::future::join(output, hooks).await;
    drop(resizer);
    drop(proxy);
    match code? {
        0 => hooked,
        // The command's own code says more than a hook that came too late for it.
        code => Err(Failure::silent(code as u8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_mounts_of_the_command_line() {
        assert_eq!(shell_words("a 'b c' \"d\\\"e\" ''").unwrap(), ["a", "b c", "d\"e", ""]);
        assert!(shell_words("'open").is_err());
        let bind = mount("/x:/y:ro");
        assert_eq!((bind.kind, bind.source.as_str(), bind.target.as_str()), (MountKind::Bind, "/x", "/y"));
        assert!(bind.read_only);
        let volume = mount("data:/d");
        assert_eq!((volume.kind, volume.source.as_str()), (MountKind::Volume, "data"));
        assert_eq!(mount("/only").target, "/only");
    }
}
