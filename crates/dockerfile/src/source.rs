//! From text to raw instructions: parser directives, comments, continuation lines, heredocs.

use crate::expand::{self, Quotes};
use crate::{ParseError, Span, flags};

/// Longest physical line, as in BuildKit (the scanner's token limit).
const LINE_LIMIT: usize = 64 * 1024 - 1;

/// Characters of a line that a refusal repeats.
const SHOWN: usize = 80;

/// `# syntax=`, `# escape=`, `# check=`: only before anything else in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// The front end asked for; told to the user, never fetched.
    pub syntax: Option<String>,
    /// The escape and continuation character: backslash or backtick.
    pub escape: char,
    /// Settings of the lint.
    pub check: Option<String>,
}

/// One instruction before its arguments are understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawInstruction {
    /// The first word as written.
    pub keyword: String,
    /// `--name[=value]` words before the arguments, quotes taken off.
    pub flags: Vec<String>,
    /// The rest of the logical line, trimmed.
    pub rest: String,
    /// The whole logical line, continuation joined.
    pub original: String,
    /// Bodies of `<<WORD`, in order.
    pub heredocs: Vec<Heredoc>,
    /// Where it stands.
    pub span: Span,
    /// Comment lines right before it, without `#`.
    pub comments: Vec<String>,
}

/// `<<[-]WORD` and the lines up to WORD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// No part of the word was quoted, so variables in the body count.
    pub expand: bool,
    /// `<<-`: leading tabs are dropped.
    pub chomp: bool,
    /// The body, line ends included.
    pub content: String,
}

impl Heredoc {
    /// Reads a word such as `<<EOF`, `3<<-"EOF"`; `None` for any other word.
    pub fn of_word(word: &str) -> Option<Heredoc> {
        let at = word.find("<<")?;
        if !word[..at].bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let rest = &word[at + 2..];
        let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
        let rest = rest.trim_start();
        if rest.is_empty() || rest.contains('<') {
            return None;
        }
        let plain = expand::split(rest, '\\', Quotes::Taken).ok()?;
        let raw = expand::split(rest, '\\', Quotes::Kept).ok()?;
        let ([name], [raw]) = (&plain[..], &raw[..]) else { return None };
        let quotes = |text: &str| text.matches(['\'', '"']).count();
        Some(Heredoc {
            name: name.clone(),
            expand: quotes(name) == quotes(raw),
            chomp,
            content: String::new(),
        })
    }

    /// The body with leading tabs dropped where `<<-` asks for it.
    pub fn text(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// The text of a file's bytes. What is not UTF-8 is refused with its line.
pub fn text(bytes: Vec<u8>) -> Result<String, ParseError> {
    String::from_utf8(bytes).map_err(|error| {
        let (good, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let number = bytes[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        let line = bytes.split(|byte| *byte == b'\n').nth(number - 1).unwrap_or_default();
        let shown: String = String::from_utf8_lossy(line).trim().chars().take(SHOWN).collect();
        ParseError::at(Span { first: number, last: number }, format!("not UTF-8 text: {shown:?}"))
    })
}

/// All raw instructions of a file, in order.
pub fn read(text: &str) -> Result<(Directives, Vec<RawInstruction>), ParseError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        lines: text.split_inclusive('\n').enumerate(),
        directives: Directives { syntax: None, escape: '\\', check: None },
        head: true,
    };
    let mut found = Vec::new();
    let mut comments = Vec::new();
    while let Some((index, line)) = reader.lines.next() {
        let first = index + 1;
        check_length(line, first)?;
        let line = line.trim_end_matches(['\r', '\n']).trim_start();
        if reader.head && reader.directive(line, first)? {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            match comment.trim() {
                "" => comments.clear(),
                comment => comments.push(comment.to_owned()),
            }
            continue;
        }
        if line.is_empty() {
            continue;
        }
        if let Some(raw) = reader.instruction(line, first, std::mem::take(&mut comments))? {
            found.push(raw);
        }
    }
    Ok((reader.directives, found))
}

fn check_length(line: &str, number: usize) -> Result<(), ParseError> {
    if line.len() <= LINE_LIMIT {
        return Ok(());
    }
    let span = Span { first: number, last: number };
    Err(ParseError::at(span, format!("dockerfile line greater than max allowed size of {LINE_LIMIT}")))
}

struct Reader<'a> {
    lines: std::iter::Enumerate<std::str::SplitInclusive<'a, char>>,
    directives: Directives,
    /// Still before the first line that is no directive.
    head: bool,
}

impl<'a> Reader<'a> {
    /// Whether `line` is a parser directive; any other line ends the head of the file.
    fn directive(&mut self, line: &str, number: usize) -> Result<bool, ParseError> {
        let found = line.strip_prefix('#').and_then(|rest| rest.split_once('=')).and_then(|(key, value)| {
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            (matches!(key.as_str(), "syntax" | "escape" | "check") && !value.is_empty())
                .then_some((key, value))
        });
        let Some((key, value)) = found else {
            self.head = false;
            return Ok(false);
        };
        let span = Span { first: number, last: number };
        let again = || ParseError::at(span, format!("only one {key} parser directive can be used"));
        let slot = match key.as_str() {
            "syntax" => &mut self.directives.syntax,
            "check" => &mut self.directives.check,
            _ => {
                if self.directives.escape == '`' {
                    return Err(again());
                }
                self.directives.escape = match value {
                    "`" => '`',
                    "\\" => '\\',
                    other => {
                        let message = format!("invalid escape token '{other}' does not match ` or \\");
                        return Err(ParseError::at(span, message));
                    }
                };
                return Ok(true);
            }
        };
        if slot.is_some() {
            return Err(again());
        }
        *slot = Some(value.to_owned());
        Ok(true)
    }

