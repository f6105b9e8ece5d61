//! `daemon.json`.

use super::{OPTIONS, Setting, Values, go};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Keys whose objects are values, not groups of further keys.
const FLAT: &[&str] =
    &["log-opts", "runtimes", "default-ulimits", "features", "builder", "default-network-opts"];

/// Keys that Docker takes without a flag of that name, and what it means by them does not exist here.
const SILENT: &[&str] = &["deprecated-key-path"];

/// Keys without a flag of that name.
const FILE_ONLY: &[&str] = &["builder"];

/// May be given both as flags and in the file: they add up.
const ADD_UP: &[&str] = &["runtimes"];

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("unable to configure the Docker daemon with file {path}: {cause}")]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("unable to configure the Docker daemon with file {path}: {text}")]
    Bad { path: PathBuf, text: String },
}

/// Reads a file and compares it with the flags. A file that is not there is no error unless it was asked for.
pub(crate) fn load(path: &Path, asked: bool, flags: &Values) -> Result<Values, FileError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound && !asked => return Ok(Values::new()),
        Err(cause) => return Err(FileError::Unreadable { path: path.to_owned(), cause }),
    };
    parse(&text, flags).map_err(|text| FileError::Bad { path: path.to_owned(), text })
}

fn parse(text: &[u8], flags: &Values) -> Result<Values, String> {
    // A byte order mark is not JSON, but editors leave it.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Values::new());
    }
    let document: Value = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    let Value::Object(document) = document else {
        return Err("json: cannot unmarshal the document into an object".into());
    };
    let mut values = flatten(document);
    if let Some(old) = values.remove("host-gateway-ip") {
        if values.contains_key("host-gateway-ips") {
            return Err(
                "host-gateway-ip and host-gateway-ips must not both be specified in the config file".into()
            );
        }
        values.insert("host-gateway-ips".into(), Value::Array(vec![old]));
    }
    unknown(&values)?;
    conflicts(&values, flags)?;
    for key in SILENT {
        values.remove(*key);
    }
    Ok(values)
}

/// Groups such as `"proxies": {"http-proxy": …}` are taken apart.
fn flatten(document: Values) -> Values {
    let mut values = Values::new();
    for (key, value) in document {
        match value {
            Value::Object(group) if !FLAT.contains(&key.as_str()) => values.extend(group),
            value => drop(values.insert(key, value)),
        }
    }
    values
}

fn setting(key: &str) -> Option<&'static Setting> {
    OPTIONS.iter().find(|setting| setting.key == key)
}

fn unknown(values: &Values) -> Result<(), String> {
    let keys = values.keys().map(String::as_str);
    let unknown: Vec<&str> = keys
        .filter(|key| setting(key).is_none() && !SILENT.contains(key) && !FILE_ONLY.contains(key))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!("the following directives don't match any configuration option: {}", unknown.join(", ")))
}

fn conflicts(values: &Values, flags: &Values) -> Result<(), String> {
    let both = flags.iter().filter(|(key, _)| !ADD_UP.contains(&key.as_str()));
    let both: Vec<String> = both
        .filter_map(|(key, flag)| {
            let file = values.get(key)?;
            let (flag, file) = match key.as_str() {
                "http-proxy" | "https-proxy" => (masked(flag), masked(file)),
                _ => (go(flag), go(file)),
            };
            Some(format!("{key}: (from flag: {flag}, from file: {file})"))
        })
        .collect();
    if both.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the following directives are specified both as a flag and in the configuration file: {}",
        both.join(", ")
    ))
}

/// A proxy's address without what logs in to it.
fn masked(value: &Value) -> String {
    gantry_engine::without_login(&go(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flags(value: Value) -> Values {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn groups_are_flat_and_maps_are_not() {
        let values = parse(
            br#"{"proxies": {"http-proxy": "x"}, "log-opts": {"max-size": "1m"}, "builder": {"gc": {}}}"#,
            &Values::new(),
        )
        .unwrap();
        assert_eq!(
            Value::Object(values),
            json!({"http-proxy": "x", "log-opts": {"max-size": "1m"}, "builder": {"gc": {}}})
        );
        assert!(parse(b" \n", &Values::new()).unwrap().is_empty());
    }

    #[test]
    fn unknown_keys_are_refused() {
        let err = parse(br#"{"debug": true, "nonsense": 1}"#, &Values::new()).unwrap_err();
        assert_eq!(err, "the following directives don't match any configuration option: nonsense");
    }

    #[test]
    fn a_setting_comes_from_one_place() {
        let err = parse(
            br#"{"labels": ["a=b"], "runtimes": {}}"#,
            &flags(json!({"labels": ["c=d"], "runtimes": {}})),
        )
        .unwrap_err();
        assert_eq!(
            err,
            "the following directives are specified both as a flag and in the configuration file: labels: (from flag: [c=d], from file: [a=b])"
        );
        let err =
            parse(br#"{"http-proxy": "http://me:secret@p:1"}"#, &flags(json!({"http-proxy": "http://q"})))
                .unwrap_err();
        assert!(err.ends_with("(from flag: http://q, from file: http://xxxxx:xxxxx@p:1)"), "{err}");
    }

    #[test]
    fn only_a_file_that_was_asked_for_must_be_there() {
        let nowhere = Path::new("/nonexistent/daemon.json");
        assert!(load(nowhere, false, &Values::new()).unwrap().is_empty());
        assert!(load(nowhere, true, &Values::new()).is_err());
    }
}
