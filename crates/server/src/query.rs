//! Query parameters, read as Docker reads them.

use crate::failure::Failure;
use gantry_api::filters::Filters;
use gantry_api::oci::Platform;

/// The parameters of a request, in their order; a name may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`. `+` is a space, `%41` is `A`.
    ///
    /// # Errors
    /// Escapes that are none, and semicolons (as Go refuses them).
    pub(crate) fn parse(text: &str) -> Result<Query, Failure> {
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            if part.contains(';') {
                return Err(Failure::invalid("invalid semicolon separator in query"));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name, true)?, decode(value, true)?));
        }
        Ok(Query(pairs))
    }

    /// The first value of a parameter, `""` when it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.opt(name).unwrap_or("")
    }

    /// The first value of a parameter.
    pub(crate) fn opt(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }

    /// Docker's idea of a truth value: anything but nothing, `0`, `no`, `false`, `none`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        !matches!(self.get(name).trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// Like [`Query::flag`], with a default for a parameter that is not there.
    pub(crate) fn flag_or(&self, name: &str, default: bool) -> bool {
        if self.opt(name).is_some() { self.flag(name) } else { default }
    }

    /// A number; Docker answers 500 with Go's text for anything else.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.get(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Failure::internal(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))),
        }
    }

    /// A terminal's size.
    pub(crate) fn size(&self) -> Result<(u32, u32), Failure> {
        let side = |name: &str, word: &str| {
            let text = self.get(name);
            let digits = text.strip_prefix('-').unwrap_or(text);
            let cause = if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                "invalid syntax"
            } else if text.starts_with('-') || digits.parse::<u32>().is_err() {
                "value out of range"
            } else {
                return Ok(digits.parse::<u32>().unwrap_or_default());
            };
            Err(Failure::invalid(format!("invalid resize {word} {text:?}: {cause}")))
        };
        Ok((side("h", "height")?, side("w", "width")?))
    }

    /// The `filters` parameter.
    pub(crate) fn filters(&self) -> Result<Filters, Failure> {
        Filters::from_param(self.get("filters")).map_err(|e| Failure::invalid(e.to_string()))
    }

    /// A platform as JSON, as today's clients send it.
    pub(crate) fn platform_json(&self, name: &str) -> Result<Option<Platform>, Failure> {
        match self.get(name) {
            "" => Ok(None),
            text => platform(text).map(Some),
        }
    }
}

/// One platform in JSON.
fn platform(text: &str) -> Result<Platform, Failure> {
    let platform: Platform = gantry_api::decode(text.as_bytes())
        .map_err(|e| Failure::invalid(format!("failed to parse platform: {e}")))?;
    let optional =
        !platform.variant.is_empty() || !platform.os_version.is_empty() || !platform.os_features.is_empty();
    match (platform.os.is_empty(), platform.architecture.is_empty()) {
        (true, true) if optional => {
            Err(Failure::invalid("optional platform fields provided, but OS and Architecture are missing"))
        }
        (false, false) => Ok(platform),
        _ => Err(Failure::invalid("both OS and Architecture must be provided")),
    }
}

/// Undoes percent-encoding; `form` also turns `+` into a space.
pub(crate) fn decode(text: &str, form: bool) -> Result<String, Failure> {
    let bad = || Failure::invalid(format!("invalid URL escape {text:?}"));
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let hex = |b: Option<u8>| b.and_then(|b| (b as char).to_digit(16));
                let (high, low) = (hex(bytes.next()), hex(bytes.next()));
                let (Some(high), Some(low)) = (high, low) else { return Err(bad()) };
                (high * 16 + low) as u8
            }
            b'+' if form => b' ',
            other => other,
        });
    }
    String::from_utf8(out).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_repetitions() {
        let query = Query::parse("names=a%2Fb&names=c+d&x&force=True").unwrap();
        assert_eq!(query.all("names"), ["a/b", "c d"]);
        assert_eq!(query.opt("x"), Some(""));
        assert!(query.flag("force") && !query.flag("x") && query.flag_or("y", true));
        for bad in ["a=%4", "a=%zz", "a=%ff", "a;b"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn truth_is_anything_but_five_words() {
        for no in ["", "0", "no", "FALSE", " none "] {
            assert!(!Query(vec![("a".into(), no.into())]).flag("a"), "{no}");
        }
        assert!(Query(vec![("a".into(), "2".into())]).flag("a"));
    }

    #[test]
    fn sizes_are_refused_in_docker_words() {
        let text = |q: &str| Query::parse(q).unwrap().size().unwrap_err().message;
        assert_eq!(text("h=x&w=1"), "invalid resize height \"x\": invalid syntax");
        assert_eq!(text("h=1&w=-1"), "invalid resize width \"-1\": value out of range");
        assert_eq!(text("h=1"), "invalid resize width \"\": invalid syntax");
        assert_eq!(Query::parse("h=24&w=80").unwrap().size().unwrap(), (24, 80));
    }

    #[test]
    fn platforms_need_both_parts() {
        let read = |json: &str| Query(vec![("platform".into(), json.into())]).platform_json("platform");
        assert_eq!(read(r#"{"os":"linux","architecture":"arm64"}"#).unwrap().unwrap().os, "linux");
        assert!(read(r#"{"os":"linux"}"#).is_err());
        assert!(read(r#"{"variant":"v8"}"#).unwrap_err().message.starts_with("optional"));
        assert!(read("linux/arm64").unwrap_err().message.starts_with("failed to parse platform"));
    }
}
