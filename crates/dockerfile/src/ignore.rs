//! `.dockerignore`: which paths of a context do not travel.
//!
//! Not gitignore: patterns are anchored at the context's root, `**` crosses folders, the last match wins, and `!`
//! takes a path back. Source: Docker's reference on `.dockerignore` and moby/patternmatcher's behaviour.

/// The patterns of one file, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// `!`: a match takes the path back.
    back: bool,
    /// Between slashes.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `**`: any number of folders.
    AnyDepth,
    /// One name with wildcards.
    Name(Vec<Glyph>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Glyph {
    One(char),
    AnyOne,
    AnyRun,
    Class { not: bool, ranges: Vec<(char, char)> },
}

/// A pattern that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error checking context: syntax error in pattern: {0}")]
pub struct PatternError(String);

impl Ignore {
    /// Reads a whole file: one pattern a line, `#` comments, blanks trimmed.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines =
            text.lines().filter(|line| !line.starts_with('#')).map(str::trim).filter(|line| !line.is_empty());
        Self::of(lines)
    }

    /// Reads patterns, such as those of `COPY --exclude`.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let rules = patterns.into_iter().map(rule).filter_map(Result::transpose).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// These patterns and, behind them, `more`.
    #[must_use]
    pub fn and(mut self, more: Ignore) -> Self {
        self.rules.extend(more.rules);
        self
    }

    /// Whether no pattern was given.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether any pattern takes paths back.
    pub fn takes_back(&self) -> bool {
        self.rules.iter().any(|rule| rule.back)
    }

    /// Whether `path` (relative to the context, `/` between names) stays behind. A pattern that matches a folder
    /// matches everything below it.
    pub fn excludes(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        let mut out = false;
        for rule in &self.rules {
            if rule.back == out && (1..=names.len()).any(|depth| matches(&rule.parts, &names[..depth])) {
                out = !rule.back;
            }
        }
        out
    }

    /// Whether an excluded folder has to be walked all the same, because a `!` pattern may take back what is below.
    pub fn may_take_back_below(&self, folder: &str) -> bool {
        let names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        self.rules.iter().filter(|rule| rule.back).any(|rule| could_reach(&rule.parts, &names))
    }
}

fn rule(pattern: &str) -> Result<Option<Rule>, PatternError> {
    let bad = || PatternError(pattern.to_owned());
    let (back, text) = match pattern.strip_prefix('!') {
        Some("") => return Err(PatternError("illegal exclusion pattern: \"!\"".into())),
        Some(rest) => (true, rest.trim()),
        None => (false, pattern.trim()),
    };
    let mut parts: Vec<Part> = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            "**" if parts.last() == Some(&Part::AnyDepth) => {}
            "**" => parts.push(Part::AnyDepth),
            name => parts.push(Part::Name(glyphs(name).ok_or_else(bad)?)),
        }
    }
    Ok((!parts.is_empty()).then_some(Rule { back, parts }))
}

fn glyphs(name: &str) -> Option<Vec<Glyph>> {
    let mut found = Vec::new();
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        found.push(match c {
            '*' if found.last() == Some(&Glyph::AnyRun) => continue,
            '*' => Glyph::AnyRun,
            '?' => Glyph::AnyOne,
            '\\' => Glyph::One(chars.next()?),
            '[' => {
                let not = chars.next_if(|c| matches!(c, '^' | '!')).is_some();
                let mut ranges = Vec::new();
                loop {
                    let from = match chars.next()? {
                        ']' if !ranges.is_empty() => break,
                        ']' | '-' => return None,
                        '\\' => chars.next()?,
                        c => c,
                    };
                    let to = match chars.next_if_eq(&'-') {
                        None => from,
                        Some(_) => match chars.next()? {
                            ']' => return None,
                            '\\' => chars.next()?,
                            c => c,
                        },
                    };
                    ranges.push((from, to));
                }
                Glyph::Class { not, ranges }
            }
            c => Glyph::One(c),
        });
    }
    Some(found)
}

