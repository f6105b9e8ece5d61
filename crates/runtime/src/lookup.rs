//! Finding the command the way a shell would, with the words that Docker's clients match on.

use std::ffi::CString;

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;

use crate::{Error, Result};

/// The file to execute for `name`, seen as the process's own user, below the process's own root and folder.
pub(crate) fn find(name: &str, env: &[String]) -> Result<CString> {
    if name.contains('/') {
        return match check(name) {
            Ok(()) => c_path(name),
            Err(Errno::NOENT) => Err(Error::CommandNotFound(format!(
                "exec: \"{name}\": stat {name}: no such file or directory"
            ))),
            Err(Errno::NOTDIR) => {
                Err(Error::CommandNotFound(format!("exec: \"{name}\": stat {name}: not a directory")))
            }
            Err(Errno::ISDIR) => {
                Err(Error::CommandNotExecutable(format!("exec: \"{name}\": is a directory")))
            }
            Err(e) => {
                let why = crate::error::plain(&e.into());
                Err(Error::CommandNotExecutable(format!("exec: \"{name}\": {why}")))
            }
        };
    }
    let path = env.iter().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or_default();
    for folder in path.split(':') {
        let folder = if folder.is_empty() { "." } else { folder };
        let candidate = format!("{folder}/{name}");
        if check(&candidate).is_ok() {
            return c_path(&candidate);
        }
    }
    Err(Error::CommandNotFound(format!("exec: \"{name}\": executable file not found in $PATH")))
}

/// What execve said of a command that [`find`] accepted: a missing interpreter, a foreign format.
pub(crate) fn refused(name: &str, error: &std::io::Error) -> Error {
    let text = format!("exec {name}: {}", crate::error::plain(error));
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR) => Error::CommandNotFound(text),
        _ => Error::CommandNotExecutable(text),
    }
}

fn c_path(path: &str) -> Result<CString> {
    CString::new(path).map_err(|_| Error::InvalidSpec("the command has a zero byte in it".into()))
}

fn check(path: &str) -> std::result::Result<(), Errno> {
    let stat = stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    // Root may execute what has at least one x bit; faccessat2 asks the kernel itself.
    match accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        // A kernel or a filter without faccessat2.
        Err(Errno::NOSYS | Errno::PERM) => match stat.st_mode & 0o111 {
            0 => Err(Errno::ACCESS),
            _ => Ok(()),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_failure_has_dockers_words_and_exit_code() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        std::fs::write(&plain, "x").unwrap();
        std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
        let plain = plain.to_str().unwrap().to_owned();
        let folder = dir.path().to_str().unwrap().to_owned();
        let env = [format!("PATH={folder}")];
        for (name, code, words) in [
            ("foo", 127, "exec: \"foo\": executable file not found in $PATH".to_owned()),
            ("plain", 127, "exec: \"plain\": executable file not found in $PATH".to_owned()),
            ("/no/such", 127, "exec: \"/no/such\": stat /no/such: no such file or directory".to_owned()),
            (&plain, 126, format!("exec: \"{plain}\": permission denied")),
            (&folder, 126, format!("exec: \"{folder}\": is a directory")),
        ] {
            let error = find(name, &env).unwrap_err();
            assert_eq!((error.exit_code(), error.to_string()), (code, words));
        }
        assert!(find("sh", &["PATH=/nowhere:/bin".into()]).is_ok());
    }
}
