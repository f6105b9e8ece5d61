//! `compose build`, and the build that `up` does.

mod bake;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use gantry_compose::names;
use gantry_compose::progress::Event;
use gantry_compose_file::project::{Build, Project, Service, Source};
use gantry_names::Platform;
use rustix::fs::{MemfdFlags, memfd_create};

use super::delegate::{delegate, option, switch as on};
use super::ground::Ground;
use super::{DRY_RUN, push};
use crate::command::{COMMAND, Command, Names};
use crate::commands::image;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, list, switch, text};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    list("build-arg", "Value of a build argument"),
    text("builder", "Builder to use"),
    switch("check", "Check the build's configuration only"),
    flag("memory", Kind::Bytes, "Limit of memory").short('m'),
    switch("no-cache", "Do not use the cache"),
    switch("print", "Print what would be built"),
    text("provenance", "Add an attestation of provenance"),
    switch("pull", "Look for newer images of FROM"),
    switch("push", "Push the images"),
    switch("quiet", "Say nothing").short('q'),
    text("sbom", "Add a bill of materials"),
    text("ssh", "SSH agents or keys for the build"),
    switch("with-dependencies", "Build what the services depend on, too"),
    // As Compose 1 had them.
    switch("force-rm", "Remove the containers that built even after a failure").hidden(),
    switch("no-rm", "Keep the containers that built").hidden(),
    switch("compress", "Compress the context").hidden(),
    switch("parallel", "Accepted: builds do not wait for each other's layers").hidden(),
    text("progress", "How to show progress").hidden(),
];

pub static BUILD: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Build or rebuild services",
    examples: &[("--pull web", "On the newest base")],
    flags: &[FLAGS, DRY_RUN],
    arity: crate::command::Arity::AtLeast(0),
    names: Names::None,
    work: work!(run),
    ..COMMAND
};

/// What the command line adds to a service's build.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// Build arguments.
    pub args: Vec<String>,
    /// Without the cache.
    pub no_cache: bool,
    /// With newer images of FROM.
    pub pull: bool,
    /// Without a word.
    pub quiet: bool,
    /// At most so much memory, as it was written.
    pub memory: String,
    /// SSH agents or keys.
    pub ssh: String,
    /// Leave nothing of a failed build.
    pub force_rm: bool,
    /// Only look for mistakes.
    pub check: bool,
    /// The images are for a registry.
    pub push: bool,
    /// Attestations of provenance and materials, as they were written.
    pub attestations: [String; 2],
}

/// What a service's `additional_contexts` name as the image of a service.
const OF_SERVICE: &str = "service:";

/// The services that are built, each behind those whose images its build stands on.
pub fn ordered<'p>(
    project: &'p Project,
    chosen: impl Iterator<Item = &'p Service>,
) -> Result<Vec<&'p Service>, Failure> {
    fn visit<'p>(
        project: &'p Project,
        service: &'p Service,
        above: &mut Vec<&'p str>,
        out: &mut Vec<&'p Service>,
    ) -> Outcome {
        let Some(build) = &service.build else { return Ok(()) };
        if out.iter().any(|known| known.name == service.name) {
            return Ok(());
        }
        if above.contains(&service.name.as_str()) {
            return Err(
                format!("the builds of {} and {} need each other", above.join(", "), service.name).into()
            );
        }
        above.push(&service.name);
        for name in build.additional_contexts.values().filter_map(|place| place.strip_prefix(OF_SERVICE)) {
            let base = project.services.get(name).or_else(|| project.disabled.get(name));
            let missing =
                || format!("service {:?} is built from {name:?}, which is no service", service.name);
            visit(project, base.ok_or_else(missing)?, above, out)?;
        }
        above.pop();
        out.push(service);
        Ok(())
    }
    let mut out = Vec::new();
    for service in chosen {
        visit(project, service, &mut Vec::new(), &mut out)?;
    }
    Ok(out)
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    let ground = Ground::load(s, m, "Building", &m.words)?;
    let extra = Extra {
        args: m.all("build-arg"),
        no_cache: m.on("no-cache"),
        pull: m.on("pull"),
        quiet: m.on("quiet"),
        memory: m.text("memory").to_owned(),
        ssh: m.text("ssh").to_owned(),
        force_rm: m.on("force-rm"),
        check: m.on("check"),
        push: m.on("push"),
        attestations: ["provenance", "sbom"].map(|name| m.text(name).to_owned()),
    };
    let chosen = |service: &&Service| {
        m.words.is_empty() || m.on("with-dependencies") || m.words.contains(&service.name)
    };
    let services = ordered(&ground.project, ground.project.services.values().filter(chosen))?;
    if services.is_empty() {
        ground.progress().warn("No services to build");
        return Ok(());
    }
    if m.on("print") {
        print::line(&bake::file(&ground, &services, &extra)?);
        return Ok(());
    }
    for service in &services {
        let image = names::image(&ground.project.name, service, ground.separator());
        if ground.dry_run() {
            ground.progress().tell(Event::done(format!("Image {image}"), "Built"));
            continue;
        }
        self::service(&ground, service, &extra).await?;
        if extra.check {
            continue;
        }
        ground.progress().tell(Event::done(format!("Image {image}"), "Built"));
        if m.on("push") && !service.build.as_ref().is_some_and(|build| pushes_itself(build, true)) {
            push::image(&ground, &image, m.on("quiet")).await?;
        }
    }
    Ok(())
}

