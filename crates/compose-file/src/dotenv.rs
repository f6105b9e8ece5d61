//! Files of `NAME=value` lines: `.env`, `env_file`, `label_file`.
//!
//! Source: the Compose specification's `env_file` format: comments, `export`, quotes over several lines, escapes in
//! double ones, variables everywhere but in single ones; and `format: raw`, where a value is what stands there.

use std::collections::BTreeMap;

use crate::interpolate::{self, Variables, Wrong};

/// Why a file of variables cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct WrongLine {
    /// From one.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// A space, but not the end of a line.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// Reads a file's values into `values`. `lookup` goes before what the file itself has said.
pub fn parse(
    text: &str,
    values: &mut BTreeMap<String, String>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), WrongLine> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1 };
    while reader.statement() {
        let (name, inherited) = reader.name()?;
        if name.contains(' ') {
            return Err(reader.wrong("key cannot contain a space"));
        }
        if inherited {
            if let Some(value) = lookup(&name) {
                values.insert(name, value);
            }
            continue;
        }
        let value = reader.value(values, lookup)?;
        values.insert(name, value);
    }
    Ok(())
}

/// Reads the raw format: everything after the first `=` is the value, quotes and dollars and all.
pub fn parse_raw(
    text: &str,
    values: &mut BTreeMap<String, String>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), WrongLine> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches(|c: char| c.is_whitespace());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |message: String| WrongLine { line: index + 1, message };
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if name.is_empty() {
            return Err(wrong(format!("no variable name on line '{line}'")));
        }
        if name.contains(char::is_whitespace) {
            return Err(wrong(format!("variable '{name}' contains whitespaces")));
        }
        if let Some(value) = value.map(str::to_owned).or_else(|| lookup(name)) {
            values.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn wrong(&self, message: impl Into<String>) -> WrongLine {
        WrongLine { line: self.line, message: message.into() }
    }

    /// Goes to the next statement; none: `false`.
    fn statement(&mut self) -> bool {
        loop {
            let start = self.rest.find(|c: char| !c.is_whitespace()).unwrap_or(self.rest.len());
            self.line += self.rest[..start].matches('\n').count();
            self.rest = &self.rest[start..];
            if !self.rest.starts_with('#') {
                return !self.rest.is_empty();
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }

    /// The name, and whether it stands alone, so that its value is inherited.
    fn name(&mut self) -> Result<(String, bool), WrongLine> {
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with(|c: char| c.is_whitespace())
        {
            self.rest = after.trim_start_matches(is_space);
        }
        for (index, c) in self.rest.char_indices() {
            match c {
                '=' | ':' | '\n' => {
                    let name = self.rest[..index].trim_end().to_owned();
                    self.rest = self.rest[index + 1..].trim_start_matches(is_space);
                    self.line += usize::from(c == '\n');
                    return Ok((name, c == '\n'));
                }
                '_' | '.' | '-' | '[' | ']' => {}
                c if is_space(c) || c.is_alphanumeric() => {}
                c => {
                    let line = self.rest.lines().next().unwrap_or_default();
                    return Err(self.wrong(format!(
                        "unexpected character {:?} in variable name {line:?}",
                        c.to_string()
                    )));
                }
            }
        }
        let name = self.rest.trim_end().to_owned();
        self.rest = "";
        Ok((name, true))
    }

    fn value(
        &mut self,
        values: &BTreeMap<String, String>,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, WrongLine> {
        let quote = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => quote,
            _ => {
                let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
                self.rest = rest;
                let value = line.split(" #").next().unwrap_or_default().trim_end();
                let expanded = self.expand(value, values, lookup);
                self.line += 1;
                return expanded;
            }
        };
        let start = self.line;
        let (mut value, mut escaped) = (String::new(), false);
        for (index, c) in self.rest.char_indices().skip(1) {
            self.line += usize::from(c == '\n');
            if c == quote && !escaped {
                self.rest = &self.rest[index + 1..];
                return match quote {
                    '"' => self.expand(&unescape(&value), values, lookup),
                    _ => Ok(value),
                };
            }
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            if escaped && c != quote {
                value.push('\\');
            }
            escaped = false;
            value.push(c);
        }
        let line = self.rest.lines().next().unwrap_or_default();
        Err(WrongLine { line: start, message: format!("unterminated quoted value {line}") })
    }

    fn expand(
        &self,
        value: &str,
        values: &BTreeMap<String, String>,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, WrongLine> {
        let get = |name: &str| lookup(name).or_else(|| values.get(name).cloned());
        let mut variables = Variables { get: &get, unset: Vec::new() };
        interpolate::text(value, &mut variables).map_err(|wrong| match wrong {
            Wrong::Format => self.wrong(format!("Invalid template: {value:?}")),
            Wrong::Missing { name, message } => {
                self.wrong(format!("required variable {name} is missing a value: {message}"))
            }
            Wrong::TooLarge => self.wrong("the value is too large"),
        })
    }
}

/// The shell's escapes; `\$` becomes the `$$` that interpolation takes for a dollar.
fn unescape(value: &str) -> String {
    let mut result = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let plain = |c| match c {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '"' => Some('"'),
            '\\' => Some('\\'),
            _ => None,
        };
        let octal = after.strip_prefix('0').and_then(|digits| digits.get(..3)).and_then(|digits| {
            u8::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with(['+', '-'])).map(char::from)
        });
        let (taken, replaced) = match after.chars().next() {
            Some('$') => (1, "$$".to_owned()),
            Some('0') if octal.is_some() => (4, octal.map(String::from).unwrap_or_default()),
            Some(c) if plain(c).is_some() => (1, plain(c).map(String::from).unwrap_or_default()),
            _ => (0, "\\".to_owned()),
        };
        result.push_str(&replaced);
        rest = &after[taken..];
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<BTreeMap<String, String>, String> {
        let mut values = BTreeMap::new();
        let outside = |name: &str| (name == "OUTSIDE").then(|| "out".to_owned());
        parse(text, &mut values, &outside).map_err(|wrong| wrong.to_string()).map(|()| values)
    }

    #[test]
    fn every_form_of_line() {
        let text = "
# a comment
A=1
export B = two words # not this
C: yaml
D='single $A \\' it'
E=\"double $A \\\"q\\\" \\$A \\n x\"
F=\"two
lines\"
G=${A:-no}${H:-yes}$OUTSIDE
I=a#b
EMPTY=
OUTSIDE
MISSING
";
        let values = read(text).unwrap();
        let get = |name: &str| values.get(name).map(String::as_str);
        for (name, value) in [
            ("A", "1"),
            ("B", "two words"),
            ("C", "yaml"),
            ("D", "single $A ' it"),
            ("E", "double 1 \"q\" $A \n x"),
            ("F", "two\nlines"),
            ("G", "1yesout"),
            ("I", "a#b"),
            ("EMPTY", ""),
            ("OUTSIDE", "out"),
        ] {
            assert_eq!(get(name), Some(value), "{name}");
        }
        assert_eq!(get("MISSING"), None);
    }

    #[test]
    fn wrong_lines_are_told_with_their_number() {
        assert!(read("A=1\nB=\"x\n").unwrap_err().starts_with("line 2: unterminated quoted value"));
        assert!(read("A B=1\n").unwrap_err().contains("key cannot contain a space"));
        assert!(read("\n\nA%=1\n").unwrap_err().starts_with("line 3: unexpected character \"%\""));
        assert!(read("A=${\n").unwrap_err().starts_with("line 1: Invalid template"));
    }

    #[test]
    fn the_raw_format_takes_values_as_they_stand() {
        let mut values = BTreeMap::new();
        parse_raw("# c\nA='x' # y\nB=$C\nOUT\n", &mut values, &|_| Some("o".into())).unwrap();
        assert_eq!(values.get("A").unwrap(), "'x' # y");
        assert_eq!(values.get("B").unwrap(), "$C");
        assert_eq!(values.get("OUT").unwrap(), "o");
        assert!(parse_raw("A B=1\n", &mut values, &|_| None).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[A-C=:'\"#$\\\\{}0-7é\n ]{0,50}") {
            let _ = read(&text);
            let _ = parse_raw(&text, &mut BTreeMap::new(), &|_| None);
        }
    }
}
