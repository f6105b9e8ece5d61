//! Sizes, numbers and booleans in options, read as Go's libraries read them, with their texts.

/// `20m`: decimal when `unit` is 1000, binary when it is 1024.
pub(crate) fn parse_size(text: &str, unit: u64) -> Result<u64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let Some(last) = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ') else {
        return Err(invalid());
    };
    let (number, suffix) = if text[last..].starts_with(' ') {
        (&text[..last], &text[last + 1..])
    } else {
        text.split_at(last + 1)
    };
    let size: f64 =
        number.parse().map_err(|_| format!("strconv.ParseFloat: parsing \"{number}\": invalid syntax"))?;
    if size < 0.0 || !size.is_finite() {
        return Err(invalid());
    }
    let suffix = suffix.to_ascii_lowercase();
    let exponent = match suffix.as_bytes() {
        [] | [b'b'] => 0,
        [unit] | [unit, b'b'] | [unit, b'i', b'b'] => {
            let place = b"kmgtp".iter().position(|known| known == unit);
            1 + place.ok_or_else(|| format!("invalid suffix: '{suffix}'"))? as i32
        }
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    Ok((size * (unit as f64).powi(exponent)) as u64)
}

/// Go's `strconv.Atoi`.
pub(crate) fn parse_int(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
}

/// Go's `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_go_units_reads_them() {
        assert_eq!(parse_size("20m", 1000), Ok(20_000_000));
        assert_eq!(parse_size("1.5 KiB", 1024), Ok(1536));
        assert_eq!(parse_size("7", 1000), Ok(7));
        assert_eq!(parse_size("big", 1000), Err("invalid size: 'big'".into()));
        assert_eq!(parse_size("1x", 1000), Err("invalid suffix: 'x'".into()));
        assert_eq!(parse_size("-1", 1000), Err("invalid size: '-1'".into()));
    }
}
