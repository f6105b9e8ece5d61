//! Values with units: `10s`, `168h`, `30d`; `10GB`; and text that YAML took for a number.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// A time span as Go writes it (`1h30m`), with days and weeks; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

/// Bytes, as `10GB` (powers of ten) or `10GiB` (of two).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// Text, also where YAML saw a number or a truth value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

/// Splits `1h30m` into numbers and units.
fn terms(text: &str) -> Option<Vec<(f64, &str)>> {
    let mut rest = text.trim();
    let mut terms = Vec::new();
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let value = rest[..number].parse().ok()?;
        rest = &rest[number..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        terms.push((value, rest[..unit].trim()));
        rest = &rest[unit..];
    }
    (!terms.is_empty()).then_some(terms)
}

/// Reads a time span.
pub fn period(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time span like 10s, 90m, 24h or 30d");
    let mut seconds = 0.0;
    for (value, unit) in terms(text).ok_or_else(wrong)? {
        seconds += value
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" | "" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                "w" => 604_800.0,
                _ => return Err(wrong()),
            };
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size like 500MB or 10GiB");
    let terms = terms(text).ok_or_else(wrong)?;
    let [(value, unit)] = terms[..] else { return Err(wrong()) };
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    Ok((value * factor as f64) as u64)
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            Value::Bool(truth) => Ok(Self(truth.to_string())),
            other => Err(D::Error::custom(format!("{other} is not text"))),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        period(&Text::deserialize(from)?.0).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        size(&Text::deserialize(from)?.0).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_read_with_their_units() {
        assert_eq!(period("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(period("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(period("30d").unwrap(), Duration::from_secs(30 * 86_400));
        assert_eq!(period("0").unwrap(), Duration::ZERO);
        assert!(period("soon").is_err());
        assert!(period("").is_err());
        assert!(period("99999999999999999999999h").is_err());
        assert_eq!(size("10GB").unwrap(), 10_000_000_000);
        assert_eq!(size("1.5 KiB").unwrap(), 1536);
        assert!(size("1h1m").is_err());
    }
}
