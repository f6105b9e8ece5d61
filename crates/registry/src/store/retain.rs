//! Which tags may go: decided apart from the deleting.

use std::io;
use std::time::{Duration, SystemTime};

use super::Store;
use crate::name::{RepositoryName, Tag};

/// One rule for the tags of some repositories.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Tags the rule speaks of; the newest of them are counted.
    pub tags: crate::pattern::Pattern,
    /// This many of the newest stay, however old.
    pub keep_last: usize,
    /// Only what is older goes; `None` means any age.
    pub older_than: Option<Duration>,
}

/// The tags that go, of `tags` with the time they were set.
pub fn expired(rule: &Rule, tags: &[(Tag, SystemTime)], now: SystemTime) -> Vec<Tag> {
    let mut spoken: Vec<_> = tags.iter().filter(|(tag, _)| rule.tags.matches(tag.as_str())).collect();
    spoken.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
    let old = |at: SystemTime| match rule.older_than {
        None => true,
        Some(age) => now.duration_since(at).is_ok_and(|past| past > age),
    };
    spoken.iter().skip(rule.keep_last).filter(|(_, at)| old(*at)).map(|(tag, _)| tag.clone()).collect()
}

impl Store {
    /// Deletes the tags a rule gives up. Returns them.
    pub fn retain(&self, name: &RepositoryName, rule: &Rule) -> io::Result<Vec<Tag>> {
        let mut tags = Vec::new();
        for tag in self.tags(name)?.unwrap_or_default() {
            if let Some(at) = self.tagged_at(name, &tag)? {
                tags.push((tag, at));
            }
        }
        let gone = expired(rule, &tags, SystemTime::now());
        self.give_up(name, tags.into_iter().filter(|(tag, _)| gone.contains(tag)))
    }

    /// Deletes tags as they were seen: one that was set again meanwhile is new, and stays.
    fn give_up(
        &self,
        name: &RepositoryName,
        seen: impl Iterator<Item = (Tag, SystemTime)>,
    ) -> io::Result<Vec<Tag>> {
        let mut gone = Vec::new();
        for (tag, at) in seen {
            let _gate = self.removing();
            if self.tagged_at(name, &tag)? == Some(at) && self.take_tag(name, &tag)? {
                gone.push(tag);
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn at(tag: &str, seconds: u64) -> (Tag, SystemTime) {
        (Tag::parse(tag).unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn the_newest_stay_and_so_does_what_the_rule_does_not_name() {
        let tags = [at("v1", 1), at("v2", 2), at("v3", 3), at("latest", 0)];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        let rule = Rule { tags: Pattern::new("v*"), keep_last: 2, older_than: None };
        assert_eq!(expired(&rule, &tags, now), [Tag::parse("v1").unwrap()]);
        let aged = Rule { older_than: Some(Duration::from_secs(8)), keep_last: 0, ..rule.clone() };
        assert_eq!(expired(&aged, &tags, now), [Tag::parse("v1").unwrap()]);
        let all = Rule { keep_last: 0, ..rule };
        assert_eq!(expired(&all, &tags, now).len(), 3);
    }

    #[test]
    fn a_tag_that_was_set_again_since_it_was_looked_at_stays() {
        let dir = tempfile::tempdir().unwrap();
        let driver =
            crate::store::local::Local::open(&dir.path().join("root"), &dir.path().join("drafts"), false)
                .unwrap();
        let store = Store::open(std::sync::Arc::new(driver)).unwrap();
        let name = RepositoryName::parse("app").unwrap();
        let put = |tag: &str| {
            let bytes = bytes::Bytes::from(format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{{"of":"{tag}"}}}}"#
            ));
            let manifest = crate::manifest::Manifest::parse(&bytes, None).unwrap();
            let put = crate::store::manifest::Put {
                name: &name,
                digest: &gantry_names::Digest::sha256_of(&bytes),
                bytes: &bytes,
                manifest: &manifest,
                tags: &[Tag::parse(tag).unwrap()],
                immutable: &|_| false,
                sparse: false,
                cached: false,
            };
            store.put_manifest(&put).unwrap();
        };
        let seen = |tag: &str| {
            let tag = Tag::parse(tag).unwrap();
            let at = store.tagged_at(&name, &tag).unwrap().unwrap();
            (tag, at)
        };
        put("v1");
        put("v2");
        let looked = [seen("v1"), seen("v2")];
        while seen("v2").1 == looked[1].1 {
            put("v2");
        }
        assert_eq!(store.give_up(&name, looked.into_iter()).unwrap(), [Tag::parse("v1").unwrap()]);
        assert_eq!(store.tags(&name).unwrap().unwrap(), [Tag::parse("v2").unwrap()]);
    }
}
