//! All unsafe code: clone3, pidfd, the mount API, seccomp install, descriptor passing.