/// Builds the image of a service.
pub async fn service(ground: &Ground<'_>, service: &Service, extra: &Extra) -> Outcome {
    let Some(build) = &service.build else { return Ok(()) };
    let told = |failure: Failure| {
        Failure::text(failure.code(), format!("failed to build service {:?}: {failure}", service.name))
    };
    let mut args: Vec<String> = Vec::new();
    let name = names::image(&ground.project.name, service, ground.separator());
    for tag in std::iter::once(&name).chain(&build.tags) {
        option(&mut args, "tag", tag);
    }
    for (name, value) in &build.args {
        match value.as_ref().or_else(|| ground.project.environment.get(name)) {
            Some(value) => args.push(format!("--build-arg={name}={value}")),
            None => args.push(format!("--build-arg={name}")),
        }
    }
    args.extend(extra.args.iter().map(|arg| format!("--build-arg={arg}")));
    args.extend(build.labels.iter().map(|(name, value)| format!("--label={name}={value}")));
    for (name, value) in [
        (gantry_compose::labels::PROJECT, ground.project.name.as_str()),
        (gantry_compose::labels::SERVICE, &service.name),
        (gantry_compose::labels::VERSION, gantry_compose::labels::SPOKEN),
    ] {
        args.push(format!("--label={name}={value}"));
    }
    args.extend(build.cache_from.iter().map(|image| format!("--cache-from={image}")));
    for (host, addresses) in &build.extra_hosts {
        args.extend(addresses.iter().map(|address| format!("--add-host={host}:{address}")));
    }
    for (name, limit) in &build.ulimits {
        args.push(format!("--ulimit={name}={}:{}", limit.soft(), limit.hard()));
    }
    option(&mut args, "target", &build.target);
    option(&mut args, "network", &build.network);
    option(&mut args, "isolation", &build.isolation);
    option(&mut args, "memory", &extra.memory);
    if build.shm_size.0 > 0 {
        option(&mut args, "shm-size", &build.shm_size.0.to_string());
    }
    option(&mut args, "platform", &platforms(ground, service, build, extra.push).await?);
    on(&mut args, "push", pushes_itself(build, extra.push));
    on(&mut args, "no-cache", build.no_cache || extra.no_cache);
    on(&mut args, "pull", build.pull || extra.pull);
    on(&mut args, "quiet", extra.quiet);
    on(&mut args, "force-rm", extra.force_rm);
    on(&mut args, "check", extra.check);
    args.extend(build.cache_to.iter().map(|place| format!("--cache-to={place}")));
    args.extend(build.no_cache_filter.iter().map(|stage| format!("--no-cache-filter={stage}")));
    args.extend(entitlements(build).into_iter().map(|right| format!("--allow={right}")));
    for (flag, (asked, written)) in ["provenance", "sbom"]
        .into_iter()
        .zip(extra.attestations.iter().zip([&build.provenance, &build.sbom]))
    {
        option(&mut args, flag, if asked.is_empty() { written } else { asked });
    }
    let has = |flag: &str| image::build::BUILD.flags.iter().flat_map(|t| t.iter()).any(|f| f.long == flag);
    if has("build-context") {
        for (name, place) in contexts(ground, build) {
            args.push(format!("--build-context={name}={place}"));
        }
    } else if let Some(context) = build.additional_contexts.keys().next() {
        return Err(told(Failure::text(1, format!("additional context {context:?} needs BuildKit"))));
    }
    // Held until the build is done: it reads them by their paths.
    let _held = secrets(ground, service, has("secret"), &mut args).map_err(told)?;
    if has("ssh") {
        let keys = build.ssh.iter().map(|key| match key.path.as_str() {
            "" => format!("--ssh={}", key.id),
            path => format!("--ssh={}={path}", key.id),
        });
        args.extend(keys);
        option(&mut args, "ssh", &extra.ssh);
    }
    // Written beside nothing of the user's, and gone when the build is.
    let mut inline = None;
    if !build.dockerfile_inline.is_empty() {
        let file =
            std::env::temp_dir().join(format!("gantry-compose-{}-{}", std::process::id(), service.name));
        std::fs::write(&file, &build.dockerfile_inline)?;
        option(&mut args, "file", &file.to_string_lossy());
        inline = Some(file);
    } else if !build.dockerfile.is_empty() && !is_remote(&build.context) {
        let file = PathBuf::from(&build.context).join(&build.dockerfile);
        option(&mut args, "file", &file.to_string_lossy());
    } else {
        option(&mut args, "file", &build.dockerfile);
    }
    args.push("--".into());
    args.push(build.context.clone());
    let done = delegate(ground.s, &image::build::BUILD, args).await;
    if let Some(file) = inline {
        // What stays behind in the folder for such files does no harm.
        let _ = std::fs::remove_file(file);
    }
    done.map_err(told)
}

