//! A compose file's text to a project. No I/O.
