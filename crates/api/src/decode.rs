//! Reading JSON as Go's `encoding/json` reads it.
//!
//! Docker's clients were written against a Go decoder, and lean on its leniency: keys match without regard to
//! case, `null` leaves a field at its zero, unknown keys are ignored, the last of two equal keys wins. Serde's
//! derive is stricter, so this module puts a deserializer in between that knows each struct's field names.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde_json::Value;

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(String);

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: std::fmt::Display>(msg: T) -> Self {
        DecodeError(msg.to_string())
    }
}

/// Reads one JSON document, as forgiving as Go's decoder.
///
/// # Errors
/// Text that is no JSON (or has something after it), and values of a wrong type.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let value: Value = serde_json::from_slice(body).map_err(|e| DecodeError(e.to_string()))?;
    decode_value(value)
}

/// Like [`decode`], from JSON already parsed.
///
/// # Errors
/// Values of a wrong type.
pub fn decode_value<T: DeserializeOwned>(value: Value) -> Result<T, DecodeError> {
    T::deserialize(Lenient(value))
}

/// A JSON value that deserializes as Go would read it.
struct Lenient(Value);

impl<'de> IntoDeserializer<'de, DecodeError> for Lenient {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong(value: &Value, wanted: &str) -> DecodeError {
    DecodeError(format!("json: cannot unmarshal {} into Go value of type {wanted}", kind(value)))
}

/// A number, or zero for `null`.
macro_rules! number {
    ($($method:ident => $visit:ident, $as:ident, $go:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match &self.0 {
                Value::Null => visitor.$visit(Default::default()),
                Value::Number(n) => match n.$as() {
                    Some(n) => visitor.$visit(n),
                    None => Err(DecodeError(format!("json: cannot unmarshal number {n} into Go value of type {}", $go))),
                },
                other => Err(wrong(other, $go)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(b),
            Value::String(s) => visitor.visit_string(s),
            Value::Number(n) => n.deserialize_any(visitor).map_err(|e| DecodeError(e.to_string())),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Lenient))),
            Value::Object(map) => {
                visitor.visit_map(MapDeserializer::new(map.into_iter().map(|(k, v)| (k, Lenient(v)))))
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_bool(false),
            Value::Bool(b) => visitor.visit_bool(b),
            other => Err(wrong(&other, "bool")),
        }
    }

    number! {
        deserialize_i8 => visit_i64, as_i64, "int8";
        deserialize_i16 => visit_i64, as_i64, "int16";
        deserialize_i32 => visit_i64, as_i64, "int";
        deserialize_i64 => visit_i64, as_i64, "int64";
        deserialize_u8 => visit_u64, as_u64, "uint8";
        deserialize_u16 => visit_u64, as_u64, "uint16";
        deserialize_u32 => visit_u64, as_u64, "uint";
        deserialize_u64 => visit_u64, as_u64, "uint64";
        deserialize_f32 => visit_f64, as_f64, "float32";
        deserialize_f64 => visit_f64, as_f64, "float64";
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_string(String::new()),
            Value::String(s) => visitor.visit_string(s),
            other => Err(wrong(&other, "string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<Lenient>())),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Lenient))),
            other => Err(wrong(&other, "[]string")),
        }
    }

    /// Go fills a fixed array from what is there and zeroes the rest.
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        let mut items = match self.0 {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            other => return Err(wrong(&other, "[]uint")),
        };
        items.resize(len, Value::Null);
        visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Lenient)))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null | Value::Object(_) => {
                let map = if let Value::Object(map) = self.0 { map } else { serde_json::Map::new() };
                visitor.visit_map(MapDeserializer::new(map.into_iter().map(|(k, v)| (k, Lenient(v)))))
            }
            other => Err(wrong(&other, "map[string]string")),
        }
    }

    /// Here the field names are known: keys are matched without regard to case, an exact match first.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let map = match self.0 {
            Value::Null => serde_json::Map::new(),
            Value::Object(map) => map,
            other => return Err(wrong(&other, name)),
        };
        let mut known: Vec<(&'static str, Value)> = Vec::with_capacity(map.len());
        for (key, value) in map {
            let exact = fields.iter().find(|f| **f == key);
            let Some(field) = exact.or_else(|| fields.iter().find(|f| f.eq_ignore_ascii_case(&key))) else {
                continue;
            };
            match known.iter_mut().find(|(k, _)| k == field) {
                Some(slot) => slot.1 = value,
                None => known.push((field, value)),
            }
        }
        visitor.visit_map(MapDeserializer::new(known.into_iter().map(|(k, v)| (k, Lenient(v)))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::String(s) => visitor.visit_enum(de::value::StringDeserializer::new(s)),
            other => Err(wrong(&other, "string")),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}

/// A list that Docker also takes as one string (its `StrSlice`): `"Cmd": "true"` is `["true"]`.
pub(crate) mod str_slice {
    use serde::{Deserialize, Deserializer};

    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "json: cannot unmarshal into a list of strings: neither a string nor a list of them"
    )]
    enum OneOrMany {
        One(String),
        Many(Vec<Option<String>>),
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<String>>, D::Error> {
        Ok(Option::<OneOrMany>::deserialize(d)?.map(|v| match v {
            OneOrMany::One(s) => vec![s],
            OneOrMany::Many(items) => items.into_iter().map(Option::unwrap_or_default).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Body {
        tty: bool,
        retries: i64,
        user: String,
        env: Option<Vec<String>>,
        labels: BTreeMap<String, String>,
        size: [u32; 2],
        #[serde(deserialize_with = "str_slice::deserialize")]
        cmd: Option<Vec<String>>,
    }

    #[test]
    fn null_is_the_default_of_anything() {
        let body: Body = decode(
            br#"{"Tty":null,"Retries":null,"User":null,"Env":null,"Labels":null,"Size":null,"Cmd":null}"#,
        )
        .unwrap();
        assert_eq!(body, Body::default());
        assert_eq!(decode::<Body>(b"null").unwrap(), Body::default());
    }

    #[test]
    fn keys_match_without_regard_to_case_and_the_last_wins() {
        let body: Body = decode(br#"{"tty":true,"USER":"a","User":"b","nobody":[1]}"#).unwrap();
        assert!(body.tty);
        assert_eq!(body.user, "b");
    }

    #[test]
    fn a_command_may_be_one_string() {
        let body: Body = decode(br#"{"Cmd":"true"}"#).unwrap();
        assert_eq!(body.cmd, Some(vec!["true".to_owned()]));
        let body: Body = decode(br#"{"Cmd":["a","b"]}"#).unwrap();
        assert_eq!(body.cmd.unwrap().len(), 2);
    }

    #[test]
    fn short_arrays_are_filled_up() {
        assert_eq!(decode::<Body>(br#"{"Size":[24]}"#).unwrap().size, [24, 0]);
        assert_eq!(decode::<Body>(br#"{"Size":[24,80,3]}"#).unwrap().size, [24, 80]);
    }

    #[test]
    fn wrong_types_are_told_in_docker_words() {
        let err = decode::<Body>(br#"{"Retries":"three"}"#).unwrap_err();
        assert_eq!(err.to_string(), "json: cannot unmarshal string into Go value of type int64");
        assert!(decode::<Body>(b"[]").is_err());
        assert!(decode::<Body>(b"{} {}").is_err());
        assert!(decode::<Body>(b"").is_err());
    }
}
