//! Flags as runc takes them: `--name value`, `--name=value`, `-n value`; the first word that is none ends them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// The flags before the command.
#[derive(Debug, Clone)]
pub struct Global {
    pub root: PathBuf,
    pub log: Option<PathBuf>,
    pub log_json: bool,
}

/// What a command was given.
#[derive(Debug, Default)]
pub struct Args {
    switches: Vec<&'static str>,
    values: BTreeMap<&'static str, Vec<String>>,
    pub rest: Vec<String>,
}

/// One flag: its name, its letter (or '\0'), whether it takes a value.
pub type Flag = (&'static str, char, bool);

impl Args {
    /// Reads the flags of a command.
    pub fn parse(words: Vec<String>, flags: &[Flag]) -> Result<Args> {
        let mut args = Args::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let Some(bare) = word.strip_prefix('-').filter(|b| !b.is_empty()) else {
                args.rest.push(word);
                break;
            };
            let bare = bare.strip_prefix('-').unwrap_or(bare);
            let (name, inline) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (bare, None),
            };
            let known = flags
                .iter()
                .find(|(long, short, _)| *long == name || (*short != '\0' && name == short.to_string()));
            let Some(&(long, _, takes_value)) = known else { bail!("flag provided but not defined: {word}") };
            match (takes_value, inline) {
                (true, Some(value)) => args.values.entry(long).or_default().push(value),
                (true, None) => match words.next() {
                    Some(value) => args.values.entry(long).or_default().push(value),
                    None => bail!("flag needs an argument: {word}"),
                },
                (false, None) => args.switches.push(long),
                (false, Some(value)) => match value.as_str() {
                    "true" | "1" => args.switches.push(long),
                    "false" | "0" => args.switches.retain(|s| *s != long),
                    _ => bail!("invalid boolean value \"{value}\" for {word}"),
                },
            }
        }
        args.rest.extend(words);
        Ok(args)
    }

    /// Whether the switch was given.
    pub fn has(&self, name: &str) -> bool {
        self.switches.contains(&name)
    }

    /// The flag's last value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|v| v.last()).map(String::as_str)
    }

    /// Every value of the flag.
    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The flag's value as a number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        match self.value(name) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(n) => Ok(Some(n)),
                Err(_) => bail!("invalid value \"{text}\" for flag --{name}"),
            },
        }
    }

    /// The container's id, the first word after the flags.
    pub fn id(&self) -> Result<&str> {
        match self.rest.first() {
            Some(id) => Ok(id),
            None => bail!("container id cannot be empty"),
        }
    }
}

/// Splits the line into the global flags and the command with its own.
pub fn global(words: Vec<String>) -> Result<(Global, Vec<String>)> {
    const FLAGS: &[Flag] = &[
        ("root", '\0', true),
        ("log", '\0', true),
        ("log-format", '\0', true),
        ("debug", '\0', false),
        ("systemd-cgroup", '\0', false),
        ("rootless", '\0', true),
        ("criu", '\0', true),
        ("help", 'h', false),
        ("version", 'v', false),
    ];
    let mut args = Args::parse(words, FLAGS)?;
    let log_json = match args.value("log-format") {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => bail!("invalid log-format \"{other}\""),
    };
    let global = Global {
        root: args.value("root").unwrap_or("/run/gantry-runtime").into(),
        log: args.value("log").filter(|l| !l.is_empty()).map(Into::into),
        log_json,
    };
    if args.has("version") {
        return Ok((global, vec!["--version".into()]));
    }
    if args.has("help") || args.rest.is_empty() {
        return Ok((global, vec!["help".into()]));
    }
    Ok((global, std::mem::take(&mut args.rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_first_plain_word_ends_the_flags() {
        let flags = [("env", 'e', true), ("tty", 't', false)];
        let args = Args::parse(words("-e A=b --env=C=d -t id sh -c --tty"), &flags).unwrap();
        assert_eq!(args.all("env"), ["A=b", "C=d"]);
        assert!(args.has("tty"));
        assert_eq!(args.rest, ["id", "sh", "-c", "--tty"]);
        assert!(Args::parse(words("--nope"), &flags).is_err());
    }

    #[test]
    fn global_flags_come_before_the_command() {
        let (global, rest) = global(words("--root /x --log-format=json create --bundle b id")).unwrap();
        assert_eq!((global.root, global.log_json), ("/x".into(), true));
        assert_eq!(rest, ["create", "--bundle", "b", "id"]);
    }
}
