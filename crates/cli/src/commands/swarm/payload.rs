//! What `config` and `secret` share: small pieces of data that a cluster keeps for its services.

use base64::Engine as _;
use serde_json::{Value, json};

use super::objects;
use crate::failure::Outcome;
use crate::flags::Matches;
use crate::format::Fields;
use crate::parse::{duration, time};
use crate::print;
use crate::session::Session;

/// Which of the two.
pub struct Payload {
    /// The word in the engine's addresses.
    pub path: &'static str,
    /// What a row is made of, in Go's words.
    pub context: &'static str,
    /// The columns of its list.
    pub table: &'static str,
}

impl Payload {
    /// Keeps what a file or the standard input holds.
    pub async fn create(&self, s: &Session, m: &Matches) -> Outcome {
        let data = match m.words.get(1).map(String::as_str) {
            None => Vec::new(),
            Some("-") => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)?;
                bytes
            }
            Some(path) => {
                std::fs::read(path).map_err(|e| format!("open {path}: {}", crate::terminal::io_text(&e)))?
            }
        };
        let mut body = json!({
            "Name": m.word(0),
            "Labels": m.map("label"),
            "Data": base64::engine::general_purpose::URL_SAFE.encode(data),
        });
        if m.has("driver") && m.changed("driver") {
            body["Driver"] = json!({"Name": m.text("driver")});
        }
        if m.changed("template-driver") {
            body["Templating"] = json!({"Name": m.text("template-driver")});
        }
        let made = s.client()?.object_create(self.path, &body).await?;
        print::line(made["ID"].as_str().unwrap_or_default());
        Ok(())
    }

    /// Lists them.
    pub async fn list(&self, s: &Session, m: &Matches) -> Outcome {
        objects::list(s, m, self.path, self.table, |value| self.row(value)).await
    }

    fn row(&self, value: &Value) -> Fields {
        let passed = |key: &str| {
            let at = time::seconds_of(value[key].as_str().unwrap_or_default());
            format!("{} ago", duration::human(jiff::Timestamp::now().as_second() - at))
        };
        Fields::new(self.context)
            .with("CreatedAt", "CREATED", passed("CreatedAt"))
            .with("Driver", "DRIVER", value["Spec"]["Driver"]["Name"].as_str().unwrap_or_default())
            .with("ID", "ID", value["ID"].as_str().unwrap_or_default())
            .labels(&value["Spec"]["Labels"])
            .with("Name", "NAME", value["Spec"]["Name"].as_str().unwrap_or_default())
            .with("UpdatedAt", "UPDATED", passed("UpdatedAt"))
    }
}
