//! Real containers through the real program: spawned, attached to, executed in, killed, found again.
//!
//! They need root. Each suite runs on every runtime there is: our own, and runc and crun by their command line; the
//! expectations are the same, which is how we know that they are right. The program under test is this package's own
//! binary; the rest of the shim's tests stand beside its code in `gantry-shim-lib`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bed;
mod exec;
mod init;
mod life;
mod log;
mod streams;

/// Defines each test once per runtime.
#[macro_export]
macro_rules! on_every_runtime {
    ($($name:ident)*) => {
        mod own {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::bed::Bed::new($crate::bed::Runtime::Own)).await;
            })*
        }
        mod crun {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::bed::Bed::new($crate::bed::Runtime::Crun)).await;
            })*
        }
        mod runc {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::bed::Bed::new($crate::bed::Runtime::Runc)).await;
            })*
        }
    };
}
