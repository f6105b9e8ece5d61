//! What a plain scalar of YAML means, and how it is written as text.
//!
//! Source: the rules of the YAML library that Compose reads with (1.2, with 1.1's octals and binary numbers), and of the
//! language's own printing of numbers: `1.0` in `environment` arrives as `1` in the container.

use crate::project::Data;
use crate::tree::{Join, Map, Node, Position, Value};

impl Node {
    /// A text.
    pub(crate) fn of_text(text: impl Into<String>, at: &Position) -> Self {
        Self::of(Value::Scalar { text: text.into(), plain: false }, at)
    }

    /// A number or truth value, as YAML would have it without quotes.
    pub(crate) fn of_plain(text: impl Into<String>, at: &Position) -> Self {
        Self::of(Value::Scalar { text: text.into(), plain: true }, at)
    }

    /// A mapping of these.
    pub(crate) fn of_map<const N: usize>(entries: [(&str, Node); N], at: &Position) -> Self {
        let mut map = Map::default();
        for (key, value) in entries {
            map.set(key, at, value);
        }
        Self::of(Value::Map(map), at)
    }

    /// A value that joins as usual.
    pub(crate) fn of(value: Value, at: &Position) -> Self {
        Self { value, at: at.clone(), join: Join::Usual }
    }

    /// Nothing.
    pub(crate) fn null(at: &Position) -> Self {
        Self::of(Value::Null, at)
    }

    /// The mapping, where it is one.
    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The mapping, to be changed, where it is one.
    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, where it is one.
    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The scalar's own text, where it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether there is nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// What it means, without any attribute's help.
    pub fn data(&self) -> Data {
        match &self.value {
            Value::Null => Data::Null,
            Value::Scalar { text, plain: true } => resolve(text),
            Value::Scalar { text, plain: false } => Data::Text(text.clone()),
            Value::List(list) => Data::List(list.iter().map(Node::data).collect()),
            Value::Map(map) => {
                Data::Map(map.iter().map(|entry| (entry.key.clone(), entry.value.data())).collect())
            }
        }
    }

    /// A scalar as the text that an attribute of texts gets.
    pub(crate) fn printed(&self) -> String {
        print(&self.data())
    }
}

/// What a plain scalar means.
pub(crate) fn resolve(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Switch(true),
        "false" | "False" | "FALSE" => return Data::Switch(false),
        ".nan" | ".NaN" | ".NAN" => return Data::Number(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Data::Number(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Data::Number(f64::NEG_INFINITY),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Data::Text(text.to_owned());
    }
    if let Some(number) = crate::schema::integer(text) {
        return Data::Integer(number);
    }
    let clean = text.replace('_', "");
    match clean.parse::<f64>() {
        Ok(number) if is_float(&clean) => Data::Number(number),
        _ => Data::Text(text.to_owned()),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.map(|e| e.strip_prefix(['-', '+']).unwrap_or(e));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

/// A value as text, lists and mappings for people only.
pub(crate) fn print(data: &Data) -> String {
    match data {
        Data::Null => String::new(),
        Data::Switch(switch) => switch.to_string(),
        Data::Integer(number) => number.to_string(),
        Data::Number(number) => float(*number),
        Data::Text(text) => text.clone(),
        Data::List(list) => format!("[{}]", list.iter().map(print).collect::<Vec<_>>().join(" ")),
        Data::Map(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", print(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// A number in its shortest form, with an exponent from 21 digits on and below 0.0001.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_and_print_what_compose_makes_of_them() {
        for (text, printed) in [
            ("1.0", "1"),
            ("0x10", "16"),
            ("010", "8"),
            ("1_000", "1000"),
            ("1e3", "1000"),
            ("1e21", "1e+21"),
            ("0.00001", "1e-05"),
            ("yes", "yes"),
            ("True", "true"),
            ("1.2.3", "1.2.3"),
            ("-", "-"),
            ("12:30", "12:30"),
            (".5", "0.5"),
        ] {
            assert_eq!(print(&resolve(text)), printed, "{text}");
        }
    }
}
