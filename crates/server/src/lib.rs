//! The Engine API over HTTP: one router a noun; wire types stop here.
