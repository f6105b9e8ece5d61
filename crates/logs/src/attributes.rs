//! What the options `labels`, `labels-regex`, `env`, `env-regex` and `tag` add to each record.

use std::collections::BTreeMap;

use regex_lite::Regex;

/// What a container's records may be told by. Resolved once, when the log is opened.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The container's labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The container's environment, `NAME=value` each.
    pub env: &'a [String],
    /// The `tag` option, its template already filled in; `None` when there is none.
    pub tag: Option<&'a str>,
}

/// The attributes that the options ask for. The error is a regular expression's.
pub fn attributes(
    options: &BTreeMap<String, String>,
    about: About<'_>,
) -> Result<BTreeMap<String, String>, regex_lite::Error> {
    let env: BTreeMap<&str, &str> = about.env.iter().filter_map(|pair| pair.split_once('=')).collect();
    let labels: BTreeMap<&str, &str> = about.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut found = BTreeMap::new();
    for (from, names, pattern) in [(&labels, "labels", "labels-regex"), (&env, "env", "env-regex")] {
        let names = options.get(names).map(String::as_str).unwrap_or_default();
        for name in names.split(',') {
            if let Some(value) = from.get(name) {
                found.insert(name.to_owned(), (*value).to_owned());
            }
        }
        if let Some(pattern) = options.get(pattern).filter(|pattern| !pattern.is_empty()) {
            let pattern = Regex::new(pattern)?;
            let matching = from.iter().filter(|(name, _)| pattern.is_match(name));
            found.extend(matching.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        }
    }
    if let Some(tag) = about.tag.filter(|tag| !tag.is_empty()) {
        found.insert("tag".to_owned(), tag.to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_added() {
        let options = [("labels", "a,missing"), ("env-regex", "^B"), ("tag", "ignored here")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let labels = [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let env = ["BOX=x=y".to_owned(), "CAT=z".to_owned()];
        let got = attributes(&options, About { labels: &labels, env: &env, tag: Some("t") }).unwrap();
        let got: Vec<_> = got.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(got, [("BOX", "x=y"), ("a", "1"), ("tag", "t")]);
    }
}
