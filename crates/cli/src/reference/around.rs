//! What is around every command: variables, files, exit codes. The page of the program itself tells them.

/// Names and what they do.
pub(super) type Table = &'static [(&'static str, &'static str)];

/// Variables that every command reads.
pub(super) const VARIABLES: Table = &[
    ("DOCKER_HOST, DOCKER_CONTEXT", "The engine: an address, or a context's name"),
    ("DOCKER_CONFIG", "The folder of the settings, ~/.docker where it is not set"),
    ("DOCKER_TLS_VERIFY, DOCKER_TLS", "TLS, with or without checking who answers"),
    ("DOCKER_CERT_PATH", "The folder of ca.pem, cert.pem and key.pem"),
    ("DOCKER_API_VERSION", "The version of the API to speak; otherwise the newest that both sides know"),
    ("DOCKER_CUSTOM_HEADERS", "Headers of every request: name=value with commas between"),
    ("DOCKER_DEFAULT_PLATFORM", "The platform for pull, run, create, build and import"),
    ("DOCKER_AUTH_CONFIG", "Logins as JSON, before those of the file"),
    ("DOCKER_BUILDKIT", "0: the classic builder"),
    ("BUILDKIT_PROGRESS, NO_COLOR", "How a build is shown"),
    ("DOCKER_HIDE_LEGACY_COMMANDS", "Help without the words from before the nouns"),
];

/// Files of a person's settings, and the socket.
pub(super) const FILES: Table = &[
    ("~/.docker/config.json", "Settings and logins, Docker's own"),
    ("~/.docker/contexts", "Contexts, with their certificates"),
    ("~/.docker/cli-plugins", "Plugins, before those of the system"),
    (
        "/run/gantry.sock",
        "The engine where nothing else is said; called as docker: /var/run/docker.sock where it is there",
    ),
];

/// Exit codes.
pub(super) const CODES: Table = &[
    ("0", "Done"),
    ("1", "The command failed"),
    ("125", "A flag is wrong, or the container could not be made"),
    ("126, 127", "Its program cannot be run, or is not there"),
    ("130, 143", "Interrupted, told to end"),
    ("others", "The container's own, of run, exec, attach and start -a"),
];
