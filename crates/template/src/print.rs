//! How Go prints a value with `%v`.

use serde_json::{Number, Value};

use crate::value::Datum;

/// A datum as an action prints it: nil and missing are `<no value>`.
pub(crate) fn action(datum: &Datum, out: &mut String) {
    match datum {
        Datum::Missing | Datum::Json(Value::Null) => out.push_str("<no value>"),
        Datum::Json(v) => value(v, out),
        Datum::Row(row) => value(&row.json(), out),
    }
}

/// A JSON value as Go's `fmt.Sprint` prints the same data.
pub fn display(v: &Value) -> String {
    let mut out = String::new();
    value(v, &mut out);
    out
}

pub(crate) fn value(v: &Value, out: &mut String) {
    match v {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&number(n)),
        Value::String(s) => out.push_str(s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                value(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            // Go prints maps with sorted keys.
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by(|a, b| a.0.cmp(b.0));
            out.push_str("map[");
            for (i, (k, item)) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(k);
                out.push(':');
                value(item, out);
            }
            out.push(']');
        }
    }
}

pub(crate) fn number(n: &Number) -> String {
    match n.as_f64() {
        Some(f) if n.is_f64() => float(f),
        _ => n.to_string(),
    }
}

/// `%v` of a float: the shortest digits, with an exponent below 1e-4 and from 1e21 on.
pub(crate) fn float(f: f64) -> String {
    if f == 0.0 {
        return if f.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let size = f.abs();
    if (1e-4..1e21).contains(&size) {
        return format!("{f}");
    }
    // Rust writes 1e-7, Go 1e-07.
    let text = format!("{f:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(d) => ('-', d),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => text,
    }
}

/// A quoted Go string, `%q`.
pub(crate) fn quote(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
