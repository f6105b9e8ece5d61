//! The client and the engine in one file.
fn main() {}
