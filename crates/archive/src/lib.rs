//! Tar as containers need it: ustar, PAX and GNU; sparse files, xattrs, nodes, nanoseconds; extraction by descriptor.
