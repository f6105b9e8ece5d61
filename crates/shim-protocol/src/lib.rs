//! What the engine and a shim say to each other: frames, requests, the exit record.
