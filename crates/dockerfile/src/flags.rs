//! The `--name=value` words between an instruction's keyword and its arguments.

use crate::suggest;

/// Keyword, flags with quotes taken off, and the trimmed rest of a logical line.
pub(crate) fn split_instruction(line: &str, escape: char) -> Result<(String, Vec<String>, String), String> {
    let line = line.trim();
    let Some(end) = line.find(is_blank) else { return Ok((line.to_owned(), Vec::new(), String::new())) };
    let (keyword, rest) = (&line[..end], line[end..].trim_start_matches(is_blank));
    let (flags, rest) = leading_flags(rest, escape);
    Ok((keyword.to_owned(), flags, rest.trim().to_owned()))
}

fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// Takes words from the left while they begin with `--`; a bare `--` ends them.
fn leading_flags(line: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        if !rest.starts_with("--") {
            return (flags, rest);
        }
        let (word, after, quoted) = word(rest, escape);
        rest = after;
        if word == "--" {
            return (flags, rest);
        }
        if quoted || !word.is_empty() {
            flags.push(word);
        }
    }
}

/// The first word of `text`, quotes and escapes resolved, what follows it, and whether it had a quote.
fn word(text: &str, escape: char) -> (String, &str, bool) {
    let mut word = String::new();
    let (mut quote, mut quoted) = (None, false);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (word, &text[at..], quoted),
            None if c == '\'' || c == '"' => (quote, quoted) = (Some(c), true),
            Some(open) if c == open => quote = None,
            _ if c == escape => word.extend(chars.next().map(|(_, c)| c)),
            _ => word.push(c),
        }
    }
    (word, "", quoted)
}

/// What an instruction's flags may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--name=value`, once.
    Text,
    /// `--name`, `--name=true|false`, once.
    Switch,
    /// `--name=value`, any number of times.
    List,
}

/// Flags as given, checked against what the instruction knows.
#[derive(Debug, Default)]
pub(crate) struct Flags(Vec<(&'static str, String)>);

impl Flags {
    /// Checks every flag: known, with a value where one is needed, once where once is meant.
    pub(crate) fn check(given: &[String], known: &[(&'static str, Kind)]) -> Result<Self, String> {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for flag in given {
            let bare = flag.trim_start_matches("--");
            let (name, value) =
                bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
            let Some((name, kind)) = known.iter().find(|(known, _)| *known == name) else {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                return Err(suggest::with_nearest(format!("unknown flag: --{name}"), name, &names));
            };
            if *kind != Kind::List && found.iter().any(|(seen, _)| seen == name) {
                return Err(format!("duplicate flag specified: --{name}"));
            }
            let value = match (kind, value) {
                (Kind::Switch, None) => "true",
                (Kind::Switch, Some(value)) if value.eq_ignore_ascii_case("true") => "true",
                (Kind::Switch, Some(value)) if value.eq_ignore_ascii_case("false") => "false",
                (Kind::Switch, Some(value)) => {
                    return Err(format!("expecting boolean value for flag --{name}, not: {value}"));
                }
                (Kind::Text | Kind::List, Some(value)) => value,
                (Kind::Text | Kind::List, None) => return Err(format!("missing a value on flag: --{name}")),
            };
            found.push((name, value.to_owned()));
        }
        Ok(Self(found))
    }

    /// The value of a flag that was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }

    /// The value, or the empty text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// A switch; `None` where it was not given.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value == "true")
    }

    /// All values of a flag that may repeat.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(found, _)| *found == name).map(|(_, value)| value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_end_at_the_first_plain_word() {
        let (keyword, flags, rest) =
            split_instruction("COPY --from=a --chown=\"x y\"  b --c d", '\\').unwrap();
        assert_eq!((keyword.as_str(), rest.as_str()), ("COPY", "b --c d"));
        assert_eq!(flags, ["--from=a", "--chown=x y"]);
        assert_eq!(split_instruction("RUN -- --x", '\\').unwrap().2, "--x");
    }

    #[test]
    fn wrong_flags_are_told() {
        let known = [("from", Kind::Text), ("link", Kind::Switch)];
        let check = |flag: &str| Flags::check(&[flag.to_owned()], &known).unwrap_err();
        assert_eq!(check("--form=x"), "unknown flag: --form (did you mean from?)");
        assert_eq!(check("--from"), "missing a value on flag: --from");
        assert_eq!(check("--link=maybe"), "expecting boolean value for flag --link, not: maybe");
        let twice = ["--link".to_owned(), "--link".to_owned()];
        assert_eq!(Flags::check(&twice, &known).unwrap_err(), "duplicate flag specified: --link");
    }
}
