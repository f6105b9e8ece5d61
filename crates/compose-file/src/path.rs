//! Paths as texts: a compose file's paths are the client's, and no file is asked.

/// Without `.`, `..` and doubled slashes where that can be told without looking.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            other => parts.push(other),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// `path` within `base`, unless it is absolute already.
pub(crate) fn join(base: &str, path: &str) -> String {
    match path {
        "" => clean(base),
        path if path.starts_with('/') => clean(path),
        path if base.is_empty() => clean(path),
        path => clean(&format!("{base}/{path}")),
    }
}

/// The address of something on another machine that was taken for a path, as it was written.
pub(crate) fn remote(path: &str) -> Option<String> {
    const SCHEMES: [&str; 5] = ["oci:", "https:", "http:", "git:", "ssh:"];
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| SCHEMES.contains(part) || part.starts_with("git@"))?;
    let rest = parts[at + 1..].join("/");
    Some(match SCHEMES.contains(&parts[at]) {
        true => format!("{}//{rest}", parts[at]),
        false => format!("{}/{rest}", parts[at]),
    })
}

/// Whether a text is an address of another machine and no path.
pub(crate) fn is_far(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/")
}

/// The folder a path stands in.
pub(crate) fn folder(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((folder, _)) => clean(folder),
        None => ".".to_owned(),
    }
}

/// The last part of a path.
pub(crate) fn name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// How `path` is reached from `base`; both absolute.
pub(crate) fn relative(base: &str, path: &str) -> String {
    let (base, path) = (clean(base), clean(path));
    let parts =
        |text: &str| text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (base, path) = (parts(&base), parts(&path));
    let shared = base.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), base.len() - shared);
    let way: Vec<String> = up.chain(path[shared..].iter().cloned()).collect();
    if way.is_empty() { ".".to_owned() } else { way.join("/") }
}

/// `C:\` or `\\server\`.
pub(crate) fn is_windows(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.starts_with(r"\\") || matches!(bytes, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_joined_and_related() {
        for (path, cleaned) in
            [("a/./b/../c", "a/c"), ("/../a//b/", "/a/b"), ("../../x", "../../x"), ("", "."), ("/", "/")]
        {
            assert_eq!(clean(path), cleaned);
        }
        assert_eq!(join("/p", "./a"), "/p/a");
        assert_eq!(join("/p", "/a"), "/a");
        assert_eq!(join("sub", "../a"), "a");
        assert_eq!(folder("/a/b"), "/a");
        assert_eq!(folder("a"), ".");
        assert_eq!(relative("/a/b", "/a/c/d"), "../c/d");
        assert_eq!(relative("/a", "/a"), ".");
        assert_eq!(name("/a/b/"), "b");
    }
}
