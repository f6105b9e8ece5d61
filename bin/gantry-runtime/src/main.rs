//! The OCI runtime command line.
fn main() {}
