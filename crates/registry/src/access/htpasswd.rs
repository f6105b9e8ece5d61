//! Users in an htpasswd file, bcrypt lines only, read again whenever the file changes.
//!
//! A bcrypt check costs 50 to 100 ms of a core by design. A client sends its password with every request, so a
//! password that was right is remembered (as a salted hash, in memory, until its line changes), and only a few
//! checks run at once: guessing at passwords does not stop the registry.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::refusal::Refusal;
use crate::store::blocking;

/// Checks at once.
const CHECKS: usize = 2;
/// A line for users who are not there, so that asking for them takes as long.
const NOBODY: &str = "$2y$10$abcdefghijklmnopqrstuuHqfF5gAS2oHkqkDUdtVHzWDCHoTeJdu";

/// The file of users.
pub struct Htpasswd {
    path: PathBuf,
    realm: String,
    salt: [u8; 16],
    checks: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    read_at: Option<SystemTime>,
    lines: HashMap<String, String>,
    /// User to the line and the salted hash of the password that fitted it.
    known: HashMap<String, (String, [u8; 32])>,
}

impl Htpasswd {
    /// Opens the file; it must be there and readable.
    pub fn open(path: &Path, realm: &str) -> io::Result<Self> {
        let mut salt = [0; 16];
        crate::random::fill(&mut salt)?;
        let users = Self {
            path: path.to_owned(),
            realm: realm.replace(['"', '\\'], ""),
            salt,
            checks: Semaphore::new(CHECKS),
            state: Mutex::new(State::default()),
        };
        users.refresh()?;
        Ok(users)
    }

    /// The realm named in challenges.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    fn refresh(&self) -> io::Result<()> {
        let modified = fs::metadata(&self.path)?.modified()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.read_at == Some(modified) {
            return Ok(());
        }
        let text = fs::read_to_string(&self.path)?;
        state.lines = parse(&text);
        let State { lines, known, .. } = &mut *state;
        known.retain(|user, (line, _)| lines.get(user) == Some(line));
        state.read_at = Some(modified);
        Ok(())
    }

    /// Whether the user is in the file.
    pub fn knows(&self, user: &str) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lines.contains_key(user)
    }

    /// Whether this is the user's password.
    pub async fn check(&self, user: &str, password: &str) -> Result<bool, Refusal> {
        if let Err(err) = self.refresh() {
            // Users keep their lines while somebody replaces the file.
            tracing::warn!(path = %self.path.display(), error = %err, "the users' file cannot be read");
        }
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update(password.as_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let line = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let line = state.lines.get(user).cloned();
            if let Some((known, right)) = state.known.get(user)
                && Some(known) == line.as_ref()
                && *right == hash
            {
                return Ok(true);
            }
            line
        };
        let _slot = self.checks.acquire().await.expect("nobody closes the semaphore");
        let (against, password) = (line.clone().unwrap_or_else(|| NOBODY.to_owned()), password.to_owned());
        let fits = blocking(move || bcrypt::verify(password, &against).unwrap_or(false)).await;
        match line {
            Some(line) if fits => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.known.insert(user.to_owned(), (line, hash));
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

fn parse(text: &str) -> HashMap<String, String> {
    let mut lines = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(':') {
            Some((user, hash)) if hash.starts_with("$2") => {
                lines.insert(user.to_owned(), hash.to_owned());
            }
            Some((user, _)) => {
                tracing::warn!(user, "the user's line is not bcrypt (htpasswd -B) and is passed over")
            }
            None => tracing::warn!("a line of the users' file is not user:hash"),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_checked_and_a_changed_file_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        let line = |user: &str, password: &str| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap());
        fs::write(&path, format!("# people\n{}md5:$apr1$x\n", line("ann", "one"))).unwrap();
        let users = Htpasswd::open(&path, "r").unwrap();
        assert!(users.check("ann", "one").await.unwrap());
        assert!(users.check("ann", "one").await.unwrap(), "from memory");
        assert!(!users.check("ann", "two").await.unwrap());
        assert!(!users.check("bob", "one").await.unwrap());
        assert!(!users.check("md5", "x").await.unwrap());
        fs::write(&path, line("ann", "two")).unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert!(!users.check("ann", "one").await.unwrap(), "a remembered password dies with its line");
        assert!(users.check("ann", "two").await.unwrap());
    }
}
