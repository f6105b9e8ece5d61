//! Images that are here: listed, looked at, named, removed.

use crate::call::Call;
use crate::convert::image as wire;
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::image::{GraphDriver, ImagesPruned};
use gantry_api::oci;
use gantry_errdefs::Class;
use gantry_names::{Platform, Reference};

routes! {
    GET "/images/json" => list,
    POST "/images/prune" => prune,
    GET "/images/{}/json" => inspect,
    GET "/images/{}/history" => history,
    GET "/images/{}/attestations" => attestations,
    POST "/images/{}/tag" => tag,
    DELETE "/images/{}" => remove,
}

/// A platform of the wire as the engine knows it.
pub(super) fn platform(platform: oci::Platform) -> Platform {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Platform {
        os: platform.os,
        architecture: platform.architecture,
        variant: some(platform.variant),
        os_version: some(platform.os_version),
        os_features: platform.os_features,
    }
}

/// `repo` and `tag` as a reference; `latest` when there is no tag.
pub(super) fn repo_tag(repo: &str, tag: &str) -> Result<Option<Reference>, Failure> {
    if repo.is_empty() {
        return Ok(None);
    }
    let invalid = |e: &dyn std::fmt::Display| Failure::invalid(e.to_string());
    let reference = Reference::parse(repo).map_err(|e| invalid(&e))?;
    if reference.digest().is_some() {
        return Err(Failure::invalid("cannot import digest reference"));
    }
    match tag {
        "" => Ok(Some(reference.or_latest())),
        tag => reference.with_tag(tag).map(Some).map_err(|e| invalid(&e)),
    }
}

async fn list(call: Call) -> Answer {
    let mut filters = call.query.filters()?;
    let old = call.query.get("filter");
    if call.version.before(41) && !old.is_empty() {
        filters.add("reference", old);
    }
    let shared = call.version.since(42) && call.query.flag("shared-size");
    let images = call.app.engine.image_list(call.query.flag("all"), shared, filters.0).await?;
    let line = |(image, containers): &(_, i64)| wire::summary(image, *containers, call.version);
    reply::ok(&images.iter().map(line).collect::<Vec<_>>())
}

async fn inspect(call: Call) -> Answer {
    let manifests = call.version.since(48) && call.query.flag("manifests");
    let wanted = if call.version.since(49) { call.query.platform_json("platform")? } else { None };
    if manifests && wanted.is_some() {
        return Err(Failure::invalid(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let (image, data, driver) = call.app.engine.image_inspect(&call.name, wanted.map(platform)).await?;
    let driver = GraphDriver { data: Some(data), name: driver };
    reply::ok(&wire::inspect(&image, driver, call.version)?)
}

async fn history(call: Call) -> Answer {
    let steps = call.app.engine.image_history(&call.name).await?;
    reply::ok(&steps.iter().map(wire::history).collect::<Vec<_>>())
}

/// An image whose attestations are not kept has none.
async fn attestations(call: Call) -> Answer {
    call.app.engine.image_inspect(&call.name, None).await?;
    reply::ok(&serde_json::json!([]))
}

async fn tag(call: Call) -> Answer {
    let (repo, tag) = (call.query.get("repo"), call.query.get("tag"));
    let Some(target) = repo_tag(repo, tag)? else {
        return Err(Failure::invalid("invalid reference format"));
    };
    if target.familiar_name() == "sha256" {
        return Err(Failure::invalid("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    call.app.engine.image_tag(&call.name, &target).await?;
    Ok(reply::status(http::StatusCode::CREATED))
}

async fn remove(call: Call) -> Answer {
    if call.name.trim().is_empty() {
        return Err(Failure::new(Class::InvalidArgument, "image name cannot be blank"));
    }
    let q = &call.query;
    let removed = call.app.engine.image_remove(&call.name, q.flag("force"), q.flag("noprune")).await?;
    reply::ok(&removed.iter().map(wire::removed).collect::<Vec<_>>())
}

async fn prune(call: Call) -> Answer {
    let pruned = call.app.engine.image_prune(call.query.filters()?.0).await?;
    let deleted: Vec<_> = pruned.removed.iter().map(wire::removed).collect();
    reply::ok(&ImagesPruned {
        images_deleted: Some(deleted).filter(|list| !list.is_empty()),
        space_reclaimed: pruned.reclaimed,
    })
}
