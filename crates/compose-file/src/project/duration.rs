use std::fmt;

/// A span of time in nanoseconds, written as `1h2m3.5s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Duration(pub i64);

/// A text that is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time: {problem} {text:?}")]
pub struct WrongDuration {
    /// What is wrong.
    pub problem: String,
    /// The whole text.
    pub text: String,
}

/// Units, longest first, in nanoseconds.
const UNITS: [(&str, i64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

impl Duration {
    /// Reads `90s`, `1h30m`, `1.5h`, `2d`, `1w`. A number needs its unit, except 0.
    pub fn parse(text: &str) -> Result<Self, WrongDuration> {
        let wrong = |unit: &str| WrongDuration {
            problem: match unit {
                "" => "missing unit in duration".to_owned(),
                unit => format!("unknown unit {unit:?} in duration"),
            },
            text: text.to_owned(),
        };
        let invalid = || WrongDuration { problem: "invalid duration".to_owned(), text: text.to_owned() };
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: f64 = 0.0;
        let mut whole: i64 = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_end);
            let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| wrong(unit))?;
            match number.parse::<i64>() {
                Ok(count) => {
                    let span = count.checked_mul(*scale).and_then(|span| whole.checked_add(span));
                    whole = span.ok_or_else(invalid)?;
                }
                Err(_) => total += number.parse::<f64>().map_err(|_| invalid())? * *scale as f64,
            }
            rest = after;
        }
        let span = whole.checked_add(total as i64).ok_or_else(invalid)?;
        Ok(Self(if negative { -span } else { span }))
    }

    /// In whole seconds, as the engine counts a stop's patience.
    pub fn seconds(self) -> i64 {
        self.0 / 1_000_000_000
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = |unit: u64| {
            let text = format!("{}.{:0width$}", nanos / unit, nanos % unit, width = unit.ilog10() as usize);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => write!(f, "{sign}{}µs", fraction(1_000)),
            1_000_000..1_000_000_000 => write!(f, "{sign}{}ms", fraction(1_000_000)),
            _ => {
                let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
                let seconds = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
                let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
                match (minutes / 60, minutes % 60) {
                    (0, 0) => write!(f, "{sign}{seconds}s"),
                    (0, minutes) => write!(f, "{sign}{minutes}m{seconds}s"),
                    (hours, minutes) => write!(f, "{sign}{hours}h{minutes}m{seconds}s"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_as_go_does() {
        for (text, shown) in [
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("1.5s", "1.5s"),
            ("1m30s", "1m30s"),
            ("10ms", "10ms"),
            ("1500us", "1.5ms"),
            ("2d", "48h0m0s"),
            ("1w", "168h0m0s"),
            ("0", "0s"),
            ("1h30m5.25s", "1h30m5.25s"),
        ] {
            assert_eq!(Duration::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "10", "1x", "s", "1.2.3s", "99999999999999w"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }
}
