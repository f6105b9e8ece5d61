//! The registry client: pull, push, search.
