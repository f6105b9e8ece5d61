//! What has to be known of images before containers are made of them.

use futures_util::future::join_all;
use gantry_client::{Client, ClientError, Query};
use gantry_compose_file::project::Project;

use crate::names::{self, Separator};
use crate::scene::{ImageFacts, Images};

/// The images of services, by name, that a project needs.
pub fn names(project: &Project, separator: Separator) -> Vec<String> {
    let mut all: Vec<String> =
        project.services.values().map(|s| names::image(&project.name, s, separator)).collect();
    all.sort();
    all.dedup();
    all
}

/// What has to be known of these images; those that are not there are left out.
pub async fn facts(client: &Client, names: &[String]) -> Result<Images, ClientError> {
    let asked = join_all(names.iter().map(|name| client.image_inspect(name, Query::new()))).await;
    let mut all = Images::new();
    for (name, answer) in names.iter().zip(asked) {
        let image = match answer {
            Ok(image) => image,
            Err(err) if err.is_not_found() => continue,
            Err(err) => return Err(err),
        };
        let volumes = image["Config"]["Volumes"].as_object();
        let facts = ImageFacts {
            id: image["Id"].as_str().unwrap_or_default().to_owned(),
            volumes: volumes.map(|v| v.keys().cloned().collect()).unwrap_or_default(),
            healthcheck: !image["Config"]["Healthcheck"].is_null(),
        };
        all.insert(name.clone(), facts);
    }
    Ok(all)
}
