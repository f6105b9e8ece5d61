//! `~/.docker/config.json`: read leniently, written back with everything in it that we do not know.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// The configuration file.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    dir: PathBuf,
    root: Map<String, Value>,
}

impl ConfigFile {
    /// Reads the file of `dir`; a missing one is empty. A broken one is told and taken as empty.
    pub fn load(dir: &Path) -> (ConfigFile, Option<String>) {
        let path = dir.join("config.json");
        let empty = |complaint| (ConfigFile { dir: dir.to_owned(), root: Map::new() }, complaint);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return empty(None),
            Err(err) => {
                let why = crate::terminal::io_text(&err);
                return empty(Some(format!("loading config file: {}: {why}", path.display())));
            }
        };
        match serde_json::from_slice(&text) {
            Ok(Value::Object(root)) => (ConfigFile { dir: dir.to_owned(), root }, None),
            Ok(_) => empty(Some(format!("loading config file: {}: no JSON object", path.display()))),
            Err(err) => empty(Some(format!("loading config file: {}: {err}", path.display()))),
        }
    }

    /// The folder of the file.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A text setting, or "".
    pub fn text(&self, key: &str) -> &str {
        self.root.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// An object setting.
    pub fn object(&self, key: &str) -> Option<&Map<String, Value>> {
        self.root.get(key).and_then(Value::as_object)
    }

    /// Pairs of an object of texts.
    pub fn pairs(&self, key: &str) -> Vec<(String, String)> {
        let pair = |(k, v): (&String, &Value)| Some((k.clone(), v.as_str()?.to_owned()));
        self.object(key).map(|o| o.iter().filter_map(pair).collect()).unwrap_or_default()
    }

    /// A list of texts.
    pub fn list(&self, key: &str) -> Vec<String> {
        let items = self.root.get(key).and_then(Value::as_array);
        items.map(|l| l.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
    }

    /// Sets a text, or removes the key when it is empty.
    pub fn set_text(&mut self, key: &str, value: &str) {
        match value.is_empty() {
            true => drop(self.root.shift_remove(key)),
            false => drop(self.root.insert(key.to_owned(), json!(value))),
        }
    }

    /// An object setting to be changed.
    pub fn object_mut(&mut self, key: &str) -> &mut Map<String, Value> {
        let slot = self.root.entry(key.to_owned()).or_insert_with(|| json!({}));
        if !slot.is_object() {
            *slot = json!({});
        }
        match slot {
            Value::Object(map) => map,
            _ => unreachable!("made an object just above"),
        }
    }

    /// Writes the file beside its old self and renames it: a full disk never costs the credentials.
    pub fn save(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join("config.json");
        // A link to another place stays one.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let beside = path.with_extension(format!("json{}", std::process::id()));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(indented(&Value::Object(self.root.clone()), "\t").as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    }

    /// The proxies to hand to containers (and builds) of the engine at `host`.
    pub fn proxies(&self, host: &str) -> Vec<(String, String)> {
        let Some(proxies) = self.object("proxies") else { return Vec::new() };
        let Some(proxy) = proxies.get(host).or_else(|| proxies.get("default")) else { return Vec::new() };
        let mut out = Vec::new();
        for (key, names) in [
            ("httpProxy", ["HTTP_PROXY", "http_proxy"]),
            ("httpsProxy", ["HTTPS_PROXY", "https_proxy"]),
            ("ftpProxy", ["FTP_PROXY", "ftp_proxy"]),
            ("noProxy", ["NO_PROXY", "no_proxy"]),
            ("allProxy", ["ALL_PROXY", "all_proxy"]),
        ] {
            if let Some(value) = proxy[key].as_str().filter(|v| !v.is_empty()) {
                out.extend(names.iter().map(|name| ((*name).to_owned(), value.to_owned())));
            }
        }
        out
    }
}

/// `DOCKER_CUSTOM_HEADERS`: `name=value` with commas between, as CSV. It takes the place of the file's `HttpHeaders`.
pub fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let wrong = |why: String| format!("failed to parse custom headers from DOCKER_CUSTOM_HEADERS: {why}");
    let mut out = Vec::new();
    for field in crate::parse::csv::fields(text).map_err(wrong)? {
        let (name, value) =
            field.split_once('=').ok_or_else(|| wrong(format!("{field:?} is not name=value")))?;
        match name.trim() {
            "" => return Err(wrong("a header without a name".into())),
            name => out.push((name.to_owned(), value.to_owned())),
        }
    }
    Ok(out)
}

/// JSON over several lines with an indent, as Go's `MarshalIndent`: empty objects and lists stay on their line.
pub fn indented(value: &Value, indent: &str) -> String {
    fn write(value: &Value, indent: &str, depth: usize, out: &mut String) {
        let newline = |out: &mut String, depth: usize| {
            out.push('\n');
            for _ in 0..depth {
                out.push_str(indent);
            }
        };
        match value {
            Value::Array(items) if !items.is_empty() => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    newline(out, depth + 1);
                    write(item, indent, depth + 1, out);
                }
                newline(out, depth);
                out.push(']');
            }
            Value::Object(map) if !map.is_empty() => {
                out.push('{');
                for (i, (key, item)) in map.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    newline(out, depth + 1);
                    out.push_str(&Value::String(key.clone()).to_string());
                    out.push_str(": ");
                    write(item, indent, depth + 1, out);
                }
                newline(out, depth);
                out.push('}');
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut out = String::new();
    write(value, indent, 0, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_do_not_know_survives_a_save() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), r#"{"x":{"y":[]},"detachKeys":"ctrl-a"}"#).unwrap();
        let (mut config, complaint) = ConfigFile::load(dir.path());
        assert_eq!((config.text("detachKeys"), complaint), ("ctrl-a", None));
        config.set_text("currentContext", "far");
        config.set_text("detachKeys", "");
        config.save().unwrap();
        let text = fs::read_to_string(dir.path().join("config.json")).unwrap();
        assert_eq!(text, "{\n\t\"x\": {\n\t\t\"y\": []\n\t},\n\t\"currentContext\": \"far\"\n}");
    }

    #[test]
    fn headers_of_the_environment_are_csv() {
        let pairs = headers("a=1,\"b=2,3\"").unwrap();
        assert_eq!(pairs, [("a".into(), "1".into()), ("b".into(), "2,3".into())]);
        assert!(headers("a").is_err() && headers("=1").is_err());
    }

    #[test]
    fn a_broken_file_is_told_and_empty() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), "{").unwrap();
        assert!(ConfigFile::load(dir.path()).1.is_some());
    }
}
