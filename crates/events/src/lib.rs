//! The journal of what happened: append, filter, replay, follow.
