//! A container for one command: `run`.

use gantry_compose_file::project::{Project, Service};

use crate::act::create_one;
use crate::containers::Container;
use crate::convert::Making;
use crate::failed::Failed;
use crate::names::Separator;
use crate::scene::{ImageFacts, Scene};
use crate::{grants, hash, hooks, labels, references, start};

/// Since this version an engine takes several networks at a container's creation.
const ALL_NETWORKS: &str = "1.44";

/// What `run` adds to its service.
#[derive(Debug, Clone, Default)]
pub struct OneOff {
    /// Its name; empty: one is made.
    pub name: String,
    /// What is unique in it.
    pub slug: String,
    /// Whether it goes away when it ends.
    pub auto_remove: bool,
    /// Whether our input will go to it.
    pub attach_stdin: bool,
    /// Whether others find it under the service's name.
    pub aliases: bool,
}

/// The name of a container of `run`.
pub fn name(project: &Project, service: &str, slug: &str, separator: Separator) -> String {
    let s = separator.as_str();
    format!("{}{s}{service}{s}run{s}{}", project.name, &slug[..slug.len().min(12)])
}

/// Waits for what the service depends on, makes the container and gives it its secrets. Answers its id.
pub async fn create(
    scene: &Scene<'_>,
    service: &Service,
    image: &ImageFacts,
    one_off: &OneOff,
    containers: &[Container],
    wait: bool,
) -> Result<String, Failed> {
    if wait {
        start::dependencies(scene, containers, service).await?;
    }
    let mut service = service.clone();
    if one_off.name.is_empty() {
        service.container_name = name(scene.project, &service.name, &one_off.slug, scene.separator);
    } else {
        service.container_name.clone_from(&one_off.name);
    }
    service.restart.clear();
    if let Some(deploy) = &mut service.deploy {
        deploy.restart_policy = None;
    }
    let of = |name: &str| -> Vec<&Container> {
        containers.iter().filter(|c| c.service == name && !c.is_one_off()).collect()
    };
    let resolved = references::resolve(&service, |name| of(name).first().map(|c| c.id.clone()))?;
    let links =
        crate::act::links(scene, &service, 1, |name| of(name).iter().map(|c| c.name.clone()).collect());
    let making = Making {
        project: scene.project,
        service: &resolved,
        number: None,
        separator: scene.separator,
        image_id: &image.id,
        hash: &hash::service(&resolved),
        labels: vec![(labels::ONE_OFF, "True".to_owned()), (labels::SLUG, one_off.slug.clone())],
        attach_stdin: one_off.attach_stdin,
        auto_remove: one_off.auto_remove,
        aliases: one_off.aliases,
        links: &links,
        kept: &[],
        proxies: scene.proxies,
        local: scene.local,
        all_networks: scene.client.speaks(ALL_NETWORKS).await?,
    };
    let id = create_one(scene, &making, &service.container_name).await?;
    grants::copy(scene, &service, &id).await?;
    Ok(id)
}

/// How often and after which pause it is looked whether a container whose hook failed has ended.
const LOOKS: u32 = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Runs the service's `post_start` in a container that has started. A command may be done before its hooks are.
pub async fn started(scene: &Scene<'_>, service: &Service, id: &str) -> Result<(), Failed> {
    let Err(failure) = hooks::post_start(scene, service, id, &service.name).await else { return Ok(()) };
    // An engine may hear of the end of a process a moment after the process is no more.
    for _ in 0..LOOKS {
        let runs =
            scene.client.container_inspect(id, false).await.is_ok_and(|c| c["State"]["Running"] == true);
        if !runs {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(failure)
}
