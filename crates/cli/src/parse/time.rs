//! Points in time on the command line (`--since 10m`, `--until 2026-01-02T03:04`) and Docker's way to print them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::duration;

/// A time as the API wants it: seconds, or seconds and nanoseconds with a dot. `now` is ours.
pub fn to_query(text: &str, now: Timestamp) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    if let Ok(nanos) = duration::parse(text) {
        let at = now.as_nanosecond() - i128::from(nanos);
        return Ok(format!("{}", at.div_euclid(1_000_000_000)));
    }
    if text.contains(['-', 'T', ':'])
        && text.contains('-')
        && let Some(at) = civil(text)
    {
        return Ok(format!("{}.{:09}", at.as_second(), at.subsec_nanosecond()));
    }
    // Already a number of seconds (or nonsense, which the engine refuses).
    match text.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit())) {
        true => Ok(text.to_owned()),
        false => Err(format!("failed to parse value as time or duration: {text:?}")),
    }
}

fn civil(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let local = |at: DateTime| at.to_zoned(TimeZone::system()).ok().map(|z: Zoned| z.timestamp());
    let (body, utc) = match text.strip_suffix('Z') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let at = match body.split_once('T') {
        None => body.parse::<Date>().ok()?.at(0, 0, 0, 0),
        Some((day, clock)) => {
            let clock = match clock.matches(':').count() {
                0 => format!("{clock}:00:00"),
                1 => format!("{clock}:00"),
                _ => clock.to_owned(),
            };
            format!("{day}T{clock}").parse::<DateTime>().ok()?
        }
    };
    match utc {
        true => at.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp()),
        false => local(at),
    }
}

/// `2026-11-21 04:03:37 +0000 UTC`: Go's `time.Time.String` of whole seconds, in the person's time zone.
pub fn go_string(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(at) => at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string(),
        Err(_) => seconds.to_string(),
    }
}

/// The same with a fraction of the second: `2026-11-21 04:03:37.123456789 +0000 UTC`.
pub fn go_full(at: Timestamp) -> String {
    let zoned = at.to_zoned(TimeZone::UTC);
    let fraction = format!("{:09}", at.subsec_nanosecond());
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{}{dot}{fraction} +0000 UTC", zoned.strftime("%Y-%m-%d %H:%M:%S"))
}

/// RFC 3339 in the person's time zone, with nanoseconds without trailing zeros (Go's `RFC3339Nano`).
pub fn rfc3339_nano(at: Timestamp, nine: bool) -> String {
    let zoned = at.to_zoned(TimeZone::system());
    let fraction = format!("{:09}", at.subsec_nanosecond());
    let fraction = if nine { fraction.as_str() } else { fraction.trim_end_matches('0') };
    let dot = if fraction.is_empty() { "" } else { "." };
    let zone = match zoned.offset().seconds() {
        0 => "Z".to_owned(),
        _ => zoned.strftime("%:z").to_string(),
    };
    format!("{}{dot}{fraction}{zone}", zoned.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// `3 hours ago` for a time in the past.
pub fn ago(seconds: i64) -> String {
    let passed = Timestamp::now().as_second() - seconds;
    format!("{} ago", duration::human(passed))
}

/// Seconds since the epoch of an RFC 3339 time; 0 when it is none (Go's zero time).
pub fn seconds_of(text: &str) -> i64 {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(to_query("10m", now).unwrap(), "999400");
        assert_eq!(to_query("1234.5", now).unwrap(), "1234.5");
        assert_eq!(to_query("1970-01-02T00:00:00Z", now).unwrap(), "86400.000000000");
        assert_eq!(to_query("1970-01-02T00:00:00.5+01:00", now).unwrap(), "82800.500000000");
        assert_eq!(to_query("1970-01-02T01Z", now).unwrap(), "90000.000000000");
        assert!(to_query("yesterday", now).is_err());
        assert_eq!(to_query("", now).unwrap(), "");
    }
}
