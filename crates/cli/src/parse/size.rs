//! Sizes: `64m` read, `1.5GB` and `1.5GiB` written, as Docker's `go-units`.

/// Bytes of a text: `10`, `10b`, `4k`, `1.5GiB`. Units are powers of 1024.
pub fn parse(text: &str) -> Result<i64, String> {
    let bad = || format!("invalid size: '{text}'");
    let split = text.rfind(|c: char| c.is_ascii_digit() || c == '.').map_or(0, |at| at + 1);
    let (number, unit) = text.split_at(split);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let value: f64 = match number.chars().next() {
        Some(c) if c.is_ascii_digit() || c == '.' => number.parse().map_err(|_| bad())?,
        _ => return Err(bad()),
    };
    let power = match unit.as_str() {
        "" | "b" => 0,
        _ => {
            let mut letters = unit.chars();
            let power = match letters.next() {
                Some('k') => 1,
                Some('m') => 2,
                Some('g') => 3,
                Some('t') => 4,
                Some('p') => 5,
                _ => return Err(format!("invalid suffix: '{unit}'")),
            };
            if !matches!(letters.as_str(), "" | "b" | "ib") {
                return Err(format!("invalid suffix: '{unit}'"));
            }
            power
        }
    };
    Ok((value * 1024f64.powi(power)) as i64)
}

/// A size, or -1 for no limit.
pub fn parse_swap(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { parse(text) }
}

fn scaled(mut size: f64, base: f64, units: &[&'static str]) -> (f64, &'static str) {
    let mut at = 0;
    while size >= base && at < units.len() - 1 {
        size /= base;
        at += 1;
    }
    (size, units[at])
}

/// `%.4g%s` with powers of 1000: `1.24GB`.
pub fn human(size: f64) -> String {
    human_precise(size, 4)
}

/// The same with another number of digits: Docker shows images and containers with 3.
pub fn human_precise(size: f64, digits: usize) -> String {
    let (value, unit) = scaled(size, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]);
    format!("{}{unit}", significant(value, digits))
}

/// `%.4g%s` with powers of 1024: `1.5GiB`.
pub fn binary(size: f64) -> String {
    let (value, unit) = scaled(size, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]);
    format!("{}{unit}", significant(value, 4))
}

/// C's `%.{digits}g` for numbers that need no exponent, and the exponent where C writes one.
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    // The exponent after rounding decides, e.g. 999.96 with four digits is 1000.
    let shown = format!("{:.*e}", digits - 1, value);
    let exponent: i32 = shown.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trim = |s: String| match s.contains('.') {
        true => s.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => s,
    };
    if exponent < -4 || exponent >= digits as i32 {
        let mantissa = trim(shown.split_once('e').map_or(shown.clone(), |(m, _)| m.to_owned()));
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    trim(format!("{value:.*}", (digits as i32 - 1 - exponent).max(0) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_go_units_does() {
        assert_eq!(parse("32"), Ok(32));
        assert_eq!(parse("32kb"), Ok(32 << 10));
        assert_eq!(parse("1.5G"), Ok(3 << 29));
        assert_eq!(parse("32 MiB"), Ok(32 << 20));
        assert_eq!(parse("abc"), Err("invalid size: 'abc'".into()));
        assert_eq!(parse("-3"), Err("invalid size: '-3'".into()));
        assert_eq!(parse("32x"), Err("invalid suffix: 'x'".into()));
        assert_eq!(parse_swap("-1"), Ok(-1));
        assert!(parse("").is_err());
    }

    #[test]
    fn sizes_are_written_as_go_units_does() {
        assert_eq!(human(0.0), "0B");
        assert_eq!(human(1_000.0), "1kB");
        assert_eq!(human(1_236_000_000.0), "1.236GB");
        assert_eq!(human_precise(1_964_123.0, 3), "1.96MB");
        assert_eq!(human_precise(999_960.0, 3), "1e+03kB");
        assert_eq!(binary(1536.0 * 1024.0), "1.5MiB");
        assert_eq!(binary(23.39 * 1024.0 * 1024.0 * 1024.0), "23.39GiB");
    }
}
