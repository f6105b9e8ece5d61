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
    /// The file is there and could not be read: writing it would lose what a person can still mend.
    is_unread: bool,
}

/// What is text, what is an object, what is a list; a value of another kind is told and passed over.
const TEXTS: [&str; 8] = [
    "credsStore",
    "currentContext",
    "detachKeys",
    "psFormat",
    "imagesFormat",
    "networksFormat",
    "volumesFormat",
    "statsFormat",
];
const OBJECTS: [&str; 6] = ["auths", "credHelpers", "HttpHeaders", "proxies", "aliases", "plugins"];
const LISTS: [&str; 2] = ["pruneFilters", "cliPluginsExtraDirs"];

impl ConfigFile {
    /// Reads the file of `dir`; a missing or empty one has nothing in it. What is wrong with it is told, and passed over.
    pub fn load(dir: &Path) -> (ConfigFile, Option<String>) {
        let path = dir.join("config.json");
        let with = |root, is_unread| ConfigFile { dir: dir.to_owned(), root, is_unread };
        let unread = |why: String| {
            (with(Map::new(), true), Some(format!("parsing config file ({}): {why}", path.display())))
        };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return (with(Map::new(), false), None),
            Err(err) => {
                let why = crate::terminal::io_text(&err);
                let why = format!("loading config file: open {}: {why}", path.display());
                return (with(Map::new(), true), Some(why));
            }
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            return (with(Map::new(), false), None);
        }
        match serde_json::from_slice(&text) {
            Ok(Value::Object(root)) => {
                let complaint =
                    complaint(&root).map(|why| format!("parsing config file ({}): {why}", path.display()));
                (with(root, false), complaint)
            }
            Ok(_) => unread("it is no JSON object".into()),
            Err(err) => unread(err.to_string()),
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
        let path = self.dir.join("config.json");
        if self.is_unread {
            return Err(io::Error::other(format!("{} is left as it is: mend it first", path.display())));
        }
        fs::create_dir_all(&self.dir)?;
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

/// The first key whose value is of a kind that it cannot be.
fn complaint(root: &Map<String, Value>) -> Option<String> {
    let wrong = |keys: &[&str], fits: fn(&Value) -> bool, kind| {
        let is_wrong = |key: &&&str| root.get(**key).is_some_and(|value| !value.is_null() && !fits(value));
        keys.iter().find(is_wrong).map(|key| format!("the value of {key} is not {kind}"))
    };
    wrong(&TEXTS, Value::is_string, "a text")
        .or_else(|| wrong(&OBJECTS, Value::is_object, "an object"))
        .or_else(|| wrong(&LISTS, Value::is_array, "a list"))
}

/// `DOCKER_CUSTOM_HEADERS`: `name=value` with commas between, as CSV. It takes the place of the file's `HttpHeaders`.
pub fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let wrong = |why: String| {
        format!("failed to set custom headers from DOCKER_CUSTOM_HEADERS environment variable: {why}")
    };
    let mut out = Vec::new();
    for field in crate::parse::csv::fields(text).map_err(wrong)? {
        let (name, value) = field
            .split_once('=')
            .ok_or_else(|| wrong(format!("missing \"=\" in key=value pair: '{field}'")))?;
        match name.trim() {
            "" => return Err(wrong(format!("value contains a key=value pair with an empty key: '{field}'"))),
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
    fn a_broken_file_is_told_and_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        for broken in ["{", "[]", "3"] {
            fs::write(&path, broken).unwrap();
            let (mut config, complaint) = ConfigFile::load(dir.path());
            assert!(complaint.unwrap().starts_with("parsing config file ("));
            config.set_text("currentContext", "far");
            assert!(config.save().unwrap_err().to_string().ends_with("is left as it is: mend it first"));
            assert_eq!(fs::read_to_string(&path).unwrap(), broken);
        }
        fs::write(&path, "\n").unwrap();
        let (config, complaint) = ConfigFile::load(dir.path());
        assert_eq!(complaint, None);
        config.save().unwrap();
    }

    #[test]
    fn a_value_of_another_kind_is_told_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), r#"{"psFormat":3,"detachKeys":"ctrl-a"}"#).unwrap();
        let (config, complaint) = ConfigFile::load(dir.path());
        assert!(complaint.unwrap().ends_with("the value of psFormat is not a text"));
        assert_eq!((config.text("psFormat"), config.text("detachKeys")), ("", "ctrl-a"));
    }
}
