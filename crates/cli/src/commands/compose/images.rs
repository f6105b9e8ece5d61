//! `compose images`.

use futures_util::future::try_join_all;
use gantry_client::Query;
use gantry_compose::Container;
use gantry_names::Reference;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::DRY_RUN;
use super::ground::Ground;
use crate::command::{Arity, COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::format::{aligned, short_id};
use crate::parse::{size, time};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] =
    &[text("format", "table or json").default("table"), switch("quiet", "Only ids").short('q')];

pub static IMAGES: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    short: "List images used by the created containers",
    flags: &[FLAGS, DRY_RUN],
    arity: Arity::AtLeast(0),
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let (ground, observed) = Ground::find(s, m, "Running", &m.words).await?;
    let wanted = |c: &&Container| m.words.is_empty() || m.words.contains(&c.service);
    let containers: Vec<&Container> = observed.containers.iter().filter(wanted).collect();
    let client = ground.client;
    let images = try_join_all(containers.iter().map(|container| async move {
        let id = container.summary["ImageID"].as_str().unwrap_or_default();
        client.image_inspect(id, Query::new()).await
    }))
    .await?;
    if m.on("quiet") {
        let mut seen: Vec<&str> = Vec::new();
        for image in &images {
            let id = text_of(image, "Id").trim_start_matches("sha256:");
            if !seen.contains(&id) {
                seen.push(id);
                print::line(id);
            }
        }
        return Ok(());
    }
    let rows = containers.iter().zip(&images).map(|(c, image)| Row::of(c, image));
    match m.text("format") {
        "json" => print::line(&json!(rows.map(|r| r.json()).collect::<Vec<_>>()).to_string()),
        "table" | "" => {
            let mut text = "CONTAINER\tREPOSITORY\tTAG\tPLATFORM\tIMAGE ID\tSIZE\tCREATED".to_owned();
            for row in rows {
                text.push_str(&format!("\n{}", row.line()));
            }
            print::line(&aligned(&text, 20, 3));
        }
        other => return Err(Failure::text(1, format!("format value {other:?} could not be parsed"))),
    }
    Ok(())
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

struct Row {
    container: String,
    repository: String,
    tag: String,
    platform: String,
    id: String,
    size: i64,
    tagged: String,
}

impl Row {
    fn of(container: &Container, image: &Value) -> Row {
        // The name that the container was made with, where the image still has it.
        let asked = Reference::parse(text_of(&container.summary, "Image")).ok().map(|r| r.or_latest());
        let tags = image["RepoTags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let tags: Vec<Reference> = tags.filter_map(|t| Reference::parse(t).ok()).collect();
        let named = tags.iter().find(|t| asked.as_ref() == Some(t)).or(tags.first());
        let variant = text_of(image, "Variant");
        let slash = if variant.is_empty() { "" } else { "/" };
        let tagged = match text_of(&image["Metadata"], "LastTagTime") {
            "" | "0001-01-01T00:00:00Z" => text_of(image, "Created"),
            time => time,
        };
        Row {
            container: container.name.clone(),
            repository: named.map(|n| n.familiar_name().to_string()).unwrap_or_default(),
            tag: named.and_then(|n| n.tag().map(str::to_owned)).unwrap_or_default(),
            platform: format!("{}/{}{slash}{variant}", text_of(image, "Os"), text_of(image, "Architecture")),
            id: text_of(image, "Id").to_owned(),
            size: image["Size"].as_i64().unwrap_or(0),
            tagged: tagged.to_owned(),
        }
    }

    fn json(self) -> Value {
        json!({
            "ID": self.id, "ContainerName": self.container, "Repository": self.repository, "Tag": self.tag,
            "Platform": self.platform, "Size": self.size, "LastTagTime": self.tagged,
        })
    }

    fn line(&self) -> String {
        let or_none = |text: &str| if text.is_empty() { "<none>".to_owned() } else { text.to_owned() };
        let at = self.tagged.parse::<Timestamp>().map_or(0, |t| t.as_second());
        [
            self.container.clone(),
            or_none(&self.repository),
            or_none(&self.tag),
            self.platform.clone(),
            short_id(&self.id),
            size::human_precise(self.size as f64, 3),
            time::ago(at),
        ]
        .join("\t")
    }
}
