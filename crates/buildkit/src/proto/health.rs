//! `grpc.health.v1`.

/// How a server is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HealthCheckResponse {
    /// 1: it serves.
    #[prost(int32, tag = "1")]
    pub status: i32,
}
