//! Which variables a project's files use, for `config --variables`.

use std::collections::BTreeMap;

use crate::tree::{Node, Value};

/// A variable as a file uses it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it is without a value.
    pub default: String,
    /// What stands for it when it has a value.
    pub alternate: String,
    /// Whether the project is refused without it.
    pub required: bool,
}

/// The variables below `node`, by name; the last use of each.
pub fn of(node: &Node) -> BTreeMap<String, Variable> {
    let mut found = BTreeMap::new();
    walk(node, &mut found);
    found
}

fn walk(node: &Node, found: &mut BTreeMap<String, Variable>) {
    match &node.value {
        Value::Scalar { text, .. } => scan(text, found),
        Value::List(list) => list.iter().for_each(|item| walk(item, found)),
        Value::Map(map) => map.iter().for_each(|entry| walk(&entry.value, found)),
        Value::Null => {}
    }
}

fn scan(text: &str, found: &mut BTreeMap<String, Variable>) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = closing(after).unwrap_or(after.len());
            braced(&after[..end], found);
            rest = after.get(end + 1..).unwrap_or_default();
        } else {
            let end = name_end(rest);
            if end > 0 {
                let name = rest[..end].to_owned();
                found.insert(name.clone(), Variable { name, ..Variable::default() });
            }
            rest = &rest[end..];
        }
    }
}

fn braced(inside: &str, found: &mut BTreeMap<String, Variable>) {
    let end = name_end(inside);
    let mut variable = Variable { name: inside[..end].to_owned(), ..Variable::default() };
    let operator = inside[end..].strip_prefix(':').unwrap_or(&inside[end..]);
    let operand = operator.get(1..).unwrap_or_default();
    match operator.chars().next() {
        Some('?') => variable.required = true,
        Some('-') => operand.clone_into(&mut variable.default),
        Some('+') => operand.clone_into(&mut variable.alternate),
        _ => {}
    }
    if !variable.name.is_empty() {
        found.insert(variable.name.clone(), variable.clone());
    }
    scan(&variable.default, found);
    scan(&variable.alternate, found);
}

fn name_end(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_with_what_stands_for_them() {
        let node = crate::tree::read("c.yaml", "a: $A ${B:-x${C}} $$D ${E:?no} ${F+y}\n").unwrap().remove(0);
        let told: Vec<String> = of(&node)
            .into_values()
            .map(|v| format!("{}|{}|{}|{}", v.name, v.required, v.default, v.alternate))
            .collect();
        assert_eq!(told, ["A|false||", "B|false|x${C}|", "C|false||", "E|true||", "F|false||y"]);
    }
}
