//! Layered file systems: overlay and native copies behind one contract.
