//! The bounds of one template: each is far above what a person writes and far below what hurts.

/// Bytes of template text.
pub const MAX_SOURCE: usize = 1 << 20;
/// Bytes of output of one execution: a template cannot fill the memory of a terminal's owner.
pub const MAX_OUTPUT: usize = 64 << 20;
/// Iterations of all `range` loops of one execution together.
pub const MAX_ITERATIONS: u64 = 1_000_000;
/// Nested blocks and template calls; the walk is recursive and a thread's stack is not endless.
pub const MAX_DEPTH: usize = 150;
/// Width and precision in `printf`, and the widths of `pad`.
pub const MAX_WIDTH: usize = 1 << 16;
