//! YAML as a tree of values that know where they stand.
//!
//! Aliases are copied in, merge keys (`<<`) are resolved, a key given twice is refused. Scalars stay text with a mark
//! whether they were plain: what `080`, `on` or `1_000` means depends on the attribute that reads it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag as YamlTag};

/// Deepest nesting; no project needs a tenth of it.
const DEPTH_LIMIT: usize = 100;
/// Most values after aliases were copied in: a file of nested aliases grows without bound otherwise.
const SIZE_LIMIT: usize = 500_000;

/// A place in a file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// From one.
    pub line: usize,
    /// From one.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A complaint about a file, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct FileError {
    /// Where.
    pub at: Position,
    /// What.
    pub message: String,
}

impl FileError {
    /// A complaint about what stands at `at`.
    pub fn new(at: &Position, message: impl Into<String>) -> Self {
        Self { at: at.clone(), message: message.into() }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its first character.
    pub at: Position,
    /// How it joins with what an earlier file says.
    pub join: Join,
}

/// How a value joins with the same attribute of an earlier file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// As the attribute joins.
    #[default]
    Usual,
    /// `!reset`: the attribute is as if it had not been given.
    Reset,
    /// `!override`: this value alone.
    Override,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// Text; `plain` where it had no quotes, so that it may mean a number or a truth value.
    Scalar {
        /// The text after YAML's own escapes.
        text: String,
        /// It had no quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping.
    Map(Map),
}

/// A mapping in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map {
    entries: Vec<Entry>,
}

/// One key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Position,
    /// The value.
    pub value: Node,
}

impl Map {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at).value)
    }

    /// Puts a value in the place of the key's old one, or at the end.
    pub fn set(&mut self, key: &str, at: &Position, value: Node) {
        match self.get_mut(key) {
            Some(old) => *old = value,
            None => self.entries.push(Entry { key: key.to_owned(), at: at.clone(), value }),
        }
    }

    /// In the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// In the order of the file, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// In the order of the file, given away.
    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Node {
    /// The kind of value, for complaints.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The mapping, or a complaint that names `what`.
    pub fn map(&self, what: &str) -> Result<&Map, FileError> {
        match &self.value {
            Value::Map(map) => Ok(map),
            _ => Err(FileError::new(&self.at, format!("{what} must be a mapping, not {}", self.kind()))),
        }
    }

    /// The list, or a complaint that names `what`.
    pub fn list(&self, what: &str) -> Result<&[Node], FileError> {
        match &self.value {
            Value::List(list) => Ok(list),
            _ => Err(FileError::new(&self.at, format!("{what} must be a list, not {}", self.kind()))),
        }
    }

    /// The text, or a complaint that names `what`.
    pub fn text(&self, what: &str) -> Result<&str, FileError> {
        match &self.value {
            Value::Scalar { text, .. } => Ok(text),
            _ => Err(FileError::new(&self.at, format!("{what} must be a string, not {}", self.kind()))),
        }
    }
}

/// Reads all documents of a file; an empty file has none.
pub fn read(file: &str, text: &str) -> Result<Vec<Node>, FileError> {
    let file: Arc<str> = file.into();
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { file, anchors: HashMap::new(), size: 0 };
    let mut documents = Vec::new();
    loop {
        match builder.next(&mut parser)? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::DocumentStart(..), _) => {
                let (event, span) = builder.next(&mut parser)?;
                documents.push(builder.node(&mut parser, event, span, 0)?);
                builder.anchors.clear();
            }
            _ => {}
        }
    }
}

struct Builder {
    file: Arc<str>,
    /// Nodes by anchor, with their size.
    anchors: HashMap<usize, (Node, usize)>,
    size: usize,
}

type Events<'a> = Parser<'a, granit_parser::StrInput<'a>>;

