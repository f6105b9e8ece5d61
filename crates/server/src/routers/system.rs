//! The engine about itself: info, version, disk usage, events.

use crate::call::Call;
use crate::convert::{event, image, info as wire, list, volume};
use crate::failure::Failure;
use crate::machine;
use crate::reply::{self, Answer};
use crate::route::routes;
use crate::timestamp::unix;
use gantry_api::Strings;
use gantry_api::system::{ComponentVersion, DiskUsage, Version, VersionPlatform};
use gantry_api::volume::VolumeUsage;
use gantry_events::{Filters, Kind, Query};
use jiff::Timestamp;

routes! {
    GET "/info" => info,
    GET "/version" => version,
    GET "/system/df" => disk_usage,
    GET "/events" => events,
}

async fn info(call: Call) -> Answer {
    let mut engine = call.app.engine.info().await?;
    engine.experimental = call.app.experimental;
    reply::ok(&wire::info(engine, machine::look(), call.version)?)
}

async fn version(call: Call) -> Answer {
    let own = env!("CARGO_PKG_VERSION");
    let (api, oldest) = (call.app.newest.to_string(), call.app.oldest.to_string());
    let details = Strings::from([
        ("ApiVersion".into(), api.clone()),
        ("Arch".into(), machine::go_arch().into()),
        ("Experimental".into(), call.app.experimental.to_string()),
        ("KernelVersion".into(), machine::kernel()),
        ("MinAPIVersion".into(), oldest.clone()),
        ("Os".into(), "linux".into()),
    ]);
    reply::ok(&Version {
        platform: VersionPlatform { name: "Gantry".into() },
        components: vec![ComponentVersion { name: "Engine".into(), version: own.into(), details }],
        version: own.into(),
        api_version: api,
        min_api_version: oldest,
        git_commit: option_env!("GANTRY_COMMIT").unwrap_or("").into(),
        // A key that clients expect; there is no Go here.
        go_version: String::new(),
        os: "linux".into(),
        arch: machine::go_arch().into(),
        kernel_version: machine::kernel(),
        experimental: call.app.experimental,
        build_time: String::new(),
    })
}

async fn disk_usage(call: Call) -> Answer {
    let kinds = call.query.all("type");
    let all = kinds.is_empty() || call.version.before(42);
    if let Some(other) = kinds
        .iter()
        .find(|kind| !all && !matches!(kind.as_str(), "container" | "image" | "volume" | "build-cache"))
    {
        return Err(Failure::invalid(format!("unknown object type: {other}")));
    }
    let wants = |kind: &str| all || kinds.iter().any(|k| k == kind);
    let (containers, images, volumes) = (wants("container"), wants("image"), wants("volume"));
    let usage = call.app.engine.disk_usage(containers, images, volumes).await?;
    let built = match wants("build-cache") {
        true => Some(super::build::cache_lines(&call).await?),
        false => None,
    };
    let now = Timestamp::now();
    let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    reply::ok(&DiskUsage {
        layers_size: bytes(usage.layers_size),
        images: images.then(|| {
            usage.images.iter().map(|(i, n)| counted(image::summary(i, *n, call.version), *n)).collect()
        }),
        containers: containers
            .then(|| usage.containers.iter().map(|c| list::summary(c, now, call.version)).collect()),
        volumes: volumes.then(|| {
            let used = |count: i64, size: i64| Some(VolumeUsage { ref_count: count, size });
            usage
                .volumes
                .iter()
                .map(|(v, data, count, size)| volume::volume(v, data, used(*count, *size)))
                .collect()
        }),
        builder_size: built.iter().flatten().map(|line| line.size).sum(),
        build_cache: built,
    })
}

/// Disk usage always counts containers, whatever the list of that version did.
fn counted(mut image: gantry_api::image::ImageSummary, containers: i64) -> gantry_api::image::ImageSummary {
    image.containers = containers;
    image
}

async fn events(call: Call) -> Answer {
    let q = &call.query;
    let (since, until) = (unix(q.get("since"))?, unix(q.get("until"))?);
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        return Err(Failure::invalid(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            q.get("since"),
            q.get("until")
        )));
    }
    let mut filters = Filters::default();
    for (key, terms) in q.filters()?.0 {
        for term in terms {
            // Docker takes keys it does not know and finds nothing by them.
            if !filters.add(&key, &term) {
                tracing::debug!(key, "unknown event filter");
            }
        }
    }
    let nanos = |moment: Timestamp| i64::try_from(moment.as_nanosecond()).unwrap_or(i64::MAX);
    let query = Query { since_ns: since.map(nanos), until_ns: until.map(nanos), filters };
    let mut subscription = call.app.engine.events(query)?;
    // Image creations are told since 1.46.
    let old = call.version.before(46);
    let (sender, answer) = reply::stream("application/json");
    let ending = call.app.ending.clone();
    tokio::spawn(async move {
        loop {
            let happened = tokio::select! {
                biased;
                happened = subscription.next() => happened,
                () = sender.over(&ending) => return,
            };
            let Some(happened) = happened else { return };
            if old && happened.kind == Kind::Image && happened.action == "create" {
                continue;
            }
            let Ok(bytes) = reply::json_bytes(&event::message(happened)) else { return };
            if sender.send(bytes).await.is_err() {
                return;
            }
        }
    });
    Ok(answer)
}
