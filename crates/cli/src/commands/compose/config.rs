//! `compose config`: the project as it is understood.

use futures_util::future::try_join_all;
use gantry_compose::names;
use gantry_compose_file::load::{self, Skip};
use gantry_compose_file::project::Project;
use gantry_compose_file::render::{self, Form};
use gantry_compose_file::{hash, variables};
use gantry_names::Reference;

use super::DRY_RUN;
use super::files::Reach;
use super::ground::{compatible, request};
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::format::aligned;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("environment", "Print the environment that variables are taken from"),
    text("format", "yaml or json"),
    text("hash", "Print the hash of services: names with commas between, or *"),
    switch("images", "Print the names of images"),
    switch("lock-image-digests", "Print a file that pins the images to their digests"),
    switch("models", "Print the names of models"),
    switch("networks", "Print the names of networks"),
    switch("no-consistency", "Do not check that all that is named is there"),
    switch("no-env-resolution", "Do not read services' env files"),
    switch("no-interpolate", "Do not put variables in"),
    switch("no-normalize", "Do not bring values into their one form"),
    switch("no-path-resolution", "Do not make paths absolute"),
    text("output", "File to write to").short('o'),
    switch("profiles", "Print the names of profiles"),
    switch("quiet", "Only check").short('q'),
    switch("resolve-image-digests", "Pin images to their digests"),
    switch("services", "Print the names of services"),
    switch("variables", "Print the variables and their defaults"),
    switch("volumes", "Print the names of volumes"),
];

pub static CONFIG: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Parse, resolve and render compose file in canonical format",
    examples: &[("--services", "What there is"), ("-q", "Only whether the file is right")],
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let skip = Skip {
        interpolation: m.on("no-interpolate"),
        normalization: m.on("no-normalize") || compatible(s),
        path_resolution: m.on("no-path-resolution"),
        consistency: m.on("no-consistency"),
        env_resolution: m.on("no-env-resolution"),
    };
    let mut asked = request(s, &m.words)?;
    asked.skip = skip;
    asked.keep_label_files = false;
    let told = |problems: load::Problems| Failure::text(1, problems.to_string());
    let form = match m.text("format") {
        "" | "yaml" => Form::Yaml,
        "json" => Form::Json,
        other => return Err(Failure::text(1, format!("unsupported format {other:?}"))),
    };
    if m.on("variables") || (m.on("no-interpolate") && !lists(m)) {
        asked.skip.interpolation = true;
        let model = load::load_model(&asked, &Reach::new(s)).map_err(told)?;
        if m.on("variables") {
            return show_variables(&model);
        }
        return write(m, &render::model(&model, form));
    }
    let mut project = load::load(&asked, &Reach::new(s)).map_err(told)?;
    for warning in &project.warnings {
        gantry_compose::progress::Progress::warn(&gantry_compose::progress::Quiet, warning);
    }
    project.enable(&m.words);
    project.select(&m.words).map_err(|why| Failure::text(1, why))?;
    if lists(m) {
        return list(s, m, &project);
    }
    if !s.compose().on("all-resources") {
        project.drop_unused();
    }
    if m.on("resolve-image-digests") || m.on("lock-image-digests") {
        pin(s, &mut project).await?;
    }
    if m.on("lock-image-digests") {
        return write(m, &render::images_only(&project, form));
    }
    write(m, &render::project(&project, form))
}

fn write(m: &Matches, text: &str) -> Outcome {
    if m.on("quiet") {
        return Ok(());
    }
    match m.text("output") {
        "" => print::out(text),
        path => std::fs::write(path, text)?,
    }
    Ok(())
}

/// Whether names are asked for, not the project.
fn lists(m: &Matches) -> bool {
    let names = ["services", "volumes", "networks", "models", "profiles", "images", "environment"];
    names.iter().any(|name| m.on(name)) || m.changed("hash")
}

fn list(s: &Session, m: &Matches, project: &Project) -> Outcome {
    let lines: Vec<String> = match () {
        () if m.on("services") => project.services.keys().cloned().collect(),
        () if m.on("volumes") => project.volumes.keys().cloned().collect(),
        () if m.on("networks") => project.networks.keys().cloned().collect(),
        () if m.on("models") => project.models.keys().cloned().collect(),
        () if m.changed("hash") => {
            let wanted: Vec<&str> = m.text("hash").split(',').collect();
            let chosen = |name: &str| wanted == ["*"] || wanted.contains(&name);
            if let Some(missing) = wanted.iter().find(|w| **w != "*" && project.service(w).is_none()) {
                return Err(format!("no such service: {missing}").into());
            }
            let services = project.services.values().filter(|service| chosen(&service.name));
            services.map(|service| format!("{} {}", service.name, hash::service(service))).collect()
        }
        () if m.on("profiles") => {
            let all = project.services.values().chain(project.disabled.values());
            let mut names: Vec<String> = all.flat_map(|service| service.profiles.clone()).collect();
            names.sort();
            names.dedup();
            names
        }
        () if m.on("images") => {
            let separator = match compatible(s) {
                true => names::Separator::Underscore,
                false => names::Separator::Hyphen,
            };
            project.services.values().map(|service| names::image(&project.name, service, separator)).collect()
        }
        () => project.environment.iter().map(|(name, value)| format!("{name}={value}")).collect(),
    };
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    write(m, &text)
}

fn show_variables(model: &load::Model) -> Outcome {
    let mut text = "NAME\tREQUIRED\tDEFAULT VALUE\tALTERNATE VALUE".to_owned();
    for variable in variables::of(&model.tree).values() {
        text.push_str(&format!(
            "\n{}\t{}\t{}\t{}",
            variable.name, variable.required, variable.default, variable.alternate
        ));
    }
    print::line(&aligned(&text, 20, 1));
    Ok(())
}

/// Asks the registries for the digests of all images.
pub(super) async fn pin(s: &Session, project: &mut Project) -> Outcome {
    let client = s.client()?;
    let wanted = project.services.values().filter(|service| !service.image.is_empty());
    let pinned = try_join_all(wanted.map(|service| async move {
        let reference = Reference::parse(&service.image).map_err(|e| Failure::text(1, e.to_string()))?;
        if reference.digest().is_some() {
            return Ok::<_, Failure>((service.name.clone(), service.image.clone()));
        }
        let tagged = reference.or_latest();
        let auth = s.registry_auth(&tagged.to_string());
        let found = client.distribution_inspect(&tagged.to_string(), Some(auth)).await;
        let found =
            found.map_err(|why| Failure::text(1, format!("failed to resolve digest for {tagged}: {why}")))?;
        let digest = found["Descriptor"]["digest"].as_str().unwrap_or_default();
        Ok((service.name.clone(), format!("{}@{digest}", service.image)))
    }))
    .await?;
    for (name, image) in pinned {
        if let Some(service) = project.services.get_mut(&name) {
            service.image = image;
        }
    }
    Ok(())
}
