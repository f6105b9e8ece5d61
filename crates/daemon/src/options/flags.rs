//! The command line.

use super::{Kind, OPTIONS, Setting, Values};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    /// Settings that were given.
    pub(crate) values: Values,
    /// `--config-file`, when it was given.
    pub(crate) config_file: Option<PathBuf>,
    /// `--validate`: say whether the configuration is good, and end.
    pub(crate) validate: bool,
}

/// Why a flag's value is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid argument {value:?} for \"--{flag}\" flag: {why}")]
pub(crate) struct BadValue {
    flag: &'static str,
    value: String,
    why: String,
}

/// The command `gantry daemon`, or `dockerd`.
pub(crate) fn command(name: &'static str) -> Command {
    let command = Command::new(name)
        .about("A self-sufficient runtime for containers")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .override_usage(format!("{name} [OPTIONS]"))
        .arg(
            Arg::new("version")
                .long("version")
                .short('v')
                .action(ArgAction::Version)
                .help("Print version information and quit"),
        )
        .arg(
            Arg::new("config-file")
                .long("config-file")
                .value_name("string")
                .help("Daemon configuration file"),
        )
        .arg(
            Arg::new("validate")
                .long("validate")
                .action(ArgAction::SetTrue)
                .help("Validate daemon configuration and exit"),
        );
    let mut settings: Vec<&Setting> = OPTIONS.iter().collect();
    settings.sort_by_key(|setting| setting.flag);
    settings.into_iter().fold(command, |command, setting| command.arg(arg(setting)))
}

fn arg(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.flag).long(setting.flag).help(setting.help);
    let arg = match setting.short {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    match setting.kind {
        // `--icc` and `--icc=false`, never `--icc false`; the last one counts.
        Kind::Flag => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("bool")
            .hide_default_value(true)
            .action(ArgAction::Append),
        Kind::Text => arg.value_name("string").action(ArgAction::Append),
        Kind::Number => arg.value_name("int").allow_hyphen_values(true).action(ArgAction::Append),
        _ => arg.value_name("list").action(ArgAction::Append),
    }
}

/// Takes what clap has found.
///
/// # Errors
/// Values that their setting does not take.
pub(crate) fn read(matches: &ArgMatches) -> Result<Flags, BadValue> {
    let mut flags = Flags {
        values: Values::new(),
        config_file: matches.get_one::<String>("config-file").map(PathBuf::from),
        validate: matches.get_flag("validate"),
    };
    for setting in OPTIONS {
        let given: Vec<&str> =
            matches.get_many::<String>(setting.flag).into_iter().flatten().map(String::as_str).collect();
        if let Some(value) = value(setting, &given)? {
            flags.values.insert(setting.key.to_owned(), value);
        }
    }
    Ok(flags)
}

fn value(setting: &'static Setting, given: &[&str]) -> Result<Option<Value>, BadValue> {
    let Some(last) = given.last() else { return Ok(None) };
    let bad = |value: &str, why: &str| BadValue {
        flag: setting.flag,
        value: value.to_owned(),
        why: why.to_owned(),
    };
    let mut map = Values::new();
    let value = match setting.kind {
        Kind::Flag => json!(boolean(last).ok_or_else(|| bad(last, "strconv.ParseBool: invalid syntax"))?),
        Kind::Text => json!(last),
        Kind::Number => {
            json!(last.parse::<i64>().map_err(|_| bad(last, "strconv.ParseInt: invalid syntax"))?)
        }
        Kind::List => json!(given),
        Kind::Map => {
            for text in given {
                let (key, value) = text.split_once('=').unwrap_or((text, ""));
                map.insert(key.to_owned(), json!(value));
            }
            Value::Object(map)
        }
        Kind::Switches => {
            for text in given {
                let (key, value) = text.split_once('=').unwrap_or((text, "true"));
                let on = boolean(value).ok_or_else(|| bad(text, "must be a boolean"))?;
                map.insert(key.to_owned(), json!(on));
            }
            Value::Object(map)
        }
        Kind::Maps => {
            for text in given {
                let parts: Vec<&str> = text.splitn(3, '=').collect();
                let [outer, key, value] = parts[..] else {
                    return Err(bad(text, "expected <driver>=<key>=<value>"));
                };
                let inner = map.entry(outer.to_owned()).or_insert_with(|| json!({}));
                inner[key] = json!(value);
            }
            Value::Object(map)
        }
        Kind::Runtimes => {
            for text in given {
                let parts = text.split_once('=').map(|(name, path)| (name.trim(), path.trim()));
                let Some((name, path)) = parts.filter(|(name, path)| !name.is_empty() && !path.is_empty())
                else {
                    return Err(bad(text, &format!("invalid runtime argument: {text}")));
                };
                let twice = map.insert(name.to_lowercase(), json!({ "path": path })).is_some();
                if twice {
                    return Err(bad(text, &format!("runtime '{name}' was already defined")));
                }
            }
            Value::Object(map)
        }
        Kind::Ulimits => {
            for text in given {
                let limit =
                    ulimit(text).ok_or_else(|| bad(text, &format!("invalid ulimit argument: {text}")))?;
                map.insert(limit["Name"].as_str().unwrap_or_default().to_owned(), limit);
            }
            Value::Object(map)
        }
        Kind::Pools => Value::Array(
            given
                .iter()
                .map(|text| pool(text).ok_or_else(|| bad(text, "expected base=<subnet>,size=<bits>")))
                .collect::<Result<_, _>>()?,
        ),
    };
    Ok(Some(value))
}

