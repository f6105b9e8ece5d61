//! What the prunes share: the question, the filters, the lists of what is gone, the space won.

use gantry_client::Query;
use serde_json::{Map, Value};

use crate::failure::Outcome;
use crate::flags::Matches;
use crate::parse::{filters, size};
use crate::print;
use crate::session::Session;

/// One noun's prune.
pub struct Prune {
    /// The noun in the path.
    pub noun: &'static str,
    /// What is about to happen.
    pub warning: &'static str,
    /// The key of the list in the answer.
    pub list: &'static str,
    /// What stands above the list.
    pub title: &'static str,
}

impl Prune {
    /// Stopped containers.
    pub const CONTAINERS: Prune = Prune {
        noun: "containers",
        warning: "WARNING! This will remove all stopped containers.",
        list: "ContainersDeleted",
        title: "Deleted Containers:",
    };
    /// Dangling images.
    pub const IMAGES: Prune = Prune {
        noun: "images",
        warning: "WARNING! This will remove all dangling images.",
        list: "ImagesDeleted",
        title: "Deleted Images:",
    };
    /// All unused images.
    pub const ALL_IMAGES: Prune = Prune {
        warning: "WARNING! This will remove all images without at least one container associated to them.",
        ..Prune::IMAGES
    };
    /// Anonymous unused volumes.
    pub const VOLUMES: Prune = Prune {
        noun: "volumes",
        warning: "WARNING! This will remove anonymous local volumes not used by at least one container.",
        list: "VolumesDeleted",
        title: "Deleted Volumes:",
    };
    /// All unused volumes.
    pub const ALL_VOLUMES: Prune = Prune {
        warning: "WARNING! This will remove all local volumes not used by at least one container.",
        ..Prune::VOLUMES
    };
    /// Unused networks.
    pub const NETWORKS: Prune = Prune {
        noun: "networks",
        warning: "WARNING! This will remove all custom networks not used by at least one container.",
        list: "NetworksDeleted",
        title: "Deleted Networks:",
    };
    /// The build cache.
    pub const BUILD: Prune = Prune {
        noun: "build",
        warning: "WARNING! This will remove all dangling build cache.",
        list: "CachesDeleted",
        title: "Deleted build cache objects:",
    };
}

/// The filters of the flag and those that the person configured for every prune.
pub fn filters(s: &Session, m: &Matches) -> Map<String, Value> {
    let mut map = filters::to_map(&m.all("filter"));
    for filter in s.config().list("pruneFilters") {
        if let Some((name, value)) = filter.split_once('=') {
            filters::add(&mut map, name, value);
        }
    }
    map
}

/// Asks unless `--force`, prunes, shows. A no is no failure.
pub async fn ask_and_show(s: &Session, m: &Matches, prune: &Prune, filters: Map<String, Value>) -> Outcome {
    if !m.on("force") {
        let question = format!("{}\nAre you sure you want to continue?", prune.warning);
        if !print::confirm(&question) {
            return Ok(());
        }
    }
    let space = show(s, prune, query(&filters)).await?;
    if prune.noun != "networks" {
        print::line(&format!("Total reclaimed space: {}", size::human(space)));
    }
    Ok(())
}

/// The filters as a query.
pub fn query(filters: &Map<String, Value>) -> Query {
    Query::new().with_some("filters", filters::encode_map(filters))
}

/// Prunes and shows what is gone; answers the space won.
pub async fn show(s: &Session, prune: &Prune, query: Query) -> Result<f64, crate::failure::Failure> {
    let answer = s.client()?.prune(prune.noun, query).await?;
    let gone = answer[prune.list].as_array().cloned().unwrap_or_default();
    if !gone.is_empty() {
        print::line(prune.title);
        for item in &gone {
            match (item["Untagged"].as_str(), item["Deleted"].as_str()) {
                (Some(name), _) if !name.is_empty() => print::line(&format!("untagged: {name}")),
                (_, Some(id)) if !id.is_empty() => print::line(&format!("deleted: {id}")),
                _ => print::line(item.as_str().unwrap_or_default()),
            }
        }
        print::line("");
    }
    Ok(answer["SpaceReclaimed"].as_f64().unwrap_or(0.0))
}
