//! The configuration of the first registry (0.9), as the book shows it: several "flavors" in one file, one of them
//! chosen by `SETTINGS_FLAVOR`, values written `_env:NAME:default`. It becomes today's tree.

use serde_json::{Map, Value, json};

use super::tree::ConfigError;

/// Whether a tree is of the old kind: no `version`, and flavors instead of today's sections.
pub fn is_old(tree: &Value) -> bool {
    let section = |key: &str| tree.get(key).is_some_and(Value::is_object);
    tree.get("version").is_none()
        && !section("http")
        && tree.as_object().is_some_and(|map| {
            map.contains_key("common")
                || map.values().any(|flavor| flavor.get("storage").is_some_and(Value::is_string))
        })
}

/// Today's tree for the chosen flavor; `dev` when none is chosen, as it was.
pub fn modernize(tree: &Value, environment: &dyn Fn(&str) -> Option<String>) -> Result<Value, ConfigError> {
    let chosen = environment("SETTINGS_FLAVOR").unwrap_or_else(|| "dev".to_owned());
    let common = tree.get("common").cloned().unwrap_or_else(|| json!({}));
    let flavor = match tree.get(&chosen) {
        Some(flavor) => flavor.clone(),
        None if chosen == "dev" => common.clone(),
        None => return Err(ConfigError::Value(format!("the configuration has no flavor named {chosen}"))),
    };
    let flavor = substituted(&flavor, environment);
    Ok(translated(&flavor))
}

/// Replaces `_env:NAME` and `_env:NAME:default` everywhere.
fn substituted(value: &Value, environment: &dyn Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter().map(|(key, value)| (key.clone(), substituted(value, environment))).collect(),
        ),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| substituted(item, environment)).collect())
        }
        Value::String(text) => match text.strip_prefix("_env:") {
            None => value.clone(),
            Some(rest) => {
                let (name, default) = match rest.split_once(':') {
                    Some((name, default)) => (name, Some(default)),
                    None => (rest, None),
                };
                let text = environment(name).or_else(|| default.map(str::to_owned));
                text.map_or(Value::Null, |text| scalar(&text))
            }
        },
        other => other.clone(),
    }
}

fn scalar(text: &str) -> Value {
    serde_saphyr::from_str::<Value>(text)
        .ok()
        .filter(|value| !value.is_object() && !value.is_array())
        .unwrap_or_else(|| if text.is_empty() { Value::Null } else { Value::String(text.to_owned()) })
}

fn translated(flavor: &Value) -> Value {
    let text = |key: &str| match flavor.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let mut tree = json!({"version": 0.1});
    if let Some(level) = text("loglevel") {
        tree["log"] = json!({"level": level});
    }
    let storage = text("storage").unwrap_or_else(|| "local".to_owned());
    let (driver, settings) = match storage.as_str() {
        "s3" => ("s3", s3(&text, flavor)),
        "gcs" => ("gcs", present([("bucket", text("boto_bucket")), ("keyfile", text("gs_keyfile"))])),
        "azureblob" => (
            "azure",
            present([
                ("accountname", text("azure_storage_account_name")),
                ("accountkey", text("azure_storage_account_key")),
                ("container", text("azure_storage_container")),
            ]),
        ),
        "swift" => (
            "swift",
            present([
                ("authurl", text("swift_auth_url").or_else(|| text("swift_authurl"))),
                ("username", text("swift_user").or_else(|| text("swift_username"))),
                ("password", text("swift_password")),
                ("tenant", text("swift_tenant_name")),
                ("container", text("swift_container")),
                ("region", text("swift_region_name")),
                ("authversion", text("swift_auth_version")),
                ("prefix", text("storage_path")),
            ]),
        ),
        _ => (
            "filesystem",
            json!({"rootdirectory": text("storage_path").unwrap_or_else(|| "/tmp/registry".to_owned())}),
        ),
    };
    tree["storage"] = Value::Object(Map::from_iter([(driver.to_owned(), settings)]));
    let mirrored =
        flavor.pointer("/mirroring/source").and_then(Value::as_str).filter(|source| !source.is_empty());
    if let Some(source) = mirrored {
        tree["proxy"] = json!({"remoteurl": source});
    }
    tree
}

