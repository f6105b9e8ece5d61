//! The builder's cache.

mod instances;
mod prune;
mod worker;

use crate::command::{COMMAND, Command, entry};
use crate::commands::image::build;
use crate::commands::manifest::imagetools;

pub static BUILDER: Command = Command {
    short: "Manage builds",
    below: &[entry(&["build"], &build::BUILD), entry(&["prune"], &prune::PRUNE)],
    ..COMMAND
};

/// The same under buildx's name; where Docker's plugin is installed, that is run instead.
pub static BUILDX: Command = Command {
    short: "Build with BuildKit, as the plugin of this name does",
    below: &[
        entry(&["bake", "f"], &instances::BAKE),
        entry(&["build", "b"], &build::BUILD),
        entry(&["create"], &instances::CREATE),
        entry(&["du"], &worker::DU),
        entry(&["history"], &worker::HISTORY),
        entry(&["imagetools"], &imagetools::IMAGETOOLS),
        entry(&["inspect"], &worker::INSPECT),
        entry(&["ls"], &worker::LS),
        entry(&["prune"], &prune::PRUNE),
        entry(&["rm"], &instances::RM),
        entry(&["use"], &instances::USE),
        entry(&["version"], &instances::VERSION),
    ],
    ..COMMAND
};
