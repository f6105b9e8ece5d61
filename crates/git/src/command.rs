//! One call of `git`.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::{GitError, Repository};

/// What git may speak: no `ext::`, which runs commands, and no `file`, which reads this machine.
const PROTOCOLS: &str = "git:http:https:ssh";
/// How much of git's last words is told.
const TOLD: usize = 2048;

/// The way out, in either case.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// `git` in a folder.
pub(crate) struct Git<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) into: &'a Path,
}

impl Git<'_> {
    pub(crate) async fn run(&self, args: &[&str]) -> Result<String, GitError> {
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
        let told = |told: String| GitError::Git { address: self.repository.shown(), told };
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
        || PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
}
