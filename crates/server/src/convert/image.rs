//! Images on the wire.

use crate::failure::Failure;
use crate::timestamp::rfc3339_nano;
use gantry_api::image::{
    GraphDriver, HistoryEntry, ImageConfig, ImageDeleted, ImageInspect, ImageMetadata, ImageSummary, RootFs,
};
use gantry_api::version::ApiVersion;
use gantry_api::{Empty, ZERO_TIME};
use gantry_images::{HistoryItem, Image, Removed, RunConfig, Summary};
use serde_json::{Value, json};

/// One line of the list. `containers` is how many use it.
pub(crate) fn summary(image: &Summary, containers: i64, version: ApiVersion) -> ImageSummary {
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    let nameless = image.repo_tags.is_empty() && image.repo_digests.is_empty();
    // Before 1.43 an image without a name had one all the same.
    let none = nameless && version.before(43);
    ImageSummary {
        containers: if version.before(51) { -1 } else { containers },
        created: image.created,
        id: image.id.to_string(),
        labels: image.labels.clone(),
        parent_id: image.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        repo_tags: Some(if none { vec!["<none>:<none>".into()] } else { image.repo_tags.clone() }),
        repo_digests: Some(if none { vec!["<none>@<none>".into()] } else { image.repo_digests.clone() }),
        shared_size: image.shared_size.map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX)),
        size,
        virtual_size: if version.before(44) { size } else { 0 },
        ..Default::default()
    }
}

/// Inspect, with the keys that its version prints even when they are empty.
pub(crate) fn inspect(image: &Image, driver: GraphDriver, version: ApiVersion) -> Result<Value, Failure> {
    let document = &image.config;
    let size = i64::try_from(image.size()).unwrap_or(i64::MAX);
    let created = match (&document.created, document.created()) {
        (_, Some(moment)) => rfc3339_nano(moment),
        (None, None) if version.before(44) => ZERO_TIME.into(),
        (text, None) => text.clone().unwrap_or_default(),
    };
    let old = version.before(45);
    // Old clients read the field without asking whether it is there.
    let container_config =
        old.then(|| container_config(&document.container_config.clone().unwrap_or_default()));
    let inspect = ImageInspect {
        id: image.id.to_string(),
        repo_tags: Some(image.repo_tags()),
        repo_digests: Some(image.repo_digests()),
        parent: image.record.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        comment: image.comment().to_owned(),
        created,
        container: if old { document.container.clone() } else { String::new() },
        container_config,
        docker_version: document.docker_version.clone(),
        author: document.author.clone(),
        architecture: document.architecture.clone(),
        variant: document.variant.clone().unwrap_or_default(),
        os: document.os.clone(),
        os_version: document.os_version.clone().unwrap_or_default(),
        size,
        virtual_size: if version.before(44) { size } else { 0 },
        graph_driver: driver,
        root_fs: RootFs {
            r#type: "layers".into(),
            layers: document.diff_ids().iter().map(ToString::to_string).collect(),
        },
        metadata: ImageMetadata {
            last_tag_time: image.last_tagged().map_or_else(|| ZERO_TIME.into(), rfc3339_nano),
        },
        descriptor: None,
        manifests: Vec::new(),
        config: None,
    };
    let mut value = serde_json::to_value(inspect).map_err(|e| Failure::internal(e.to_string()))?;
    let own = document.config.as_ref().map(image_config).unwrap_or_default();
    value["Config"] = with_empty_keys(&own, version)?;
    Ok(value)
}

/// Docker merges two maps here, so the keys come out sorted.
fn with_empty_keys(config: &ImageConfig, version: ApiVersion) -> Result<Value, Failure> {
    let mut keys = json!({
        "Cmd": null, "Entrypoint": null, "Env": null, "Labels": null,
        "OnBuild": null, "User": "", "Volumes": null, "WorkingDir": "",
    });
    if version.before(50) {
        for key in ["AttachStderr", "AttachStdin", "AttachStdout", "OpenStdin", "StdinOnce", "Tty"] {
            keys[key] = json!(false);
        }
        for key in ["Domainname", "Hostname", "Image"] {
            keys[key] = json!("");
        }
    }
    let own = serde_json::to_value(config).map_err(|e| Failure::internal(e.to_string()))?;
    if let (Some(keys), Value::Object(own)) = (keys.as_object_mut(), own) {
        keys.extend(own);
        keys.sort_keys();
    }
    Ok(keys)
}

fn image_config(run: &RunConfig) -> ImageConfig {
    let places = |map: &std::collections::BTreeMap<String, Value>| {
        map.keys().map(|key| (key.clone(), Empty {})).collect()
    };
    ImageConfig {
        user: run.user.clone(),
        exposed_ports: places(&run.exposed_ports),
        env: run.env.clone().unwrap_or_default(),
        entrypoint: run.entrypoint.clone().unwrap_or_default(),
        cmd: run.cmd.clone().unwrap_or_default(),
        volumes: run.volumes.as_ref().map(places).unwrap_or_default(),
        working_dir: run.working_dir.clone(),
        labels: run.labels.clone().unwrap_or_default(),
        stop_signal: run.stop_signal.clone(),
        args_escaped: run.args_escaped,
        healthcheck: run.healthcheck.as_ref().map(|check| gantry_api::container::Healthcheck {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        on_build: run.on_build.clone().unwrap_or_default(),
        shell: run.shell.clone().unwrap_or_default(),
    }
}

/// The configuration an old builder's container had. Both sides have Docker's keys.
fn container_config(run: &RunConfig) -> gantry_api::container::Config {
    serde_json::to_value(run).ok().and_then(|v| gantry_api::decode_value(v).ok()).unwrap_or_default()
}

/// One line of the history.
pub(crate) fn history(item: &HistoryItem) -> HistoryEntry {
    HistoryEntry {
        comment: item.comment.clone(),
        created: item.created,
        created_by: item.created_by.clone(),
        id: item.id.clone(),
        size: i64::try_from(item.size).unwrap_or(i64::MAX),
        tags: Some(item.tags.clone()).filter(|tags| !tags.is_empty()),
    }
}

/// One line of a removal.
pub(crate) fn removed(what: &Removed) -> ImageDeleted {
    match what {
        Removed::Untagged(name) => ImageDeleted { untagged: name.clone(), ..Default::default() },
        Removed::Deleted(id) | Removed::Layer(id) => {
            ImageDeleted { deleted: id.clone(), ..Default::default() }
        }
    }
}
