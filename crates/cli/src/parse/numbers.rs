//! Numbers and booleans as Go's `strconv` reads them, with its complaints.

/// `strconv.ParseBool`.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// `strconv.ParseInt(text, 0, 64)`: `0x`, `0o`, `0b` and underscores are understood.
pub fn int(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let range = || format!("strconv.ParseInt: parsing {text:?}: value out of range");
    match magnitude(digits) {
        None => Err(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")),
        Some(Err(())) => Err(range()),
        Some(Ok(n)) if negative => 0i64.checked_sub_unsigned(n).ok_or_else(range),
        Some(Ok(n)) => i64::try_from(n).map_err(|_| range()),
    }
}

/// `strconv.ParseUint(text, 0, bits)`.
pub fn uint(text: &str, bits: u32) -> Result<u64, String> {
    match magnitude(text) {
        None => Err(format!("strconv.ParseUint: parsing {text:?}: invalid syntax")),
        Some(Ok(n)) if bits == 64 || n < 1 << bits => Ok(n),
        Some(_) => Err(format!("strconv.ParseUint: parsing {text:?}: value out of range")),
    }
}

fn magnitude(digits: &str) -> Option<Result<u64, ()>> {
    let lower = digits.to_ascii_lowercase();
    let (base, rest) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if rest.is_empty() || !rest.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    Some(u64::from_str_radix(rest, base).map_err(drop))
}

/// CPUs in billionths: `1.5` is 1500000000. A fraction (`1/2`) is understood as Docker's parser does.
pub fn nano_cpus(text: &str) -> Result<i64, String> {
    const NANO: i128 = 1_000_000_000;
    let bad = || format!("failed to parse {text} as a rational number");
    let decimal = |part: &str| -> Option<(i128, i128)> {
        let (negative, part) = match part.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, part.strip_prefix('+').unwrap_or(part)),
        };
        let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
        let digits = |s: &str| s.len() <= 18 && s.chars().all(|c| c.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return None;
        }
        let scale = 10i128.pow(fraction.len() as u32);
        let n = whole.parse::<i128>().unwrap_or(0) * scale + fraction.parse::<i128>().unwrap_or(0);
        Some((if negative { -n } else { n }, scale))
    };
    let (number, scale) = match text.split_once('/') {
        None => decimal(text).ok_or_else(bad)?,
        Some((over, under)) => {
            let (a, sa) = decimal(over).ok_or_else(bad)?;
            let (b, sb) = decimal(under).ok_or_else(bad)?;
            if b == 0 {
                return Err(bad());
            }
            (a * sb, sa * b)
        }
    };
    let nano = number.checked_mul(NANO).ok_or_else(bad)?;
    if nano % scale != 0 {
        return Err("value is too precise".into());
    }
    i64::try_from(nano / scale).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_gos() {
        assert_eq!(int("0x10"), Ok(16));
        assert_eq!(int("-5"), Ok(-5));
        assert_eq!(int("010"), Ok(8));
        assert!(int("a").unwrap_err().ends_with("invalid syntax"));
        assert!(int("99999999999999999999").unwrap_err().ends_with("value out of range"));
        assert_eq!(int("-9223372036854775808"), Ok(i64::MIN));
        assert!(uint("65536", 16).is_err());
        assert_eq!(uint("65535", 16), Ok(65535));
        assert_eq!(boolean("T"), Ok(true));
    }

    #[test]
    fn cpus_are_exact() {
        assert_eq!(nano_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(nano_cpus("1/2"), Ok(500_000_000));
        assert_eq!(nano_cpus(".000000001"), Ok(1));
        assert_eq!(nano_cpus("0.0000000001"), Err("value is too precise".into()));
        assert_eq!(nano_cpus("x"), Err("failed to parse x as a rational number".into()));
    }
}
