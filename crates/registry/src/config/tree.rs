//! A configuration as a tree of values, before it becomes types: YAML, then `REGISTRY_*` variables on top.

use serde_json::{Map, Value};

/// Why a configuration was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("read {path}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        cause: std::io::Error,
    },
    /// Not YAML.
    #[error("the configuration is not valid YAML: {0}")]
    Yaml(String),
    /// YAML of another shape.
    #[error("the configuration is not understood: {0}")]
    Shape(#[from] serde_json::Error),
    /// A value that cannot be.
    #[error("{0}")]
    Value(String),
}

/// Reads YAML. Nothing at all is an empty mapping.
pub fn parse(text: &str) -> Result<Value, ConfigError> {
    match serde_saphyr::from_str::<Value>(&quoted(text)) {
        Ok(Value::Null) => Ok(Value::Object(Map::new())),
        Ok(tree @ Value::Object(_)) => Ok(tree),
        Ok(_) => Err(ConfigError::Yaml("it is not a mapping".to_owned())),
        Err(err) => Err(ConfigError::Yaml(err.to_string())),
    }
}

/// Quotes `key: _env:NAME:`, an empty default: books print it, YAML does not allow it.
fn quoted(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(": _env:") {
        Some((key, rest)) if rest.trim_end().ends_with(':') => format!("{key}: \"_env:{}\"", rest.trim_end()),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Applies `REGISTRY_HTTP_ADDR=:5001` as `http.addr`, as Docker's registry does: the name's parts are keys whatever
/// their case, the value is YAML. A variable that leads nowhere we know makes new keys; types sort it out.
pub fn apply_environment(tree: &mut Value, variables: impl IntoIterator<Item = (String, String)>) {
    let mut variables: Vec<_> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("REGISTRY_")?.to_ascii_lowercase(), value)))
        .collect();
    // Short before long: REGISTRY_STORAGE=s3 chooses, REGISTRY_STORAGE_S3_BUCKET refines.
    variables.sort();
    for (name, text) in variables {
        let value = serde_saphyr::from_str::<Value>(&text).unwrap_or_else(|_| Value::String(text.clone()));
        // "http.secret: 123456" is text for whoever wrote it; numbers are turned back where text is wanted.
        set(tree, &name.split('_').collect::<Vec<_>>(), value);
    }
}

fn set(tree: &mut Value, path: &[&str], value: Value) {
    let [key, rest @ ..] = path else {
        *tree = value;
        return;
    };
    if tree.is_null() && *key == "0" {
        *tree = Value::Array(Vec::new());
    }
    if let Value::Array(items) = tree
        && let Ok(index) = key.parse::<usize>()
    {
        if index < items.len() {
            set(&mut items[index], rest, value);
        } else if index == items.len() {
            items.push(Value::Null);
            set(&mut items[index], rest, value);
        }
        return;
    }
    if let Value::String(word) = tree {
        // `storage: s3` and a variable below it: the word is a key without settings.
        let word = std::mem::take(word);
        *tree = Value::Object(Map::from_iter([(word, Value::Object(Map::new()))]));
    }
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    if let Value::Object(map) = tree {
        let known = map.keys().find(|known| known.eq_ignore_ascii_case(key)).cloned();
        let slot = map.entry(known.unwrap_or_else(|| (*key).to_owned())).or_insert(Value::Null);
        set(slot, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_override_and_extend_the_file() {
        let mut tree =
            parse("version: 0.1\nhttp:\n  addr: :5000\nnotifications:\n  endpoints:\n    - name: a\n")
                .unwrap();
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        apply_environment(
            &mut tree,
            [
                set("REGISTRY_HTTP_ADDR", "0.0.0.0:443"),
                set("REGISTRY_STORAGE_S3_BUCKET", "b"),
                set("REGISTRY_STORAGE", "s3"),
                set("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
                set("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL", "http://x"),
                set("REGISTRY_HTTP_TLS_CLIENTCAS_0", "/ca.pem"),
                set("PATH", "/bin"),
            ],
        );
        assert_eq!(tree["http"]["addr"], "0.0.0.0:443");
        assert_eq!(tree["storage"], json!({"s3": {"bucket": "b"}, "delete": {"enabled": true}}));
        assert_eq!(tree["notifications"]["endpoints"][0], json!({"name": "a", "url": "http://x"}));
        assert_eq!(tree["http"]["tls"]["clientcas"], json!(["/ca.pem"]));
        assert!(tree.get("path").is_none());
    }

    #[test]
    fn what_is_not_a_mapping_is_refused() {
        assert!(parse("[1, 2]").is_err());
        assert!(parse("a: [").is_err());
        assert_eq!(parse("").unwrap(), json!({}));
    }
}
