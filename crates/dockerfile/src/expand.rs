//! Variables and quotes: `$x`, `${x}`, `${x:-word}`, `${x#pattern}`, `${x/pattern/text}` and their kin.
//!
//! The rules are those of the Dockerfile reference (a part of the POSIX shell's): an unset variable is empty, single
//! quotes keep everything, the escape character keeps the next one. [`word`] keeps blanks, [`words`] splits at those
//! that are not quoted, after variables have been replaced.

use std::iter::Peekable;
use std::str::Chars;

/// Deepest `${a:-${b:-...}}`; deeper text is hostile, not a Dockerfile.
const DEPTH_LIMIT: u32 = 64;
/// Largest text an expansion may grow to, in bytes.
const SIZE_LIMIT: usize = 4 << 20;

/// Gives variables their values.
pub trait Variables {
    /// The value of `name`, `None` when unset.
    fn get(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// What a variable looked up during an expansion was not there.
pub type Unset = Vec<String>;

/// What happens to quotes and escapes in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// Resolved and gone.
    Taken,
    /// Quotes stay, escapes are resolved.
    Kept,
    /// Quotes and escapes stay.
    All,
    /// Quotes are ordinary characters: the text is a heredoc's body.
    Plain,
}

/// Expands one word; blanks stay. Also tells the variables that were unset.
pub fn word(text: &str, escape: char, variables: &dyn Variables) -> Result<(String, Unset), String> {
    let mut lexer = Lexer::new(text, escape, Quotes::Taken, Some(variables));
    let (word, _) = lexer.until(None, false).map_err(|message| of(text, &message))?;
    Ok((word, lexer.unset))
}

/// Expands and splits at unquoted blanks.
pub fn words(text: &str, escape: char, variables: &dyn Variables) -> Result<Vec<String>, String> {
    let mut lexer = Lexer::new(text, escape, Quotes::Taken, Some(variables));
    lexer.until(None, false).map(|(_, words)| words).map_err(|message| of(text, &message))
}

/// Expands variables in a heredoc's body, where quotes mean nothing.
pub fn body(text: &str, escape: char, variables: &dyn Variables) -> Result<String, String> {
    let mut lexer = Lexer::new(text, escape, Quotes::Plain, Some(variables));
    lexer.until(None, false).map(|(body, _)| body).map_err(|message| of(text, &message))
}

/// Splits at unquoted blanks and leaves variables as they stand.
pub fn split(text: &str, escape: char, quotes: Quotes) -> Result<Vec<String>, String> {
    let mut lexer = Lexer::new(text, escape, quotes, None);
    lexer.until(None, quotes == Quotes::All).map(|(_, words)| words)
}

fn of(text: &str, message: &str) -> String {
    format!("failed to process {text:?}: {message}")
}

/// Words under construction: blanks outside quotes end one.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    current: String,
    inside: bool,
}

