//! `--chmod`: octal, or the symbolic form of chmod(1).

/// A change of permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Octal(u32),
    Clauses(Vec<Clause>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    /// Bits the clause speaks of: user 0o700, group 0o070, others 0o007.
    who: u32,
    operator: char,
    bits: u32,
    /// `X`: execute for folders, and for files that somebody may execute.
    execute_if: bool,
    setuid: bool,
    sticky: bool,
}

/// The text is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
pub struct ModeError(String);

impl Chmod {
    /// Reads `755`, `u=rwX,go=rX`, `+x`, ...
    pub fn parse(text: &str) -> Result<Self, ModeError> {
        let bad = || ModeError(text.to_owned());
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).map_err(|_| bad())?;
            return if mode <= 0o7777 { Ok(Self(Form::Octal(mode))) } else { Err(bad()) };
        }
        let clauses: Option<Vec<Clause>> = text.split(',').map(clause).collect();
        clauses.map(|clauses| Self(Form::Clauses(clauses))).ok_or_else(bad)
    }

    /// The permission bits after the change of `mode`.
    pub fn apply(&self, mode: u32, folder: bool) -> u32 {
        match &self.0 {
            Form::Octal(mode) => *mode,
            Form::Clauses(clauses) => {
                clauses.iter().fold(mode & 0o7777, |mode, clause| clause.apply(mode, folder))
            }
        }
    }
}

fn clause(text: &str) -> Option<Clause> {
    let at = text.find(['+', '-', '='])?;
    let who = text[..at].chars().try_fold(0, |who, c| {
        Some(
            who | match c {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                'a' => 0o777,
                _ => return None,
            },
        )
    })?;
    let mut chars = text[at..].chars();
    let operator = chars.next()?;
    let mut clause = Clause {
        who: if who == 0 { 0o777 } else { who },
        operator,
        bits: 0,
        execute_if: false,
        setuid: false,
        sticky: false,
    };
    for c in chars {
        match c {
            'r' => clause.bits |= 0o444,
            'w' => clause.bits |= 0o222,
            'x' => clause.bits |= 0o111,
            'X' => clause.execute_if = true,
            's' => clause.setuid = true,
            't' => clause.sticky = true,
            _ => return None,
        }
    }
    Some(clause)
}

impl Clause {
    fn apply(&self, mode: u32, folder: bool) -> u32 {
        let execute = if self.execute_if && (folder || mode & 0o111 != 0) { 0o111 } else { 0 };
        let mut bits = (self.bits | execute) & self.who;
        if self.setuid {
            bits |= if self.who & 0o700 != 0 { 0o4000 } else { 0 }
                | if self.who & 0o070 != 0 { 0o2000 } else { 0 };
        }
        if self.sticky {
            bits |= 0o1000;
        }
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => mode & !self.who | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_chmod_changes_them() {
        for (text, mode, folder, result) in [
            ("755", 0, false, 0o755),
            ("0644", 0o777, false, 0o644),
            ("+x", 0o644, false, 0o755),
            ("go-w", 0o666, false, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("a=r", 0o777, false, 0o444),
            ("u+s", 0o755, false, 0o4755),
            ("+t", 0o777, true, 0o1777),
        ] {
            assert_eq!(Chmod::parse(text).unwrap().apply(mode, folder), result, "{text} {mode:o}");
        }
        for bad in ["999", "10000", "x", "u~r", "u=q", ""] {
            assert!(bad.is_empty() || Chmod::parse(bad).is_err(), "{bad}");
        }
    }
}
