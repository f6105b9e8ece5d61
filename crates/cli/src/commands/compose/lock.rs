//! `compose lock`: records what each image is, so that `up --locked` uses that and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use gantry_client::Query;
use gantry_compose_file::project::Project;
use gantry_names::Reference;
use serde_json::{Value, json};

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[switch("upgrade", "Ask the registries even for images that are here")];

pub static LOCK: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Record the digests of images for up --locked",
    examples: &[("--upgrade", "The newest digests; up --locked takes them")],
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

/// The file beside the project's first.
const NAME: &str = "compose.lock";

fn path(project: &Project) -> PathBuf {
    Path::new(&project.working_dir).join(NAME)
}

async fn run(s: &Session, m: &Matches) -> Outcome {
    let ground = Ground::load(s, m, "Locking", &m.words)?;
    let mut locked = read(&ground.project)?.unwrap_or_default();
    for service in ground.project.services.values().filter(|s| !s.image.is_empty() && s.build.is_none()) {
        let pinned = digest(&ground, &service.image, m.on("upgrade")).await;
        let pinned = pinned.map_err(|why| Failure::text(1, format!("service {:?}: {why}", service.name)))?;
        print::line(&format!("{}: {pinned}", service.image));
        locked.insert(service.image.clone(), pinned);
    }
    let text = serde_json::to_string_pretty(&json!({"images": locked})).map_err(io::Error::other)?;
    let path = path(&ground.project);
    let beside = path.with_extension("lock.new");
    fs::write(&beside, format!("{text}\n"))?;
    Ok(fs::rename(&beside, &path)?)
}

/// The image with its digest: the one it was pulled by, or what the registry says.
async fn digest(ground: &Ground<'_>, image: &str, upgrade: bool) -> Result<String, Failure> {
    let reference = Reference::parse(image).map_err(|e| Failure::text(1, e.to_string()))?;
    if reference.digest().is_some() {
        return Ok(image.to_owned());
    }
    let name = reference.familiar_name().to_string();
    if !upgrade {
        match ground.client.image_inspect(image, Query::new()).await {
            Ok(local) => {
                let digests = local["RepoDigests"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let own =
                    digests.filter_map(|d| d.split_once('@')).find(|(repository, _)| *repository == name);
                if let Some((_, digest)) = own {
                    return Ok(format!("{name}@{digest}"));
                }
                // Made here and never pushed: its id is all that there is.
                return Ok(local["Id"].as_str().unwrap_or_default().to_owned());
            }
            Err(err) if err.is_not_found() => {}
            Err(err) => return Err(err.into()),
        }
    }
    let tagged = reference.or_latest();
    let auth = ground.s.registry_auth(&tagged.to_string());
    let found = ground.client.distribution_inspect(&tagged.to_string(), Some(auth)).await?;
    Ok(format!("{name}@{}", found["Descriptor"]["digest"].as_str().unwrap_or_default()))
}

fn read(project: &Project) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let path = path(project);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err.into()),
    };
    let wrong = |why: String| Failure::text(1, format!("{}: {why}", path.display()));
    let value: Value = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    let images = value["images"].as_object().ok_or_else(|| wrong("it has no images".into()))?;
    Ok(Some(images.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()))
}

/// Puts the recorded images in the place of the names.
pub fn apply(project: &mut Project) -> Outcome {
    let Some(locked) = read(project)? else {
        return Err(Failure::text(
            1,
            format!("there is no {}: run compose lock first", path(project).display()),
        ));
    };
    for service in project.services.values_mut().filter(|s| !s.image.is_empty() && s.build.is_none()) {
        match locked.get(&service.image) {
            Some(pinned) => service.image.clone_from(pinned),
            None => {
                let told = format!(
                    "service {:?}: image {} is not in {NAME}: run compose lock",
                    service.name, service.image
                );
                return Err(Failure::text(1, told));
            }
        }
    }
    Ok(())
}
