//! The registry by itself, without the rest of Gantry: what its tests and benchmarks start.

use clap::Parser as _;

fn main() {
    if let Err(err) = gantry_registry::run(gantry_registry::Arguments::parse()) {
        eprintln!("gantry-registry: {err}");
        std::process::exit(1);
    }
}
