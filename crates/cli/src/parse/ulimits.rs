//! `--ulimit nofile=1024:2048`.

use serde_json::{Value, json};

const NAMES: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One `--ulimit`, in the API's form.
pub fn parse(text: &str) -> Result<Value, String> {
    let Some((name, values)) = text.split_once('=') else {
        return Err(format!("invalid ulimit argument: {text}"));
    };
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |part: &str| -> Result<i64, String> {
        part.parse().map_err(|_| format!("strconv.ParseInt: parsing {part:?}: invalid syntax"))
    };
    let (soft, hard) = match values.split_once(':') {
        None => {
            let both = number(values)?;
            (both, both)
        }
        Some((_, more)) if more.contains(':') => {
            return Err(format!(
                "too many limit value arguments - {values}, can only have up to two, `soft[:hard]`"
            ));
        }
        Some((soft, hard)) => (number(soft)?, number(hard)?),
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(match soft {
            -1 => format!(
                "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
            ),
            _ => format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"),
        });
    }
    Ok(json!({"Name": name, "Hard": hard, "Soft": soft}))
}

/// The check of the flag.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(parse("nofile=1024:2048").unwrap(), json!({"Name": "nofile", "Hard": 2048, "Soft": 1024}));
        assert_eq!(parse("core=-1").unwrap()["Hard"], -1);
        assert_eq!(parse("nofile").unwrap_err(), "invalid ulimit argument: nofile");
        assert_eq!(parse("foo=1").unwrap_err(), "invalid ulimit type: foo");
        assert_eq!(
            parse("nofile=3:2").unwrap_err(),
            "ulimit soft limit must be less than or equal to hard limit: 3 > 2"
        );
        assert!(parse("nofile=a").is_err() && parse("nofile=1:2:3").is_err());
    }
}
