//! The named contexts of a build: images, folders, layouts, other builds.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_build::request::NamedContext;
use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::ops::Definition;
use gantry_buildkit::session::Caller;

use super::options::{self, Options};
use super::{context, files, layout, result};
use crate::Inner;
use crate::job::Job;
use crate::kept::Place;

/// The named contexts, those on the session taken in.
pub(super) async fn take(
    inner: &Inner,
    job: &Job,
    caller: &Caller,
    options: &Options,
    inputs: &BTreeMap<String, Definition>,
) -> Result<(BTreeMap<String, NamedContext>, Vec<Place>), Status> {
    let mut contexts = BTreeMap::new();
    let mut kept = Vec::new();
    for (name, place) in &options.contexts {
        let found = match place {
            options::Place::Image(reference) => NamedContext::Image(reference.clone()),
            options::Place::Local(folder) => {
                let work = job.work(&format!("[context {name}] load from client"));
                let taken = context::local(inner, &work, caller, folder).await;
                let place = work.ended(taken)?;
                let context = NamedContext::Folder(place.path.clone());
                kept.push(place);
                context
            }
            options::Place::Scratch => {
                let place = inner.kept.take("", name);
                let place = place.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
                let context = NamedContext::Folder(place.path.clone());
                kept.push(place);
                context
            }
            options::Place::Input(input) => {
                let result = inputs.get(input).and_then(|definition| result::of(inner, definition));
                NamedContext::Built(result.ok_or_else(|| {
                    let text = format!(
                        "the context {name} is a graph of operations that no frontend of this engine made"
                    );
                    Status::new(Code::Unimplemented, text)
                })?)
            }
            options::Place::Remote(address) => {
                let work = job.work(&format!("[context {name}] load from {address}"));
                let taken = files::fetch(inner, address, options.keep_git_dir).await;
                let (place, _) = work.ended(taken)?;
                let context = NamedContext::Folder(place.path.clone());
                kept.push(place);
                context
            }
            options::Place::Layout(layout) => {
                let work = job.work(&format!("[context {name}] load from client's image layout"));
                let platform = options.platforms.first().cloned();
                let built = layout::load(inner, caller, layout, platform).await;
                NamedContext::Built(Arc::new(work.ended(built)?))
            }
        };
        contexts.insert(name.clone(), found);
    }
    Ok((contexts, kept))
}
