//! The hash of a thing's settings: when it differs from the label's, the thing is out of date.

pub(crate) use gantry_compose_file::hash::{first, network, service, volume};
