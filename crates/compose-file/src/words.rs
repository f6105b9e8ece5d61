//! A command of one string as words, by the shell's quotes.
//!
//! Source: what Compose does: quotes and backslashes as a shell, no variables, and the line ends where a shell would
//! begin another command (`;`, `&`, `|`, `<`, `>`).

/// A quote or bracket that is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid command line string")]
pub(crate) struct Unclosed;

#[derive(Default)]
struct State {
    words: Vec<String>,
    word: String,
    /// A word has begun, be it an empty one in quotes.
    begun: bool,
    escaped: bool,
    double: bool,
    single: bool,
    back: bool,
    dollar: bool,
}

impl State {
    fn bare(&self) -> bool {
        !(self.escaped || self.single || self.double || self.back || self.dollar)
    }

    fn push(&mut self, c: char) {
        self.begun = true;
        self.word.push(c);
    }

    fn end_word(&mut self) {
        if self.begun {
            self.words.push(std::mem::take(&mut self.word));
            self.begun = false;
        }
    }
}

/// Divides a line.
pub(crate) fn split(line: &str) -> Result<Vec<String>, Unclosed> {
    let mut state = State::default();
    for c in line.chars() {
        if state.escaped {
            state.push(c);
            state.escaped = false;
            continue;
        }
        match c {
            '\\' if state.single => state.push(c),
            '\\' => state.escaped = true,
            ' ' | '\t' | '\r' | '\n' if state.bare() => state.end_word(),
            '`' if !state.single && !state.double && !state.dollar => {
                state.back = !state.back;
                state.push(c);
            }
            ')' if !state.single && !state.double && !state.back => {
                state.dollar = !state.dollar;
                state.push(c);
            }
            '(' if !state.single && !state.double && !state.back => {
                if state.dollar || !state.word.ends_with('$') {
                    return Err(Unclosed);
                }
                state.dollar = true;
                state.push(c);
            }
            '"' if !state.single && !state.dollar => {
                state.begun |= state.double;
                state.double = !state.double;
            }
            '\'' if !state.double && !state.dollar => {
                state.begun |= state.single;
                state.single = !state.single;
            }
            ';' | '&' | '|' | '<' | '>' if state.bare() => {
                if c == '>' && state.word.starts_with(|c: char| c.is_ascii_digit()) {
                    (state.begun, state.word) = (false, String::new());
                }
                break;
            }
            other => state.push(other),
        }
    }
    let open = state.escaped || state.single || state.double || state.back || state.dollar;
    state.end_word();
    if open { Err(Unclosed) } else { Ok(state.words) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_divided_as_compose_does() {
        for (line, words) in [
            ("echo hello  world", vec!["echo", "hello", "world"]),
            ("sh -c 'a b' \"c d\"", vec!["sh", "-c", "a b", "c d"]),
            (r"a\ b c\\d", vec!["a b", r"c\d"]),
            ("a '' \"\" b", vec!["a", "", "", "b"]),
            ("echo a && echo b", vec!["echo", "a"]),
            ("echo a 2>&1", vec!["echo", "a"]),
            ("x --y='z w'", vec!["x", "--y=z w"]),
            ("echo $(date +%s)", vec!["echo", "$(date +%s)"]),
            ("", vec![]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["'a", "\"a", "a\\", "$(a", "(a)", "a)"] {
            assert_eq!(split(line), Err(Unclosed), "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(line in "[a-c'\"\\\\`$()&;> ]{0,30}") {
            let _ = split(&line);
        }
    }
}
