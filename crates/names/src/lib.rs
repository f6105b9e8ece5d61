//! Identifiers, image references, digests, platforms and container names: parsed once, at the door.
