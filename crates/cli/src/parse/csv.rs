//! One line of CSV, as Go's `encoding/csv` reads it.

/// The fields of one line; quotes may hold commas, a doubled quote is a quote.
pub fn fields(line: &str) -> Result<Vec<String>, String> {
    if line.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        let mut field = String::new();
        if chars.peek() == Some(&'"') {
            chars.next();
            loop {
                match chars.next() {
                    None => {
                        return Err("parse error on line 1: extraneous or missing \" in quoted-field".into());
                    }
                    Some('"') if chars.peek() == Some(&'"') => {
                        chars.next();
                        field.push('"');
                    }
                    Some('"') => break,
                    Some(c) => field.push(c),
                }
            }
            if !matches!(chars.peek(), None | Some(',')) {
                return Err("parse error on line 1: extraneous or missing \" in quoted-field".into());
            }
        } else {
            while let Some(&c) = chars.peek() {
                match c {
                    ',' => break,
                    '"' => return Err("parse error on line 1: bare \" in non-quoted-field".into()),
                    c => field.push(c),
                }
                chars.next();
            }
        }
        out.push(field);
        if chars.next().is_none() {
            return Ok(out);
        }
    }
}

/// Whether every field of the line is `key=value`.
pub fn validate_pairs(line: &str) -> Result<(), String> {
    match fields(line)?.iter().find(|field| !field.contains('=')) {
        Some(field) => Err(format!("{field} must be formatted as key=value")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{fields, validate_pairs};

    #[test]
    fn a_pair_has_a_key_and_a_value() {
        assert_eq!(validate_pairs("a=1,b="), Ok(()));
        assert_eq!(validate_pairs("a=1,b"), Err("b must be formatted as key=value".into()));
    }

    #[test]
    fn quotes_hold_commas() {
        assert_eq!(fields("a,\"b,\"\"c\",").unwrap(), ["a", "b,\"c", ""]);
        assert!(fields("a\"b").is_err() && fields("\"a").is_err() && fields("\"a\"b").is_err());
        assert!(fields("").unwrap().is_empty());
    }
}
