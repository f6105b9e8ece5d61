//! A JSON object each.

use serde_json::json;

use super::{Event, Progress, Stage, line};

/// JSON lines on standard error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json {
    /// Nothing is done.
    pub dry_run: bool,
}

impl Progress for Json {
    fn tell(&self, event: Event) {
        let stage = match event.stage {
            Stage::Working => "Working",
            Stage::Done => "Done",
            Stage::Warning => "Warning",
            Stage::Error => "Error",
        };
        let mut object = json!({"dry-run": self.dry_run, "id": event.what, "status": stage});
        if let Some(parent) = event.part_of {
            object["parent_id"] = parent.into();
        }
        object["text"] = event.status.into();
        if !event.text.is_empty() {
            object["details"] = event.text.into();
        }
        line(&object.to_string());
    }

    fn warn(&self, text: &str) {
        line(&json!({"warning": true, "message": text}).to_string());
    }
}
