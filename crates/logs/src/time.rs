//! Times as RFC 3339 with nanoseconds, the way Go writes them: UTC, no trailing zeros in the fraction.

use std::time::{SystemTime, UNIX_EPOCH};

const NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// Now, in nanoseconds since 1970 (UTC).
pub fn now_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i64,
        Err(before) => -(before.duration().as_nanos() as i64),
    }
}

/// `2026-11-21T04:05:06.7Z`, as Go's `RFC3339Nano`.
pub fn format_ns(at_ns: i64) -> String {
    let mut out = Vec::with_capacity(30);
    write_ns(&mut out, at_ns);
    String::from_utf8(out).expect("digits and punctuation are ASCII")
}

/// Appends what [`format_ns`] returns.
pub(crate) fn write_ns(out: &mut Vec<u8>, at_ns: i64) {
    let (seconds, nanos) = (at_ns.div_euclid(NS), at_ns.rem_euclid(NS));
    let (year, month, day) = civil(seconds.div_euclid(DAY_S));
    let of_day = seconds.rem_euclid(DAY_S);
    digits(out, year, 4);
    for (mark, value) in
        [(b'-', month), (b'-', day), (b'T', of_day / 3600), (b':', of_day / 60 % 60), (b':', of_day % 60)]
    {
        out.push(mark);
        digits(out, value, 2);
    }
    if nanos > 0 {
        out.push(b'.');
        digits(out, nanos, 9);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'Z');
}

fn digits(out: &mut Vec<u8>, value: i64, width: usize) {
    let mut text = [b'0'; 9];
    let mut rest = value;
    for digit in text[..width].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[..width]);
}

/// Reads an RFC 3339 time with `Z` or an offset. `None` for anything else.
pub fn parse_ns(text: &[u8]) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        text.get(from..to)?
            .iter()
            .try_fold(0i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    };
    let mark = |at: usize, wanted: u8| (text.get(at) == Some(&wanted)).then_some(());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    for (at, wanted) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        mark(at, wanted)?;
    }
    let (mut at, mut nanos) = (19, 0);
    if text.get(at) == Some(&b'.') {
        let mut unit = NS / 10;
        at += 1;
        while let Some(digit) = text.get(at).filter(|b| b.is_ascii_digit()) {
            nanos += unit * i64::from(digit - b'0');
            unit /= 10;
            at += 1;
        }
    }
    let offset_s = match text.get(at)? {
        b'Z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 => {
            mark(at + 3, b':')?;
            let offset = number(at + 1, at + 3)? * 3600 + number(at + 4, at + 6)? * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset_s;
    seconds.checked_mul(NS)?.checked_add(nanos)
}

/// Days since 1970 to a date of the Gregorian calendar, in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(format_ns(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_ns(1_709_210_096_120_000_000), "2024-02-29T12:34:56.12Z");
        assert_eq!(format_ns(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(parse_ns(b"2024-02-29T13:34:56.12+01:00"), Some(1_709_210_096_120_000_000));
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in ["", "2024-02-29", "2024-02-29T12:34:56", "2024-13-01T00:00:00Z", "2024-02-29T12:34:56Zx"]
        {
            assert_eq!(parse_ns(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_survives_its_text(at_ns in -2_000_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            prop_assert_eq!(parse_ns(format_ns(at_ns).as_bytes()), Some(at_ns));
        }
    }
}
