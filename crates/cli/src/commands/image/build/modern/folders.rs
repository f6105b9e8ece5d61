//! The files of a folder that the engine asks for.

use std::path::{Component, Path, PathBuf};

use gantry_buildkit::fsutil::{self, Filter, Owners};
use gantry_buildkit::grpc::server::Call;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::session;
use gantry_dockerfile::ignore::Ignore;

/// Links that one path may go through.
const LINKS: usize = 40;

/// Tells a folder's files and sends those that the engine lacks.
pub async fn send(folder: PathBuf, mut call: Call) {
    let sent = async {
        let filter = filter(&folder, &call)?;
        let listed = tokio::task::spawn_blocking(move || fsutil::list(&folder, &filter, Owners::Root));
        let files =
            listed.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?.map_err(status)?;
        fsutil::send(files, &mut call.reply, &mut call.input).await.map_err(status)
    }
    .await;
    call.reply.end(&sent.err().unwrap_or_default());
}

fn status(error: fsutil::TransferError) -> Status {
    match error {
        fsutil::TransferError::Wire(status) => status,
        other => Status::new(Code::Unknown, other.to_string()),
    }
}

fn filter(folder: &Path, call: &Call) -> Result<Filter, Status> {
    let exclude = session::values(&call.metadata, "exclude-patterns");
    let exclude = Ignore::of(exclude.iter().map(String::as_str))
        .map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?;
    let mut wanted = session::values(&call.metadata, "followpaths");
    wanted.extend(session::values(&call.metadata, "include-patterns"));
    Ok(Filter { exclude, only: only(folder, &wanted) })
}

/// The names below which everything wanted is, links followed. Nothing: all files.
fn only(folder: &Path, wanted: &[String]) -> Vec<String> {
    let mut only = Vec::new();
    for path in wanted {
        if !follow(folder, Path::new(path), &mut only, LINKS) {
            return Vec::new();
        }
    }
    only
}

/// Adds a path and what links in it lead to; `false` when it is the folder itself.
fn follow(folder: &Path, path: &Path, only: &mut Vec<String>, links: usize) -> bool {
    let mut at = PathBuf::new();
    let mut rest = path.components();
    while let Some(component) = rest.next() {
        match component {
            Component::Normal(name) if name.to_string_lossy().contains(['*', '?', '[', '\\']) => break,
            Component::Normal(name) => at.push(name),
            // Out of the folder is nothing: what is above stays its root.
            Component::ParentDir => drop(at.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => continue,
        }
        if let Ok(target) = std::fs::read_link(folder.join(&at))
            && links > 0
        {
            only.push(at.to_string_lossy().into_owned());
            let above = at.parent().unwrap_or(Path::new(""));
            let target = if target.is_absolute() { target } else { above.join(target) };
            return follow(folder, &target.join(rest.as_path()), only, links - 1);
        }
    }
    if at.as_os_str().is_empty() {
        return false;
    }
    only.push(at.to_string_lossy().into_owned());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_and_wildcards_take_the_folder_above_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("real/deep")).unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("root")).unwrap();
        let asked = |path: &str| only(folder.path(), &[path.to_owned()]);
        assert_eq!(asked("/real/deep"), ["real/deep"]);
        assert_eq!(asked("link/deep"), ["link", "real/deep"]);
        assert_eq!(asked("real/*.c"), ["real"]);
        assert!(asked("*.c").is_empty() && asked("root").is_empty() && asked(".").is_empty());
        assert_eq!(asked("../../etc"), ["etc"]);
    }
}
