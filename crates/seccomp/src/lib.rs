//! A seccomp profile compiled to one BPF program.
