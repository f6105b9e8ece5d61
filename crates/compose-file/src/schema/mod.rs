//! Which attributes there are and what shape each has: a wrong file is refused before anything is touched.
//!
//! Source: the Compose specification's schema. Attributes that begin with `x-` are the user's own, anywhere.

use crate::canonical::Strictness;
use crate::tree::{FileError, Join, Node, Position, Value};

/// What may stand at an attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A string; numbers and truth values are strings as well.
    Text,
    /// A whole number, or a string of one.
    Integer,
    /// A number, or a string of one.
    Number,
    /// `true`, `false`, and the other words YAML has for them.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Anything.
    Any,
    /// A list of one shape.
    List(&'static Shape),
    /// A mapping with any keys.
    Map(&'static Shape),
    /// A mapping with these keys.
    Fields(&'static [Field]),
    /// One of these, told apart by the kind of value; empty counts for none.
    Either(&'static [Shape]),
    /// Nothing, or this.
    Optional(&'static Shape),
    /// An attribute that a mapping cannot do without, once all files are joined.
    Needed(&'static Shape),
    /// A size: a whole number that is not negative, or a string.
    Size,
}

/// An attribute's name and shape.
pub(crate) type Field = (&'static str, Shape);

mod attributes;

use Shape::{Any, Either, Fields, Integer, List, Map, Needed, Number, Optional, Size, Switch, Text, Word};
use attributes::{CONFIG, FILE, MODEL, NETWORK, SECRET, SERVICE, VOLUME};

/// Checks a whole file (today's form, with `services:`), variables already put in: the first thing that is wrong.
pub fn check(file: &Node) -> Result<(), FileError> {
    problems(file, Strictness::Strict).into_iter().next().map_or(Ok(()), Err)
}

/// Everything that is wrong with a file.
pub(crate) fn problems(file: &Node, strict: Strictness) -> Vec<FileError> {
    let mut checker = Checker { strict, problems: Vec::new() };
    checker.shape(file, &FILE, "");
    checker.names(file);
    checker.problems
}

/// Everything that is wrong with one service.
pub(crate) fn problems_of_service(service: &Node, name: &str, strict: Strictness) -> Vec<FileError> {
    let mut checker = Checker { strict, problems: Vec::new() };
    checker.shape(service, &Fields(SERVICE), &format!("services.{name}"));
    checker.problems
}

/// What joined files leave out that cannot be left out.
pub(crate) fn missing(file: &Node) -> Vec<FileError> {
    let mut told = Vec::new();
    absent(file, &FILE, "", &mut told);
    told
}

fn absent(node: &Node, wanted: &Shape, path: &str, told: &mut Vec<FileError>) {
    match (wanted, &node.value) {
        (Optional(inner) | Needed(inner), _) => absent(node, inner, path, told),
        (List(inner), Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                absent(item, inner, &format!("{path}[{index}]"), told);
            }
        }
        (Map(inner), Value::Map(map)) => {
            map.iter().for_each(|entry| absent(&entry.value, inner, &below(path, &entry.key), told));
        }
        (Fields(fields), Value::Map(map)) => {
            for (name, wanted) in *fields {
                match map.get(name) {
                    Some(value) => absent(value, wanted, &below(path, name), told),
                    None if matches!(wanted, Needed(_)) => {
                        let message = format!("{} missing property '{name}'", shown(path));
                        told.push(FileError::new(&node.at, message));
                    }
                    None => {}
                }
            }
        }
        (Either(shapes), value) => {
            if let Some(wanted) = shapes.iter().find(|wanted| takes(wanted, value)) {
                absent(node, wanted, path, told);
            }
        }
        _ => {}
    }
}

/// The shape at a path of the attributes' list, such as `service.ports[]` or `network.ipam`.
pub(crate) fn at(path: &str) -> Option<Shape> {
    let mut parts = path.split('.');
    let mut shape = match parts.next()? {
        "top-level" => FILE,
        "service" => Fields(SERVICE),
        "network" => NETWORK,
        "volume" => VOLUME,
        "secret" => SECRET,
        "config" => CONFIG,
        "model" => MODEL,
        _ => return None,
    };
    for part in parts {
        let (name, listed) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
        shape = within(shape, name)?;
        if listed {
            shape = inside(shape, &|shape| match shape {
                List(inner) => Some(*inner),
                _ => None,
            })?;
        }
    }
    Some(shape)
}

/// The shape of one attribute (`*` for any key) of another shape.
pub(crate) fn within(shape: Shape, name: &str) -> Option<Shape> {
    inside(shape, &|shape| match shape {
        Map(inner) if name == "*" => Some(*inner),
        Fields(fields) => fields.iter().find(|(field, _)| *field == name).map(|(_, shape)| *shape),
        _ => None,
    })
}

/// The first of a shape's forms that has what is sought.
fn inside(shape: Shape, seek: &dyn Fn(Shape) -> Option<Shape>) -> Option<Shape> {
    match shape {
        Either(shapes) => shapes.iter().find_map(|shape| inside(*shape, seek)),
        Optional(inner) | Needed(inner) => inside(*inner, seek),
        other => seek(other),
    }
}

struct Checker {
    strict: Strictness,
    problems: Vec<FileError>,
}

impl Checker {
    fn tell(&mut self, at: &Position, message: String) {
        self.problems.push(FileError::new(at, message));
    }

    fn shape(&mut self, node: &Node, wanted: &Shape, path: &str) {
        if node.join == Join::Reset || self.is_open(node) {
            return;
        }
        match (wanted, &node.value) {
            (Any, _) | (Optional(_), Value::Null) | (Text, Value::Scalar { .. }) => {}
            (Optional(inner) | Needed(inner), _) => self.shape(node, inner, path),
            (Size, Value::Scalar { text, plain }) => {
                let number = text.parse::<f64>().ok().filter(|_| *plain);
                if number.is_some_and(|number| number < 0.0 || number.fract() != 0.0) {
                    self.tell(&node.at, format!("{} must be a size, not {text}", shown(path)));
                }
            }
            (Integer, Value::Scalar { text, .. }) if integer(text).is_some() => {}
            (Number, Value::Scalar { text, .. })
                if text.parse::<f64>().is_ok() || integer(text).is_some() => {}
            (Switch, Value::Scalar { text, .. }) if switch(text).is_some() => {}
            (Word(words), Value::Scalar { text, .. }) => {
                if !words.contains(&text.as_str()) {
                    let message =
                        format!("{} must be one of {}, not {text:?}", shown(path), words.join(", "));
                    self.tell(&node.at, message);
                }
            }
            (List(inner), Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.shape(item, inner, &format!("{path}[{index}]"));
                }
            }
            (Map(inner), Value::Map(map)) => {
                for entry in map.iter() {
                    self.shape(&entry.value, inner, &below(path, &entry.key));
                }
            }
            (Fields(fields), Value::Map(map)) => {
                for entry in map.iter().filter(|entry| !entry.key.starts_with("x-")) {
                    match fields.iter().find(|(name, _)| *name == entry.key) {
                        Some((_, wanted)) => self.shape(&entry.value, wanted, &below(path, &entry.key)),
                        None => self.tell(&entry.at, unknown(path, &entry.key, fields)),
                    }
                }
            }
            (Either(shapes), value) => match shapes.iter().find(|wanted| takes(wanted, value)) {
                Some(wanted) => self.shape(node, wanted, path),
                None => {
                    let names: Vec<&str> = shapes.iter().map(name_of).collect();
                    self.tell(&node.at, format!("{} must be {}", shown(path), names.join(" or ")));
                }
            },
            (wanted, _) => self.tell(&node.at, format!("{} must be {}", shown(path), name_of(wanted))),
        }
    }

    /// A variable that is not put in may become anything.
    fn is_open(&self, node: &Node) -> bool {
        self.strict == Strictness::Lenient
            && matches!(&node.value, Value::Scalar { text, .. } if text.contains('$'))
    }

    fn names(&mut self, file: &Node) {
        for kind in ["services", "networks", "volumes", "secrets", "configs"] {
            let resources = file.as_map().and_then(|map| map.get(kind)).and_then(Node::as_map);
            for entry in resources.into_iter().flat_map(crate::tree::Map::iter) {
                let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                if entry.key.is_empty() || !entry.key.chars().all(fine) {
                    self.tell(&entry.at, format!("{kind} additional properties '{}' not allowed", entry.key));
                }
            }
        }
    }
}

fn takes(wanted: &Shape, value: &Value) -> bool {
    match (wanted, value) {
        (Any, _) | (Optional(_), Value::Null) => true,
        (Optional(inner) | Needed(inner), value) => takes(inner, value),
        (Either(shapes), value) => shapes.iter().any(|wanted| takes(wanted, value)),
        (Text | Integer | Number | Word(_) | Size, Value::Scalar { .. }) => true,
        (Switch, Value::Scalar { text, .. }) => switch(text).is_some(),
        (List(_), Value::List(_)) | (Map(_) | Fields(_), Value::Map(_)) => true,
        _ => false,
    }
}

fn name_of(shape: &Shape) -> &'static str {
    match shape {
        Text | Word(_) => "a string",
        Size => "a size",
        Integer => "an integer",
        Number => "a number",
        Switch => "a boolean",
        Any => "a value",
        List(_) => "a list",
        Map(_) | Fields(_) => "a mapping",
        Either(shapes) => shapes.first().map_or("a value", name_of),
        Optional(inner) | Needed(inner) => name_of(inner),
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the file" } else { path }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn unknown(path: &str, key: &str, fields: &[Field]) -> String {
    let nearest = fields.iter().map(|(name, _)| (distance(key, name), *name)).min();
    let hint = match nearest {
        Some((distance, name)) if distance <= 2 => format!(" (did you mean {name}?)"),
        _ => String::new(),
    };
    match path {
        "" => format!("additional properties '{key}' not allowed{hint}"),
        path => format!("{path} additional properties '{key}' not allowed{hint}"),
    }
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A whole number in any of YAML's notations: `10`, `-1`, `0x1f`, `0o17`, `017`, `1_000`.
pub fn integer(text: &str) -> Option<i64> {
    let clean = text.replace('_', "");
    let (sign, digits) = match clean.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok()?.checked_mul(sign)
}

/// A truth value in any of YAML's words.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::read;

    fn checked(text: &str) -> Result<(), String> {
        check(&read("compose.yaml", text).map_err(|e| e.to_string())?.remove(0)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_file_of_many_forms_passes() {
        let text = "
name: demo
x-common: &common { restart: always }
services:
  web:
    <<: *common
    image: nginx
    build: { context: ., args: [A=1], ulimits: { nofile: { soft: 1, hard: 2 } } }
    command:
    ports: ['80:80', 443, { target: 8080, published: '8080' }]
    environment: { A: 1, B: true, C: }
    depends_on: { db: { condition: service_healthy } }
    deploy: { resources: { limits: { cpus: '0.5', memory: 1g } } }
    healthcheck: { test: [CMD, 'true'], retries: 3 }
    networks: { front: , back: { aliases: [w] } }
    volumes: [ './a:/a', { type: bind, source: ., target: /b, bind: { create_host_path: true } } ]
    x-own: { anything: [1] }
  db: { image: postgres, secrets: [pw] }
networks: { front: , back: { driver: bridge } }
volumes:
secrets: { pw: { file: ./pw } }
";
        checked(text).unwrap();
    }

    #[test]
    fn wrong_attributes_are_told_with_place_and_right_name() {
        for (text, told) in [
            (
                "services:\n  web:\n    imge: x\n",
                "compose.yaml:3:5: services.web additional properties 'imge' not allowed (did you mean image?)",
            ),
            (
                "service: {}\n",
                "compose.yaml:1:1: additional properties 'service' not allowed (did you mean services?)",
            ),
            ("services: []\n", "compose.yaml:1:11: services must be a mapping"),
            ("services: { a: { ports: 80 } }\n", "compose.yaml:1:25: services.a.ports must be a list"),
            ("services: { a: { tty: maybe } }\n", "compose.yaml:1:23: services.a.tty must be a boolean"),
            ("services: { a: { scale: two } }\n", "compose.yaml:1:25: services.a.scale must be an integer"),
            (
                "services: { a: { build: [x] } }\n",
                "compose.yaml:1:25: services.a.build must be a string or a mapping",
            ),
        ] {
            assert_eq!(checked(text).unwrap_err(), told);
        }
    }

    #[test]
    fn numbers_in_every_notation() {
        for (text, number) in
            [("10", 10), ("-1", -1), ("0x1f", 31), ("0o17", 15), ("0440", 288), ("1_000", 1000), ("0", 0)]
        {
            assert_eq!(integer(text), Some(number), "{text}");
        }
        for text in ["", "-", "a", "1.5", "09", "--1", "9999999999999999999"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