/// Go's words for truth.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn ulimit(text: &str) -> Option<Value> {
    let (name, limits) = text.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard): (i64, i64) = (soft.parse().ok()?, hard.parse().ok()?);
    Some(json!({ "Name": name, "Hard": hard, "Soft": soft }))
}

fn pool(text: &str) -> Option<Value> {
    let mut base = None;
    let mut size = None;
    for field in text.split(',') {
        match field.split_once('=')? {
            ("base", value) => base = Some(value.to_owned()),
            ("size", value) => size = Some(value.parse::<u8>().ok()?),
            _ => return None,
        }
    }
    Some(json!({ "base": base?, "size": size? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Flags, BadValue> {
        let all = std::iter::once(&"dockerd").chain(args);
        read(&command("dockerd").try_get_matches_from(all).unwrap())
    }

    #[test]
    fn every_kind_is_read() {
        let flags = parse(&[
            "-H",
            "unix:///a",
            "--host=tcp://b",
            "--icc=false",
            "-D",
            "--mtu=1400",
            "--label",
            "a=b",
            "--log-opt",
            "max-size=1m",
            "--add-runtime",
            "crun=/usr/bin/crun",
            "--default-ulimit",
            "nofile=1:2",
            "--default-address-pool",
            "base=10.0.0.0/8,size=24",
            "--feature",
            "x",
            "--default-network-opt",
            "bridge=mtu=1",
            "--data-root",
            "/x",
            "--validate",
        ])
        .unwrap();
        let v = |key: &str| flags.values[key].clone();
        assert_eq!(v("hosts"), json!(["unix:///a", "tcp://b"]));
        assert_eq!((v("icc"), v("debug"), v("mtu")), (json!(false), json!(true), json!(1400)));
        assert_eq!(v("log-opts"), json!({"max-size": "1m"}));
        assert_eq!(v("runtimes"), json!({"crun": {"path": "/usr/bin/crun"}}));
        assert_eq!(v("default-ulimits"), json!({"nofile": {"Name": "nofile", "Hard": 2, "Soft": 1}}));
        assert_eq!(v("default-address-pools"), json!([{"base": "10.0.0.0/8", "size": 24}]));
        assert_eq!(v("features"), json!({"x": true}));
        assert_eq!(v("default-network-opts"), json!({"bridge": {"mtu": "1"}}));
        assert!(flags.validate && !flags.values.contains_key("group"));
    }

    #[test]
    fn bad_values_name_their_flag() {
        for bad in [&["--icc=maybe"], &["--mtu=x"], &["--add-runtime=x"], &["--default-ulimit=a=b"]] {
            assert!(parse(bad).unwrap_err().to_string().starts_with("invalid argument"), "{bad:?}");
        }
    }

    #[test]
    fn the_table_has_no_name_twice() {
        command("dockerd").debug_assert();
        let mut keys: Vec<&str> = OPTIONS.iter().map(|s| s.key).collect();
        keys.sort_unstable();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
