//! `$x`, `${x}` and what may stand behind the name.

use super::lexer::Lexer;
use super::pattern::{matches_whole, pattern_of};

/// Largest text an expansion may grow to, in bytes.
const SIZE_LIMIT: usize = 4 << 20;

impl Lexer<'_> {
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(c) if c.is_ascii_digit() => {
                while let Some(c) = self.rest.next_if(char::is_ascii_digit) {
                    name.push(c);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.rest.next()),
            _ => {
                while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    /// The value; `None` when unset. An unset name is remembered.
    fn value(&mut self, name: &str) -> Option<String> {
        let value = self.variables.and_then(|variables| variables.get(name));
        if value.is_none() && self.variables.is_some() && !self.unset.iter().any(|seen| seen == name) {
            self.unset.push(name.to_owned());
        }
        value
    }

    pub(super) fn dollar(&mut self) -> Result<String, String> {
        let value = self.substitution()?;
        self.grown += value.len();
        if self.grown > SIZE_LIMIT {
            return Err("expansion is too large".into());
        }
        Ok(value)
    }

    fn substitution(&mut self) -> Result<String, String> {
        self.rest.next();
        if self.rest.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".into());
            }
            let value = self.value(&name);
            return Ok(match value {
                Some(value) => value,
                None if self.variables.is_none() => format!("${name}"),
                None => String::new(),
            });
        }
        self.rest.next();
        match self.rest.peek() {
            None => return Err("syntax error: missing '}'".into()),
            Some('{' | '}' | ':') => return Err("syntax error: bad substitution".into()),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next() {
            None => Err("syntax error: missing '}'".into()),
            Some('}') => {
                let value = self.value(&name);
                Ok(match value {
                    Some(value) => value,
                    None if self.variables.is_none() => format!("${{{name}}}"),
                    None => String::new(),
                })
            }
            Some(':') => {
                let operator = self.rest.next().ok_or("syntax error: missing '}'")?;
                match operator {
                    '-' | '+' | '?' => self.modifier(&name, operator, true),
                    other => Err(format!("unsupported modifier (:{other}) in substitution")),
                }
            }
            Some(operator @ ('-' | '+' | '?')) => self.modifier(&name, operator, false),
            Some(operator @ ('#' | '%')) => self.trim(&name, operator),
            Some('/') => self.replace(&name),
            Some(other) => Err(format!("unsupported modifier ({other}) in substitution")),
        }
    }

    fn operand(&mut self, keep_escapes: bool) -> Result<String, String> {
        let operand = self.until(Some('}'), keep_escapes);
        let ended = self.rest.peek().is_none();
        operand.map(|(text, _)| text).map_err(|why| {
            if ended && why.ends_with("matching }") { "syntax error: missing '}'".into() } else { why }
        })
    }

    fn modifier(&mut self, name: &str, operator: char, empty_is_unset: bool) -> Result<String, String> {
        let operand = self.operand(false)?;
        let value = self.value(name);
        if value.is_none() && self.variables.is_none() {
            let colon = if empty_is_unset { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{operator}{operand}}}"));
        }
        let told = |default: &str| if operand.is_empty() { default.to_owned() } else { operand.clone() };
        match (operator, value) {
            ('-', Some(value)) if !(empty_is_unset && value.is_empty()) => Ok(value),
            ('-', _) => Ok(operand),
            ('+', Some(value)) if !(empty_is_unset && value.is_empty()) => Ok(operand),
            ('+', _) => Ok(String::new()),
            (_, None) => Err(format!("{name}: {}", told("is not allowed to be unset"))),
            (_, Some(value)) if empty_is_unset && value.is_empty() => {
                Err(format!("{name}: {}", told("is not allowed to be empty")))
            }
            (_, Some(value)) => Ok(value),
        }
    }

    /// `#`, `##` drop a prefix, `%`, `%%` a suffix: shortest, longest.
    fn trim(&mut self, name: &str, operator: char) -> Result<String, String> {
        let operand = self.operand(true)?;
        let value = self.value(name);
        let Some(value) = value else {
            return Ok(if self.variables.is_none() {
                format!("${{{name}{operator}{operand}}}")
            } else {
                String::new()
            });
        };
        let (longest, pattern) = match operand.strip_prefix(operator) {
            Some(rest) => (true, rest),
            None => (false, operand.as_str()),
        };
        let pattern = pattern_of(pattern)?;
        let mut cuts: Vec<usize> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
        // Shortest prefix first is ascending order; shortest suffix first is descending.
        if (operator == '#') == longest {
            cuts.reverse();
        }
        let hit = cuts.into_iter().find(|&at| {
            let part = if operator == '#' { &value[..at] } else { &value[at..] };
            matches_whole(&pattern, part)
        });
        Ok(match hit {
            Some(at) if operator == '#' => value[at..].to_owned(),
            Some(at) => value[..at].to_owned(),
            None => value,
        })
    }

    /// `/pattern/text` replaces the first, `//pattern/text` each longest match.
    fn replace(&mut self, name: &str) -> Result<String, String> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let pattern = self.until(Some('/'), true).map_err(|why| {
            if why.ends_with("matching /") { "syntax error: missing '/' in ${}".to_owned() } else { why }
        })?;
        let replacement = self.operand(true)?;
        let value = self.value(name);
        let Some(value) = value else {
            let text = format!("${{{name}/{}/{replacement}}}", pattern.0);
            return Ok(if self.variables.is_none() { text } else { String::new() });
        };
        let pattern = pattern_of(&pattern.0)?;
        let mut result = String::new();
        let mut rest = value.as_str();
        let mut replaced = false;
        while !rest.is_empty() {
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let hit = (all || !replaced)
                .then(|| ends.into_iter().find(|&end| matches_whole(&pattern, &rest[..end])))
                .flatten();
            match hit {
                Some(end) => {
                    result.push_str(&replacement);
                    rest = &rest[end..];
                    replaced = true;
                }
                None => {
                    let mut chars = rest.chars();
                    result.extend(chars.next());
                    rest = chars.as_str();
                }
            }
            if result.len() > SIZE_LIMIT {
                return Err("expansion is too large".into());
            }
        }
        Ok(result)
    }
}
