//! One per container: stdio, log, exit.
fn main() {}
