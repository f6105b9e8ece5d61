//! `compose events`.

use gantry_client::Query;
use gantry_compose::{labels, monitor};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Matches, switch, text};
use crate::parse::time;
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    switch("json", "A JSON object each"),
    text("since", "From this time on"),
    text("until", "Up to this time"),
];

pub static EVENTS: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "Receive real time events from containers",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let ground = Ground::load(s, m, "Running", &[])?;
    let now = Timestamp::now();
    let query = Query::new()
        .with("filters", monitor::filter(&ground.project.name))
        .with_some("since", time::to_query(m.text("since"), now)?)
        .with_some("until", time::to_query(m.text("until"), now)?);
    let mut stream = ground.client.events(query).await?;
    while let Some(event) = stream.next().await? {
        let none = Map::new();
        let attributes = event["Actor"]["Attributes"].as_object().unwrap_or(&none);
        let service = attributes.get(labels::SERVICE).and_then(Value::as_str).unwrap_or_default();
        if !m.words.is_empty() && !m.words.iter().any(|w| w == service) {
            continue;
        }
        let kept: Map<String, Value> = attributes
            .iter()
            .filter(|(name, _)| !name.starts_with("com.docker.compose."))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let nanos = event["timeNano"].as_i64().unwrap_or(0);
        let at = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(now);
        let (id, action) = (&event["Actor"]["ID"], &event["Action"]);
        if m.on("json") {
            let told = json!({
                "action": action, "attributes": kept, "id": id, "service": service,
                "time": format!("{at:.9}"), "type": "container",
            });
            print::line(&told.to_string());
        } else {
            let pairs: Vec<String> =
                kept.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
            let local = at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.6f");
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            print::line(&format!("{local} container {} {} ({})", text(action), text(id), pairs.join(", ")));
        }
    }
    Ok(())
}
