//! Addresses of repositories.

use std::path::{Component, Path};

use crate::GitError;

/// `https://host/path.git#ref:folder`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Without what stands behind `#`.
    pub address: String,
    /// A branch, a tag or a commit; empty: the server's own choice.
    pub reference: String,
    /// A folder of it; empty: all.
    pub folder: String,
}

impl Repository {
    /// Reads an address; `None` for one that names no repository.
    pub fn parse(text: &str) -> Option<Repository> {
        let (address, fragment) = text.split_once('#').unwrap_or((text, ""));
        let plain = address.split('?').next().unwrap_or(address);
        let web = address.starts_with("http://") || address.starts_with("https://");
        let known = ["git://", "ssh://"].iter().any(|scheme| address.starts_with(scheme))
            || (web && plain.ends_with(".git"))
            || (address.starts_with("git@") && address.contains(':'));
        let short = address.starts_with("github.com/");
        if !known && !short {
            return None;
        }
        let address = if short { format!("https://{address}") } else { address.to_owned() };
        let (reference, folder) = fragment.split_once(':').unwrap_or((fragment, ""));
        Some(Repository { address, reference: reference.to_owned(), folder: folder.to_owned() })
    }

    pub(crate) fn checked(&self) -> Result<&Self, GitError> {
        let wrong = |what: &str, text: &str| GitError::Address(format!("invalid git {what}: {text:?}"));
        let control = |text: &str| text.contains(char::is_control) || text.starts_with('-');
        if control(&self.address) || self.address.contains("::") {
            return Err(wrong("address", &self.address));
        }
        let host = self.address.split("://").nth(1).unwrap_or(&self.address);
        if host.starts_with('-') || host.split('@').nth(1).is_some_and(|host| host.starts_with('-')) {
            return Err(wrong("address", &self.address));
        }
        if control(&self.reference) || self.reference.contains(char::is_whitespace) {
            return Err(wrong("reference", &self.reference));
        }
        let outside = |part: Component<'_>| !matches!(part, Component::Normal(_) | Component::CurDir);
        if Path::new(self.folder.trim_start_matches('/')).components().any(outside) {
            return Err(wrong("folder", &self.folder));
        }
        Ok(self)
    }

    /// The address without a password.
    pub(crate) fn shown(&self) -> String {
        without_password(&self.address)
    }
}

/// An address as others may see it: without who asks, and their password. A path stays as it is.
pub fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://xxxxx@{host}{path}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(String, String, String)> {
        Repository::parse(text).map(|found| (found.address, found.reference, found.folder))
    }

    #[test]
    fn addresses_of_repositories_are_told_from_others() {
        let three = |a: &str, r: &str, f: &str| Some((a.to_owned(), r.to_owned(), f.to_owned()));
        assert_eq!(parts("https://h/a.git#main:sub"), three("https://h/a.git", "main", "sub"));
        assert_eq!(parts("git@h:a/b.git#v1"), three("git@h:a/b.git", "v1", ""));
        assert_eq!(parts("github.com/a/b#:docs"), three("https://github.com/a/b", "", "docs"));
        assert_eq!(parts("git://h/a"), three("git://h/a", "", ""));
        assert_eq!(parts("https://h/a.tar.gz"), None);
        assert_eq!(parts("folder/a.git"), None);
        assert_eq!(parts("ext::sh -c x"), None);
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (address, shown) in [
            ("https://me:secret@h/a.git#main", "https://xxxxx@h/a.git#main"),
            ("https://me:se@cret@h:1/a@b.git", "https://xxxxx@h:1/a@b.git"),
            ("https://h/a@b.git", "https://h/a@b.git"),
            ("https://token@h?x=1", "https://xxxxx@h?x=1"),
            ("git@h:a.git", "git@h:a.git"),
        ] {
            assert_eq!(without_password(address), shown);
        }
    }
}
