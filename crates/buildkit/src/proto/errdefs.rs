//! Details of errors, as BuildKit writes them: JSON under a type's name. Source: `solver/errdefs`, `util/grpcerrors`.

/// The type of a detail that names a vertex.
pub const VERTEX: &str = "github.com/moby/buildkit/errdefs.Vertex+json";
/// The type of a detail that shows a place in a file.
pub const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";
