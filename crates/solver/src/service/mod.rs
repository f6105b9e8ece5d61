//! The methods that are served, by their paths.

mod bridge;
mod caps;
pub(crate) mod control;
mod workers;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use gantry_buildkit::grpc::Status;
use gantry_buildkit::grpc::server::{Call, Service};
use gantry_buildkit::proto::health::HealthCheckResponse;
use prost::Message;

use crate::Inner;

/// Everything a client may call.
pub(crate) struct Door(pub(crate) Arc<Inner>);

impl Service for Door {
    fn call(self: Arc<Self>, call: Call) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            tracing::debug!(method = call.method, "BuildKit call");
            let inner = &self.0;
            match call.method.rsplit_once('/') {
                Some(("/moby.buildkit.v1.Control", _)) => control::call(inner, call).await,
                Some(("/moby.buildkit.v1.frontend.LLBBridge", _)) => bridge::call(inner, call).await,
                Some(("/grpc.health.v1.Health", "Check")) => {
                    unary(call, async |(): ()| Ok(HealthCheckResponse { status: 1 })).await;
                }
                _ => unknown(call).await,
            }
        })
    }
}

/// Refuses a method that is not there.
async fn unknown(call: Call) {
    let status = Status::unimplemented(&call.method);
    call.reply.answer(Err::<(), _>(status)).await;
}

/// Answers a call that has one message each way. Work for a caller who has gone is dropped.
async fn unary<Q, A, F>(mut call: Call, work: impl FnOnce(Q) -> F)
where
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<A, Status>>,
{
    let outcome = match call.message::<Q>().await {
        Ok(request) => tokio::select! {
            outcome = work(request) => outcome,
            () = call.reply.gone() => return,
        },
        Err(status) => Err(status),
    };
    call.reply.answer(outcome).await;
}
