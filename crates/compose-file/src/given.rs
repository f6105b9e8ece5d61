//! A compose file that is given away: the files of this machine that it names, and its text with other names for them.

use std::collections::BTreeMap;

use crate::interpolate::{self, Variables};
use crate::path;
use crate::tree::{self, FileError, Node, Position, Value};

/// What names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `env_file`.
    EnvFile,
    /// `extends.file`.
    Extends,
    /// `include`.
    Include,
}

/// A file that a compose file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What for.
    pub kind: Kind,
    /// Its path, with variables put in, on the file's own folder; an address as it is.
    pub path: String,
    /// As it is written.
    pub written: String,
    /// Where.
    pub at: Position,
}

impl Named {
    /// Whether it is on another machine.
    pub fn is_far(&self) -> bool {
        path::is_far(&self.path)
    }
}

/// The files that the services of a file name, and what it includes.
pub fn names(
    file: &str,
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<Named>, FileError> {
    let mut named = Vec::new();
    let folder = path::folder(file);
    let mut note = |kind: Kind, node: &Node| {
        let Some(written) = node.as_text() else { return };
        let get = |name: &str| environment.get(name).cloned();
        let mut variables = Variables { get: &get, unset: Vec::new() };
        let read = interpolate::text(written, &mut variables).unwrap_or_else(|_| written.to_owned());
        let path = if path::is_far(&read) { read } else { path::join(&folder, &read) };
        named.push(Named { kind, path, written: written.to_owned(), at: node.at.clone() });
    };
    for document in tree::read(file, text)? {
        let Some(top) = document.as_map() else { continue };
        let services = top.get("services").and_then(Node::as_map);
        for service in services.into_iter().flat_map(|map| map.iter()).filter_map(|e| e.value.as_map()) {
            if let Some(files) = service.get("env_file") {
                each(files, "path", &mut |node| note(Kind::EnvFile, node));
            }
            if let Some(file) = service.get("extends").and_then(|node| node.as_map()?.get("file")) {
                note(Kind::Extends, file);
            }
        }
        if let Some(files) = top.get("include") {
            each(files, "path", &mut |node| note(Kind::Include, node));
        }
    }
    Ok(named)
}

/// One text, or several; each may be a mapping whose `key` is one or several.
fn each(node: &Node, key: &str, see: &mut impl FnMut(&Node)) {
    match &node.value {
        Value::List(list) => list.iter().for_each(|item| each(item, key, see)),
        Value::Map(map) => map.get(key).into_iter().for_each(|node| each(node, key, see)),
        _ => see(node),
    }
}

/// The text with another name in the place of each of these.
pub fn renamed(text: &str, names: &[(Named, String)]) -> Result<String, FileError> {
    let mut places: Vec<(usize, usize, &str)> = Vec::new();
    for (named, new) in names {
        let unclear =
            || FileError::new(&named.at, format!("{:?} cannot be given another name", named.written));
        let begin = offset(text, &named.at).ok_or_else(unclear)?;
        let length = token(&text[begin..], &named.written).ok_or_else(unclear)?;
        // What an anchor stands for is written once and meant more often.
        if !places.iter().any(|(at, ..)| *at == begin) {
            places.push((begin, length, new));
        }
    }
    places.sort_by_key(|(begin, ..)| std::cmp::Reverse(*begin));
    let mut text = text.to_owned();
    for (begin, length, new) in places {
        text.replace_range(begin..begin + length, &format!("{new:?}"));
    }
    Ok(text)
}

fn offset(text: &str, at: &Position) -> Option<usize> {
    let mut begin = 0;
    for _ in 1..at.line {
        begin += text[begin..].find('\n')? + 1;
    }
    let line = text[begin..].lines().next().unwrap_or_default();
    let mut columns = line.char_indices().map(|(at, _)| at).chain([line.len()]);
    columns.nth(at.column.checked_sub(1)?).map(|at| begin + at)
}

/// How long the written form of a text is that begins here: plain, or in quotes without anything to escape.
fn token(rest: &str, written: &str) -> Option<usize> {
    let quoted = |quote: char| rest.strip_prefix(quote)?.strip_prefix(written)?.strip_prefix(quote);
    if rest.starts_with(['"', '\'']) {
        return quoted('"').or_else(|| quoted('\'')).map(|_| written.len() + 2);
    }
    rest.starts_with(written).then_some(written.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_and_get_other_names_where_they_are_written() {
        let text = concat!(
            "include: [a.yaml, {path: [b.yaml, https://h/c.git]}]\n",
            "services:\n",
            "  ö: {image: x, env_file: 'one.env', extends: {service: y, file: base.yaml}}\n",
            "  z:\n",
            "    env_file:\n",
            "      - ${D}/two.env # here\n",
            "      - {path: \"three.env\", required: false}\n",
        );
        let environment = BTreeMap::from([("D".to_owned(), "/d".to_owned())]);
        let found = names("/p/compose.yaml", text, &environment).unwrap();
        let paths: Vec<&str> = found.iter().map(|named| named.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/p/one.env",
                "/p/base.yaml",
                "/d/two.env",
                "/p/three.env",
                "/p/a.yaml",
                "/p/b.yaml",
                "https://h/c.git"
            ]
        );
        assert!(found[6].is_far() && found[6].kind == Kind::Include);
        let new = found.iter().take(4).enumerate().map(|(at, named)| (named.clone(), format!("{at}.n")));
        let renamed = renamed(text, &new.collect::<Vec<_>>()).unwrap();
        assert!(renamed.contains("env_file: \"0.n\", extends: {service: y, file: \"1.n\"}}"), "{renamed}");
        assert!(renamed.contains("- \"2.n\" # here\n      - {path: \"3.n\", required"), "{renamed}");
    }
}
