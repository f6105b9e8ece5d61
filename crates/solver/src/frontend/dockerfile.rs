//! The Dockerfile of a build: on the session, in an uploaded archive, or as the upload itself.

use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::session::{Caller, Wanted};

use super::files;
use super::options::Options;
use crate::Inner;
use crate::job::{Job, Work};
use crate::kept::Place;
use crate::uploads;

/// Where a client's uploads seem to be.
const UPLOADS: &str = "http://buildkit-session/";

/// A Dockerfile and what it may read.
pub(super) struct Source {
    pub(super) text: String,
    /// The context's place; none yet where it is on the session.
    pub(super) context: Option<Place>,
    /// Patterns of `<Dockerfile>.dockerignore`.
    pub(super) ignore: Option<String>,
    /// The line of work that found it.
    pub(super) vertex: String,
}

/// Finds it.
pub(super) async fn find(
    inner: &Inner,
    job: &Job,
    caller: &Caller,
    options: &Options,
) -> Result<Source, Status> {
    let mut context = None;
    if let Some(address) = &options.context {
        let work = job.work("[internal] load remote build context");
        let vertex = work.digest().to_owned();
        let taken = remote(inner, caller, address, options).await;
        let (place, archive) = work.ended(taken)?;
        if !options.dockerfile_is_local {
            let name = if archive { options.filename.as_str() } else { "Dockerfile" };
            let text = files::text(&place.path, name)?.ok_or_else(|| no_dockerfile(name))?;
            let ignore = files::text(&place.path, &format!("{name}.dockerignore"))?;
            return Ok(Source { text, context: Some(place), ignore, vertex });
        }
        context = Some(place);
    }
    let name = &options.filename;
    let work = job.work(&format!("[internal] load build definition from {name}"));
    let vertex = work.digest().to_owned();
    let found = local_dockerfile(inner, &work, caller, options).await;
    let (text, ignore) = work.ended(found)?;
    Ok(Source { text, context, ignore, vertex })
}

/// The context at an address: an upload, a repository, an archive or a lone Dockerfile. Whether it is a whole folder.
async fn remote(
    inner: &Inner,
    caller: &Caller,
    address: &str,
    options: &Options,
) -> Result<(Place, bool), Status> {
    if let Some(path) = address.strip_prefix(UPLOADS) {
        let pieces = files::Pieces::Session(caller.upload(&format!("/{path}")).await?);
        return files::upload(inner, pieces).await;
    }
    if let Some(name) = address.strip_prefix(uploads::ADDRESS) {
        let none = || Status::new(Code::Unavailable, "the build's context was not sent");
        let pieces = inner.uploads.take(name).await.ok_or_else(none)?;
        return files::upload(inner, files::Pieces::Request(pieces)).await;
    }
    files::fetch(inner, address, options.keep_git_dir).await
}

async fn local_dockerfile(
    inner: &Inner,
    work: &Work<'_>,
    caller: &Caller,
    options: &Options,
) -> Result<(String, Option<String>), Status> {
    let name = options.filename.trim_start_matches('/');
    let mut follow = vec![name.to_owned(), format!("{name}.dockerignore")];
    // The usual name may be written in small letters.
    let small = (name.rsplit('/').next() == Some("Dockerfile"))
        .then(|| format!("{}dockerfile", name.trim_end_matches("Dockerfile")));
    follow.extend(small.clone());
    let wanted = Wanted { name: options.dockerfile_name.clone(), exclude: Vec::new(), follow };
    let place = files::receive(inner, caller, work, &wanted, "dockerfile", "").await?;
    let mut text = files::text(&place.path, name)?;
    if let (None, Some(small)) = (&text, small) {
        text = files::text(&place.path, &small)?;
    }
    let ignore = files::text(&place.path, &format!("{name}.dockerignore"))?;
    Ok((text.ok_or_else(|| no_dockerfile(name))?, ignore))
}

fn no_dockerfile(name: &str) -> Status {
    Status::new(Code::Unknown, format!("failed to read dockerfile: open {name}: no such file or directory"))
}
