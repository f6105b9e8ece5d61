//! The merged log: each line with its container's name, in its colour.

mod attached;
mod printer;
mod stream;

pub use attached::{Attach, OnExit, attached};
pub use printer::Printer;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gantry_client::Query;

use crate::containers::Container;
use crate::failed::Failed;
use crate::monitor::{Change, Monitor};
use crate::scene::Scene;

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether to wait for more.
    pub follow: bool,
    /// How many of the end; empty: all.
    pub tail: String,
    /// From this time on.
    pub since: String,
    /// Up to this time.
    pub until: String,
    /// Whether the engine puts times before them.
    pub timestamps: bool,
}

impl Options {
    fn query(&self) -> Query {
        Query::new()
            .flag("stdout", true)
            .flag("stderr", true)
            .flag("follow", self.follow)
            .flag("timestamps", self.timestamps)
            .with_some("since", self.since.clone())
            .with_some("until", self.until.clone())
            .with("tail", if self.tail.is_empty() { "all" } else { &self.tail })
    }
}

/// Prints the logs of these containers, side by side; followed ones that start again are followed on.
pub async fn logs(
    scene: &Scene<'_>,
    containers: &[Container],
    options: &Options,
    printer: &Printer,
) -> Result<(), Failed> {
    for container in containers {
        printer.register(&container.short_name());
    }
    let mut streams = FuturesUnordered::new();
    let mut monitor = match options.follow {
        true => Some(Monitor::start(scene.client, &scene.project.name).await?),
        false => None,
    };
    let mut live: Vec<String> = Vec::new();
    for container in containers {
        live.push(container.id.clone());
        streams.push(one(scene, container.id.clone(), container.short_name(), options.clone(), printer));
    }
    loop {
        tokio::select! {
            done = streams.next(), if !streams.is_empty() => {
                if let Some(Err(failure)) = done {
                    return Err(failure);
                }
                if monitor.is_none() && streams.is_empty() {
                    return Ok(());
                }
            }
            change = next(&mut monitor) => match change? {
                Some(change) => {
                    if !live.contains(&change.id) && !scene.project.services.contains_key(&change.service) {
                        continue;
                    }
                    match change.what {
                        Change::Started => {
                            let more = Options { since: change.time.clone(), ..options.clone() };
                            streams.push(one(scene, change.id, change.name, more, printer));
                        }
                        Change::Died { code, restarting } => printer.exited(&change.name, code, restarting),
                        Change::Other => {}
                    }
                }
                None => monitor = None,
            },
            else => return Ok(()),
        }
        // What is followed is over when nothing of it runs any more.
        if streams.is_empty() && monitor.is_some() {
            let all = crate::observe::list_containers(scene.client, &scene.project.name, false).await?;
            if all.iter().all(|c| !live.contains(&c.id)) {
                return Ok(());
            }
        }
    }
}

async fn next(monitor: &mut Option<Monitor>) -> Result<Option<crate::monitor::News>, Failed> {
    match monitor {
        Some(monitor) => monitor.next().await,
        None => std::future::pending().await,
    }
}

async fn one(
    scene: &Scene<'_>,
    id: String,
    name: String,
    options: Options,
    printer: &Printer,
) -> Result<(), Failed> {
    let container = scene.client.container_inspect(&id, false).await?;
    let tty = container["Config"]["Tty"] == true;
    match scene.client.container_logs(&id, options.query()).await {
        Ok(bytes) => stream::print(bytes.into_reader(), tty, &name, printer, true).await,
        Err(err) if matches!(err.status(), Some(501)) => {
            scene.progress.warn(&format!("Can't retrieve logs for {name:?}: {err}"));
            Ok(())
        }
        Err(err) => Err(err.into()),
    }
}
