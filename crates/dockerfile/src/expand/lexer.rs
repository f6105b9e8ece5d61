//! Quotes, escapes and blanks: what is one word, and what a `$` begins.

use std::iter::Peekable;
use std::str::Chars;

use super::{Quotes, Unset, Variables};

/// Deepest `${a:-${b:-...}}`; deeper text is hostile, not a Dockerfile.
const DEPTH_LIMIT: u32 = 64;

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

/// Reads a text once, from its beginning.
pub(super) struct Lexer<'a> {
    pub(super) rest: Peekable<Chars<'a>>,
    escape: char,
    quotes: Quotes,
    /// `None`: variables stay as they stand.
    pub(super) variables: Option<&'a dyn Variables>,
    /// Names that had no value.
    pub(super) unset: Unset,
    depth: u32,
    /// Bytes that values have added so far.
    pub(super) grown: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(
        text: &'a str,
        escape: char,
        quotes: Quotes,
        variables: Option<&'a dyn Variables>,
    ) -> Self {
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
    pub(super) fn until(
        &mut self,
        stop: Option<char>,
        keep_escapes: bool,
    ) -> Result<(String, Vec<String>), String> {
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
}

fn add_hard(text: &mut String, words: &mut Words, part: String) -> Result<(), String> {
    // An empty quoted text is a word of its own for the shell, but not here: Docker drops it as well.
    words.inside = true;
    words.current.push_str(&part);
    text.push_str(&part);
    Ok(())
}