impl Words {
    fn soft(&mut self, c: char) {
        if !c.is_whitespace() {
            self.hard(c);
        } else if self.inside && !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
            self.inside = false;
        }
    }

    fn hard(&mut self, c: char) {
        self.current.push(c);
        self.inside = true;
    }

    fn finish(mut self) -> Vec<String> {
        if !self.current.is_empty() {
            self.done.push(self.current);
        }
        self.done
    }
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    escape: char,
    quotes: Quotes,
    /// `None`: variables stay as they stand.
    variables: Option<&'a dyn Variables>,
    unset: Unset,
    depth: u32,
    grown: usize,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, escape: char, quotes: Quotes, variables: Option<&'a dyn Variables>) -> Self {
        Self {
            rest: text.chars().peekable(),
            escape,
            quotes,
            variables,
            unset: Vec::new(),
            depth: 0,
            grown: 0,
        }
    }

    /// Reads up to `stop` (or the end): the text as one word, and split.
    fn until(&mut self, stop: Option<char>, keep_escapes: bool) -> Result<(String, Vec<String>), String> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err("substitution is nested too deeply".into());
        }
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(&c) = self.rest.peek() {
            if Some(c) == stop {
                self.rest.next();
                self.depth -= 1;
                return Ok((text, words.finish()));
            }
            let quote = self.quotes != Quotes::Plain;
            match c {
                '\'' if quote => {
                    self.single().into_iter().try_for_each(|part| add_hard(&mut text, &mut words, part?))?
                }
                '"' if quote => {
                    let part = self.double(keep_escapes);
                    add_hard(&mut text, &mut words, part?)?;
                }
                '$' => {
                    let value = self.dollar()?;
                    value.chars().for_each(|c| words.soft(c));
                    text.push_str(&value);
                }
                '<' => {
                    let part = self.heredoc_mark();
                    add_hard(&mut text, &mut words, part)?;
                }
                _ => {
                    self.rest.next();
                    if c != self.escape {
                        words.soft(c);
                        text.push(c);
                        continue;
                    }
                    if keep_escapes {
                        words.hard(c);
                        text.push(c);
                    }
                    // An escape at the very end is dropped.
                    let Some(next) = self.rest.next() else { break };
                    words.hard(next);
                    text.push(next);
                }
            }
        }
        self.depth -= 1;
        match stop {
            Some(stop) => Err(format!("unexpected end of statement while looking for matching {stop}")),
            None => Ok((text, words.finish())),
        }
    }

    fn keeps_quotes(&self) -> bool {
        matches!(self.quotes, Quotes::Kept | Quotes::All)
    }

    /// Everything to the next `'`, as it stands.
    fn single(&mut self) -> Option<Result<String, String>> {
        let open = self.rest.next()?;
        let mut text = String::new();
        if self.keeps_quotes() {
            text.push(open);
        }
        loop {
            match self.rest.next() {
                None => {
                    return Some(Err(
                        "unexpected end of statement while looking for matching single-quote".into()
                    ));
                }
                Some('\'') => break,
                Some(c) => text.push(c),
            }
        }
        if self.keeps_quotes() {
            text.push('\'');
        }
        Some(Ok(text))
    }

    /// Everything to the next `"`; `$` counts, and the escape before `"`, `$` or itself.
    fn double(&mut self, keep_escapes: bool) -> Result<String, String> {
        self.rest.next();
        let mut text = String::new();
        if self.keeps_quotes() {
            text.push('"');
        }
        loop {
            match self.rest.peek() {
                None => {
                    return Err("unexpected end of statement while looking for matching double-quote".into());
                }
                Some('"') => {
                    self.rest.next();
                    if self.keeps_quotes() {
                        text.push('"');
                    }
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(&c) if c == self.escape => {
                    self.rest.next();
                    if keep_escapes {
                        text.push(c);
                    }
                    match self.rest.peek() {
                        None => continue,
                        Some(&next) if next == '"' || next == '$' || next == self.escape => {
                            self.rest.next();
                            text.push(next);
                        }
                        Some(_) => text.push(c),
                    }
                }
                Some(&c) => {
                    self.rest.next();
                    text.push(c);
                }
            }
        }
    }

    /// `<`, or `<<` with the blanks after it, so that `<< EOF` stays one word.
    fn heredoc_mark(&mut self) -> String {
        self.rest.next();
        if self.rest.peek() != Some(&'<') {
            return "<".into();
        }
        self.rest.next();
        let mut mark = String::from("<<");
        while let Some(c) = self.rest.next_if(|c| matches!(c, ' ' | '\t')) {
            mark.push(c);
        }
        mark
    }

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

    fn dollar(&mut self) -> Result<String, String> {
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

fn add_hard(text: &mut String, words: &mut Words, part: String) -> Result<(), String> {
    // An empty quoted text is a word of its own for the shell, but not here: Docker drops it as well.
    words.inside = true;
    words.current.push_str(&part);
    text.push_str(&part);
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    One(char),
    AnyOne,
    AnyRun,
}

/// `*`, `?`, and a backslash that makes the next character plain.
fn pattern_of(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' if pieces.last() == Some(&Piece::AnyRun) => continue,
            '*' => Piece::AnyRun,
            '?' => Piece::AnyOne,
            '\\' => Piece::One(chars.next().ok_or_else(|| format!("invalid escape in pattern ({text})"))?),
            c => Piece::One(c),
        });
    }
    Ok(pieces)
}