/// Whether the build itself brings its images to their registry: what is for several platforms is an index there, and
/// nothing that an engine keeps.
fn pushes_itself(build: &Build, push: bool) -> bool {
    push && build.platforms.len() > 1
}

/// What the build is for: all its platforms where it goes to a registry; else the one that containers are to have here.
async fn platforms(
    ground: &Ground<'_>,
    service: &Service,
    build: &Build,
    push: bool,
) -> Result<String, Failure> {
    match build.platforms.as_slice() {
        [] => return Ok(service.platform.clone()),
        [one] => return Ok(one.clone()),
        all if pushes_itself(build, push) => return Ok(all.join(",")),
        _ => {}
    }
    let asked = ground.project.environment.get("DOCKER_DEFAULT_PLATFORM").filter(|text| !text.is_empty());
    let here = match (service.platform.as_str(), asked) {
        ("", Some(asked)) => asked.clone(),
        ("", None) => {
            let engine = ground.client.server_version().await?;
            let text = |key: &str| engine[key].as_str().unwrap_or_default();
            format!("{}/{}", text("Os"), text("Arch"))
        }
        (own, _) => own.to_owned(),
    };
    let normal = |text: &str| Platform::parse(text);
    let fits = |one: &&String| matches!((normal(one), normal(&here)), (Ok(one), Ok(here)) if one == here);
    let chosen = build.platforms.iter().find(fits).unwrap_or(&build.platforms[0]);
    let others: Vec<&str> = build.platforms.iter().filter(|one| *one != chosen).map(String::as_str).collect();
    ground.progress().warn(&format!(
        "service {:?}: an engine keeps an image of one platform, {chosen}; `build --push` brings those of {} to a registry as well",
        service.name,
        others.join(", ")
    ));
    Ok(chosen.clone())
}

/// Further contexts; another service's image is one by its name.
fn contexts(ground: &Ground<'_>, build: &Build) -> Vec<(String, String)> {
    let place = |place: &String| {
        let base = place.strip_prefix(OF_SERVICE).and_then(|name| ground.project.service(name));
        base.map_or_else(
            || place.clone(),
            |base| format!("docker-image://{}", names::image(&ground.project.name, base, ground.separator())),
        )
    };
    build.additional_contexts.iter().map(|(name, written)| (name.clone(), place(written))).collect()
}

/// What the build may do; `privileged` is the older word for one of them.
fn entitlements(build: &Build) -> Vec<String> {
    let mut all = build.entitlements.clone();
    if build.privileged && !all.iter().any(|right| right == "security.insecure") {
        all.push("security.insecure".to_owned());
    }
    all
}

/// Adds the secrets. One that is a variable of the project and not of this process goes by a file in memory.
fn secrets(
    ground: &Ground<'_>,
    service: &Service,
    can: bool,
    args: &mut Vec<String>,
) -> Result<Vec<File>, Failure> {
    let mut held = Vec::new();
    for grant in service.build.iter().flat_map(|b| &b.secrets) {
        let Some(secret) = ground.project.secrets.get(&grant.source) else { continue };
        if !can {
            return Err(format!("build secret {:?} needs BuildKit", grant.source).into());
        }
        let id = if grant.target.is_empty() { &grant.source } else { &grant.target };
        let text = match &secret.source {
            Source::File(path) => {
                args.push(format!("--secret=id={id},src={path}"));
                continue;
            }
            Source::Environment { name, value: None } => {
                return Err(format!(
                    "environment variable {name:?} required by build secret {id:?} is not set"
                )
                .into());
            }
            Source::Environment { value: Some(text), .. } | Source::Content(text) => text,
            Source::Unsaid | Source::External => {
                return Err(
                    format!("build secret {:?} is neither a file nor a variable", grant.source).into()
                );
            }
        };
        let mut file = File::from(memfd_create("secret", MemfdFlags::CLOEXEC).map_err(std::io::Error::from)?);
        file.write_all(text.as_bytes())?;
        args.push(format!("--secret=id={id},src=/proc/self/fd/{}", file.as_raw_fd()));
        held.push(file);
    }
    Ok(held)
}

fn is_remote(context: &str) -> bool {
    ["http://", "https://", "git://", "git@", "ssh://", "github.com/"].iter().any(|p| context.starts_with(p))
}
