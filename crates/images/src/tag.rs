use gantry_names::{ImageId, Reference};
use jiff::Timestamp;

use crate::catalog::Change;
use crate::resolve::stored_form;
use crate::{Error, ImageStore, Result};

/// What giving a name did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The image that has the name now.
    pub id: ImageId,
    /// The name.
    pub reference: Reference,
    /// The other image that had it before.
    pub previous: Option<ImageId>,
}

impl ImageStore {
    /// `docker tag source target`: the target gets the tag `latest` if it has none; one with a digest is refused.
    pub fn tag(&self, source: &str, target: &Reference) -> Result<Tagged> {
        let id = self.resolve(source)?;
        self.tag_image(&id, target)
    }

    /// Gives an image a tag.
    pub fn tag_image(&self, id: &ImageId, target: &Reference) -> Result<Tagged> {
        self.set_reference(&as_tag(target)?, id)
    }

    /// Points a name, tag or digest, at an image. The puller records `name@digest` this way.
    pub fn set_reference(&self, reference: &Reference, id: &ImageId) -> Result<Tagged> {
        let reference = stored_form(reference);
        let now = now_ns();
        self.change(|catalog| {
            let mut record = catalog.record(id).cloned().ok_or_else(|| Error::NotFound(id.to_string()))?;
            record.last_tagged_ns = Some(now);
            let previous = catalog.named(&reference).filter(|old| *old != id).cloned();
            let changes =
                vec![Change::Record(id.clone(), record), Change::Name(reference.clone(), id.clone())];
            Ok((Tagged { id: id.clone(), reference: reference.clone(), previous }, changes))
        })
    }
}

/// A reference as the tag it gives.
pub(crate) fn as_tag(target: &Reference) -> Result<Reference> {
    match target.digest() {
        Some(_) => Err(Error::TagWithDigest),
        None => Ok(target.or_latest()),
    }
}

pub(crate) fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
