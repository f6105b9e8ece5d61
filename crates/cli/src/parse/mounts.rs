//! `--mount type=bind,src=/a,dst=/b,ro`.

use std::path::{Path, absolute};

use serde_json::{Map, Value, json};

use super::{csv, numbers, size};

/// One `--mount`, in the API's form.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut mount = Map::new();
    mount.insert("Type".into(), json!("volume"));
    for field in csv::fields(text)? {
        field_of(&field, &mut mount)?;
    }
    validate(&mount)?;
    Ok(Value::Object(mount))
}

/// The check of the flag.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

fn field_of(field: &str, mount: &mut Map<String, Value>) -> Result<(), String> {
    let (key, value) = match field.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (field, None),
    };
    if key.trim() != key {
        return Err(format!(
            "invalid option '{}' in '{field}': option should not have whitespace",
            key.trim()
        ));
    }
    if let Some(value) = value {
        if value.trim().is_empty() {
            return Err(format!("invalid value for '{key}': value is empty"));
        }
        if value.trim() != value {
            return Err(format!("invalid value for '{key}' in '{field}': value should not have whitespace"));
        }
    }
    let key = key.to_ascii_lowercase();
    let may_stand_alone =
        matches!(key.as_str(), "readonly" | "ro" | "volume-nocopy" | "bind-nonrecursive" | "bind-create-src");
    if value.is_none() && !may_stand_alone {
        return Err(format!("invalid field '{field}' must be a key=value pair"));
    }
    let given = value.unwrap_or("true");
    let on = || numbers::boolean(given).map_err(|_| format!("invalid value for {key}: {given}"));
    match key.as_str() {
        "type" => set(mount, "Type", json!(given.to_ascii_lowercase())),
        "source" | "src" => {
            let source = match given.starts_with('.') {
                true => absolute_path(given),
                false => given.to_owned(),
            };
            set(mount, "Source", json!(source));
        }
        "target" | "dst" | "destination" => set(mount, "Target", json!(given)),
        "readonly" | "ro" => set(mount, "ReadOnly", json!(on()?)),
        "consistency" => set(mount, "Consistency", json!(given.to_ascii_lowercase())),
        "bind-propagation" => {
            set(part(mount, "BindOptions"), "Propagation", json!(given.to_ascii_lowercase()));
        }
        "bind-nonrecursive" => set(part(mount, "BindOptions"), "NonRecursive", json!(on()?)),
        "bind-create-src" => set(part(mount, "BindOptions"), "CreateMountpoint", json!(on()?)),
        "bind-recursive" => match given {
            "enabled" => {}
            "disabled" => set(part(mount, "BindOptions"), "NonRecursive", json!(true)),
            "writable" => set(part(mount, "BindOptions"), "ReadOnlyNonRecursive", json!(true)),
            "readonly" => set(part(mount, "BindOptions"), "ReadOnlyForceRecursive", json!(true)),
            _ => {
                return Err(format!(
                    "invalid value for {key}: {given} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                ));
            }
        },
        "volume-subpath" => set(part(mount, "VolumeOptions"), "Subpath", json!(given)),
        "volume-nocopy" => set(part(mount, "VolumeOptions"), "NoCopy", json!(on()?)),
        "volume-label" => pair(part(part(mount, "VolumeOptions"), "Labels"), given),
        "volume-driver" => {
            set(part(part(mount, "VolumeOptions"), "DriverConfig"), "Name", json!(given));
        }
        "volume-opt" => {
            let driver = part(part(mount, "VolumeOptions"), "DriverConfig");
            pair(part(driver, "Options"), given);
        }
        "image-subpath" => set(part(mount, "ImageOptions"), "Subpath", json!(given)),
        "tmpfs-size" => {
            let bytes = size::parse(given).map_err(|_| format!("invalid value for {key}: {given}"))?;
            set(part(mount, "TmpfsOptions"), "SizeBytes", json!(bytes));
        }
        "tmpfs-mode" => {
            let mode =
                u32::from_str_radix(given, 8).map_err(|_| format!("invalid value for {key}: {given}"))?;
            set(part(mount, "TmpfsOptions"), "Mode", json!(mode));
        }
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

fn validate(mount: &Map<String, Value>) -> Result<(), String> {
    let kind = mount.get("Type").and_then(Value::as_str).unwrap_or_default();
    if kind.is_empty() {
        return Err("type is required".into());
    }
    if !mount.contains_key("Target") {
        return Err("target is required".into());
    }
    for (options, name, wanted) in [
        ("VolumeOptions", "volume-*", "volume"),
        ("ImageOptions", "image-*", "image"),
        ("BindOptions", "bind-*", "bind"),
        ("TmpfsOptions", "tmpfs-*", "tmpfs"),
    ] {
        if mount.contains_key(options) && kind != wanted {
            return Err(format!("cannot mix '{name}' options with mount type '{kind}'"));
        }
    }
    let bind = mount.get("BindOptions");
    let read_only = mount.get("ReadOnly") == Some(&json!(true));
    let asked = |key: &str| bind.is_some_and(|b| b[key] == json!(true));
    if asked("ReadOnlyNonRecursive") && !read_only {
        return Err(
            "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction".into()
        );
    }
    if asked("ReadOnlyForceRecursive") {
        if !read_only {
            return Err(
                "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction".into(),
            );
        }
        if bind.is_none_or(|b| b["Propagation"] != json!("rprivate")) {
            return Err(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
                    .into(),
            );
        }
    }
    Ok(())
}

fn set(map: &mut Map<String, Value>, key: &str, value: Value) {
    map.insert(key.to_owned(), value);
}

fn part<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    let slot = map.entry(key.to_owned()).or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    match slot {
        Value::Object(inner) => inner,
        _ => unreachable!("made an object just above"),
    }
}

fn pair(map: &mut Map<String, Value>, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    set(map, key, json!(value));
}

/// A path below the working directory as an absolute one.
pub fn absolute_path(path: &str) -> String {
    match absolute(Path::new(path)) {
        Ok(whole) => super::volumes::clean(&whole.to_string_lossy()),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_mount() {
        assert_eq!(
            parse("type=bind,source=/a,target=/b,readonly,bind-propagation=rslave").unwrap(),
            json!({"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true,
                   "BindOptions": {"Propagation": "rslave"}})
        );
        assert_eq!(
            parse("src=v,dst=/d,volume-nocopy,volume-label=a=b,volume-driver=nfs,\"volume-opt=o=x,y\"")
                .unwrap(),
            json!({"Type": "volume", "Source": "v", "Target": "/d", "VolumeOptions": {
                "NoCopy": true, "Labels": {"a": "b"},
                "DriverConfig": {"Name": "nfs", "Options": {"o": "x,y"}}}})
        );
        assert_eq!(
            parse("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap()["TmpfsOptions"],
            json!({"SizeBytes": 1 << 20, "Mode": 0o1770})
        );
        let here = parse("type=bind,src=./x,dst=/b").unwrap();
        assert!(here["Source"].as_str().unwrap().starts_with('/'));
    }

    #[test]
    fn mistakes() {
        assert_eq!(parse("type=bind,src=/a").unwrap_err(), "target is required");
        assert_eq!(parse("dst=/a,nope=1").unwrap_err(), "unexpected key 'nope' in 'nope=1'");
        assert_eq!(parse("dst=/a,src").unwrap_err(), "invalid field 'src' must be a key=value pair");
        assert_eq!(
            parse("type=bind,src=/a,dst=/b,volume-nocopy").unwrap_err(),
            "cannot mix 'volume-*' options with mount type 'bind'"
        );
        assert_eq!(parse("dst=/a,tmpfs-size=x").unwrap_err(), "invalid value for tmpfs-size: x");
        assert_eq!(parse("dst=").unwrap_err(), "invalid value for 'dst': value is empty");
    }
}
