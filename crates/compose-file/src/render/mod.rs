//! The project as `config` prints it, and as its config hash is computed over.
//!
//! Attributes stand in the order that Compose has them; what was not given is left out. YAML and JSON differ in places
//! (commands, empty groups, the user's own attributes): [`Form`] says which one is built.

mod group;
mod json;
mod keys;
mod parts;
mod resources;
mod service;
mod yaml;

pub use json::{compact, indented};
pub use yaml::yaml;

use crate::load::Model;
use crate::project::{Data, Network, Project, Service, Volume};
use group::Group;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// A value in the order it is written in.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// Nothing.
    Null,
    /// A truth value.
    Switch(bool),
    /// A whole number.
    Integer(i64),
    /// A number of single precision.
    Single(f32),
    /// A number of double precision.
    Double(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Shown>),
    /// A mapping.
    Map(Vec<(String, Shown)>),
}

impl Shown {
    /// A value without a type of its own, mappings in the form's order of keys.
    pub fn of(data: &Data, form: Form) -> Self {
        match data {
            Data::Null => Self::Null,
            Data::Switch(switch) => Self::Switch(*switch),
            Data::Integer(number) => Self::Integer(*number),
            Data::Number(number) => Self::Double(*number),
            Data::Text(text) => Self::Text(text.clone()),
            Data::List(list) => Self::List(list.iter().map(|item| Self::of(item, form)).collect()),
            Data::Map(map) => Self::Map(keys::sorted(map, form, |_, value| Self::of(value, form))),
        }
    }
}

/// A project as `config` prints it, dollars doubled so that it can be read again.
pub fn project(project: &Project, form: Form) -> String {
    let mut group = Group::new(form);
    match form {
        Form::Yaml => {
            group.text("name", &project.name);
            group.put(
                "services",
                Shown::Map(keys::sorted(&project.services, form, |_, s| service::service(s, form))),
            );
            resources::all(&mut group, project);
            group.extensions(&project.extensions);
        }
        Form::Json => {
            group.put("name", Shown::Text(project.name.clone()));
            group.put(
                "services",
                Shown::Map(keys::sorted(&project.services, form, |_, s| service::service(s, form))),
            );
            resources::all(&mut group, project);
            project.extensions.iter().for_each(|(key, value)| group.put(key, Shown::of(value, form)));
            group.sort();
        }
    }
    written(&group.done(), form).replace('$', "$$")
}

/// A joined file whose variables stand in it still, as `config --no-interpolate` prints it.
pub fn model(model: &Model, form: Form) -> String {
    written(&Shown::of(&model.tree.data(), form), form)
}

/// `config --lock-image-digests`: the images alone.
pub fn images_only(project: &Project, form: Form) -> String {
    let images = keys::sorted(&project.services, form, |_, service| {
        let mut group = Group::new(form);
        if form == Form::Json {
            group.put("command", Shown::Null);
            group.put("entrypoint", Shown::Null);
        }
        group.text("image", &service.image);
        group.done()
    });
    let mut group = Group::new(form);
    if form == Form::Json {
        group.put("name", Shown::Text(String::new()));
    }
    group.put("services", Shown::Map(images));
    written(&group.done(), form).replace('$', "$$")
}

fn written(shown: &Shown, form: Form) -> String {
    match form {
        Form::Yaml => yaml(shown),
        Form::Json => indented(shown),
    }
}

/// The text that a service's config hash is computed over.
pub(crate) fn hashed_service(service: &Service) -> String {
    compact(&service::service(service, Form::Json))
}

/// The text that a network's config hash is computed over.
pub(crate) fn hashed_network(network: &Network) -> String {
    compact(&resources::network(network, Form::Json))
}

/// The text that a volume's config hash is computed over.
pub(crate) fn hashed_volume(volume: &Volume) -> String {
    compact(&resources::volume(volume, Form::Json))
}
