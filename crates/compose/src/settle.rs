//! What somebody else is doing to a project at this moment: a command that Ctrl-C ended leaves requests under way in
//! the engine, and a container that is being stopped looks like one that runs.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_client::{ClientError, Query};
use serde_json::{Value, json};

use crate::containers::Container;
use crate::labels;
use crate::progress::Event;
use crate::scene::Scene;

/// What an engine waits between asking a container to end and ending it, where the service says nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the end itself may take beyond that.
const MARGIN: Duration = Duration::from_secs(2);

/// The longest that the engine may take to tell what happened. An engine whose clock is behind ours waits until it is
/// not; then nothing is known.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Signals that ask a process for something else than its end: HUP, USR1, USR2, CONT, STOP, TSTP.
const NOT_THE_END: [&str; 6] = ["1", "10", "12", "18", "19", "20"];

/// A container that was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    /// When, since 1970.
    at: Duration,
    /// Whether it did.
    ended: bool,
}

/// Waits until no container that looks as if it ran is about to end because somebody stops it. Answers whether there was
/// one: then what was looked at is not so any more.
pub(crate) async fn stops(scene: &Scene<'_>, containers: &[Container]) -> Result<bool, ClientError> {
    let mut changed = false;
    if !containers.iter().any(Container::is_running) {
        return Ok(changed);
    }
    // A stop that began before has run out of patience: it is not under way any more.
    let begin = now().saturating_sub(containers.iter().map(|c| patience(scene, c)).max().unwrap_or_default());
    let mut shown: Vec<&Container> = Vec::new();
    loop {
        let told = told(scene, begin).await?;
        let is_ending = |container: &&Container| {
            let told = told.get(&container.id).filter(|told| container.is_running() && !told.ended);
            told.is_some_and(|told| told.at.saturating_add(patience(scene, container)) > now())
        };
        changed |= containers.iter().any(|container| {
            container.is_running() && told.get(&container.id).is_some_and(|told| told.ended)
        });
        let ending: Vec<&Container> = containers.iter().filter(is_ending).collect();
        for container in shown.iter().filter(|container| !ending.contains(container)) {
            scene.progress.tell(Event::done(container.title(), "Stopped"));
        }
        for container in ending.iter().filter(|container| !shown.contains(container)) {
            scene.progress.tell(Event::working(container.title(), "Stopping"));
        }
        shown = ending;
        if shown.is_empty() {
            return Ok(changed);
        }
        changed = true;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether one of these containers was told to end since then, and was not started again.
pub(crate) async fn stopped_since(
    scene: &Scene<'_>,
    containers: &[Container],
    begin: Duration,
) -> Result<bool, ClientError> {
    let told = told(scene, begin).await?;
    Ok(containers.iter().any(|container| told.get(&container.id).is_some_and(|told| told.at >= begin)))
}

/// How long a stop of this container may be under way.
fn patience(scene: &Scene<'_>, container: &Container) -> Duration {
    let asked = scene.project.service(&container.service).and_then(|service| service.stop_grace_period);
    asked.map_or(PATIENCE, |patience| Duration::from_nanos(patience.0.unsigned_abs())).saturating_add(MARGIN)
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The containers, by id, that were told to end since `begin`, a time since 1970, and were not started since.
async fn told(scene: &Scene<'_>, begin: Duration) -> Result<BTreeMap<String, Told>, ClientError> {
    let wanted = json!({
        "type": ["container"],
        "event": ["kill", "die", "start"],
        "label": [format!("{}={}", labels::PROJECT, scene.project.name)],
    });
    let query = Query::new()
        .with("since", stamp(begin))
        .with("until", stamp(now()))
        .with("filters", wanted.to_string());
    let events = async {
        let mut stream = scene.client.events(query).await?;
        let mut told = BTreeMap::new();
        while let Some(event) = stream.next().await? {
            note(&mut told, &event);
        }
        Ok(told)
    };
    tokio::time::timeout(TOLD_WITHIN, events).await.unwrap_or_else(|_| Ok(BTreeMap::new()))
}

/// As the engine takes a time.
fn stamp(at: Duration) -> String {
    format!("{}.{:09}", at.as_secs(), at.subsec_nanos())
}

fn note(told: &mut BTreeMap<String, Told>, event: &Value) {
    let id = event["Actor"]["ID"].as_str().unwrap_or_default();
    let signal = event["Actor"]["Attributes"]["signal"].as_str().unwrap_or_default();
    match event["Action"].as_str() {
        Some("kill") if !NOT_THE_END.contains(&signal) => {
            let at = Duration::from_nanos(event["timeNano"].as_u64().unwrap_or(0));
            // The first signal counts: a second one is the same stop out of patience.
            told.entry(id.to_owned()).or_insert(Told { at, ended: false });
        }
        Some("die") => {
            if let Some(told) = told.get_mut(id) {
                told.ended = true;
            }
        }
        Some("start") => drop(told.remove(id)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str, signal: &str, at: u64) -> Value {
        json!({"Action": action, "Actor": {"ID": "a", "Attributes": {"signal": signal}}, "timeNano": at})
    }

    #[test]
    fn a_stop_is_over_when_the_container_died_and_forgotten_when_it_starts() {
        let mut told = BTreeMap::new();
        note(&mut told, &event("kill", "1", 1));
        assert!(told.is_empty(), "to read its configuration again is no end");
        note(&mut told, &event("kill", "15", 2));
        note(&mut told, &event("kill", "9", 3));
        assert_eq!(told["a"], Told { at: Duration::from_nanos(2), ended: false });
        note(&mut told, &event("die", "", 4));
        assert!(told["a"].ended);
        note(&mut told, &event("start", "", 5));
        assert!(told.is_empty());
    }
}
