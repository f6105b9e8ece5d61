//! One commit of a repository, without its history, in a folder.

use std::path::Path;

use crate::command::Git;
use crate::{GitError, Repository};

/// A checked-out repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The commit.
    pub commit: String,
    /// Where the asked folder is below the given one; empty: it is that.
    pub folder: String,
}

/// The commit that a repository's reference is at its server now.
pub async fn resolve(repository: &Repository, near: &Path) -> Result<String, GitError> {
    let repository = repository.checked()?;
    if is_commit(&repository.reference) {
        return Ok(repository.reference.clone());
    }
    let wanted = if repository.reference.is_empty() { "HEAD" } else { &repository.reference };
    let git = Git { repository, into: near };
    let listed = git.run(&["ls-remote", "--", &repository.address, wanted]).await?;
    let found: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.trim().split_once('\t')).collect();
    // The pattern fits the end of every name; git's own order says which one is meant. A tag's `^{}` is its commit.
    let names = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"];
    let commit = names.iter().find_map(|folder| {
        let name = format!("{folder}{wanted}");
        let named = |wanted: &str| found.iter().find(|(_, name)| *name == wanted).map(|(commit, _)| *commit);
        named(&format!("{name}^{{}}")).or_else(|| named(&name))
    });
    match commit.filter(|commit| is_commit(commit)) {
        Some(commit) => Ok(commit.to_owned()),
        None => Err(GitError::Git {
            address: repository.shown(),
            told: format!("it has no reference {wanted:?}"),
        }),
    }
}

/// A commit's whole name, of SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Fetches one commit, without its history, and checks it out below `into`.
pub async fn check_out(
    repository: &Repository,
    into: &Path,
    keep_git_dir: bool,
) -> Result<Checkout, GitError> {
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
        std::fs::remove_dir_all(&folder)
            .map_err(|cause| GitError::Io { what: "remove the git folder".to_owned(), cause })?;
    }
    Ok(Checkout { commit, folder: repository.folder.trim_matches('/').to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// What `git` says in a folder, for a test.
    fn git(folder: &Path, args: &[&str]) -> String {
        let who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
        let done =
            std::process::Command::new("git").args(who).args(args).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// A server of the repositories below a folder.
    fn serve(base: &Path) -> std::net::SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let daemon = format!("--base-path={}", base.display());
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let (input, output) = (caller.try_clone().unwrap().into(), caller.into());
                let (input, output): (std::os::fd::OwnedFd, std::os::fd::OwnedFd) = (input, output);
                let mut git = std::process::Command::new("git");
                git.args(["daemon", "--inetd", "--export-all", &daemon]).stdin(input).stdout(output);
                // Who has hung up is not answered.
                git.status().ok();
            }
        });
        address
    }

    /// CVE-2022-39253, CVE-2018-17456 and their kin: a module that is a repository of this machine, or that is updated by
    /// a command.
    #[tokio::test]
    async fn modules_bring_nothing_of_this_machine_and_run_nothing() {
        let base = tempfile::tempdir().unwrap();
        let secret = base.path().join("secret");
        let ran = base.path().join("ran");
        std::fs::create_dir(&secret).unwrap();
        git(&secret, &["init", "--quiet", "."]);
        std::fs::write(secret.join("file"), "of this machine").unwrap();
        git(&secret, &["add", "."]);
        git(&secret, &["commit", "--quiet", "-m", "one"]);
        let commit = git(&secret, &["rev-parse", "HEAD"]);
        let address = serve(base.path());
        let local = secret.display().to_string();
        let modules = [
            String::new(),
            format!("url = {local}"),
            format!("url = file://{local}"),
            format!("url = ext::sh -c touch% {}", ran.display()),
            format!("url = -u./x\n\tupdate = !touch {}", ran.display()),
            format!("url = git://{address}/secret\n\tupdate = !touch {}", ran.display()),
        ];
        for (number, module) in modules.iter().enumerate() {
            let name = format!("evil{number}");
            let folder = base.path().join(&name);
            std::fs::create_dir(&folder).unwrap();
            git(&folder, &["init", "--quiet", "."]);
            std::fs::write(folder.join("own"), "own").unwrap();
            if !module.is_empty() {
                let text = format!("[submodule \"sub\"]\n\tpath = sub\n\t{module}\n");
                std::fs::write(folder.join(".gitmodules"), text).unwrap();
                git(&folder, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
            }
            git(&folder, &["add", "own"]);
            git(&folder, &["add", "-A", "--", ":!sub"]);
            git(&folder, &["commit", "--quiet", "-m", "one"]);
            let into = tempfile::tempdir().unwrap();
            let repository = Repository::parse(&format!("git://{address}/{name}")).unwrap();
            let came = check_out(&repository, into.path(), false).await;
            assert_eq!(std::fs::read_to_string(into.path().join("own")).unwrap(), "own", "{came:?}");
            assert_eq!(came.is_ok(), module.is_empty(), "{module}: {came:?}");
            assert!(!into.path().join("sub/file").exists(), "{module}");
        }
        assert!(!ran.exists(), "a command of the repository's ran");
    }
}
