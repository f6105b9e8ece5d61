//! A Dockerfile's text to a tree with spans. No I/O.
