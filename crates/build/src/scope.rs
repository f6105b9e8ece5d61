//! Variables of a build: arguments before the first FROM, arguments and environment of a stage.
//!
//! Source: the Dockerfile reference on ARG, "predefined ARGs" and "global scope".

use std::collections::{BTreeMap, BTreeSet};

use gantry_dockerfile::expand;
use gantry_names::Platform;

/// Arguments every RUN has without an ARG, and that leave no trace in history and cache.
pub const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// What FROM lines see, and what stages may take in by name.
#[derive(Debug, Clone, Default)]
pub struct Globals {
    given: BTreeMap<String, Option<String>>,
    values: BTreeMap<String, String>,
    platform: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl Globals {
    /// Before any ARG: what the caller gave, and the platforms.
    pub fn new(
        given: &BTreeMap<String, Option<String>>,
        build: &Platform,
        target: &Platform,
        stage: &str,
    ) -> Self {
        let mut platform = BTreeMap::new();
        for (prefix, of) in [("BUILD", build), ("TARGET", target)] {
            platform.insert(format!("{prefix}PLATFORM"), of.to_string());
            platform.insert(format!("{prefix}OS"), of.os.clone());
            platform.insert(format!("{prefix}ARCH"), of.architecture.clone());
            platform.insert(format!("{prefix}VARIANT"), of.variant.clone().unwrap_or_default());
        }
        platform.insert("TARGETSTAGE".into(), stage.into());
        Self { given: given.clone(), values: BTreeMap::new(), platform, used: BTreeSet::new() }
    }

    /// Takes one `ARG name[=default]` that stands before the first FROM.
    pub fn declare(&mut self, name: &str, default: Option<&str>, escape: char) -> Result<(), String> {
        let value = match self.given(name) {
            Some(value) => Some(value),
            None => match default {
                Some(default) => Some(expand::word(default, escape, &|name: &str| self.get(name))?.0),
                None => self.platform.get(name).cloned(),
            },
        };
        self.used.insert(name.to_owned());
        if let Some(value) = value {
            self.values.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// A value for a FROM line.
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).or_else(|| self.platform.get(name)).cloned()
    }

    fn given(&self, name: &str) -> Option<String> {
        self.given.get(name).cloned().flatten()
    }
}

/// What the instructions of one stage see.
#[derive(Debug, Clone, Default)]
pub struct StageScope {
    args: BTreeMap<String, Option<String>>,
    used: BTreeSet<String>,
}

impl StageScope {
    /// Takes one `ARG name[=default]` of the stage, its default already expanded.
    pub fn declare(&mut self, globals: &Globals, name: &str, default: Option<String>) {
        let inherited = || globals.values.get(name).or_else(|| globals.platform.get(name)).cloned();
        let value = globals.given(name).or(default).or_else(inherited);
        self.used.insert(name.to_owned());
        self.args.insert(name.to_owned(), value);
    }

    /// The value an instruction's text sees: the environment first, then the arguments.
    pub fn get(&self, env: &[String], name: &str) -> Option<String> {
        env.iter()
            .find_map(|line| {
                line.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
            })
            .or_else(|| self.args.get(name).cloned().flatten())
    }

    /// `name=value` of arguments that a RUN has beside the environment, in order of name. What the environment
    /// already says is left out.
    pub fn run_args(&self, env: &[String]) -> Vec<String> {
        let in_env = |name: &str| env.iter().any(|line| line.split('=').next() == Some(name));
        self.args
            .iter()
            .filter(|(name, _)| !in_env(name))
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}")))
            .collect()
    }

    /// The proxies the caller gave and the stage did not declare: for the step's environment alone.
    pub fn proxies(&self, globals: &Globals) -> Vec<String> {
        PROXIES
            .iter()
            .filter(|name| !self.args.contains_key(**name))
            .filter_map(|name| globals.given(name).map(|value| format!("{name}={value}")))
            .collect()
    }
}

/// Names the caller gave that no ARG took: told at the end.
pub fn unused<'a>(globals: &Globals, stages: impl IntoIterator<Item = &'a StageScope>) -> Vec<String> {
    let mut used = globals.used.clone();
    stages.into_iter().for_each(|stage| used.extend(stage.used.iter().cloned()));
    globals
        .given
        .keys()
        .filter(|name| {
            !used.contains(*name)
                && !PROXIES.contains(&name.as_str())
                && !globals.platform.contains_key(*name)
        })
        .filter(|name| !name.starts_with("BUILDKIT_"))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globals(given: &[(&str, &str)]) -> Globals {
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect();
        Globals::new(&given, &Platform::host(), &Platform::parse("linux/arm64").unwrap(), "default")
    }

    #[test]
    fn a_given_value_wins_over_a_default_and_a_later_default_sees_earlier_ones() {
        let mut globals = globals(&[("V", "2")]);
        globals.declare("V", Some("1"), '\\').unwrap();
        globals.declare("IMAGE", Some("app:$V"), '\\').unwrap();
        assert_eq!(globals.get("IMAGE").as_deref(), Some("app:2"));
        assert_eq!(globals.get("TARGETARCH").as_deref(), Some("arm64"));
    }

    #[test]
    fn a_stage_sees_a_global_only_where_it_repeats_its_name() {
        let mut globals = globals(&[]);
        globals.declare("V", Some("1"), '\\').unwrap();
        let mut stage = StageScope::default();
        assert_eq!(stage.get(&[], "V"), None);
        stage.declare(&globals, "V", None);
        stage.declare(&globals, "TARGETPLATFORM", None);
        assert_eq!(stage.get(&[], "V").as_deref(), Some("1"));
        assert_eq!(stage.get(&[], "TARGETPLATFORM").as_deref(), Some("linux/arm64"));
        assert_eq!(stage.get(&["V=env".into()], "V").as_deref(), Some("env"));
        assert_eq!(stage.run_args(&["V=env".into()]), ["TARGETPLATFORM=linux/arm64"]);
    }

    #[test]
    fn proxies_are_there_without_asking_and_never_unused() {
        let globals = globals(&[("HTTP_PROXY", "http://p"), ("X", "1")]);
        let stage = StageScope::default();
        assert_eq!(stage.proxies(&globals), ["HTTP_PROXY=http://p"]);
        assert_eq!(unused(&globals, [&stage]), ["X"]);
    }
}
