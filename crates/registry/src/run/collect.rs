//! What the registry does by itself from time to time: retention, collection, purging of dead uploads. And the
//! command that asks for a collection now.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::storage::Place;
use super::{Collect, RunError, control};
use crate::config::{Config, ConfigError, units};
use crate::pattern::Pattern;
use crate::server::Server;
use crate::store::blocking;
use crate::store::collect::{Options, Report};
use crate::store::retain::Rule;

/// Between collections when nobody says.
const INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// What stays when nobody says: longer than a push takes between its first blob and its manifest.
const GRACE: Duration = Duration::from_secs(3600);

/// What a cache holds stays so long when nobody says: Docker's registry's week.
const TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// The settings of upkeep.
pub(super) struct Upkeep {
    interval: Option<Duration>,
    options: Options,
    retention: Vec<(Pattern, Rule)>,
    upload_age: Option<Duration>,
}

impl Upkeep {
    pub(super) fn from(config: &Config) -> Result<Self, ConfigError> {
        let collect = &config.gantry.collect;
        let interval = collect.interval.map_or(INTERVAL, |period| period.0);
        let retention = config.gantry.retention.iter().map(|rule| {
            let pattern = |text: &Option<String>| text.as_deref().map(Pattern::new).unwrap_or_default();
            let about = Rule {
                tags: pattern(&rule.tags),
                keep_last: rule.keeplast,
                older_than: rule.olderthan.map(|period| period.0),
            };
            (pattern(&rule.repositories), about)
        });
        let mut retention: Vec<(Pattern, Rule)> = retention.collect();
        let mut grace = collect.grace.map_or(GRACE, |period| period.0);
        let mut delete_untagged = collect.deleteuntagged;
        // What a cache holds grows old by itself: it can be had again.
        let ttl = config.proxy.as_ref().map(|proxy| proxy.ttl.map_or(TTL, |period| period.0));
        if let Some(ttl) = ttl.filter(|ttl| !ttl.is_zero()) {
            let old = Rule { keep_last: 0, older_than: Some(ttl), ..Rule::default() };
            retention.push((Pattern::default(), old));
            grace = grace.max(ttl);
            delete_untagged = true;
        }
        Ok(Self {
            interval: (!interval.is_zero()).then_some(interval),
            options: Options { grace, delete_untagged, dry_run: false },
            retention,
            upload_age: config.upload_age()?,
        })
    }
}

/// Upkeep, again and again.
pub(super) async fn drive(server: Arc<Server>, upkeep: Upkeep, mut stop: watch::Receiver<bool>) {
    let Some(interval) = upkeep.interval else { return };
    let upkeep = Arc::new(upkeep);
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let (server, upkeep) = (Arc::clone(&server), Arc::clone(&upkeep));
        if let Err(err) = blocking(move || once(&server, &upkeep)).await {
            tracing::error!(error = %err, "upkeep failed, it is tried again next time");
        }
    }
}

fn once(server: &Server, upkeep: &Upkeep) -> std::io::Result<()> {
    for (names, rule) in &upkeep.retention {
        for name in server.store.repositories(None, usize::MAX) {
            if names.matches(name.as_str()) {
                for tag in server.store.retain(&name, rule)? {
                    tracing::info!(repository = %name, tag = %tag, "a tag went by its retention rule");
                }
            }
        }
    }
    if let Some(age) = upkeep.upload_age {
        server.uploads.purge(age)?;
    }
    collect(server, upkeep.options)?;
    Ok(())
}

/// One collection in a running server.
pub(super) fn collect(server: &Server, options: Options) -> std::io::Result<Report> {
    let report = server.store.collect(options)?;
    server.metrics.collected(&report);
    tracing::info!(?report, dry_run = options.dry_run, "collected");
    Ok(report)
}

/// `garbage-collect`: through the running registry, or, when none runs, by ourselves.
pub(super) async fn run(arguments: Collect) -> Result<Report, RunError> {
    let grace = units::period(&arguments.grace).map_err(ConfigError::Value)?;
    let options = Options { grace, delete_untagged: arguments.delete_untagged, dry_run: arguments.dry_run };
    let place = match arguments.root {
        Some(root) => Place::Local(root),
        None => Place::of(&Config::load(arguments.config.as_deref())?)?,
    };
    match tokio::task::block_in_place(|| alone(&place, options)) {
        Err(RunError::InUse(_)) => control::ask(&place.private(), options).await,
        done => done,
    }
}

fn alone(place: &Place, options: Options) -> Result<Report, RunError> {
    let opened = place.open(true)?;
    opened.store.collect_alone(options).map_err(RunError::io("collect"))
}