/// Whether all of `text` matches; linear in pattern times text.
fn matches_whole(pattern: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Piece::AnyRun) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Piece::AnyOne) => (p, t) = (p + 1, t + 1),
            Some(Piece::One(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|piece| *piece == Piece::AnyRun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "PWD" => Some("/home".into()),
            "empty" => Some(String::new()),
            "two" => Some("a b".into()),
            "file" => Some("dir/archive.tar.gz".into()),
            _ => None,
        }
    }

    fn expand(text: &str) -> Result<String, String> {
        word(text, '\\', &env).map(|(word, _)| word)
    }

    #[test]
    fn the_shells_ways_to_use_a_variable() {
        for (text, value) in [
            ("a$PWD/b", "a/home/b"),
            ("${PWD}x", "/homex"),
            ("'$PWD'", "$PWD"),
            ("\"$PWD'\"", "/home'"),
            ("\\$PWD", "$PWD"),
            ("a\\", "a"),
            ("$", "$"),
            ("$unset.", "."),
            ("${unset:-${PWD}}", "/home"),
            ("${empty:-x}", "x"),
            ("${empty-x}", ""),
            ("${PWD:+x}", "x"),
            ("${unset+x}", ""),
            ("${file#*.}", "tar.gz"),
            ("${file##*.}", "gz"),
            ("${file%.*}", "dir/archive.tar"),
            ("${file%%.*}", "dir/archive"),
            ("${file/a?c/X}", "dir/Xhive.tar.gz"),
            ("${file//r/R}", "diR/aRchive.taR.gz"),
            ("${file/\\//-}", "dir-archive.tar.gz"),
            ("\"a\\b\"", "a\\b"),
            ("he\"l 'l\"o", "hel 'lo"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn wrong_substitutions_are_told() {
        for (text, message) in [
            ("${", "syntax error: missing '}'"),
            ("${PWD", "syntax error: missing '}'"),
            ("${}", "syntax error: bad substitution"),
            ("${PWD:x}", "unsupported modifier (:x) in substitution"),
            ("${unset:?gone}", "unset: gone"),
            ("${unset?}", "unset: is not allowed to be unset"),
            ("${empty:?}", "empty: is not allowed to be empty"),
            ("'open", "unexpected end of statement while looking for matching single-quote"),
            ("\"open", "unexpected end of statement while looking for matching double-quote"),
            ("${PWD:-x", "syntax error: missing '}'"),
        ] {
            let told = expand(text).unwrap_err();
            assert!(told.ends_with(message), "{text}: {told}");
        }
    }

    #[test]
    fn words_split_after_variables_were_replaced_but_not_in_quotes() {
        assert_eq!(words("x $two '$two' \"$two\"", '\\', &env).unwrap(), ["x", "a", "b", "$two", "a b"]);
    }

    #[test]
    fn unset_variables_are_told_once() {
        assert_eq!(word("$a $b $a $PWD", '\\', &env).unwrap().1, ["a", "b"]);
    }

    #[test]
    fn a_deep_or_growing_text_is_refused() {
        assert!(expand(&"${a:-".repeat(10_000)).is_err());
        let big = |_: &str| Some("x".repeat(1 << 20));
        assert!(word(&"$a".repeat(10), '\\', &big).is_err());
        assert!(word(&format!("\"{}\"", "$a".repeat(10)), '\\', &big).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-z${}:/#%?+*'\"\\\\ <-]{0,40}") {
            let _ = expand(&text);
            let _ = words(&text, '\\', &env);
            let _ = split(&text, '\\', Quotes::All);
        }

        #[test]
        fn text_without_specials_is_itself(text in "[a-zA-Z0-9_./ -]{0,40}") {
            prop_assert_eq!(expand(&text).unwrap(), text);
        }
    }
}
