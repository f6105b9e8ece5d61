//! The joined file's tree to the project's types.

mod fields;
mod resources;
mod running;
mod service;

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::load::{Files, Model, Problems, Request};
use crate::project::{Project, seccomp_file};
use crate::tree::FileError;
use fields::Fields;

/// The seccomp profiles that services name, as far as they can be read: whoever makes a container tells what cannot.
fn seccomp(project: &Project, files: &dyn Files) -> BTreeMap<String, String> {
    let options = project.services.values().flat_map(|service| &service.security_opt);
    let read = options.filter_map(|option| {
        let path = seccomp_file(option)?;
        let bytes = files.read(&crate::path::join(&project.working_dir, path)).ok()?;
        Some((path.to_owned(), String::from_utf8(bytes).ok()?))
    });
    read.collect()
}

/// What is wrong, as it is found.
type Told = RefCell<Vec<FileError>>;

/// Gives a joined file its types, turns profiles on, checks and completes it.
pub(crate) fn project(model: Model, request: &Request, files: &dyn Files) -> Result<Project, Problems> {
    let told = Told::default();
    let top = Fields::of(&model.tree, &told);
    let mut project = Project {
        name: model.name,
        working_dir: model.found.working_dir,
        files: model.found.files,
        env_files: model.found.env_files,
        environment: model.found.environment,
        profiles: model.found.profiles,
        services: top.map_of("services", service::service),
        networks: top.map_of("networks", |_, fields| resources::network(fields)),
        volumes: top.map_of("volumes", |_, fields| resources::volume(fields)),
        secrets: top.map_of("secrets", |_, fields| resources::secret(fields)),
        configs: top.map_of("configs", |_, fields| resources::config(fields)),
        models: top.map_of("models", |_, fields| resources::model(fields)),
        extensions: top.extensions(),
        first_era: model.first_era,
        written: Fields::of(&model.written, &told).map_of("services", |_, fields| fields.node().clone()),
        warnings: model.found.warnings,
        ..Project::default()
    };
    let told = told.into_inner();
    if !told.is_empty() {
        return Err(told.into());
    }
    project.enable_profiles();
    if !request.skip.consistency {
        crate::consistency::check(&mut project, &model.tree)?;
    }
    if !request.skip.env_resolution {
        crate::environment::resolve(&mut project, files)?;
    }
    project.seccomp = seccomp(&project, files);
    crate::environment::label_files(&mut project, request.keep_label_files, files)?;
    project.enable(&request.services);
    let told = crate::coverage::told(&project, &model.tree);
    project.warnings.extend(told);
    project
        .select(&request.services)
        .map_err(|message| Problems(vec![crate::load::Problem::Whole(message)]))?;
    if !request.all_resources {
        project.drop_unused();
    }
    Ok(project)
}
