//! Moments as Docker reads and writes them.

use crate::failure::Failure;
use jiff::Timestamp;

/// Go's `RFC3339Nano` in UTC: fractions without trailing zeros.
pub(crate) fn rfc3339_nano(moment: Timestamp) -> String {
    let seconds = moment.as_second() - i64::from(moment.subsec_nanosecond() < 0);
    let nanos = moment.subsec_nanosecond().rem_euclid(1_000_000_000);
    let base = Timestamp::from_second(seconds).unwrap_or_default().to_string();
    if nanos == 0 {
        return base;
    }
    let fraction = format!("{nanos:09}");
    format!("{}.{}Z", base.trim_end_matches('Z'), fraction.trim_end_matches('0'))
}

/// A moment with all nine digits, as log lines carry it.
pub(crate) fn rfc3339_nano_fixed(moment: Timestamp) -> String {
    let text = rfc3339_nano(moment);
    let text = text.trim_end_matches('Z');
    let (base, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{base}.{fraction:0<9}Z")
}

/// `1136073600.000000001`: seconds and nanoseconds of a query parameter; empty is `None`.
///
/// # Errors
/// Text that is no number, with Go's words.
pub(crate) fn unix(text: &str) -> Result<Option<Timestamp>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |part: &str| Failure::invalid(format!("strconv.ParseInt: parsing {part:?}: invalid syntax"));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = seconds.parse().map_err(|_| bad(seconds))?;
    let nanos = if fraction.is_empty() {
        0
    } else if fraction.bytes().all(|b| b.is_ascii_digit()) {
        format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse::<i32>().map_err(|_| bad(fraction))?
    } else {
        return Err(bad(fraction));
    };
    // Far beyond any clock is as good as its ends.
    let clamped = whole.clamp(Timestamp::MIN.as_second() + 1, Timestamp::MAX.as_second() - 1);
    Timestamp::new(clamped, nanos).map(Some).map_err(|e| Failure::invalid(e.to_string()))
}

/// Go's `units.HumanDuration`: `Less than a second`, `About a minute`, `3 weeks`.
pub(crate) fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds as f64 / 3600.0).round() as i64);
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / (24 * 365 * 3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_lose_their_zeros_or_keep_them() {
        let at = |nanos| Timestamp::new(1_136_073_600, nanos).unwrap();
        assert_eq!(rfc3339_nano(at(0)), "2006-01-01T00:00:00Z");
        assert_eq!(rfc3339_nano(at(120_000_000)), "2006-01-01T00:00:00.12Z");
        assert_eq!(rfc3339_nano_fixed(at(120_000_000)), "2006-01-01T00:00:00.120000000Z");
        assert_eq!(rfc3339_nano_fixed(at(0)), "2006-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn unix_times_take_short_and_long_fractions() {
        assert_eq!(unix("").unwrap(), None);
        assert_eq!(unix("10.5").unwrap(), Some(Timestamp::new(10, 500_000_000).unwrap()));
        assert_eq!(unix("10.0000000019").unwrap(), Some(Timestamp::new(10, 1).unwrap()));
        assert!(unix("99999999999999").unwrap().is_some());
        for bad in ["x", "1.x", "1.-2", "2006-01-02"] {
            assert_eq!(unix(bad).unwrap_err().status, 400, "{bad}");
        }
    }

    #[test]
    fn durations_speak_like_go() {
        let cases = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3 * 60, "3 minutes"),
            (3600, "About an hour"),
            (47 * 3600, "47 hours"),
            (3 * 86400, "3 days"),
            (20 * 86400, "2 weeks"),
            (90 * 86400, "3 months"),
            (800 * 86400, "2 years"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }
}
