//! One line of a listing: its columns by name.

use std::collections::BTreeMap;

use gantry_template::{Datum, Row};
use serde_json::{Map, Value, json};

use crate::terminal::to_stdout;

/// A column: its name in templates, its title in a table, its value.
pub struct Cell {
    /// `Names`
    pub name: &'static str,
    /// `NAMES`
    pub title: &'static str,
    /// What the row has there.
    pub value: Value,
}

/// A row with eager columns, and labels that can be asked for one by one.
pub struct Fields {
    type_name: &'static str,
    cells: Vec<Cell>,
    labels: Option<Map<String, Value>>,
}

impl Fields {
    /// A row; `type_name` is the Go type that errors name.
    pub fn new(type_name: &'static str) -> Fields {
        Fields { type_name, cells: Vec::new(), labels: None }
    }

    /// Adds a column.
    #[must_use]
    pub fn with(mut self, name: &'static str, title: &'static str, value: impl Into<Value>) -> Fields {
        self.cells.push(Cell { name, title, value: value.into() });
        self
    }

    /// Adds `.Labels` (all, as `a=b,c=d`) and `.Label "a"`.
    #[must_use]
    pub fn labels(mut self, labels: &Value) -> Fields {
        let labels = labels.as_object().cloned().unwrap_or_default();
        let mut pairs: Vec<String> =
            labels.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
        pairs.sort();
        self.cells.push(Cell { name: "Labels", title: "LABELS", value: json!(pairs.join(",")) });
        self.labels = Some(labels);
        self
    }

    /// The titles by name: what a table's header is made of.
    pub fn header(&self) -> Header {
        Header(self.cells.iter().map(|c| (c.name, c.title)).collect())
    }
}

impl Row for Fields {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn column(&self, name: &str) -> Option<Datum> {
        self.cells.iter().find(|c| c.name == name).map(|c| Datum::Json(shown(&c.value)))
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let labels = self.labels.as_ref().filter(|_| name == "Label")?;
        Some(match args {
            [Value::String(key)] => Ok(labels.get(key).map_or_else(|| json!(""), shown)),
            _ => Err(format!("wrong number of args for Label: want 1 got {}", args.len())),
        })
    }

    fn json(&self) -> Value {
        let sorted: BTreeMap<&str, &Value> = self.cells.iter().map(|c| (c.name, &c.value)).collect();
        json!(sorted)
    }
}

/// A value as it may stand on the person's terminal.
fn shown(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| to_stdout(text).into())
}

/// The header of a table: each column's title, and a title made of a label's key.
pub struct Header(Vec<(&'static str, &'static str)>);

impl Row for Header {
    fn type_name(&self) -> &str {
        "formatter.SubHeaderContext"
    }

    fn column(&self, name: &str) -> Option<Datum> {
        match self.0.iter().find(|(n, _)| *n == name) {
            Some((_, title)) => Some(Datum::text(*title)),
            None => Some(Datum::Missing),
        }
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match (name, args) {
            ("Label", [Value::String(key)]) => {
                let last = key.rsplit('.').next().unwrap_or_default();
                Some(Ok(json!(last.replace(['-', '_'], " "))))
            }
            _ => None,
        }
    }

    fn json(&self) -> Value {
        let sorted: BTreeMap<&str, &str> = self.0.iter().copied().collect();
        json!(sorted)
    }
}
