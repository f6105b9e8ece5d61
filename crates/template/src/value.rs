//! What a template is executed over.

use std::rc::Rc;

use serde_json::Value;

/// A value inside a template.
#[derive(Clone)]
pub enum Datum {
    /// Anything JSON can say. `Null` is Go's nil.
    Json(Value),
    /// A row of a table: its columns are looked up (and called) by name.
    Row(Rc<dyn Row>),
    /// What was not there: prints as `<no value>`.
    Missing,
}

/// A line of a listing, as Docker's formatter contexts are: named columns, some taking an argument.
pub trait Row {
    /// The Go type a script may see in an error: `*formatter.ContainerContext`.
    fn type_name(&self) -> &str;
    /// The column `name`, or `None` when there is none.
    fn column(&self, name: &str) -> Option<Datum>;
    /// The column `name` asked with arguments (`{{.Label "x"}}`), or `None` when it takes none.
    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>>;
    /// All columns as one object, keys sorted: `{{json .}}`.
    fn json(&self) -> Value;
}

impl Datum {
    /// A text.
    pub fn text(text: impl Into<String>) -> Datum {
        Datum::Json(Value::String(text.into()))
    }

    /// The value as plain JSON; what is missing is null.
    pub fn json(&self) -> Value {
        match self {
            Datum::Json(v) => v.clone(),
            Datum::Row(row) => row.json(),
            Datum::Missing => Value::Null,
        }
    }

    /// Go's truth: zero, empty and nil are false.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Datum::Missing => false,
            Datum::Row(_) => true,
            Datum::Json(v) => match v {
                Value::Null => false,
                Value::Bool(b) => *b,
                Value::Number(n) => n.as_f64() != Some(0.0),
                Value::String(s) => !s.is_empty(),
                Value::Array(a) => !a.is_empty(),
                Value::Object(o) => !o.is_empty(),
            },
        }
    }

    /// The name of the Go type, for error texts.
    pub(crate) fn type_name(&self) -> &str {
        match self {
            Datum::Missing | Datum::Json(Value::Null) => "nil",
            Datum::Row(row) => row.type_name(),
            Datum::Json(Value::Bool(_)) => "bool",
            Datum::Json(Value::Number(n)) if n.is_f64() => "float64",
            Datum::Json(Value::Number(_)) => "int",
            Datum::Json(Value::String(_)) => "string",
            Datum::Json(Value::Array(_)) => "[]interface {}",
            Datum::Json(Value::Object(_)) => "map[string]interface {}",
        }
    }
}

impl From<Value> for Datum {
    fn from(value: Value) -> Datum {
        Datum::Json(value)
    }
}
