//! Names with `*` (any run of characters but `/`) and `**` (any run at all), for rules over repositories and tags.

/// A pattern. The default matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Default for Pattern {
    fn default() -> Self {
        Self("**".to_owned())
    }
}

impl Pattern {
    /// The pattern as written.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        fits(self.0.as_bytes(), text.as_bytes())
    }
}

/// Goes back only to the last star of each kind, so a hostile pattern costs at most the product of the lengths.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows a star does not fit: (pattern after the star, text tried next).
    let mut wide: Option<(usize, usize)> = None;
    let mut narrow: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += 2;
            (wide, narrow) = (Some((p, t)), None);
        } else if pattern.get(p) == Some(&b'*') {
            p += 1;
            narrow = Some((p, t));
        } else if p < pattern.len() && pattern.get(p) == text.get(t) {
            (p, t) = (p + 1, t + 1);
        } else if p == pattern.len() && t == text.len() {
            return true;
        } else if let Some((after, tried)) =
            narrow.filter(|(_, tried)| text.get(*tried).is_some_and(|b| *b != b'/'))
        {
            narrow = Some((after, tried + 1));
            (p, t) = (after, tried + 1);
        } else if let Some((after, tried)) = wide.filter(|(_, tried)| *tried < text.len()) {
            (wide, narrow) = (Some((after, tried + 1)), None);
            (p, t) = (after, tried + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stops_at_a_slash_and_two_do_not() {
        for (pattern, text, fit) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "abc", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("**", "", true),
            ("team/*", "team/x", true),
            ("team/*", "team/x/y", false),
            ("team/**", "team/x/y", true),
            ("**/y", "team/x/y", true),
            ("*/b*d/*", "a/bcd/e", true),
            ("v*.*", "v1.2", true),
            ("v*.*", "v12", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), fit, "{pattern} {text}");
        }
    }
}