fn matches(parts: &[Part], names: &[&str]) -> bool {
    match parts.split_first() {
        None => names.is_empty(),
        // As in Docker, a trailing `**` stands for at least one name.
        Some((Part::AnyDepth, [])) => !names.is_empty(),
        Some((Part::AnyDepth, rest)) => (0..=names.len()).any(|skip| matches(rest, &names[skip..])),
        Some((Part::Name(glyphs), rest)) => match names.split_first() {
            Some((name, names)) => name_matches(glyphs, name) && matches(rest, names),
            None => false,
        },
    }
}

/// Whether something below `folder` could match.
fn could_reach(parts: &[Part], folder: &[&str]) -> bool {
    match (parts.split_first(), folder.split_first()) {
        (_, None) | (Some((Part::AnyDepth, _)), _) => true,
        (None, Some(_)) => true, // The pattern took back a folder above: all below it as well.
        (Some((Part::Name(glyphs), rest)), Some((name, below))) => {
            name_matches(glyphs, name) && could_reach(rest, below)
        }
    }
}

fn name_matches(glyphs: &[Glyph], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let one = match glyphs.get(g) {
            Some(Glyph::AnyRun) => {
                star = Some((g, n));
                g += 1;
                continue;
            }
            Some(Glyph::AnyOne) => true,
            Some(Glyph::One(c)) => *c == name[n],
            Some(Glyph::Class { not, ranges }) => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&name[n])) != *not
            }
            None => false,
        };
        if one {
            (g, n) = (g + 1, n + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (g, n) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    glyphs[g..].iter().all(|glyph| *glyph == Glyph::AnyRun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn excluded(file: &str, path: &str) -> bool {
        Ignore::parse(file).unwrap().excludes(path)
    }

    #[test]
    fn patterns_are_anchored_and_cover_what_is_below() {
        for (file, path, out) in [
            ("node_modules", "node_modules/a/b", true),
            ("node_modules", "app/node_modules", false),
            ("**/node_modules", "app/node_modules/x", true),
            ("**/node_modules", "node_modules", true),
            ("*.log", "a.log", true),
            ("*.log", "d/a.log", false),
            ("**/*.log", "d/e/a.log", true),
            ("*/temp*", "a/temporary.txt", true),
            ("*/*/temp*", "a/temporary.txt", false),
            ("temp?", "tempa", true),
            ("/abs", "abs", true),
            ("./rel/../x", "x", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("dir/**", "dir/x", true),
            ("dir/**", "dir", false),
            ("# c\n\n  x  ", "x", true),
        ] {
            assert_eq!(excluded(file, path), out, "{file:?} {path:?}");
        }
    }

    #[test]
    fn the_last_match_wins() {
        let file = "*.md\n!README*.md\nREADME-secret.md";
        assert!(excluded(file, "a.md"));
        assert!(!excluded(file, "README-x.md"));
        assert!(excluded(file, "README-secret.md"));
        assert!(!excluded("*\n!src", "src/main.rs"));
        assert!(excluded("*\n!src", "target/x"));
    }

    #[test]
    fn folders_are_walked_only_where_something_may_come_back() {
        let ignore = Ignore::parse("*\n!src/keep").unwrap();
        assert!(ignore.may_take_back_below("src"));
        assert!(!ignore.may_take_back_below("target"));
    }

    #[test]
    fn broken_patterns_are_refused() {
        for bad in ["[", "[a", "a[-]", "!", "a\\"] {
            assert!(Ignore::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(file in "[a*?!/\\[\\]\\\\.\n-]{0,30}", path in "[a/.]{0,12}") {
            if let Ok(ignore) = Ignore::parse(&file) {
                let _ = (ignore.excludes(&path), ignore.may_take_back_below(&path));
            }
        }
    }
}
