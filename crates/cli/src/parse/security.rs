//! `--security-opt`: seccomp profiles are read here, because they are files of the person's machine.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

/// What the options mean: those for the engine, and whether the system's paths are to be open.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Options for the engine.
    pub options: Vec<String>,
    /// `systempaths=unconfined`: no masked and no read-only paths.
    pub open_system_paths: bool,
}

/// `--cap-add` and `--cap-drop` as the kernel names them, each once and in order: `net_admin` is `CAP_NET_ADMIN`.
pub fn capabilities(names: &[String]) -> Vec<String> {
    let full = |name: &String| match name.trim().to_uppercase() {
        name if name == "ALL" || name.starts_with("CAP_") => name,
        name => format!("CAP_{name}"),
    };
    names.iter().map(full).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Reads `--security-opt` values.
pub fn parse(options: &[String]) -> Result<Security, String> {
    let mut out = Security::default();
    for option in options {
        let (key, value) = option.split_once('=').or_else(|| option.split_once(':')).unwrap_or((option, ""));
        if value.is_empty() && key != "no-new-privileges" {
            return Err(format!("Invalid --security-opt: {option:?}"));
        }
        if option == "systempaths=unconfined" {
            out.open_system_paths = true;
        } else if key == "seccomp" && !matches!(value, "unconfined" | "builtin") {
            let text = fs::read_to_string(value).map_err(|e| {
                let why = crate::terminal::io_text(&e);
                format!("opening seccomp profile ({value}) failed: open {value}: {why}")
            })?;
            let profile: Value = serde_json::from_str(&text)
                .map_err(|e| format!("compacting json for seccomp profile ({value}) failed: {e}"))?;
            out.options.push(format!("seccomp={profile}"));
        } else {
            out.options.push(option.clone());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let own = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let s = parse(&own(&["no-new-privileges", "label:disable", "systempaths=unconfined"])).unwrap();
        assert_eq!(s.options, ["no-new-privileges", "label:disable"]);
        assert!(s.open_system_paths);
        assert_eq!(parse(&own(&["bogus"])).unwrap_err(), "Invalid --security-opt: \"bogus\"");
        assert!(parse(&own(&["seccomp=/nope.json"])).unwrap_err().contains("no such file or directory"));
    }
}
