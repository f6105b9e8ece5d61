//! One container's keeper: stdio, log, exec sessions, exit.
