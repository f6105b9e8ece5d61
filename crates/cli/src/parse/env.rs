//! Environment variables and labels: `KEY=value` on the command line and in files.

use std::fs;

use serde_json::{Map, Value};

/// An environment variable needs a name.
pub fn validate_env(text: &str) -> Result<(), String> {
    match text.split('=').next() {
        Some("") | None => Err(format!("invalid environment variable: {text}")),
        Some(_) => Ok(()),
    }
}

/// A label needs a key without blanks.
pub fn validate_label(text: &str) -> Result<(), String> {
    let key = text.split('=').next().unwrap_or_default().trim_start_matches([' ', '\t']);
    if key.is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    match key.contains([' ', '\t']) {
        true => Err(format!("label '{key}' contains whitespaces")),
        false => Ok(()),
    }
}

/// Only namespaced sysctls can be set for a container.
pub fn validate_sysctl(text: &str) -> Result<(), String> {
    const NAMES: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    match text.split_once('=') {
        Some((key, _))
            if NAMES.contains(&key) || key.starts_with("net.") || key.starts_with("fs.mqueue.") =>
        {
            Ok(())
        }
        _ => Err(format!("sysctl '{text}' is not allowed")),
    }
}

/// The variables of files, then those of flags. A name without `=` takes its value from our own environment, and
/// is left out when it has none there (files and flags alike).
pub fn env(files: &[String], flags: &[String]) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for file in files {
        for line in lines(file)? {
            out.extend(resolve(&line));
        }
    }
    // A bare name of a flag that we do not have stays: the engine then removes it from the image's environment.
    out.extend(flags.iter().map(|flag| resolve(flag).unwrap_or_else(|| flag.clone())));
    Ok(out)
}

/// The labels of files, then those of flags.
pub fn labels(files: &[String], flags: &[String]) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for file in files {
        out.extend(lines(file)?);
    }
    out.extend(flags.iter().cloned());
    Ok(out)
}

fn resolve(entry: &str) -> Option<String> {
    if entry.contains('=') {
        return Some(entry.to_owned());
    }
    std::env::var(entry).ok().map(|value| format!("{entry}={value}"))
}

fn lines(path: &str) -> Result<Vec<String>, String> {
    let bytes = fs::read(path).map_err(|e| format!("open {path}: {}", crate::terminal::io_text(&e)))?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(format!("invalid env file ({path}): contains invalid utf8 bytes"));
    };
    let mut out = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.is_empty() {
            return Err(format!("invalid env file ({path}): no variable name on line '{line}'"));
        }
        if name.contains(char::is_whitespace) {
            return Err(format!("invalid env file ({path}): variable '{name}' contains whitespaces"));
        }
        out.push(line.to_owned());
    }
    Ok(out)
}

/// Pairs as a JSON object; a missing value is empty, the last of a key counts.
pub fn to_map(pairs: &[String]) -> Map<String, Value> {
    pairs
        .iter()
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), Value::String(value.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_before_flags_and_comments_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        fs::write(&path, "# c\nA=1\n\n  B=two words\nNOT_SET_ANYWHERE_X\n").unwrap();
        let path = path.to_str().unwrap().to_owned();
        let all = env(std::slice::from_ref(&path), &["C=3".into(), "NOT_SET_ANYWHERE_Y".into()]).unwrap();
        assert_eq!(all, ["A=1", "B=two words", "C=3", "NOT_SET_ANYWHERE_Y"]);
        fs::write(&path, "a b=1").unwrap();
        assert!(
            env(std::slice::from_ref(&path), &[])
                .unwrap_err()
                .ends_with("variable 'a b' contains whitespaces")
        );
        fs::write(&path, "=1").unwrap();
        assert!(env(&[path], &[]).unwrap_err().contains("no variable name"));
    }

    #[test]
    fn names_are_required() {
        assert_eq!(validate_env("=x"), Err("invalid environment variable: =x".into()));
        assert_eq!(validate_label(""), Err("invalid label '': empty name".into()));
        assert_eq!(validate_label("a b=c"), Err("label 'a b' contains whitespaces".into()));
        assert!(validate_sysctl("net.ipv4.x=1").is_ok() && validate_sysctl("vm.x=1").is_err());
    }
}
