//! Repositories, by the system's `git`.
//!
//! It runs without a terminal, without the machine's and the user's settings, and speaks only protocols that reach other
//! machines. Nothing of an address is ever taken for an option.

use std::path::{Component, Path};
use std::process::Stdio;

use tokio::process::Command;

use super::RemoteError;

/// What git may speak: no `ext::`, which runs commands, and no `file`, which reads this machine.
const PROTOCOLS: &str = "git:http:https:ssh";
/// How much of git's last words is told.
const TOLD: usize = 2048;

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

/// A checked-out repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit.
    pub commit: String,
    /// Where the asked folder is below the given one; empty: it is that.
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

    fn checked(&self) -> Result<&Self, RemoteError> {
        let wrong = |what: &str, text: &str| RemoteError::Address(format!("invalid git {what}: {text:?}"));
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
    fn shown(&self) -> String {
        match (self.address.split_once("://"), self.address.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://xxxxx@{host}"),
            _ => self.address.clone(),
        }
    }
}

/// Fetches one commit, without its history, and checks it out below `into`.
pub async fn check_out(
    repository: &Repository,
    into: &Path,
    keep_git_dir: bool,
) -> Result<Checkout, RemoteError> {
    let repository = repository.checked()?;
    let git = Git { repository, into };
    git.run(&["init", "--quiet", "."]).await?;
    git.run(&["remote", "add", "--", "origin", &repository.address]).await?;
    let wanted = if repository.reference.is_empty() { "HEAD" } else { &repository.reference };
    let fetch = ["fetch", "--quiet", "--depth=1", "--no-tags", "origin", "--"];
    let shallow = git.run(&[&fetch[..], &[wanted]].concat()).await;
    let checkout = ["checkout", "--quiet", "--detach", "--force"];
    match shallow {
        Ok(_) => git.run(&[&checkout[..], &["FETCH_HEAD", "--"]].concat()).await?,
        // A server may refuse a commit by its beginning, or history that is cut: then all of it comes.
        Err(first) => {
            let all = [
                "fetch",
                "--quiet",
                "origin",
                "--",
                "+HEAD:refs/remotes/origin/HEAD",
                "+refs/*:refs/remotes/origin/*",
            ];
            if git.run(&all).await.is_err() {
                return Err(first);
            }
            // A branch, a tag, the server's own choice, a name in full, or a commit.
            let below = |folder: &str| format!("refs/remotes/origin/{folder}{wanted}");
            let full = format!("refs/remotes/origin/{}", wanted.trim_start_matches("refs/"));
            let names = [below("heads/"), below("tags/"), below(""), full, wanted.to_owned()];
            let mut done = Err(first);
            for name in &names {
                if let Ok(said) = git.run(&[&checkout[..], &[name.as_str(), "--"]].concat()).await {
                    done = Ok(said);
                    break;
                }
            }
            done?
        }
    };
    let modules = ["submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"];
    if into.join(".gitmodules").exists() {
        git.run(&modules).await?;
    }
    let commit = git.run(&["rev-parse", "HEAD"]).await?.trim().to_owned();
    if !keep_git_dir {
        let folder = into.join(".git");
        std::fs::remove_dir_all(&folder).map_err(RemoteError::io("remove the git folder"))?;
    }
    Ok(Checkout { commit, folder: repository.folder.trim_matches('/').to_owned() })
}

struct Git<'a> {
    repository: &'a Repository,
    into: &'a Path,
}

impl Git<'_> {
    async fn run(&self, args: &[&str]) -> Result<String, RemoteError> {
        let done = Command::new("git")
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "core.fsmonitor=false",
                "-c",
                "protocol.allow=never",
            ])
            .args(
                PROTOCOLS
                    .split(':')
                    .flat_map(|name| ["-c".to_owned(), format!("protocol.{name}.allow=always")]),
            )
            .args(["-c", "credential.helper=", "-c", "core.symlinks=true"])
            .args(args)
            .current_dir(self.into)
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| kept(name)))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new")
            .env("HOME", self.into)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let told = |told: String| RemoteError::Git { address: self.repository.shown(), told };
        let done = done.map_err(|error| told(format!("git cannot be run: {error}")))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        let words = words.replace(&self.repository.address, &self.repository.shown());
        let from = words.char_indices().rev().nth(TOLD).map_or(0, |(at, _)| at);
        Err(told(words[from..].to_owned()))
    }
}

/// What git needs of our environment: its programs, and the way out.
fn kept(name: &str) -> bool {
    matches!(name, "PATH" | "SSL_CERT_FILE" | "SSL_CERT_DIR" | "GIT_SSL_CAINFO")
        || crate::scope::PROXIES.contains(&name)
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

    #[tokio::test]
    async fn what_git_would_take_for_an_option_or_a_way_out_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "https://h/a.git#--upload-pack=x",
            "https://h/a.git#main:../../etc",
            "ssh://-oProxyCommand=x/a.git",
            "git@-oProxyCommand=x:a.git",
            "git://h/a::b",
        ] {
            let repository = Repository::parse(text).unwrap();
            let refused = check_out(&repository, folder.path(), false).await.unwrap_err();
            assert!(refused.to_string().starts_with("invalid git "), "{text}: {refused}");
        }
        let passwords = Repository::parse("https://me:secret@127.0.0.1:1/a.git").unwrap();
        let refused = check_out(&passwords, folder.path(), false).await.unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
