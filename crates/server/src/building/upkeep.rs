//! The builder's cache on the wire: what a prune asks, and the lines of `system df`.

use gantry_api::build::BuildCache;
use gantry_api::version::ApiVersion;
use gantry_build::prune::{Filter, Policy, Row};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::query::Query;
use crate::timestamp::rfc3339_nano;

/// `POST /build/prune`'s parameters.
pub(crate) fn policy(query: &Query) -> Result<Policy, Failure> {
    let bytes = |name: &str| {
        let number = query.number(name)?;
        Ok::<_, Failure>(u64::try_from(number.unwrap_or_default()).unwrap_or_default())
    };
    // Until 1.48 the reserve was called otherwise.
    let reserved = match query.opt("reserved-space") {
        Some(_) => bytes("reserved-space")?,
        None => bytes("keep-storage")?,
    };
    let mut policy = Policy {
        all: query.flag("all"),
        unused_since_ns: None,
        max_used: bytes("max-used-space")?,
        reserved,
        min_free: bytes("min-free-space")?,
        only: Vec::new(),
    };
    for (key, terms) in query.filters()?.0 {
        let terms: Vec<String> = terms.into_iter().collect();
        let truth = || {
            let text = terms.first().map_or("", String::as_str);
            match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" | "" => Ok(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
                other => Err(Failure::invalid(format!("invalid filter '{key}={other}'"))),
            }
        };
        match key.as_str() {
            "until" | "unused-for" => {
                let filters = [("until".to_owned(), terms.into_iter().collect())].into();
                let since = gantry_engine::until(&filters)?;
                policy.unused_since_ns = since.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
            }
            "id" => policy.only.push(Filter::Id(terms)),
            "parent" => policy.only.push(Filter::Parent(terms)),
            "type" => policy.only.push(Filter::Kind(terms)),
            "description" => policy.only.push(Filter::Description(terms)),
            "inuse" => policy.only.push(Filter::InUse(truth()?)),
            "shared" => policy.only.push(Filter::Shared(truth()?)),
            "private" => policy.only.push(Filter::Private(truth()?)),
            other => return Err(Failure::invalid(format!("invalid filter '{other}'"))),
        }
    }
    Ok(policy)
}

/// One line of the cache.
pub(crate) fn line(row: &Row, version: ApiVersion) -> BuildCache {
    let time = |ns: i64| Timestamp::from_nanosecond(i128::from(ns)).map(rfc3339_nano).unwrap_or_default();
    let parent = row.parent.as_ref().map(|parent| short(parent.hex())).unwrap_or_default();
    let old = version.before(42);
    BuildCache {
        id: short(row.id.hex()),
        parents: if old || parent.is_empty() { Vec::new() } else { vec![parent.clone()] },
        parent: if old { parent } else { String::new() },
        r#type: row.kind.as_str().to_owned(),
        description: row.description.clone(),
        in_use: row.in_use,
        shared: row.shared,
        size: i64::try_from(row.size).unwrap_or(i64::MAX),
        created_at: time(row.created_ns),
        last_used_at: (row.uses > 0).then(|| time(row.used_ns)),
        usage_count: i64::try_from(row.uses).unwrap_or(i64::MAX),
    }
}

/// As long as BuildKit's ids.
pub(crate) fn short(digits: &str) -> String {
    const LENGTH: usize = 25;
    digits[..LENGTH.min(digits.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Policy, String> {
        policy(&Query::parse(query).unwrap()).map_err(|failure| failure.message)
    }

    #[test]
    fn limits_and_filters_are_read() {
        let filters = "%7B%22type%22%3A%7B%22regular%22%3Atrue%7D%2C%22until%22%3A%7B%2224h%22%3Atrue%7D%7D";
        let policy = read(&format!("all=1&keep-storage=5&max-used-space=9&filters={filters}")).unwrap();
        assert!(policy.all && policy.unused_since_ns.is_some());
        assert_eq!((policy.reserved, policy.max_used, policy.min_free), (5, 9, 0));
        assert_eq!(policy.only, [Filter::Kind(vec!["regular".into()])]);
        assert_eq!(read("reserved-space=7&keep-storage=5").unwrap().reserved, 7);
        assert_eq!(read("filters=%7B%22x%22%3A%7B%22y%22%3Atrue%7D%7D").unwrap_err(), "invalid filter 'x'");
        assert!(read("filters=%7B%22inuse%22%3A%7B%22y%22%3Atrue%7D%7D").is_err());
    }
}
