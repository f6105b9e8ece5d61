//! JSON as Python writes it: other letters than ASCII's escaped.

use crate::project::Data;
use crate::tree::{Node, Value};

/// Without spaces, keys in the order of the alphabet.
pub fn write(data: &Data, out: &mut String) {
    match data {
        Data::Null => out.push_str("null"),
        Data::Switch(switch) => out.push_str(if *switch { "true" } else { "false" }),
        Data::Integer(number) => out.push_str(&number.to_string()),
        Data::Number(number) => out.push_str(&format!("{number:?}")),
        Data::Text(text) => quote(text, out),
        Data::List(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Data::Map(map) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                quote(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='\u{7e}' => out.push(c),
            other => other
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push('"');
}

/// JSON in the order it was written in, with spaces where Python puts them.
pub fn document(node: &Node, out: &mut String) {
    let mut first = true;
    let mut divide = |out: &mut String| {
        out.push_str(if first { "" } else { ", " });
        first = false;
    };
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Scalar { text, plain: true } => out.push_str(text),
        Value::Scalar { text, .. } => quote(text, out),
        Value::List(list) => {
            out.push('[');
            for item in list {
                divide(out);
                document(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for entry in map.iter() {
                divide(out);
                quote(&entry.key, out);
                out.push_str(": ");
                document(&entry.value, out);
            }
            out.push('}');
        }
    }
}
