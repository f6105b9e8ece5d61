//! HTTP as the registry needs it: connections, bodies that come from files, paths, queries.

pub mod body;
pub mod lane;
pub mod listen;
pub mod query;
pub mod route;

pub use body::Body;
pub use query::Query;

/// An answer to a request.
pub type Answer = http::Response<Body>;
