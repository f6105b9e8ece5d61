//! Why a project's command did not do what it was asked. The texts are Docker Compose's.

use gantry_client::ClientError;

/// A failure.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The engine said no, or was not there.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An operation on one thing of the project failed.
    #[error("{what}: {cause}")]
    At {
        /// Such as `Container p-web-1`.
        what: String,
        /// Why.
        cause: Box<Failed>,
    },
    /// A new container that was to be well before the old one goes is not.
    #[error("service {service:?}: the new container is not well, the old one stays: {cause}")]
    StillTheOld {
        /// The service.
        service: String,
        /// Why.
        cause: Box<Failed>,
    },
    /// The engine's no to something that looking at it once more does not change.
    #[error("{0}")]
    Final(Box<Failed>),
    /// A service is not in the project.
    #[error("no such service: {0}")]
    NoService(String),
    /// A service has no container.
    #[error("service {0:?} is not running")]
    NotRunning(String),
    /// A service has no container of this number.
    #[error("service {0:?} is not running container #{1}")]
    NotRunningNumber(String, u32),
    /// Nothing to start.
    #[error("service {0:?} has no container to start")]
    NothingToStart(String),
    /// Several containers cannot have one name.
    #[error(
        "WARNING: The {service:?} service is using the custom container name {name:?}. Docker requires each container to have a unique name. Remove the custom name to scale the service"
    )]
    OneNameForMany {
        /// The service.
        service: String,
        /// Its name for containers.
        name: String,
    },
    /// Two services have one name.
    #[error("services.{second}: container name {name:?} is already in use by service {first}")]
    NameTaken {
        /// Who has it.
        first: String,
        /// Who wants it.
        second: String,
        /// The name.
        name: String,
    },
    /// A container whose namespace or volumes are shared is not there.
    #[error("cannot share {what} with service {service}: container missing")]
    NothingToShare {
        /// `network namespace`, `IPC namespace`, `PID namespace` or `volume`.
        what: &'static str,
        /// The service.
        service: String,
    },
    /// A network is not there.
    #[error("network {0} declared as external, but could not be found")]
    NoNetwork(String),
    /// A volume is not there.
    #[error("external volume {0:?} not found")]
    NoVolume(String),
    /// A dependency has no container.
    #[error("{dependent} is missing dependency {dependency}")]
    MissingDependency {
        /// Who waits.
        dependent: String,
        /// For whom.
        dependency: String,
    },
    /// A dependency is not healthy and will not be.
    #[error("dependency failed to start: {0}")]
    Dependency(Box<Failed>),
    /// A container ended.
    #[error("container {name} exited ({code})")]
    Exited {
        /// Its name.
        name: String,
        /// Its code.
        code: i64,
    },
    /// A container is not well.
    #[error("container {0} is unhealthy")]
    Unhealthy(String),
    /// Health was asked for where nothing checks it.
    #[error("container {0} has no healthcheck configured")]
    NoHealthcheck(String),
    /// A service that has to end well did not.
    #[error("service {service:?} didn't complete successfully: exit {code}")]
    Incomplete {
        /// The service.
        service: String,
        /// Its code.
        code: i64,
    },
    /// It took too long.
    #[error("application not healthy after {0}")]
    NotHealthyAfter(String),
    /// A hook's command failed.
    #[error("{service} hook exited with status {code}")]
    Hook {
        /// The service.
        service: String,
        /// The command's code.
        code: i64,
    },
    /// Services depend on each other in a circle.
    #[error("dependency cycle detected: {0}")]
    Circle(String),
    /// What an engine on one machine cannot do, or what the file has wrong.
    #[error(transparent)]
    Convert(#[from] crate::convert::Unconvertible),
    /// A secret or config could not be given.
    #[error(transparent)]
    Grant(#[from] crate::grants::Ungranted),
}

impl Failed {
    /// Puts the thing that failed before the cause.
    pub fn at(what: impl Into<String>) -> impl FnOnce(ClientError) -> Failed {
        let what = what.into();
        move |cause| Failed::At { what, cause: Box::new(Failed::Client(cause)) }
    }

    /// Whether somebody else may have changed what was looked at: what was there is gone, what was to be made is there.
    pub fn is_stale(&self) -> bool {
        match self {
            Failed::Client(err) => matches!(err.status(), Some(404 | 409)),
            Failed::At { cause, .. } | Failed::StillTheOld { cause, .. } | Failed::Dependency(cause) => {
                cause.is_stale()
            }
            Failed::NothingToStart(_) | Failed::MissingDependency { .. } | Failed::NothingToShare { .. } => {
                true
            }
            _ => false,
        }
    }

    /// Whether the engine said that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Failed::Client(err) if err.is_not_found())
    }
}
