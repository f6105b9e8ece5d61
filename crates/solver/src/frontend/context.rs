//! The files that a build may read, taken in from the session.

use gantry_build::request::BuildRequest;
use gantry_buildkit::grpc::Status;
use gantry_buildkit::session::{Caller, Wanted};
use gantry_dockerfile::ignore::Ignore;
use gantry_names::Platform;

use super::{files, options};
use crate::Inner;
use crate::job::{Job, Work};
use crate::kept::Place;

/// The files of the context that some platform's build can ask for; `None`: all.
pub(super) fn needed(inner: &Inner, request: &BuildRequest, platforms: &[Platform]) -> Option<Vec<String>> {
    let images = &inner.builder.images;
    if platforms.is_empty() {
        return gantry_build::needed(request, images);
    }
    let mut all = std::collections::BTreeSet::new();
    for platform in platforms {
        let request = BuildRequest { platform: Some(platform.clone()), ..request.clone() };
        all.extend(gantry_build::needed(&request, images)?);
    }
    Some(all.into_iter().collect())
}

/// Takes the context in, without what its `.dockerignore` leaves out, and only what is needed where that is known.
pub(super) async fn take(
    inner: &Inner,
    job: &Job,
    caller: &Caller,
    context_name: &str,
    ignore: Option<String>,
    needed: Vec<String>,
) -> Result<Place, Status> {
    let patterns = match ignore {
        Some(text) => patterns(&text),
        None => {
            let work = job.work("[internal] load .dockerignore");
            let name = ".dockerignore".to_owned();
            let wanted =
                Wanted { name: context_name.to_owned(), exclude: Vec::new(), follow: vec![name.clone()] };
            let found = async {
                let place = files::receive(inner, caller, &work, &wanted, "context", "").await?;
                files::text(&place.path, &name)
            }
            .await;
            work.ended(found)?.map(|text| patterns(&text)).unwrap_or_default()
        }
    };
    Ignore::of(patterns.iter().map(String::as_str)).map_err(|error| options::invalid(error.to_string()))?;
    let work = job.work("[internal] load build context");
    // Builds that need other files of the same folder keep them apart: neither takes the other's away.
    let key = match caller.shared_key() {
        "" => String::new(),
        key => format!("{key}\0{}", needed.join("\0")),
    };
    let wanted = Wanted { name: context_name.to_owned(), exclude: patterns, follow: needed };
    let taken = files::receive(inner, caller, &work, &wanted, "context", &key).await;
    work.ended(taken)
}

/// The lines of a `.dockerignore` that say something.
fn patterns(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim);
    lines.filter(|line| !line.is_empty()).map(pattern).collect()
}

/// Anchored and without detours, as Docker's own reader of the file hands patterns on.
fn pattern(line: &str) -> String {
    let (back, path) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest.trim()));
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("{back}{}", if names.is_empty() { ".".to_owned() } else { names.join("/") })
}

/// A folder of the client's that has a name of its own.
pub(super) async fn local(
    inner: &Inner,
    work: &Work<'_>,
    caller: &Caller,
    folder: &str,
) -> Result<Place, Status> {
    let wanted = |exclude, follow| Wanted { name: folder.to_owned(), exclude, follow };
    let name = ".dockerignore".to_owned();
    let ignore = {
        let place =
            files::receive(inner, caller, work, &wanted(Vec::new(), vec![name.clone()]), "ignore file", "")
                .await?;
        files::text(&place.path, &name)?
    };
    let exclude = ignore.map(|text| patterns(&text)).unwrap_or_default();
    files::receive(inner, caller, work, &wanted(exclude, Vec::new()), folder, caller.shared_key()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_comments_go() {
        let text = "\u{feff}# no\n/a/./b\n\n !  c/../d \n**/*.log\n";
        assert_eq!(patterns(text), ["a/b", "!d", "**/*.log"]);
    }
}
