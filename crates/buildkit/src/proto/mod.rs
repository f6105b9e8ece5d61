//! The messages, by the file of BuildKit that defines them.

pub mod content;
pub mod control;
pub mod errdefs;
pub mod gateway;
pub mod health;
pub mod ops;
pub mod session;

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Timestamp {
    /// Since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Within the second.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// The time now.
    pub fn now() -> Self {
        Self::of(std::time::SystemTime::now())
    }

    /// A time of the system's clock.
    pub fn of(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
        }
    }

    /// Nanoseconds since 1970 as a time.
    pub fn of_ns(ns: i64) -> Self {
        Self { seconds: ns.div_euclid(1_000_000_000), nanos: (ns.rem_euclid(1_000_000_000)) as i32 }
    }

    /// Nanoseconds since 1970.
    pub fn ns(&self) -> i64 {
        self.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(self.nanos))
    }
}
