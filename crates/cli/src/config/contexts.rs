//! Contexts: named engines. The files are Docker's: `contexts/meta/<sha256 of name>/meta.json`, certificates below
//! `contexts/tls/<sha256 of name>/docker/`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gantry_client::{Endpoint, TlsFiles};
use gantry_names::Digest;
use serde_json::{Map, Value, json};

/// The names of a context's certificate files.
const TLS_NAMES: [&str; 3] = ["ca.pem", "cert.pem", "key.pem"];

/// A named engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// `-H`'s text.
    pub host: String,
    /// Whether to trust any certificate.
    pub skip_verify: bool,
    /// Everything else in its metadata, kept as it came.
    pub metadata: Map<String, Value>,
}

/// The folder of contexts.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// Whether a text may be a context's name.
pub fn valid_name(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    match name {
        "" => Err("context name cannot be empty".into()),
        "default" => Err("\"default\" is a reserved context name".into()),
        _ if first && name.len() > 1 && chars.all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c)) => {
            Ok(())
        }
        _ => Err(format!(
            "context name {name:?} is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\""
        )),
    }
}

impl Store {
    /// The contexts below a configuration folder.
    pub fn new(config_dir: &Path) -> Store {
        Store { root: config_dir.join("contexts") }
    }

    fn key(name: &str) -> String {
        Digest::sha256_of(name.as_bytes()).hex().to_owned()
    }

    /// Where a context's metadata is.
    pub fn meta_dir(&self, name: &str) -> PathBuf {
        self.root.join("meta").join(Store::key(name))
    }

    /// Where a context's certificates are.
    pub fn tls_dir(&self, name: &str) -> PathBuf {
        self.root.join("tls").join(Store::key(name))
    }

    /// The context called `name`.
    pub fn get(&self, name: &str) -> Result<Context, String> {
        let path = self.meta_dir(name).join("meta.json");
        let text = fs::read(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                format!(
                    "context {name:?}: context not found: open {}: {}",
                    path.display(),
                    crate::terminal::io_text(&e)
                )
            }
            _ => format!("context {name:?}: {}", crate::terminal::io_text(&e)),
        })?;
        let value: Value =
            serde_json::from_slice(&text).map_err(|e| format!("parsing {}: {e}", path.display()))?;
        Ok(Context::from_json(&value))
    }

    /// All contexts, by name.
    pub fn list(&self) -> Vec<Context> {
        let mut out = Vec::new();
        if let Ok(dirs) = fs::read_dir(self.root.join("meta")) {
            for dir in dirs.flatten() {
                let read = fs::read(dir.path().join("meta.json")).ok();
                if let Some(value) = read.and_then(|t| serde_json::from_slice::<Value>(&t).ok()) {
                    out.push(Context::from_json(&value));
                }
            }
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        out
    }

    /// Writes a context's metadata, beside and renamed.
    pub fn put(&self, context: &Context) -> io::Result<()> {
        let dir = self.meta_dir(&context.name);
        fs::create_dir_all(&dir)?;
        let beside = dir.join(format!(".meta.json.{}", std::process::id()));
        fs::write(&beside, context.to_json().to_string())?;
        fs::rename(&beside, dir.join("meta.json"))
    }

    /// Replaces a context's certificates: pairs of a name and its bytes.
    pub fn put_tls(&self, name: &str, files: &[(String, Vec<u8>)]) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        let base = self.tls_dir(name);
        match fs::remove_dir_all(&base) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        if files.is_empty() {
            return Ok(());
        }
        let dir = base.join("docker");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        for (file, bytes) in files {
            use std::io::Write;
            use std::os::unix::fs::OpenOptionsExt;
            let mut open = fs::OpenOptions::new();
            open.write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(dir.join(file))?
                .write_all(bytes)?;
        }
        Ok(())
    }

    /// A context's certificates with their bytes.
    pub fn tls(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let dir = self.tls_dir(name).join("docker");
        TLS_NAMES.iter().filter_map(|f| Some(((*f).to_owned(), fs::read(dir.join(f)).ok()?))).collect()
    }

    /// Removes a context.
    pub fn remove(&self, name: &str) -> Result<(), String> {
        self.get(name)?;
        for dir in [self.tls_dir(name), self.meta_dir(name)] {
            match fs::remove_dir_all(&dir) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => {
                    return Err(crate::terminal::io_text(&err));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The address a context stands for.
    pub fn endpoint(&self, context: &Context) -> Result<Endpoint, String> {
        let dir = self.tls_dir(&context.name).join("docker");
        let file = |name: &str| Some(dir.join(name)).filter(|p| p.is_file());
        let files = TlsFiles {
            ca: file("ca.pem"),
            cert: file("cert.pem"),
            key: file("key.pem"),
            verify: !context.skip_verify,
        };
        let any = files.ca.is_some() || files.cert.is_some() || context.skip_verify;
        Endpoint::parse(&context.host, any.then_some(files)).map_err(|e| e.to_string())
    }
}

impl Context {
    /// Docker's `meta.json`.
    pub fn from_json(value: &Value) -> Context {
        let docker = &value["Endpoints"]["docker"];
        let mut metadata = value["Metadata"].as_object().cloned().unwrap_or_default();
        let description = metadata
            .shift_remove("Description")
            .and_then(|d| d.as_str().map(str::to_owned))
            .unwrap_or_default();
        Context {
            name: value["Name"].as_str().unwrap_or_default().to_owned(),
            description,
            host: docker["Host"].as_str().unwrap_or_default().to_owned(),
            skip_verify: docker["SkipTLSVerify"].as_bool().unwrap_or(false),
            metadata,
        }
    }

    /// Docker's `meta.json`.
    pub fn to_json(&self) -> Value {
        let mut metadata = Map::new();
        if !self.description.is_empty() {
            metadata.insert("Description".into(), json!(self.description));
        }
        metadata.extend(self.metadata.clone());
        json!({
            "Name": self.name,
            "Metadata": metadata,
            "Endpoints": {"docker": {"Host": self.host, "SkipTLSVerify": self.skip_verify}},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_kept_as_docker_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let context = Context {
            name: "far".into(),
            description: "d".into(),
            host: "tcp://h:1".into(),
            skip_verify: false,
            metadata: Map::new(),
        };
        store.put(&context).unwrap();
        store.put_tls("far", &[("ca.pem".into(), b"x".to_vec())]).unwrap();
        // sha256("far"), the folder's name in Docker's layout.
        let folder = Digest::sha256_of(b"far").hex().to_owned();
        assert!(dir.path().join("contexts/meta").join(folder).join("meta.json").is_file());
        assert_eq!(store.get("far").unwrap(), context);
        assert_eq!(store.list().len(), 1);
        assert!(matches!(store.endpoint(&context).unwrap(), Endpoint::Tcp { tls: Some(t), .. } if t.verify));
        store.remove("far").unwrap();
        assert!(store.get("far").unwrap_err().starts_with("context \"far\": context not found: open "));
        assert!(!store.tls_dir("far").exists());
    }

    #[test]
    fn names_are_checked() {
        assert!(valid_name("a.b-c").is_ok());
        assert!(valid_name("../x").is_err() && valid_name("default").is_err() && valid_name("").is_err());
    }
}
