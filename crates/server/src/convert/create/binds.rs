//! `-v` and `--volumes-from` in their short forms.

use crate::failure::Failure;
use gantry_engine::spec::{BindOptions, BindRequest, BindSource, Propagation, ReadOnly, VolumesFrom};

/// What the words of a mode say; each kind at most once.
#[derive(Default)]
struct Mode {
    read_only: Option<bool>,
    relabel: Option<char>,
    propagation: Option<Propagation>,
    nocopy: Option<bool>,
    consistency: bool,
}

/// Reads `ro,z,rslave,nocopy`. `None` for words that are none, or that come twice.
fn mode(text: &str) -> Option<Mode> {
    let mut mode = Mode::default();
    if text.is_empty() {
        return Some(mode);
    }
    for word in text.split(',') {
        let taken = match word {
            "rw" | "ro" => mode.read_only.replace(word == "ro").is_some(),
            "z" | "Z" => mode.relabel.replace(if word == "z" { 'z' } else { 'Z' }).is_some(),
            "nocopy" => mode.nocopy.replace(true).is_some(),
            "consistent" | "cached" | "delegated" => std::mem::replace(&mut mode.consistency, true),
            other => mode.propagation.replace(Propagation::parse(other)?).is_some(),
        };
        if taken {
            return None;
        }
    }
    Some(mode)
}

fn invalid_spec(raw: &str) -> Failure {
    Failure::invalid(format!("invalid volume specification: '{raw}'"))
}

fn invalid_mode(text: &str) -> Failure {
    Failure::invalid(format!("invalid mode: {text}"))
}

/// Reads one `-v`. A place alone is an anonymous volume: its place comes back as `Err(place)` inside `Ok`.
pub(super) fn bind(raw: &str) -> Result<Result<BindRequest, String>, Failure> {
    let parts: Vec<&str> = raw.splitn(4, ':').collect();
    let (source, target, words) = match parts[..] {
        ["", ..] => return Err(invalid_spec(raw)),
        [target] => (None, target, ""),
        // `/place:ro` names no source.
        [_, second] if mode(second).is_some() && !second.is_empty() => return Err(invalid_spec(raw)),
        [source, target] => (Some(source), target, ""),
        [source, target, words] => (Some(source), target, words),
        _ => return Err(invalid_spec(raw)),
    };
    let mode = mode(words).ok_or_else(|| invalid_mode(words))?;
    let wrong = |kind: &str, why: String| {
        Failure::invalid(format!(
            "invalid volume specification: '{raw}': invalid mount config for type {kind:?}: {why}"
        ))
    };
    let kind = if source.is_some_and(|s| s.starts_with('/')) { "bind" } else { "volume" };
    place(target).map_err(|why| wrong(kind, why))?;
    let Some(source) = source else { return Ok(Err(clean(target))) };
    if kind == "volume" && mode.propagation.is_some() {
        return Err(wrong(kind, "field BindOptions must not be specified".into()));
    }
    if kind == "bind" && mode.nocopy.is_some() {
        return Err(wrong(kind, "field VolumeOptions must not be specified".into()));
    }
    Ok(Ok(BindRequest {
        source: match kind {
            "bind" => BindSource::Path(clean(source)),
            _ => BindSource::Volume(source.to_owned()),
        },
        target: clean(target),
        mode: words.to_owned(),
        options: BindOptions {
            read_only: if mode.read_only == Some(true) { ReadOnly::Yes } else { ReadOnly::No },
            propagation: mode.propagation,
            nocopy: mode.nocopy.unwrap_or(false),
            relabel: mode.relabel,
            create_source: true,
            non_recursive: false,
        },
    }))
}

/// A place in a container must be absolute and not the root.
pub(super) fn place(target: &str) -> Result<(), String> {
    if target.is_empty() {
        return Err("field Target must not be empty".into());
    }
    if clean(target) == "/" && target.starts_with('/') {
        return Err("invalid specification: destination can't be '/'".into());
    }
    if !target.starts_with('/') {
        return Err(format!("invalid mount path: '{target}' mount path must be absolute"));
    }
    Ok(())
}

/// Go's `path.Clean` for absolute paths.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Reads one `--volumes-from`.
pub(super) fn volumes_from(raw: &str) -> Result<VolumesFrom, Failure> {
    if raw.is_empty() {
        return Err(Failure::invalid("volumes-from specification cannot be an empty string"));
    }
    let (container, words) = raw.split_once(':').unwrap_or((raw, ""));
    let mode = mode(words)
        .filter(|mode| mode.propagation.is_none() && mode.nocopy.is_none())
        .ok_or_else(|| invalid_mode(words))?;
    Ok(VolumesFrom { container: container.to_owned(), mode: words.to_owned(), read_only: mode.read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_bind() {
        assert_eq!(bind("/data").unwrap().unwrap_err(), "/data");
        let named = bind("vol:/data/../x:nocopy").unwrap().unwrap();
        assert_eq!((named.target.as_str(), named.options.nocopy), ("/x", true));
        let path = bind("/a/./b:/c:ro,rshared,z").unwrap().unwrap();
        assert_eq!(path.source, BindSource::Path("/a/b".into()));
        assert_eq!(path.options.propagation, Some(Propagation::Rshared));
        assert_eq!(path.options.relabel, Some('z'));
    }

    #[test]
    fn refusals() {
        for bad in
            ["", ":/a", "/a:ro", "a:b:c:d", "/a:/b:ro,rw", "/a:/b:nope", "v:/b:rshared", "/a:/b:nocopy"]
        {
            assert!(bind(bad).is_err(), "{bad}");
        }
        let err = bind("/a:/").unwrap_err().message;
        assert!(err.ends_with("invalid specification: destination can't be '/'"), "{err}");
        assert!(bind("a:b").unwrap_err().message.contains("mount path must be absolute"));
        assert_eq!(volumes_from("c:nocopy").unwrap_err().message, "invalid mode: nocopy");
    }
}
