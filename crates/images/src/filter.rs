//! Filters of listings and prunes, as the Engine API gives them: key to values. Texts of refusals are Docker's.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{Error, Result};

/// A filter set: each key with its values. Times are already parsed by the caller (`until` takes many forms).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filters {
    /// `dangling=true|false`.
    pub dangling: Option<bool>,
    /// `label=key` or `label=key=value`; all must fit.
    pub label: Labels,
    /// `label!=...`; none may fit (prune only).
    pub label_not: Labels,
    /// `before=image`: made before each of them.
    pub before: Vec<String>,
    /// `since=image`: made after each of them.
    pub since: Vec<String>,
    /// `reference=pattern`: one of them must fit.
    pub reference: Vec<String>,
    /// `until=time`: made before it.
    pub until: Option<Timestamp>,
}

/// Wanted labels: a key alone, or a key with its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<(String, Option<String>)>);

impl Labels {
    /// Reads `key` and `key=value`.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Labels {
        let split = |text: &str| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        Labels(values.into_iter().map(split).collect())
    }

    /// Whether none are wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all wanted labels are there.
    pub fn all_in(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.0.iter().all(|(key, value)| {
            let found = labels.and_then(|labels| labels.get(key));
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        })
    }
}

/// Go's `path.Match`: `*` and `?` stop at `/`, `[a-z]`, `[^a]`, `\x`.
pub(crate) fn path_match(pattern: &str, name: &str) -> Result<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    matches(&pattern, &name)
        .ok_or_else(|| Error::FilterValue { key: "reference", why: "syntax error in pattern".to_owned() })
}

/// `None` for a malformed pattern. The whole pattern is walked even after a mismatch is certain only where it matters.
fn matches(pattern: &[char], name: &[char]) -> Option<bool> {
    let Some((first, rest)) = pattern.split_first() else { return Some(name.is_empty()) };
    match first {
        '*' => {
            let reach = name.iter().position(|c| *c == '/').unwrap_or(name.len());
            for taken in 0..=reach {
                if matches(rest, &name[taken..])? {
                    return Some(true);
                }
            }
            Some(false)
        }
        '?' => match name.split_first() {
            Some((c, name)) if *c != '/' => matches(rest, name),
            _ => Some(false),
        },
        '[' => {
            let (set, rest) = class(rest)?;
            match name.split_first() {
                Some((c, name)) if *c != '/' && set.contains(*c) => matches(rest, name),
                _ => Some(false),
            }
        }
        _ => {
            let (wanted, rest) =
                if *first == '\\' { rest.split_first().map(|(c, r)| (*c, r))? } else { (*first, rest) };
            match name.split_first() {
                Some((c, name)) if *c == wanted => matches(rest, name),
                _ => Some(false),
            }
        }
    }
}

struct CharClass {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl CharClass {
    fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.negated
    }
}

/// What stands after `[`, and what follows the `]`.
fn class(mut rest: &[char]) -> Option<(CharClass, &[char])> {
    let negated = rest.first() == Some(&'^');
    if negated {
        rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        match rest.split_first()? {
            (']', after) if !ranges.is_empty() => return Some((CharClass { negated, ranges }, after)),
            _ => {
                let (low, after) = one(rest)?;
                rest = after;
                let mut high = low;
                if rest.first() == Some(&'-') {
                    (high, rest) = one(&rest[1..])?;
                }
                ranges.push((low, high));
            }
        }
    }
}

fn one(rest: &[char]) -> Option<(char, &[char])> {
    match rest.split_first()? {
        ('-' | ']', _) => None,
        ('\\', after) => after.split_first().map(|(c, after)| (*c, after)),
        (c, after) => Some((*c, after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_gos_path_match() {
        for (pattern, name, fits) in [
            ("ubuntu", "ubuntu", true),
            ("ubuntu*", "ubuntu:14.04", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("u?untu", "ubuntu", true),
            ("[a-z]ubuntu", "xubuntu", true),
            ("[^a-z]b", "1b", true),
            ("\\*", "*", true),
            ("", "", true),
            ("a*b*c", "aXbYc", true),
        ] {
            assert_eq!(path_match(pattern, name).unwrap(), fits, "{pattern} {name}");
        }
        assert!(path_match("[", "a").is_err());
        assert!(path_match("a\\", "a").is_err());
    }
}
