//! The kinds of values, their names in help and their checks.

use crate::parse::{csv, duration, numbers, size};

/// What a flag's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On or off; needs no value.
    Bool,
    /// One text; the last one counts.
    Text,
    /// Many texts, one a flag.
    List,
    /// Many texts, several in one flag with commas between (CSV).
    Strings,
    /// `key=value`, many times.
    Map,
    /// A whole number.
    Int,
    /// A whole number from 0.
    Uint,
    /// A whole number from 0 to 65535.
    Uint16,
    /// A Go duration: `1m30s`.
    Duration,
    /// A size: `64m`.
    Bytes,
    /// A size or -1.
    Swap,
    /// CPUs: `1.5`.
    Decimal,
    /// `name=value` conditions.
    Filter,
    /// Many texts with a type name of their own in help, checked by the flag itself.
    Named(&'static str),
}

impl Kind {
    /// The word behind the flag in help.
    pub fn type_name(self) -> &'static str {
        match self {
            Kind::Bool => "",
            Kind::Text => "string",
            Kind::List => "list",
            Kind::Strings => "strings",
            Kind::Map => "map",
            Kind::Int => "int",
            Kind::Uint => "uint",
            Kind::Uint16 => "uint16",
            Kind::Duration => "duration",
            Kind::Bytes | Kind::Swap => "bytes",
            Kind::Decimal => "decimal",
            Kind::Filter => "filter",
            Kind::Named(name) => name,
        }
    }

    /// Checks one value.
    pub fn check(self, value: &str) -> Result<(), String> {
        match self {
            Kind::Bool => numbers::boolean(value).map(drop),
            Kind::Text | Kind::List | Kind::Named(_) => Ok(()),
            Kind::Strings => csv::fields(value).map(drop),
            Kind::Map => Ok(()),
            Kind::Int => numbers::int(value).map(drop),
            Kind::Uint => numbers::uint(value, 64).map(drop),
            Kind::Uint16 => numbers::uint(value, 16).map(drop),
            Kind::Duration => duration::parse(value).map(drop),
            Kind::Bytes => size::parse(value).map(drop),
            Kind::Swap => size::parse_swap(value).map(drop),
            Kind::Decimal => numbers::nano_cpus(value).map(drop),
            Kind::Filter => match value.is_empty() || value.contains('=') {
                true => Ok(()),
                false => Err("bad format of filter (expected name=value)".into()),
            },
        }
    }
}