    /// Joins the logical line that begins with `line`, and takes its heredocs' bodies.
    fn instruction(
        &mut self,
        line: &'a str,
        first: usize,
        comments: Vec<String>,
    ) -> Result<Option<RawInstruction>, ParseError> {
        let escape = self.directives.escape;
        let mut last = first;
        let (head, mut goes_on) = continuation(line, escape);
        let mut logical = head.to_owned();
        while goes_on {
            let Some((index, line)) = self.lines.next() else { break };
            last = index + 1;
            check_length(line, last)?;
            let line = line.trim_end_matches(['\r', '\n']);
            let bare = line.trim_start();
            if bare.is_empty() || bare.starts_with('#') {
                continue; // Comments and empty lines inside an instruction are skipped.
            }
            let (part, more) = continuation(line, escape);
            logical.push_str(part);
            goes_on = more;
        }
        if logical.trim().is_empty() {
            return Ok(None);
        }
        let span = Span { first, last };
        let (keyword, flags, rest) =
            flags::split_instruction(&logical, escape).map_err(|message| ParseError::at(span, message))?;
        let mut raw =
            RawInstruction { keyword, flags, rest, original: logical, heredocs: Vec::new(), span, comments };
        if takes_heredocs(&raw) && raw.original.contains("<<") {
            self.heredocs(&mut raw)?;
        }
        Ok(Some(raw))
    }

    fn heredocs(&mut self, raw: &mut RawInstruction) -> Result<(), ParseError> {
        // A line that is no sentence of the shell (an open quote) has no heredocs we could find.
        let words = expand::split(&raw.original, '\\', Quotes::All).unwrap_or_default();
        for mut heredoc in words.iter().filter_map(|word| Heredoc::of_word(word)) {
            loop {
                let Some((index, line)) = self.lines.next() else {
                    return Err(ParseError::at(raw.span, "unterminated heredoc"));
                };
                raw.span.last = index + 1;
                let bare = line.trim_end_matches(['\r', '\n']);
                let bare = if heredoc.chomp { bare.trim_start_matches('\t') } else { bare };
                if bare == heredoc.name {
                    break;
                }
                heredoc.content.push_str(line);
            }
            raw.heredocs.push(heredoc);
        }
        Ok(())
    }
}

/// Only ADD, COPY and RUN have heredocs, directly or behind ONBUILD.
fn takes_heredocs(raw: &RawInstruction) -> bool {
    let has = |word: &str| ["add", "copy", "run"].contains(&word.to_ascii_lowercase().as_str());
    match raw.keyword.to_ascii_lowercase().as_str() {
        "onbuild" => raw.rest.split_whitespace().next().is_some_and(has),
        keyword => has(keyword),
    }
}

/// The line without its continuation mark, and whether it had one. A mark after another is none: `\\` is text.
fn continuation(line: &str, escape: char) -> (&str, bool) {
    let bare = line.trim_end_matches([' ', '\t']);
    match bare.strip_suffix(escape) {
        Some(before) if !before.ends_with(escape) => (before, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(String, String)> {
        read(text).unwrap().1.into_iter().map(|raw| (raw.keyword, raw.rest)).collect()
    }

    #[test]
    fn comments_and_empty_lines_inside_an_instruction_are_skipped() {
        let text = "FROM a\n# note\nRUN one \\\n  # why\n\n  && two\nRUN three";
        let got = lines(text);
        assert_eq!(got[1], ("RUN".into(), "one   && two".into()));
        assert_eq!(got[2], ("RUN".into(), "three".into()));
    }

    #[test]
    fn a_doubled_escape_at_the_end_is_text() {
        assert_eq!(lines("RUN a \\\\\nRUN b").len(), 2);
        assert_eq!(lines("# escape=`\nRUN a `\n b\\\n").len(), 1);
    }

    #[test]
    fn directives_count_only_at_the_top() {
        let (directives, _) = read("# syntax=docker/dockerfile:1\n# escape=`\nFROM a").unwrap();
        assert_eq!((directives.syntax.as_deref(), directives.escape), (Some("docker/dockerfile:1"), '`'));
        assert_eq!(read("# hello\n# escape=`\nFROM a").unwrap().0.escape, '\\');
        assert!(read("# escape=x\nFROM a").is_err());
        assert!(read("# syntax=a\n# syntax=b\nFROM a").is_err());
    }

    #[test]
    fn heredocs_are_taken_whole_and_in_order() {
        let (_, got) = read("COPY <<one <<-'two' /\na\none\n\tb $x\n\ttwo\nRUN cat").unwrap();
        let [one, two] = &got[0].heredocs[..] else { panic!("{got:?}") };
        assert_eq!((one.name.as_str(), one.text().as_str(), one.expand), ("one", "a\n", true));
        assert_eq!((two.name.as_str(), two.text().as_str(), two.expand), ("two", "b $x\n", false));
        assert_eq!(got[0].span, Span { first: 1, last: 5 });
        assert_eq!(got[1].keyword, "RUN");
    }

    #[test]
    fn an_open_heredoc_is_refused_with_its_line() {
        assert_eq!(
            read("FROM a\nRUN <<EOF\nx").unwrap_err().to_string(),
            "dockerfile parse error on line 2: unterminated heredoc"
        );
        assert_eq!(read("ENV a=<<EOF\nRUN x").unwrap().1.len(), 2);
    }
}
