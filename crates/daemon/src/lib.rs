//! The page of wiring: config, build, restore, serve, reload, drain.
