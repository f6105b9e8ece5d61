//! Docker's filters, as the server hands them over. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};

use crate::error::{Error, Result};

/// Key to values: all keys must hold, with any one of a key's values.
pub type Filters = BTreeMap<String, BTreeSet<String>>;

/// Refuses keys that are not known.
pub(crate) fn check(filters: &Filters, known: &[&str]) -> Result<()> {
    match filters.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Error::Invalid(format!("invalid filter '{key}'"))),
        None => Ok(()),
    }
}

/// A key's values.
pub(crate) fn values<'a>(filters: &'a Filters, key: &str) -> impl Iterator<Item = &'a String> + use<'a> {
    filters.get(key).into_iter().flatten()
}

/// A yes or no, in all of Go's spellings.
pub(crate) fn truth(filters: &Filters, key: &str) -> Result<Option<bool>> {
    let Some(value) = values(filters, key).next() else { return Ok(None) };
    match value.as_str() {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(Some(true)),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(Some(false)),
        _ => Err(Error::Invalid(format!("invalid filter '{key}=[{value}]'"))),
    }
}

/// `label` (all of them) and `label!` (none of them).
pub(crate) fn labels_match(filters: &Filters, labels: &BTreeMap<String, String>) -> bool {
    let has = |label: &String| match label.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|have| have == value),
        None => labels.contains_key(label),
    };
    values(filters, "label").all(has) && !values(filters, "label!").any(has)
}

/// A name against a pattern. Docker takes a regular expression; its anchors and `.*` are what people use.
pub(crate) fn name_matches(pattern: &str, name: &str) -> bool {
    let (from_start, rest) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (to_end, rest) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    let pieces: Vec<&str> = rest.split(".*").collect();
    let mut at = 0;
    for (number, piece) in pieces.iter().enumerate() {
        let found = if number == 0 && from_start {
            name[at..].starts_with(piece).then_some(0)
        } else if number == pieces.len() - 1 && to_end {
            name[at..].ends_with(piece).then(|| name.len() - at - piece.len())
        } else {
            name[at..].find(piece)
        };
        let Some(place) = found else { return false };
        at += place + piece.len();
    }
    !to_end || at == name.len()
}

/// `until` of prunes: a time, or how long ago.
pub fn until(filters: &Filters) -> Result<Option<Timestamp>> {
    let Some(text) = values(filters, "until").next() else { return Ok(None) };
    let wrong = || Error::Invalid(format!("failed to parse value as time or duration: {text:?}"));
    if let Ok(seconds) = text.parse::<f64>() {
        #[allow(clippy::cast_possible_truncation, reason = "a time in nanoseconds fits an i128")]
        let ns = (seconds * 1e9) as i128;
        return Timestamp::from_nanosecond(ns).map(Some).map_err(|_| wrong());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Some(time));
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return time
            .to_zoned(jiff::tz::TimeZone::system())
            .map(|zoned| Some(zoned.timestamp()))
            .map_err(|_| wrong());
    }
    let ago = go_duration(text).ok_or_else(wrong)?;
    Timestamp::now().checked_sub(ago.nanoseconds()).map(Some).map_err(|_| wrong())
}

/// `1h30m`, in nanoseconds.
fn go_duration(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let scale = match &rest[..unit] {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        rest = &rest[unit..];
        total = total.checked_add(number.checked_mul(scale)?)?;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Filters {
        let mut filters = Filters::new();
        for (key, value) in pairs {
            filters.entry((*key).to_owned()).or_default().insert((*value).to_owned());
        }
        filters
    }

    #[test]
    fn unknown_keys_are_refused_in_dockers_words() {
        assert_eq!(
            check(&of(&[("colour", "red")]), &["name"]).unwrap_err().to_string(),
            "invalid filter 'colour'"
        );
    }

    #[test]
    fn names_match_as_people_write_patterns() {
        for (pattern, name, wanted) in [
            ("web", "my-web-1", true),
            ("^web", "my-web", false),
            ("^web$", "web", true),
            ("^web$", "web1", false),
            ("^a.*z$", "abcz", true),
            ("a.*b.*c", "xaxbxcx", true),
            ("1$", "web-1", true),
            ("", "anything", true),
        ] {
            assert_eq!(name_matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn labels_and_truths() {
        let labels = [("a".to_owned(), "1".to_owned())].into();
        assert!(labels_match(&of(&[("label", "a")]), &labels));
        assert!(!labels_match(&of(&[("label", "a=2")]), &labels));
        assert!(!labels_match(&of(&[("label!", "a=1")]), &labels));
        assert_eq!(truth(&of(&[("dangling", "1")]), "dangling").unwrap(), Some(true));
        assert!(truth(&of(&[("dangling", "x")]), "dangling").is_err());
    }

    #[test]
    fn until_takes_times_and_durations() {
        assert_eq!(until(&of(&[("until", "1700000000")])).unwrap().unwrap().as_second(), 1_700_000_000);
        let ago = until(&of(&[("until", "1h30m")])).unwrap().unwrap();
        let seconds = Timestamp::now().as_second() - ago.as_second();
        assert!((5399..=5402).contains(&seconds), "{seconds}");
        assert!(until(&of(&[("until", "soon")])).is_err());
    }
}
