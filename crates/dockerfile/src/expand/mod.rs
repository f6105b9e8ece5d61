//! Variables and quotes: `$x`, `${x}`, `${x:-word}`, `${x#pattern}`, `${x/pattern/text}` and their kin.
//!
//! The rules are those of the Dockerfile reference (a part of the POSIX shell's): an unset variable is empty, single
//! quotes keep everything, the escape character keeps the next one. [`word`] keeps blanks, [`words`] splits at those
//! that are not quoted, after variables have been replaced.

mod lexer;
mod pattern;
mod substitution;

use lexer::Lexer;

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
