//! `builder.gc` of `daemon.json`: what of the build cache is thrown away without being asked.
//!
//! Source: Docker's `daemon.json`, `"builder": {"gc": {"enabled", "defaultKeepStorage", "policy": [...]}}`.

use std::time::Duration;

use gantry_build::prune::Filter;
use gantry_build::upkeep::{Gc, Rule};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Bytes;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Builder {
    gc: Settings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    enabled: Option<bool>,
    default_keep_storage: Option<Bytes>,
    default_reserved_space: Option<Bytes>,
    default_max_used_space: Option<Bytes>,
    default_min_free_space: Option<Bytes>,
    policy: Vec<Asked>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    all: bool,
    keep_storage: Option<Bytes>,
    reserved_space: Option<Bytes>,
    max_used_space: Option<Bytes>,
    min_free_space: Option<Bytes>,
    filter: Vec<String>,
}

fn number(bytes: Option<Bytes>) -> u64 {
    bytes.and_then(|Bytes(bytes)| u64::try_from(bytes).ok()).unwrap_or_default()
}

/// Reads the key `builder`.
pub(crate) fn read(builder: &Value) -> Result<Gc, String> {
    if builder.is_null() {
        return Ok(Gc::default());
    }
    let Builder { gc } = serde_json::from_value(builder.clone()).map_err(|error| error.to_string())?;
    if gc.enabled == Some(false) {
        return Ok(Gc::Off);
    }
    if !gc.policy.is_empty() {
        return gc.policy.iter().map(rule).collect::<Result<_, _>>().map(Gc::Rules);
    }
    // What was once called the storage to keep is what the cache may take.
    let max_used = gc.default_max_used_space.or(gc.default_keep_storage).or(gc.default_reserved_space);
    Ok(Gc::Usual {
        max_used: max_used.map(|bytes| number(Some(bytes))),
        min_free: number(gc.default_min_free_space),
    })
}

fn rule(asked: &Asked) -> Result<Rule, String> {
    let mut rule = Rule {
        all: asked.all,
        max_used: number(asked.max_used_space.or(asked.keep_storage)),
        reserved: number(asked.reserved_space),
        min_free: number(asked.min_free_space),
        ..Rule::default()
    };
    for filter in &asked.filter {
        let (name, value) = filter.split_once('=').unwrap_or((filter, ""));
        let value = value.trim_start_matches('=');
        match name {
            "unused-for" | "until" => {
                let wrong = || format!("invalid duration in the build cache's filter {filter:?}");
                rule.unused_for = Some(duration(value).ok_or_else(wrong)?);
            }
            "type" => rule.only.push(Filter::Kind(vec![value.to_owned()])),
            "id" => rule.only.push(Filter::Id(vec![value.to_owned()])),
            "description" => rule.only.push(Filter::Description(vec![value.to_owned()])),
            "shared" => rule.only.push(Filter::Shared(true)),
            "private" => rule.only.push(Filter::Private(true)),
            other => return Err(format!("unknown filter {other:?} of the build cache's policy")),
        }
    }
    Ok(rule)
}

/// Go's duration of hours, minutes and seconds: `48h`, `1h30m`.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let (unit, after) = rest[end..].split_at_checked(1)?;
        let seconds = match unit {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(seconds)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dockers_settings_are_read() {
        assert_eq!(read(&Value::Null).unwrap(), Gc::default());
        assert_eq!(read(&json!({"gc": {"enabled": false}})).unwrap(), Gc::Off);
        let usual = read(&json!({"gc": {"enabled": true, "defaultKeepStorage": "20GB"}})).unwrap();
        assert_eq!(usual, Gc::Usual { max_used: Some(20 << 30), min_free: 0 });
        let rules = json!({"gc": {"policy": [
            {"keepStorage": "1GB", "filter": ["unused-for=1h30m", "type==source.local"]}, {"all": true, "maxUsedSpace": 7},
        ]}});
        let Gc::Rules(rules) = read(&rules).unwrap() else { panic!() };
        assert_eq!((rules[0].max_used, rules[0].unused_for), (1 << 30, Some(Duration::from_secs(5400))));
        assert_eq!(rules[0].only, [Filter::Kind(vec!["source.local".into()])]);
        assert!(rules[1].all && rules[1].max_used == 7);
        for wrong in [
            json!({"gc": {"policy": [{"filter": ["moon"]}]}}),
            json!({"gc": {"policy": [{"filter": ["until=x"]}]}}),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
