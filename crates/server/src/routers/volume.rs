//! Volumes.

use crate::call::Call;
use crate::convert::volume as wire;
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::volume::{VolumeCreate, VolumeList, VolumesPruned};
use gantry_errdefs::Class;

routes! {
    GET "/volumes" => list,
    POST "/volumes/create" => create,
    POST "/volumes/prune" => prune,
    GET "/volumes/{}" => inspect,
    PUT "/volumes/{}" => update,
    DELETE "/volumes/{}" => remove,
}

async fn list(call: Call) -> Answer {
    let filters = call.query.filters().map_err(|e| e.context("error reading volume filters"))?;
    let volumes = call.app.engine.volume_list(filters.0).await?;
    let volumes = volumes.iter().map(|(volume, data)| wire::volume(volume, data, None)).collect();
    reply::ok(&VolumeList { volumes: Some(volumes), warnings: None })
}

async fn create(call: Call) -> Answer {
    let app = call.app.clone();
    let cluster = call.version.since(42);
    let body: VolumeCreate = call.json_or_default().await?;
    if cluster && body.cluster_volume_spec.is_some() {
        return Err(no_cluster(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
        ));
    }
    let (volume, data) = app.engine.volume_create(wire::request(body)).await?;
    reply::created(&wire::volume(&volume, &data, None))
}

async fn inspect(call: Call) -> Answer {
    let (volume, data) = call.app.engine.volume_inspect(&call.name).await?;
    reply::ok(&wire::volume(&volume, &data, None))
}

fn no_cluster(text: &str) -> Failure {
    Failure::new(Class::Unavailable, text)
}

/// Only cluster volumes can be updated, in Docker too.
async fn update(_: Call) -> Answer {
    Err(no_cluster("volume update only valid for cluster volumes, but swarm is unavailable"))
}

async fn remove(call: Call) -> Answer {
    call.app.engine.volume_remove(&call.name, call.query.flag("force")).await?;
    reply::no_content()
}

async fn prune(call: Call) -> Answer {
    let mut filters = call.query.filters()?;
    if call.version.before(42) {
        // Named volumes were pruned as well then.
        filters.add("all", "true");
    }
    let pruned = call.app.engine.volume_prune(filters.0).await?;
    reply::ok(&VolumesPruned { volumes_deleted: pruned.deleted, space_reclaimed: pruned.reclaimed })
}
