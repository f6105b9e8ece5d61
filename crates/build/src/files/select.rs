//! What the source words of COPY and ADD name.

use gantry_dockerfile::ignore::Ignore;

use super::{EntryKind, FileError, Root};

/// One path that an instruction takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Below the root, without a slash at either end; empty for the root itself.
    pub path: String,
    /// A folder's contents are taken, not the folder.
    pub folder: bool,
}

/// All paths that one source word names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// In order of name.
    pub paths: Vec<Selected>,
    /// The word had `*`, `?` or `[`.
    pub pattern: bool,
}

/// Finds what `word` names below `root`, with what `ignore` excludes left out.
pub fn select(root: &Root, ignore: &Ignore, word: &str) -> Result<Selection, FileError> {
    let mut names: Vec<&str> = Vec::new();
    for name in word.split('/').filter(|name| !name.is_empty() && *name != ".") {
        if name == ".." {
            names.pop().ok_or_else(|| FileError::Outside(word.to_owned()))?;
        } else {
            names.push(name);
        }
    }
    let pattern = names.iter().any(|name| name.contains(['*', '?', '[']));
    if !pattern {
        let path = names.join("/").replace('\\', "");
        let missing = || FileError::NotFound(word.trim_start_matches('/').to_owned());
        let hidden = ignore.excludes(&path) && !ignore.may_take_back_below(&path);
        let entry = root.stat(&path, true)?.filter(|_| !hidden).ok_or_else(missing)?;
        let folder = entry.kind == EntryKind::Folder;
        return Ok(Selection { paths: vec![Selected { path, folder }], pattern });
    }
    let mut found = vec![String::new()];
    for name in names {
        let matcher = Ignore::of([name]).map_err(|_| FileError::Pattern(word.to_owned()))?;
        let mut next = Vec::new();
        for folder in found {
            if root.stat(&folder, true)?.is_none_or(|entry| entry.kind != EntryKind::Folder) {
                continue;
            }
            for name in root.names(&folder)? {
                // A name that is not UTF-8 cannot be written in a Dockerfile; a pattern passes it by.
                if let Ok(name) = name.to_str()
                    && matcher.excludes(name)
                {
                    next.push(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") });
                }
            }
        }
        found = next;
    }
    let mut paths = Vec::new();
    for path in found {
        if ignore.excludes(&path) && !ignore.may_take_back_below(&path) {
            continue;
        }
        if let Some(entry) = root.stat(&path, true)? {
            paths.push(Selected { path, folder: entry.kind == EntryKind::Folder });
        }
    }
    if paths.is_empty() {
        return Err(FileError::NoneMatches);
    }
    Ok(Selection { paths, pattern })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    #[test]
    fn words_name_files_folders_and_patterns() {
        let (_folder, root) = tree(&["a.txt", "b.txt", "src/main.c", "src/x/y.txt"]);
        let paths = |word: &str, ignore: &str| {
            let ignore = Ignore::parse(ignore).unwrap();
            select(&root, &ignore, word)
                .map(|s| s.paths.into_iter().map(|p| p.path).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(paths("*.txt", "").unwrap(), "a.txt b.txt");
        assert_eq!(paths("/src/../a.txt", "").unwrap(), "a.txt");
        assert_eq!(paths("*/x/*", "").unwrap(), "src/x/y.txt");
        assert_eq!(paths("*.txt", "b*").unwrap(), "a.txt");
        assert_eq!(paths(".", "").unwrap(), "");
        assert!(matches!(paths("../x", ""), Err(FileError::Outside(_))));
        assert!(matches!(paths("a.txt", "*"), Err(FileError::NotFound(_))));
        assert!(matches!(paths("none", ""), Err(FileError::NotFound(_))));
        assert!(matches!(paths("n*", ""), Err(FileError::NoneMatches)));
        assert!(matches!(paths("[", ""), Err(FileError::Pattern(_))));
        assert_eq!(paths("src", "*\n!src/x").unwrap(), "src");
    }
}
