//! One state enum becomes Docker's overlapping booleans, and the words of `ps`.

use crate::timestamp::{human, rfc3339_nano};
use gantry_api::ZERO_TIME;
use gantry_api::container::{Health, HealthResult, State};
use gantry_engine::record::{self, ContainerRecord, HealthStatus};
use jiff::Timestamp;

/// `State` of inspect.
pub(crate) fn state(record: &ContainerRecord) -> State {
    let s = &record.state;
    let started = s.process().map(|p| p.started_at).or(s.exit().map(|e| e.started_at));
    let finished = s.exit().map(|e| e.finished_at);
    let time = |moment: Option<Timestamp>| moment.map_or_else(|| ZERO_TIME.into(), rfc3339_nano);
    let restarting = matches!(s, record::State::Restarting { .. });
    State {
        status: s.status().into(),
        // A container between two runs counts as running, and so does a paused one.
        running: s.is_alive() || restarting,
        paused: matches!(s, record::State::Paused(_)),
        restarting,
        oom_killed: s.exit().is_some_and(|e| e.oom_killed),
        dead: matches!(s, record::State::Dead { .. }),
        pid: s.process().map_or(0, |p| p.pid.into()),
        exit_code: s.exit_code().into(),
        error: s.failure().map(|f| f.error.clone()).unwrap_or_default(),
        started_at: time(started),
        finished_at: time(finished),
        health: record.health.as_ref().map(health),
    }
}

fn health(health: &record::Health) -> Health {
    Health {
        status: health.status.as_str().into(),
        failing_streak: health.failing_streak.into(),
        log: Some(
            health
                .log
                .iter()
                .map(|probe| HealthResult {
                    start: rfc3339_nano(probe.start),
                    end: rfc3339_nano(probe.end),
                    exit_code: probe.exit_code.into(),
                    output: probe.output.clone(),
                })
                .collect(),
        ),
    }
}

/// `Status` of the list, for people: `Up 3 minutes (healthy)`.
pub(crate) fn status(record: &ContainerRecord, now: Timestamp) -> String {
    let since = |moment: Timestamp| human(now.as_second() - moment.as_second());
    match &record.state {
        record::State::Running(process) => {
            let up = since(process.started_at);
            match record.health.as_ref().map(|h| h.status) {
                None => format!("Up {up}"),
                Some(HealthStatus::Starting) => format!("Up {up} (health: starting)"),
                Some(status) => format!("Up {up} ({})", status.as_str()),
            }
        }
        record::State::Paused(process) => format!("Up {} (Paused)", since(process.started_at)),
        record::State::Restarting { exit } => {
            format!("Restarting ({}) {} ago", exit.code, since(exit.finished_at))
        }
        record::State::Creating | record::State::Created { .. } => "Created".into(),
        record::State::Exited { exit, .. } => {
            format!("Exited ({}) {} ago", record.state.exit_code(), since(exit.finished_at))
        }
        record::State::Removing { .. } => "Removal In Progress".into(),
        record::State::Dead { .. } => "Dead".into(),
    }
}
