//! `$VAR` and `${VAR...}` in a compose file's values.
//!
//! Source: the Compose specification, `12-interpolation.md`: `:-` `-` `:?` `?` `:+` `+`, nested, `$$` for a dollar.

use crate::tree::{FileError, Node, Value};

/// Deepest `${a:-${b:-...}}`.
const DEPTH_LIMIT: usize = 50;
/// Largest text one value may grow to, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// What interpolation looks up, and whom it tells.
pub struct Variables<'a> {
    /// The value of a name.
    pub get: &'a dyn Fn(&str) -> Option<String>,
    /// Names that were not set and had no default, each once, in order of use.
    pub unset: Vec<String>,
}

impl std::fmt::Debug for Variables<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variables").field("unset", &self.unset).finish_non_exhaustive()
    }
}

/// Interpolates every scalar below `node`; keys stay. `path` names the node in complaints, such as `services.web`.
pub fn tree(node: &mut Node, path: &str, variables: &mut Variables<'_>) -> Result<(), FileError> {
    match &mut node.value {
        Value::Null => Ok(()),
        Value::Scalar { text: value, plain } => {
            if value.contains('$') {
                // What a variable holds is text, whatever it looks like.
                *plain = false;
                *value = text(value, variables).map_err(|wrong| {
                    let message = match wrong {
                        Wrong::Format => format!(
                            "invalid interpolation format for {path}: {value:?}. You may need to escape any $ with another $"
                        ),
                        Wrong::Missing { name, message } => {
                            format!("error while interpolating {path}: required variable {name} is missing a value: {message}")
                        }
                        Wrong::TooLarge => format!("error while interpolating {path}: the value is too large"),
                    };
                    FileError::new(&node.at, message)
                })?;
            }
            Ok(())
        }
        Value::List(list) => list
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, item)| tree(item, &format!("{path}[{index}]"), variables)),
        Value::Map(map) => map.iter_mut().try_for_each(|entry| {
            let below = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            tree(&mut entry.value, &below, variables)
        }),
    }
}

/// Why a value cannot be interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// A `$` that begins nothing known.
    Format,
    /// `${NAME?message}` of a name without a value.
    Missing {
        /// The name.
        name: String,
        /// What the file says about it.
        message: String,
    },
    /// It grows without bound.
    TooLarge,
}

/// Interpolates one text.
pub fn text(source: &str, variables: &mut Variables<'_>) -> Result<String, Wrong> {
    let mut rest = source;
    until(&mut rest, variables, Place { depth: 0, used: true })
}

/// Where in a value the reader is.
#[derive(Clone, Copy)]
struct Place {
    /// Braces around it.
    depth: usize,
    /// Whether the text counts; that of a default which is not used is read past.
    used: bool,
}

/// Reads up to the closing brace (or, outside braces, the end), which it takes.
fn until(rest: &mut &str, variables: &mut Variables<'_>, place: Place) -> Result<String, Wrong> {
    let braced = place.depth > 0;
    if place.depth > DEPTH_LIMIT {
        return Err(Wrong::Format);
    }
    let mut result = String::new();
    // Braces of the text's own, as of JSON in a default.
    let mut own = 0usize;
    loop {
        if result.len() > SIZE_LIMIT {
            return Err(Wrong::TooLarge);
        }
        let mut chars = rest.chars();
        match chars.next() {
            None if braced => return Err(Wrong::Format),
            None => return Ok(result),
            Some('}') if braced && own == 0 => {
                *rest = chars.as_str();
                return Ok(result);
            }
            Some('$') => {
                *rest = chars.as_str();
                result.push_str(&dollar(rest, variables, place)?);
            }
            Some(c) => {
                own = match c {
                    '{' if braced => own + 1,
                    '}' if braced => own - 1,
                    _ => own,
                };
                *rest = chars.as_str();
                result.push(c);
            }
        }
    }
}