impl Builder {
    fn next<'a>(&self, parser: &mut Events<'a>) -> Result<(Event<'a>, Span), FileError> {
        match parser.next() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                let marker = error.marker();
                let at = Position { file: self.file.clone(), line: marker.line(), column: marker.col() + 1 };
                Err(FileError { at, message: format!("yaml: {error}") })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn position(&self, span: &Span) -> Position {
        Position { file: self.file.clone(), line: span.start.line(), column: span.start.col() + 1 }
    }

    fn node<'a>(
        &mut self,
        parser: &mut Events<'a>,
        event: Event<'a>,
        span: Span,
        depth: usize,
    ) -> Result<Node, FileError> {
        let at = self.position(&span);
        let before = self.size;
        self.grow(1, &at)?;
        if depth > DEPTH_LIMIT {
            return Err(FileError::new(&at, "the file is nested too deeply"));
        }
        let (value, anchor, join) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_string(tag.as_deref());
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::Scalar { text: text.into_owned(), plain } };
                (value, anchor, join_of(tag.as_deref()))
            }
            Event::SequenceStart(_, anchor, tag) => {
                let mut list = Vec::new();
                loop {
                    match self.next(parser)? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => list.push(self.node(parser, event, span, depth + 1)?),
                    }
                }
                (Value::List(list), anchor, join_of(tag.as_deref()))
            }
            Event::MappingStart(_, anchor, tag) => {
                (Value::Map(self.mapping(parser, depth)?), anchor, join_of(tag.as_deref()))
            }
            Event::Alias(anchor) => {
                let (node, size) = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or_else(|| FileError::new(&at, "an alias inside the value it names"))?;
                self.grow(size, &at)?;
                return Ok(node);
            }
            _ => return Err(FileError::new(&at, "yaml: a value is missing here")),
        };
        let node = Node { value, at, join };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.size - before));
        }
        Ok(node)
    }

    fn mapping(&mut self, parser: &mut Events<'_>, depth: usize) -> Result<Map, FileError> {
        let mut map = Map::default();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next(parser)?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(parser, event, span, depth + 1)?;
            let (event, span) = self.next(parser)?;
            let value = self.node(parser, event, span, depth + 1)?;
            let name = match &key.value {
                Value::Scalar { text, .. } => text.clone(),
                Value::Null => String::new(),
                _ => {
                    return Err(FileError::new(
                        &key.at,
                        format!("a key must be a string, not {}", key.kind()),
                    ));
                }
            };
            if name == "<<" && matches!(key.value, Value::Scalar { plain: true, .. }) {
                match value.value {
                    Value::List(list) => merged.extend(list),
                    _ => merged.push(value),
                }
                continue;
            }
            if let Some(first) = map.iter().find(|entry| entry.key == name) {
                let message = format!("mapping key {name:?} already defined at line {}", first.at.line);
                return Err(FileError::new(&key.at, message));
            }
            map.entries.push(Entry { key: name, at: key.at, value });
        }
        // Keys of the mapping itself win over merged ones, earlier merged ones over later ones.
        for node in merged {
            let Value::Map(from) = node.value else {
                return Err(FileError::new(&node.at, format!("<< needs a mapping, not {}", node.kind())));
            };
            for entry in from.entries {
                if map.get(&entry.key).is_none() {
                    map.entries.push(entry);
                }
            }
        }
        Ok(map)
    }

    fn grow(&mut self, by: usize, at: &Position) -> Result<(), FileError> {
        self.size += by;
        if self.size > SIZE_LIMIT {
            return Err(FileError::new(at, "the file is too large once its aliases are copied in"));
        }
        Ok(())
    }
}

fn is_string(tag: Option<&YamlTag>) -> bool {
    tag.is_some_and(|tag| {
        tag.handle() == "tag:yaml.org,2002:" && tag.suffix() == "str" || tag.suffix() == "!"
    })
}

fn join_of(tag: Option<&YamlTag>) -> Join {
    match tag.filter(|tag| tag.handle() == "!").map(YamlTag::suffix) {
        Some("reset") => Join::Reset,
        Some("override") => Join::Override,
        _ => Join::Usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Node {
        read("compose.yaml", text).unwrap_or_else(|e| panic!("{e}")).remove(0)
    }

    fn refusal(text: &str) -> String {
        read("compose.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn values_know_their_place() {
        let node = one("services:\n  web:\n    image: nginx\n    ports: [\"80\", 81]\n");
        let services = node.map("x").unwrap().get("services").unwrap();
        let web = services.map("x").unwrap().get("web").unwrap().map("x").unwrap();
        let image = web.get("image").unwrap();
        assert_eq!(
            (image.text("image").unwrap(), image.at.to_string().as_str()),
            ("nginx", "compose.yaml:3:12")
        );
        let ports = web.get("ports").unwrap().list("ports").unwrap();
        assert_eq!(ports[0].value, Value::Scalar { text: "80".into(), plain: false });
        assert_eq!(ports[1].value, Value::Scalar { text: "81".into(), plain: true });
    }

    #[test]
    fn anchors_aliases_and_merge_keys() {
        let node = one("x-base: &base\n  a: 1\n  b: 2\ny:\n  <<: *base\n  b: 3\nz:\n  <<: [{a: 9}, *base]\n");
        let map = |key: &str| node.map("x").unwrap().get(key).unwrap().map("x").unwrap().clone();
        let text = |map: &Map, key: &str| map.get(key).unwrap().text("x").unwrap().to_owned();
        assert_eq!((text(&map("y"), "a"), text(&map("y"), "b")), ("1".into(), "3".into()));
        assert_eq!((text(&map("z"), "a"), text(&map("z"), "b")), ("9".into(), "2".into()));
    }

    #[test]
    fn tags_say_how_values_join() {
        let node = one("a: !reset null\nb: !override [x]\nc: !!str 1\n");
        let get = |key: &str| node.map("x").unwrap().get(key).unwrap().clone();
        assert_eq!((get("a").join, get("b").join), (Join::Reset, Join::Override));
        assert_eq!(get("c").value, Value::Scalar { text: "1".into(), plain: false });
    }

    #[test]
    fn broken_files_are_refused_with_their_place() {
        assert_eq!(
            refusal("a: 1\nb: 2\na: 3\n"),
            "compose.yaml:3:1: mapping key \"a\" already defined at line 1"
        );
        assert!(refusal("a: [1,\n").starts_with("compose.yaml:"));
        assert!(refusal("a: \"x\n").contains("yaml:"));
        assert!(refusal("a: *none\n").contains("compose.yaml:1:"));
        assert!(refusal("? [a]\n: b\n").contains("a key must be a string, not a list"));
        assert!(refusal("a:\n  <<: text\n").contains("<< needs a mapping"));
        assert!(read("x", "").unwrap().is_empty());
    }

    #[test]
    fn a_bomb_of_aliases_and_a_deep_nest_are_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..10 {
            let refs = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(refusal(&bomb).contains("too large once its aliases are copied in"));
        assert!(read("x", &"[".repeat(5000)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-c:&*!<{}\\[\\],'\"\n -]{0,60}") {
            let _ = read("compose.yaml", &text);
        }
    }
}
