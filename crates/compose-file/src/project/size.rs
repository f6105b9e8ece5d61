/// A count of bytes; -1: no limit (for swap).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub i64);

/// A text that is no count of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid size: '{0}'")]
pub struct WrongSize(pub String);

impl Size {
    /// Reads `512`, `64k`, `1.5g`, `10MB`, `1GiB`: powers of 1024, upper or lower case.
    pub fn parse(text: &str) -> Result<Self, WrongSize> {
        let wrong = || WrongSize(text.to_owned());
        let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.').ok_or_else(wrong)?;
        let (number, suffix) = text.split_at(end + 1);
        let suffix = suffix.strip_prefix(' ').unwrap_or(suffix).to_ascii_lowercase();
        let power = match suffix.as_str() {
            "" | "b" => 0,
            other => {
                let letter = other.strip_suffix("ib").or_else(|| other.strip_suffix('b')).unwrap_or(other);
                1 + ["k", "m", "g", "t", "p"].iter().position(|unit| *unit == letter).ok_or_else(wrong)?
            }
        };
        if let Ok(whole) = number.parse::<i64>() {
            return whole.checked_mul(1 << (10 * power)).map(Self).ok_or_else(wrong);
        }
        let number: f64 = number.parse().map_err(|_| wrong())?;
        if number < 0.0 {
            return Err(wrong());
        }
        Ok(Self((number * (1u64 << (10 * power)) as f64) as i64))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_every_notation() {
        for (text, bytes) in [
            ("512", 512),
            ("64k", 65536),
            ("1.5g", 1_610_612_736),
            ("10MB", 10_485_760),
            ("1GiB", 1_073_741_824),
            ("2 Kb", 2048),
            ("1b", 1),
        ] {
            assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "k", "1x", "1.2.3", "99999999999g", "-0.5k", "1kk"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }
}
