//! `commit`: a container's changes become an image.

use gantry_errdefs::Class;
use gantry_images::{Healthcheck, RunConfig, parse_changes};
use gantry_names::{ImageId, Reference};
use gantry_shim_client::{Shim, ShimError};

use crate::admission::Verb;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::record::State;
use crate::spec::ContainerSpec;

/// What to make.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitRequest {
    /// The container.
    pub container: String,
    /// The name it gets.
    pub reference: Option<Reference>,
    /// Freeze the container meanwhile.
    pub pause: bool,
    /// `-a`.
    pub author: String,
    /// `-m`.
    pub comment: String,
    /// `-c`, Dockerfile instructions.
    pub changes: Vec<String>,
    /// How containers of it run; `None` as the container itself.
    pub config: Option<ContainerSpec>,
}

impl Engine {
    /// Makes an image of a container.
    pub async fn commit(&self, request: CommitRequest) -> Result<ImageId> {
        let container = self.find(&request.container)?;
        let gate = container.enter().await?;
        let record = container.admit(Verb::Commit)?;
        self.snapshots_of(&record)?;
        let mut config = run_config(&record.spec);
        if let Some(asked) = &request.config {
            // What is asked for, and the container's own where nothing is.
            let mut asked = asked.clone();
            crate::merge::merge(&mut asked, &config)?;
            config = run_config(&asked);
        }
        let texts: Vec<&str> = request.changes.iter().map(String::as_str).collect();
        let changes = parse_changes(&texts, &config).map_err(|err| Error::Invalid(err.to_string()))?;
        config.apply(&changes);
        let frozen = match (&record.state, request.pause) {
            (State::Running(_), true) => freeze(container.shim()).await?,
            _ => None,
        };
        let images = self.inner.images.clone();
        let asked = gantry_images::CommitRequest {
            snapshot: record.id.to_string(),
            parent: Some(record.image.clone()),
            container: record.id.to_string(),
            config,
            created_by: crate::bundle::arguments(&record.spec, false).join(" "),
            author: request.author.clone(),
            comment: request.comment.clone(),
            reference: request.reference.clone(),
        };
        let made = blocking(move || images.commit(&asked)).await;
        // It is thawed whatever became of the commit.
        if let Some(shim) = &frozen {
            shim.resume().await.or_else(ended)?;
        }
        drop(gate);
        let id = made?;
        let name =
            request.reference.as_ref().map(|reference| reference.or_latest().familiar()).unwrap_or_default();
        let more = [("comment", request.comment), ("imageID", id.to_string()), ("imageRef", name.clone())];
        self.image_event(id.as_ref(), "create", id.as_ref());
        if request.reference.is_some() {
            self.image_event(id.as_ref(), "tag", &name);
        }
        self.container_event(&record, "commit", &more);
        Ok(id)
    }
}

/// Freezes a running container; `None` where there is nothing to freeze (any more).
async fn freeze(shim: Option<Shim>) -> Result<Option<Shim>> {
    let Some(shim) = shim else { return Ok(None) };
    match shim.pause().await {
        Ok(()) => Ok(Some(shim)),
        Err(err) => ended(err).map(|()| None),
    }
}

/// What has ended a moment ago, and its cgroup with it, stands still for good.
fn ended(err: ShimError) -> Result<()> {
    match err {
        ShimError::Failed(failure) if matches!(failure.class, Class::Conflict | Class::NotFound) => Ok(()),
        other => Err(other.into()),
    }
}

/// The part of a spec that an image keeps.
fn run_config(spec: &ContainerSpec) -> RunConfig {
    let empty = || serde_json::json!({});
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    RunConfig {
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        user: spec.user.clone(),
        attach_stdin: spec.attach_stdin,
        attach_stdout: spec.attach_stdout,
        attach_stderr: spec.attach_stderr,
        exposed_ports: spec.exposed_ports.iter().map(|port| (port.to_string(), empty())).collect(),
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        env: some(&spec.env),
        cmd: spec.command.clone(),
        healthcheck: spec.healthcheck.as_ref().map(|health| Healthcheck {
            test: health.test.clone(),
            interval: health.interval_ns,
            timeout: health.timeout_ns,
            start_period: health.start_period_ns,
            start_interval: health.start_interval_ns,
            retries: health.retries,
        }),
        image: spec.image.clone(),
        volumes: (!spec.volumes.is_empty())
            .then(|| spec.volumes.iter().map(|place| (place.clone(), empty())).collect()),
        working_dir: spec.working_dir.clone(),
        entrypoint: spec.entrypoint.clone(),
        on_build: some(&spec.on_build),
        labels: (!spec.labels.is_empty()).then(|| spec.labels.clone()),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_timeout,
        shell: spec.shell.clone(),
        ..RunConfig::default()
    }
}
