//! Log drivers and readers: json-file, local, none.