fn s3(text: &dyn Fn(&str) -> Option<String>, flavor: &Value) -> Value {
    let mut s3 = present([
        ("accesskey", text("s3_access_key")),
        ("secretkey", text("s3_secret_key")),
        ("bucket", text("s3_bucket").or_else(|| text("boto_bucket"))),
        ("region", text("s3_region")),
        ("rootdirectory", text("storage_path")),
        ("regionendpoint", text("boto_host")),
    ]);
    for (old, new) in [("s3_encrypt", "encrypt"), ("s3_secure", "secure")] {
        if let Some(value) = flavor.get(old).filter(|value| value.is_boolean()) {
            s3[new] = value.clone();
        }
    }
    s3
}

fn present<const N: usize>(fields: [(&str, Option<String>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::String(value?))));
    Value::Object(fields.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    const BOOK: &str = "
common: &common
    standalone: _env:STANDALONE:true
    loglevel: _env:LOGLEVEL:info
    search_backend: _env:SEARCH_BACKEND:
    mirroring:
        source: _env:MIRROR_SOURCE
local: &local
    <<: *common
    storage: local
    storage_path: _env:STORAGE_PATH:/tmp/registry
s3: &s3
    <<: *common
    storage: s3
    s3_access_key: _env:AWS_KEY
    s3_secret_key: _env:AWS_SECRET
    s3_bucket: _env:AWS_BUCKET
    storage_path: _env:STORAGE_PATH:/registry
dev: &dev
    <<: *local
    loglevel: _env:LOGLEVEL:debug
prod:
    <<: *s3
";

    #[test]
    fn the_books_flavors_become_todays_sections() {
        let old = tree::parse(BOOK).unwrap();
        assert!(is_old(&old));
        let dev = modernize(&old, &|_| None).unwrap();
        assert_eq!(dev["storage"], json!({"filesystem": {"rootdirectory": "/tmp/registry"}}));
        assert_eq!(dev["log"]["level"], "debug");
        let environment = |name: &str| match name {
            "SETTINGS_FLAVOR" => Some("prod".to_owned()),
            "AWS_BUCKET" => Some("images".to_owned()),
            "MIRROR_SOURCE" => Some("https://mirror.example".to_owned()),
            _ => None,
        };
        let prod = modernize(&old, &environment).unwrap();
        assert_eq!(prod["storage"], json!({"s3": {"bucket": "images", "rootdirectory": "/registry"}}));
        assert_eq!(prod["proxy"]["remoteurl"], "https://mirror.example");
        let swift = tree::parse(
            "dev:\n    storage: swift\n    storage_path: _env:STORAGE_PATH:/registry\n    swift_authurl: _env:OS_AUTH_URL\n    \
             swift_container: images\n    swift_user: _env:OS_USERNAME\n    swift_tenant_name: _env:OS_TENANT_NAME\n",
        );
        let environment = |name: &str| (name == "OS_USERNAME").then(|| "ann".to_owned());
        let swift = modernize(&swift.unwrap(), &environment).unwrap();
        let expected = json!({"username": "ann", "container": "images", "prefix": "/registry"});
        assert_eq!(swift["storage"]["swift"], expected);
        assert!(modernize(&old, &|name| (name == "SETTINGS_FLAVOR").then(|| "x".to_owned())).is_err());
    }

    #[test]
    fn a_modern_file_is_not_taken_for_an_old_one() {
        assert!(!is_old(&tree::parse("version: 0.1\nstorage: inmemory\n").unwrap()));
        assert!(!is_old(&tree::parse("http:\n  addr: :5000\n").unwrap()));
        assert!(!is_old(&tree::parse("").unwrap()));
    }
}
