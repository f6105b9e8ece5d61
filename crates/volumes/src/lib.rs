//! Named volumes and mounts into containers.
