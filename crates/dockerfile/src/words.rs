//! Splitting an instruction's arguments: shell-like words, JSON arrays, `name=value` pairs.

/// What a JSON-or-not argument list turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// `["a", "b"]`.
    List(Vec<String>),
    /// Not a JSON array; the text is to be read otherwise.
    No,
}

/// Reads a JSON array of strings. Broken JSON is no array (as in Docker), an array of other things is an error.
pub(crate) fn json(text: &str) -> Result<Json, String> {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Ok(Json::No);
    }
    let Some(values) = json_array(text) else { return Ok(Json::No) };
    values
        .into_iter()
        .map(|value| {
            value.ok_or("when using JSON array syntax, arrays must be comprised of strings only".to_owned())
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Json::List)
}

/// The items of a JSON array: `Some(text)` for a string, `None` for anything else that is JSON.
fn json_array(text: &str) -> Option<Vec<Option<String>>> {
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(values) => Some(values.into_iter().map(|value| value.as_str().map(str::to_owned)).collect()),
        Err(_) => None,
    }
}

/// Runs of blanks separate; quotes mean nothing.
pub(crate) fn blanks(text: &str) -> Vec<String> {
    text.split(['\t', '\u{b}', '\u{c}', '\r', ' '])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Words separated by space outside quotes; quotes and escapes stay in the words, to be resolved at expansion.
pub(crate) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        if c == escape && quote != Some('\'') {
            // An escape at the very end is dropped.
            let Some(next) = chars.next() else { break };
            word.push(c);
            word.push(next);
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A `name=value` of ENV or LABEL, both parts unexpanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Left of `=`.
    pub name: String,
    /// Right of `=`.
    pub value: String,
    /// The old form `NAME value` was used.
    pub legacy: bool,
}

/// `A=1 B="2 3"`, or the old `A the rest of the line`.
pub(crate) fn pairs(text: &str, instruction: &str, escape: char) -> Result<Vec<Pair>, String> {
    let words = quoted(text, escape);
    let Some(first) = words.first() else {
        return Err(format!("{instruction} requires at least one argument"));
    };
    if !first.contains('=') {
        let (name, value) = text
            .split_once(['\t', '\u{b}', '\u{c}', '\r', ' '])
            .ok_or_else(|| format!("{instruction} must have two arguments"))?;
        let value = value.trim_start_matches(['\t', '\u{b}', '\u{c}', '\r', ' ']);
        return Ok(vec![Pair { name: name.to_owned(), value: value.to_owned(), legacy: true }]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
            Some(("", _)) => Err(format!("{instruction} names can not be blank")),
            Some((name, value)) => Ok(Pair { name: name.into(), value: value.into(), legacy: false }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_is_shell_and_wrong_json_is_an_error() {
        assert_eq!(json(r#"["a", "b c"]"#).unwrap(), Json::List(vec!["a".into(), "b c".into()]));
        assert_eq!(json("['a']").unwrap(), Json::No);
        assert_eq!(json(r#"["a"] tail"#).unwrap(), Json::No);
        assert_eq!(json("a").unwrap(), Json::No);
        assert!(json("[1]").is_err());
        assert!(json(r#"["a", ["b"]]"#).is_err());
    }

    #[test]
    fn pairs_in_both_forms() {
        let new = pairs(r#"A=1 B="2 3" C=x\ y"#, "ENV", '\\').unwrap();
        let shown: Vec<_> = new.iter().map(|p| format!("{}|{}", p.name, p.value)).collect();
        assert_eq!(shown, ["A|1", "B|\"2 3\"", "C|x\\ y"]);
        let old = pairs("A  1  2 =3", "ENV", '\\').unwrap();
        assert_eq!((old[0].name.as_str(), old[0].value.as_str(), old[0].legacy), ("A", "1  2 =3", true));
        assert_eq!(pairs("A", "ENV", '\\').unwrap_err(), "ENV must have two arguments");
        assert_eq!(pairs("=a", "ENV", '\\').unwrap_err(), "ENV names can not be blank");
        assert!(pairs("A=1 B", "ENV", '\\').unwrap_err().starts_with("Syntax error - can't find = in \"B\""));
    }
}
