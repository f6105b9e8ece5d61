//! `compose top`.

use gantry_compose::Container;
use serde_json::Value;

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::format::aligned;
use crate::print;
use crate::session::Session;
use crate::work;

pub static TOP: Command = Command {
    usage: "[SERVICES...]",
    short: "Display the running processes",
    flags: &[DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Running", &m.words).await?;
    let mut header = vec!["SERVICE".to_owned(), "#".to_owned()];
    let mut rows: Vec<Vec<(String, String)>> = Vec::new();
    let wanted = |c: &&Container| c.is_running() && (m.words.is_empty() || m.words.contains(&c.service));
    for container in observed.containers.iter().filter(wanted) {
        let top = ground.client.container_top(&container.id, "").await?;
        let texts = |value: &Value| -> Vec<String> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .map(|v| v.as_str().unwrap_or_default().to_owned())
                .collect()
        };
        let titles = texts(&top["Titles"]);
        for title in &titles {
            if !header.contains(title) {
                header.push(title.clone());
            }
        }
        for process in top["Processes"].as_array().into_iter().flatten() {
            let mut row = vec![
                ("SERVICE".to_owned(), container.service.clone()),
                ("#".to_owned(), container.number.to_string()),
            ];
            row.extend(titles.iter().cloned().zip(texts(process)));
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    // The command is the last column, whatever its engine says first.
    if let Some(at) = header.iter().position(|title| title == "CMD") {
        let last = header.remove(at);
        header.push(last);
    }
    let mut text = header.join("\t");
    for row in rows {
        let cells: Vec<&str> = header
            .iter()
            .map(|title| row.iter().find(|(t, _)| t == title).map_or("-", |(_, value)| value.as_str()))
            .collect();
        text.push('\n');
        text.push_str(&cells.join("\t"));
    }
    print::line(&aligned(&text, 4, 2));
    Ok(())
}
