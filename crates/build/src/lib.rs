//! Builds: stages, cache, layers.
