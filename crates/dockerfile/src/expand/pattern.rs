//! The shell's patterns in `${x#pattern}` and its kin.

/// A part of a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    One(char),
    AnyOne,
    AnyRun,
}

/// `*`, `?`, and a backslash that makes the next character plain.
pub(super) fn pattern_of(text: &str) -> Result<Vec<Piece>, String> {
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
pub(super) fn matches_whole(pattern: &[Piece], text: &str) -> bool {
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
