//! `events`.

use gantry_client::Query;
use gantry_template::{Datum, MissingKey, Template};
use jiff::Timestamp;
use serde_json::Value;

use crate::command::{COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Kind, Matches, flag, text};
use crate::parse::{filters, time};
use crate::print;
use crate::session::Session;
use crate::terminal;
use crate::work;

static FLAGS: &[Flag] = &[
    flag("filter", Kind::Filter, "Only what fits").short('f'),
    text("format", "Format of the output: 'json' or a Go template"),
    text("since", "From this time on, or this long ago"),
    text("until", "Up to this time"),
];

pub static EVENTS: Command = Command {
    usage: "[OPTIONS]",
    short: "Get real time events from the server",
    examples: &[
        ("--since 1h --until 0s --filter type=container", "The last hour, and no waiting"),
        ("--format '{{.Type}} {{.Action}} {{.Actor.ID}}'", "Columns of your choice"),
    ],
    aliases: &["system events", "events"],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let template = match m.text("format") {
        "" => None,
        "json" => Some("{{json .}}"),
        given => Some(given),
    };
    let template = match template {
        Some(text) => Some(
            Template::parse(text)
                .map_err(|e| Failure::text(64, format!("Error parsing format: {e}")))?
                .missing_key(MissingKey::NoValue),
        ),
        None => None,
    };
    let now = Timestamp::now();
    let query = Query::new()
        .with_some("since", time::to_query(m.text("since"), now)?)
        .with_some("until", time::to_query(m.text("until"), now)?)
        .with_some("filters", filters::encode(&m.all("filter")));
    let mut stream = s.client()?.events(query).await?;
    while let Some(mut event) = stream.next().await? {
        match &template {
            Some(template) => {
                name_plainly(&mut event, template);
                let text =
                    template.execute(&Datum::Json(event)).map_err(|e| Failure::text(1, e.to_string()))?;
                print::line(&text);
            }
            None => print::line(&terminal::to_stdout(&sentence(&event))),
        }
    }
    Ok(())
}

/// The words that the API writes small have a large letter in templates.
fn name_plainly(event: &mut Value, template: &Template) {
    for (name, key) in [("ID", "id"), ("From", "from"), ("Status", "status"), ("Scope", "scope")] {
        if template.mentions(name) {
            event[name] = event[key].as_str().unwrap_or_default().into();
        }
    }
}

/// `<time> container start <id> (image=busybox, name=x)`.
fn sentence(event: &Value) -> String {
    let nano = event["timeNano"].as_i64().unwrap_or(0);
    let at = match nano {
        0 => Timestamp::from_second(event["time"].as_i64().unwrap_or(0)).ok(),
        nano => Timestamp::from_nanosecond(i128::from(nano)).ok(),
    };
    let mut out = at.map(|at| time::rfc3339_nano(at, true)).unwrap_or_default();
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let actor = &event["Actor"];
    out.push_str(&format!(" {} {} {}", word(&event["Type"]), word(&event["Action"]), word(&actor["ID"])));
    if let Some(attributes) = actor["Attributes"].as_object().filter(|a| !a.is_empty()) {
        let mut pairs: Vec<String> = attributes.iter().map(|(k, v)| format!("{k}={}", word(v))).collect();
        pairs.sort();
        out.push_str(&format!(" ({})", pairs.join(", ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{name_plainly, sentence};
    use gantry_template::{Datum, Template};

    #[test]
    fn an_event_is_a_sentence() {
        let event = json!({"Type": "container", "Action": "start", "timeNano": 1_500_000_000i64,
            "Actor": {"ID": "abc", "Attributes": {"name": "x", "image": "busybox"}}});
        assert!(sentence(&event).ends_with(" container start abc (image=busybox, name=x)"));
        assert!(sentence(&event).contains("01.500000000"));
    }

    #[test]
    fn a_template_has_the_words_that_the_api_writes_small() {
        let mut event = json!({"id": "abc", "from": "busybox", "status": "start", "scope": "local"});
        let template = Template::parse("{{.ID}} {{.From}} {{.Status}} {{.Scope}}").unwrap();
        name_plainly(&mut event, &template);
        assert_eq!(template.execute(&Datum::Json(event)).unwrap(), "abc busybox start local");
    }
}
