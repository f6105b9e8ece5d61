//! Go templates with Docker's functions.
