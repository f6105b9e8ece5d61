//! `compose publish`: the project's files as an artifact in a registry, to be named `oci://...` elsewhere.

mod leaks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gantry_compose::labels::SPOKEN;
use gantry_compose::progress::Event;
use gantry_compose_file::given::{self, Kind, Named};
use gantry_compose_file::load;
use gantry_compose_file::project::Project;
use gantry_compose_file::render::{self, Form};
use gantry_distribution::folder::Folder;
use gantry_distribution::manifest::Manifest;
use gantry_distribution::sink::Blobs;
use gantry_distribution::{Push, Registry, RegistryError, Settings};
use gantry_names::{Digest, Reference};

use super::far::{self, ENV_FILE, ENV_NAME, EXTENDS, FILE, Layer, VERSION, YAML_FILE};
use super::files::Reach;
use super::ground::{Ground, request};
use super::{DRY_RUN, config, push};
use crate::command::{Arity, COMMAND, Command};
use crate::commands::manifest;
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, list, switch, text};
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("app", "Publish the images that services use, too"),
    list("insecure-registry", "Registries without TLS").hidden(),
    text("oci-version", "The artifact's form: 1.0 or 1.1; what the registry takes where nothing is said"),
    switch("resolve-image-digests", "Pin images to their digests"),
    switch("with-env", "Give environment variables away, too"),
    switch("yes", "Say yes to every question").short('y'),
];

pub static PUBLISH: Command = Command {
    usage: "[OPTIONS] REPOSITORY[:TAG]",
    short: "Publish compose application",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::Exactly(1),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let mut asked = request(s, &[])?;
    // What an `env_file` says is given away as a file or not at all.
    asked.skip.env_resolution = true;
    let reach = Reach::new(s);
    let mut project =
        load::load(&asked, &reach).map_err(|problems| Failure::text(1, problems.to_string()))?;
    let others = std::mem::take(&mut project.disabled);
    project.services.extend(others);
    let named = Reference::parse(m.word(0)).map_err(|why| Failure::text(1, why.to_string()))?.or_latest();
    if !matches!(m.text("oci-version"), "" | "1.0" | "1.1") {
        return Err(Failure::text(1, format!("unsupported OCI version: {}", m.text("oci-version"))));
    }
    let files = Files::read(&project)?;
    if !leaks::are_meant(&project, &files.texts(), m).await? {
        return Ok(());
    }
    let ground = Ground::of(s, m, "Publishing", project)?;
    // The files tell which images; that these are there is for whoever uses them.
    for service in ground.project.services.values().filter(|service| service.build.is_some()) {
        if let Err(why) = push::image(&ground, &service.image, true).await {
            ground.progress().warn(&format!("service {:?}: {why}", service.name));
        }
    }
    let mut layers = files.layers(m.on("with-env"))?;
    if m.on("resolve-image-digests") {
        let mut pinned = ground.project.clone();
        config::pin(s, &mut pinned).await?;
        let text = render::images_only(&pinned, Form::Yaml);
        layers.push(yaml("image-digests.yaml", text, false));
    }
    let what = m.word(0).to_owned();
    ground.progress().tell(Event::working(&what, "publishing"));
    if !ground.dry_run()
        && let Err(failure) = publish(s, m, &ground.project, &named, &layers).await
    {
        ground.progress().tell(Event::error(&what, "publishing"));
        return Err(failure);
    }
    ground.progress().tell(Event::done(&what, "published"));
    Ok(())
}

/// The project's compose files and all that they name on this machine.
struct Files {
    /// Name of the layer, whether it is extended, text.
    compose: Vec<(String, bool, String)>,
    /// Name of the layer by path.
    env_files: BTreeMap<String, String>,
}

impl Files {
    fn read(project: &Project) -> Result<Files, Failure> {
        let mut files = Files { compose: Vec::new(), env_files: BTreeMap::new() };
        let mut seen: BTreeSet<String> = project.files.iter().cloned().collect();
        let own = project.files.iter().map(|file| (file.clone(), base(file), false));
        let mut left: Vec<(String, String, bool)> = own.rev().collect();
        while let Some((path, name, extended)) = left.pop() {
            if path == "-" {
                return Err("a file from standard input cannot be published: give it a name".into());
            }
            let text = std::fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
            let named = given::names(&path, &text, &project.environment).map_err(|why| why.to_string())?;
            let mut renamed: Vec<(Named, String)> = Vec::new();
            for one in named.into_iter().filter(|one| !one.is_far()) {
                let ending = match one.kind {
                    Kind::Include => return Err("cannot publish compose file with local includes".into()),
                    Kind::EnvFile => "env",
                    Kind::Extends => "yaml",
                };
                let new = format!("{}.{ending}", Digest::sha256_of(one.path.as_bytes()).hex());
                if one.kind == Kind::EnvFile {
                    files.env_files.insert(one.path.clone(), new.clone());
                } else if seen.insert(one.path.clone()) {
                    left.insert(0, (one.path.clone(), new.clone(), true));
                }
                renamed.push((one, new));
            }
            let text = given::renamed(&text, &renamed).map_err(|why| why.to_string())?;
            files.compose.push((name, extended, text));
        }
        Ok(files)
    }

