//! BuildKit's door: connections that are taken over for gRPC. What is spoken on them is the solver's.

use http::StatusCode;
use http::header::{CONNECTION, UPGRADE};
use hyper_util::rt::TokioIo;

use crate::call::Call;
use crate::failure::Failure;
use crate::reply::{self, Answer, with_header};
use crate::route::routes;

routes! {
    POST "/session" => session,
    POST "/grpc" => grpc,
}

/// What the connection becomes.
const PROTOCOL: &str = "h2c";

/// A client's own services, for builds that name this session.
async fn session(call: Call) -> Answer {
    if !call.headers.contains_key(UPGRADE) {
        return Err(Failure::invalid("no upgrade proto in request"));
    }
    let (solver, headers, ending) = (call.app.solver.clone(), call.headers.clone(), call.app.ending.clone());
    taken_over(call, |io| async move {
        tokio::select! {
            held = solver.session(io, &headers) => held,
            () = ending.cancelled() => Ok(()),
        }
    })
}

/// BuildKit's services, for a client.
async fn grpc(call: Call) -> Answer {
    let (solver, ending) = (call.app.solver.clone(), call.app.ending.clone());
    taken_over(call, |io| async move {
        tokio::select! {
            served = solver.serve(io) => served,
            () = ending.cancelled() => Ok(()),
        }
    })
}

/// Answers that the protocol is switched, and speaks the new one as soon as it is.
fn taken_over<F>(
    call: Call,
    speak: impl FnOnce(TokioIo<hyper::upgrade::Upgraded>) -> F + Send + 'static,
) -> Answer
where
    F: Future<Output = Result<(), gantry_solver::Status>> + Send,
{
    let asked = call.headers.get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(upgrade) = call.upgrade.filter(|_| asked.eq_ignore_ascii_case(PROTOCOL)) else {
        return Err(Failure::invalid(format!(
            "this endpoint speaks {PROTOCOL} only: ask for an upgrade to it"
        )));
    };
    tokio::spawn(async move {
        let spoken = match upgrade.await {
            Ok(io) => speak(TokioIo::new(io)).await,
            Err(error) => {
                return tracing::debug!(%error, "the client left before its connection was taken over");
            }
        };
        if let Err(error) = spoken {
            tracing::debug!(%error, "a connection of BuildKit's door");
        }
    });
    let reply = reply::status(StatusCode::SWITCHING_PROTOCOLS);
    Ok(with_header(with_header(reply, CONNECTION, "Upgrade"), UPGRADE, PROTOCOL))
}