fn dollar(rest: &mut &str, variables: &mut Variables<'_>, place: Place) -> Result<String, Wrong> {
    if let Some(after) = rest.strip_prefix('$') {
        *rest = after;
        return Ok("$".into());
    }
    let Some(after) = rest.strip_prefix('{') else {
        let name = name(rest).ok_or(Wrong::Format)?;
        return Ok(value_or_blank(&name, variables, place));
    };
    *rest = after;
    let name = name(rest).ok_or(Wrong::Format)?;
    let (empty_is_unset, operator) = match rest.as_bytes() {
        [b'}', ..] => {
            *rest = &rest[1..];
            return Ok(value_or_blank(&name, variables, place));
        }
        [b':', operator @ (b'-' | b'?' | b'+'), ..] => {
            *rest = &rest[2..];
            (true, *operator)
        }
        [operator @ (b'-' | b'?' | b'+'), ..] => {
            *rest = &rest[1..];
            (false, *operator)
        }
        _ => return Err(Wrong::Format),
    };
    let value = (variables.get)(&name).filter(|value| !(empty_is_unset && value.is_empty()));
    let used = place.used && !matches!((operator, &value), (b'-' | b'?', Some(_)) | (b'+', None));
    let operand = until(rest, variables, Place { depth: place.depth + 1, used })?;
    match (operator, value) {
        (b'-', Some(value)) | (b'?', Some(value)) => Ok(value),
        (b'-', None) | (b'+', Some(_)) => Ok(operand),
        (b'?', None) if place.used => Err(Wrong::Missing { name, message: operand }),
        _ => Ok(String::new()),
    }
}

fn name(rest: &mut &str) -> Option<String> {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    *rest = after;
    valid.then(|| name.to_owned())
}

fn value_or_blank(name: &str, variables: &mut Variables<'_>, place: Place) -> String {
    (variables.get)(name).unwrap_or_else(|| {
        if place.used && !variables.unset.iter().any(|seen| seen == name) {
            variables.unset.push(name.to_owned());
        }
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("1".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn run(source: &str) -> (Result<String, Wrong>, Vec<String>) {
        let mut variables = Variables { get: &env, unset: Vec::new() };
        (text(source, &mut variables), variables.unset)
    }

    #[test]
    fn every_operator_of_the_specification() {
        for (source, result) in [
            ("a$A-${A}", "a1-1"),
            ("$$A", "$A"),
            ("${NO:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${A:+yes}", "yes"),
            ("${EMPTY:+yes}", ""),
            ("${EMPTY+yes}", "yes"),
            ("${NO+yes}", ""),
            ("${NO:-${ALSO:-${A}}}", "1"),
            ("${A:?never}", "1"),
            ("${A:-${NO?never}}", "1"),
            ("${NO:-a b:c}", "a b:c"),
            ("${NO:-{\"a\":{\"b\":1}}}x", "{\"a\":{\"b\":1}}x"),
            ("${A:-{}}", "1"),
        ] {
            assert_eq!(run(source).0.as_deref(), Ok(result), "{source}");
        }
    }

    #[test]
    fn unset_names_are_told_once_and_only_when_used() {
        assert_eq!(run("$NO ${NO} $ALSO").1, ["NO", "ALSO"]);
        assert_eq!(run("${A:-$NO}").1, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for source in ["$", "${", "${A", "${}", "$1", "${A:x}", "${A/b/c}", "a $ b"] {
            assert_eq!(run(source).0, Err(Wrong::Format), "{source}");
        }
        let missing = Wrong::Missing { name: "NO".into(), message: "set it".into() };
        assert_eq!(run("${NO:?set it}").0, Err(missing));
    }

    #[test]
    fn complaints_name_the_attribute_and_its_place() {
        let mut node = crate::tree::read("c.yaml", "services:\n  web:\n    image: ${\n").unwrap().remove(0);
        let mut variables = Variables { get: &env, unset: Vec::new() };
        let told = tree(&mut node, "", &mut variables).unwrap_err().to_string();
        assert!(
            told.starts_with("c.yaml:3:12: invalid interpolation format for services.web.image"),
            "{told}"
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(source in "[A-C${}:?+a-]{0,40}") {
            let _ = run(&source);
        }
    }
}
