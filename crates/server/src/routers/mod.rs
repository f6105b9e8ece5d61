//! One file a noun. A handler reads its request, asks the engine, answers; nothing else.

mod ping;

use crate::route::Route;

/// Every route, in the order in which they are tried.
pub(crate) const ALL: &[&[Route]] = &[ping::ROUTES];
