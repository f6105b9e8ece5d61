//! One file a noun. A handler reads its request, asks the engine, answers; nothing else.

mod archive;
mod build;
mod build_session;
mod buildkit;
mod container;
mod exec;
mod image;
mod image_transfer;
mod logs;
mod network;
mod ping;
mod plugin;
mod registry;
mod stats;
mod streams;
mod system;
mod volume;

use crate::route::Route;

/// Every route, in the order in which they are tried: fixed paths before those with a variable of the same shape.
pub(crate) const ALL: &[&[Route]] = &[
    ping::ROUTES,
    container::ROUTES,
    streams::ROUTES,
    logs::ROUTES,
    stats::ROUTES,
    archive::ROUTES,
    exec::ROUTES,
    image_transfer::ROUTES,
    registry::ROUTES,
    image::ROUTES,
    volume::ROUTES,
    network::ROUTES,
    system::ROUTES,
    plugin::ROUTES,
    build::ROUTES,
    buildkit::ROUTES,
];
