//! `-v`: `name:/path:ro`, `/host:/path`, `/path`.

/// What a command line's `-v` mean: bindings for the engine, and anonymous volumes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    /// `source:target[:options]`.
    pub binds: Vec<String>,
    /// Targets of anonymous volumes.
    pub anonymous: Vec<String>,
}

/// Sorts `-v` values into bindings and anonymous volumes; a host path with a dot is made absolute.
pub fn parse(specs: &[String]) -> Result<Volumes, String> {
    let mut out = Volumes::default();
    for spec in specs {
        if spec.is_empty() {
            return Err("invalid empty volume spec".into());
        }
        let parts: Vec<&str> = spec.split(':').collect();
        match parts.as_slice() {
            [target] => out.anonymous.push(clean(target)),
            // `/path:ro` cannot be told from `name:/path` by Docker either: the second part is the target.
            // What else is wrong with it the engine says in its own words.
            _ => {
                let (source, rest) = spec.split_once(':').unwrap_or((spec, ""));
                let source = match source.starts_with('.') {
                    true => super::mounts::absolute_path(source),
                    false => source.to_owned(),
                };
                let bind = format!("{source}:{rest}");
                if !out.binds.contains(&bind) {
                    out.binds.push(bind);
                }
            }
        }
    }
    Ok(out)
}

/// A path without `.`, `..`, doubled and trailing slashes, as Go's `path.Clean`.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match out.last() {
                Some(last) if *last != ".." => {
                    out.pop();
                }
                _ if !rooted => out.push(".."),
                _ => {}
            },
            part => out.push(part),
        }
    }
    let body = out.join("/");
    match (rooted, body.is_empty()) {
        (true, _) => format!("/{body}"),
        (false, true) => ".".into(),
        (false, false) => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(specs: &[&str]) -> Result<Volumes, String> {
        parse(&specs.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn bindings_and_anonymous_volumes_are_told_apart() {
        let v = go(&["/data/", "db:/var/db:ro", "/h:/c"]).unwrap();
        assert_eq!(v.anonymous, ["/data"]);
        assert_eq!(v.binds, ["db:/var/db:ro", "/h:/c"]);
        assert!(go(&["./x:/c"]).unwrap().binds[0].starts_with('/'));
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(go(&[""]).unwrap_err(), "invalid empty volume spec");
        assert_eq!(go(&["a:b:c:d"]).unwrap().binds, ["a:b:c:d"]);
    }

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (given, wanted) in [
            ("/a/../b/", "/b"),
            ("a/./b", "a/b"),
            ("/..", "/"),
            ("", "."),
            ("../x", "../x"),
            ("a/../..", ".."),
        ] {
            assert_eq!(clean(given), wanted);
        }
    }
}
