use std::collections::{BTreeMap, HashMap};

use gantry_names::{ChainId, ImageId, Reference};
use jiff::Timestamp;

use crate::catalog::Catalog;
use crate::filter::path_match;
use crate::{Filters, Image, ImageStore, Result};

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Also nameless images other images were made from.
    pub all: bool,
    /// Which ones.
    pub filters: Filters,
    /// Whether to compute [`Summary::shared_size`].
    pub shared_size: bool,
}

/// One line of `docker images`.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The image.
    pub id: ImageId,
    /// The image it was made from here.
    pub parent: Option<ImageId>,
    /// `name:tag`, those that fit the `reference` filter.
    pub repo_tags: Vec<String>,
    /// `name@digest`, those that fit the `reference` filter.
    pub repo_digests: Vec<String>,
    /// When it was made, seconds since 1970; 0 if it does not say.
    pub created: i64,
    /// Bytes of all its layers, unpacked.
    pub size: u64,
    /// Bytes of the layers other images have too; if asked for.
    pub shared_size: Option<u64>,
    /// Its labels.
    pub labels: Option<BTreeMap<String, String>>,
}

impl ImageStore {
    /// The images that fit, newest first.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<Summary>> {
        let catalog = self.catalog();
        let images = self.images_in(&catalog);
        let window = self.window(&catalog, &options.filters)?;
        let uses = options.shared_size.then(|| chain_uses(&images));
        let mut found = Vec::new();
        for image in &images {
            if let Some(mut summary) = summarize(&catalog, image, options, &window)? {
                summary.shared_size = uses.as_ref().map(|uses| shared_size(image, uses));
                found.push(summary);
            }
        }
        found.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.repo_tags.cmp(&b.repo_tags)));
        Ok(found)
    }

    /// Bytes of all layers on this machine, each counted once: `LayersSize` of `system df`.
    pub fn layers_size(&self) -> Result<u64> {
        let catalog = self.catalog();
        let mut layers = HashMap::new();
        for image in self.images_in(&catalog) {
            layers.extend(chains(&image));
        }
        Ok(layers.values().sum())
    }

    /// Every image whose config can be read; a damaged one costs itself only.
    pub(crate) fn images_in(&self, catalog: &Catalog) -> Vec<Image> {
        catalog.records().filter_map(|(id, _)| self.image_in(catalog, id).ok()).collect()
    }

    fn window(&self, catalog: &Catalog, filters: &Filters) -> Result<Window> {
        let mut window = Window { before: filters.until, since: None };
        for name in &filters.before {
            let at = self.created_of(catalog, name)?;
            window.before = [window.before, at].into_iter().flatten().min();
        }
        for name in &filters.since {
            let at = self.created_of(catalog, name)?;
            window.since = [window.since, at].into_iter().flatten().max();
        }
        Ok(window)
    }

    fn created_of(&self, catalog: &Catalog, name: &str) -> Result<Option<Timestamp>> {
        let id = crate::resolve::resolve_in(catalog, name)?;
        Ok(self.config(&id)?.created())
    }
}

/// Made strictly between these.
struct Window {
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl Window {
    fn holds(&self, created: Option<Timestamp>) -> bool {
        let below = self.before.is_none_or(|limit| created.is_some_and(|at| at < limit));
        below && self.since.is_none_or(|limit| created.is_some_and(|at| at > limit))
    }
}

fn summarize(
    catalog: &Catalog,
    image: &Image,
    options: &ListOptions,
    window: &Window,
) -> Result<Option<Summary>> {
    let filters = &options.filters;
    let dangling_only = filters.dangling == Some(true);
    let parent_of_others = catalog.has_children(&image.id);
    if dangling_only && parent_of_others {
        return Ok(None);
    }
    if !window.holds(image.config.created()) || !filters.label.all_in(image.config.labels()) {
        return Ok(None);
    }
    let (mut repo_tags, mut repo_digests) = (Vec::new(), Vec::new());
    for name in &image.names {
        if filters.reference.is_empty() || fits(&filters.reference, name)? {
            let list = if name.digest().is_some() { &mut repo_digests } else { &mut repo_tags };
            list.push(name.familiar());
        }
    }
    let wanted = if repo_tags.is_empty() && repo_digests.is_empty() {
        (options.all || !parent_of_others) && filters.dangling != Some(false) && filters.reference.is_empty()
    } else {
        !dangling_only || repo_tags.is_empty()
    };
    Ok(wanted.then(|| Summary {
        id: image.id.clone(),
        parent: image.record.parent.clone(),
        repo_tags,
        repo_digests,
        created: image.config.created().map_or(0, Timestamp::as_second),
        size: image.size(),
        shared_size: None,
        labels: image.config.labels().cloned(),
    }))
}

/// A pattern may be written for the short or the full form, with or without the tag.
fn fits(patterns: &[String], name: &Reference) -> Result<bool> {
    let forms = [name.familiar(), name.familiar_name(), name.to_string(), name.name()];
    for pattern in patterns {
        for form in &forms {
            if path_match(pattern, form)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The image's layers by the chain each is the top of, with their sizes.
pub(crate) fn chains(image: &Image) -> Vec<(ChainId, u64)> {
    let sizes = image.record.layers.iter().map(|layer| layer.size);
    image.record.chains().into_iter().zip(sizes).collect()
}

fn chain_uses(images: &[Image]) -> HashMap<ChainId, usize> {
    let mut uses = HashMap::new();
    for (chain, _) in images.iter().flat_map(chains) {
        *uses.entry(chain).or_insert(0) += 1;
    }
    uses
}

fn shared_size(image: &Image, uses: &HashMap<ChainId, usize>) -> u64 {
    chains(image)
        .iter()
        .filter(|(chain, _)| uses.get(chain).is_some_and(|n| *n > 1))
        .map(|(_, size)| size)
        .sum()
}
