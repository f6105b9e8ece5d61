//! Images: references, import, load, save, commit, remove, history.