    /// All that is given away as text, by where it is from.
    fn texts(&self) -> Vec<(String, String)> {
        let compose = self.compose.iter().map(|(name, _, text)| (name.clone(), text.clone()));
        let env = self
            .env_files
            .keys()
            .filter_map(|path| Some((path.clone(), std::fs::read_to_string(path).ok()?)));
        compose.chain(env).collect()
    }

    fn layers(&self, with_env: bool) -> Result<Vec<Layer>, Failure> {
        let compose = self.compose.iter().map(|(name, extended, text)| yaml(name, text.clone(), *extended));
        let mut layers: Vec<Layer> = compose.collect();
        for (path, name) in self.env_files.iter().filter(|_| with_env) {
            let bytes = match std::fs::read(path) {
                Ok(bytes) => bytes,
                // One that is not required need not be there.
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => continue,
                Err(why) => return Err(format!("{path}: {why}").into()),
            };
            let annotations = annotations(&[(ENV_NAME, name)]);
            layers.push(Layer { kind: ENV_FILE, annotations, bytes });
        }
        Ok(layers)
    }
}

fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn annotations(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = more.iter().chain(&[(VERSION, SPOKEN)]);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn yaml(name: &str, text: String, extended: bool) -> Layer {
    let mut annotations = annotations(&[(FILE, name)]);
    if extended {
        annotations.insert(EXTENDS.to_owned(), "true".to_owned());
    }
    Layer { kind: YAML_FILE, annotations, bytes: text.into_bytes() }
}

/// Sends the artifact, and after it the images.
async fn publish(s: &Session, m: &Matches, project: &Project, to: &Reference, layers: &[Layer]) -> Outcome {
    let sent = match m.text("oci-version") {
        "" => match send(s, m, to, layers, false).await? {
            // A registry from before artifact types.
            Err(why)
                if why.status().is_some_and(|status| matches!(status.as_u16(), 400 | 404 | 405 | 415)) =>
            {
                send(s, m, to, layers, true).await?
            }
            sent => sent,
        },
        version => send(s, m, to, layers, version == "1.0").await?,
    };
    let manifest = sent.map_err(|why| Failure::text(1, why.to_string()))?;
    if !m.on("app") {
        return Ok(());
    }
    let mut images = Vec::new();
    for service in project.services.values() {
        let image = Reference::parse(&service.image).map_err(|why| Failure::text(1, why.to_string()))?;
        images.push(image.or_latest());
    }
    images.sort_by_key(ToString::to_string);
    images.dedup();
    let insecure = m.all("insecure-registry");
    manifest::publish_images(s, insecure, to, &manifest.descriptor(), &images, (VERSION, SPOKEN)).await
}

async fn send(
    s: &Session,
    m: &Matches,
    to: &Reference,
    layers: &[Layer],
    old: bool,
) -> Result<Result<Manifest, RegistryError>, Failure> {
    let created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (manifest, config) = far::manifest(layers, old, &created)?;
    let folder = tempfile::tempdir()?;
    let blobs = Arc::new(Folder::new(folder.path()));
    for bytes in layers.iter().map(|layer| &layer.bytes).chain([&config, &manifest.bytes]) {
        let digest = Digest::sha256_of(bytes);
        if blobs.has(&digest, bytes.len() as u64)? {
            continue;
        }
        let mut ingest = blobs.ingest(&digest, bytes.len() as u64)?;
        ingest.write(bytes)?;
        ingest.commit(&digest, bytes.len() as u64)?;
    }
    let registry = Registry::new(Settings { insecure: m.all("insecure-registry"), ..Settings::default() });
    let push = Push {
        reference: to,
        credentials: &manifest::credentials(s, to)?,
        blobs,
        observer: Arc::new(|_| {}),
        sources: &|_| Vec::new(),
        label: &Digest::clone,
        sent: Default::default(),
    };
    Ok(registry.push(&push, &manifest.digest).await.map(|_| manifest))
}
