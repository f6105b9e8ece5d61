//! The labels by which a project's things are known, to us and to Docker Compose.

/// The project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service.
pub const SERVICE: &str = "com.docker.compose.service";
/// The hash of the settings that it was made with.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// Which of its service's containers, from 1.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// A volume's name in the file.
pub const VOLUME: &str = "com.docker.compose.volume";
/// A network's name in the file.
pub const NETWORK: &str = "com.docker.compose.network";
/// The project's folder.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// The project's files.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// The `--env-file`s.
pub const ENVIRONMENT_FILE: &str = "com.docker.compose.project.environment_file";
/// `True` for a container of `run`.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// What is unique in the name of a container of `run`.
pub const SLUG: &str = "com.docker.compose.slug";
/// The image's id.
pub const IMAGE: &str = "com.docker.compose.image";
/// What the service depends on: `db:service_healthy:false`.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// The version of Compose.
pub const VERSION: &str = "com.docker.compose.version";
/// The container that this one takes the place of.
pub const REPLACE: &str = "com.docker.compose.replace";

/// On Gantry's engine: the container whose published ports this one gets when that one is stopped.
pub const TAKES_PORTS: &str = "gantry.takes-ports-of";

/// The Docker Compose whose behaviour ours is.
pub const SPOKEN: &str = "2.40.3";

/// The Docker Compose 1 whose names and hash the compatible ones are.
pub(crate) const SPOKEN_FIRST: &str = "1.29.2";

/// The labels a service's container gets besides the user's own.
pub(crate) fn of_service(
    project: &gantry_compose_file::project::Project,
    service: &str,
) -> std::collections::BTreeMap<String, String> {
    let mut labels: Vec<(&str, String)> = vec![
        (PROJECT, project.name.clone()),
        (SERVICE, service.to_owned()),
        (VERSION, SPOKEN.to_owned()),
        (WORKING_DIR, project.working_dir.clone()),
        (CONFIG_FILES, project.files.join(",")),
        (ONE_OFF, "False".to_owned()),
    ];
    if !project.env_files.is_empty() {
        labels.push((ENVIRONMENT_FILE, project.env_files.join(",")));
    }
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
