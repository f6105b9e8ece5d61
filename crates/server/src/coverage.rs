//! What of Docker's API is answered how: the one table of refusals, and the count against the checklist.
//!
//! A route that is in a router is implemented. A route that is here is refused, with the reason a person reads.
//! Anything else that the checklist names is missing, and a test says so.

use crate::failure::Failure;
use crate::route::matched;
use crate::routers;
use gantry_errdefs::Class;
use http::Method;

/// An endpoint that is answered with a reason instead of a result.
struct Refusal {
    method: Method,
    path: &'static str,
    class: Class,
    reason: &'static str,
}

const NOT_A_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";
const NO_SWARM: &str = "This node is not part of a swarm";
const NO_CLUSTER: &str = "this engine does not form swarms yet";
const NO_PLUGINS: &str = "this engine has no managed plugins: volume, network and log drivers are built in";
const NO_CHECKPOINTS: &str = "this engine does not checkpoint containers";

macro_rules! refusals {
    ($($method:ident $path:literal => $class:ident $reason:expr,)*) => {
        const REFUSALS: &[Refusal] = &[$(
            Refusal { method: Method::$method, path: $path, class: Class::$class, reason: $reason },
        )*];
    };
}

refusals! {
    GET "/swarm" => Unavailable NOT_A_MANAGER,
    POST "/swarm/init" => NotImplemented NO_CLUSTER,
    POST "/swarm/join" => NotImplemented NO_CLUSTER,
    POST "/swarm/leave" => Unavailable NO_SWARM,
    POST "/swarm/update" => Unavailable NOT_A_MANAGER,
    GET "/swarm/unlockkey" => Unavailable NOT_A_MANAGER,
    POST "/swarm/unlock" => Unavailable NO_SWARM,
    GET "/nodes" => Unavailable NOT_A_MANAGER,
    POST "/nodes/{}/update" => Unavailable NOT_A_MANAGER,
    GET "/nodes/{}" => Unavailable NOT_A_MANAGER,
    DELETE "/nodes/{}" => Unavailable NOT_A_MANAGER,
    GET "/services" => Unavailable NOT_A_MANAGER,
    POST "/services/create" => Unavailable NOT_A_MANAGER,
    GET "/services/{}/logs" => Unavailable NOT_A_MANAGER,
    POST "/services/{}/update" => Unavailable NOT_A_MANAGER,
    GET "/services/{}" => Unavailable NOT_A_MANAGER,
    DELETE "/services/{}" => Unavailable NOT_A_MANAGER,
    GET "/tasks" => Unavailable NOT_A_MANAGER,
    GET "/tasks/{}/logs" => Unavailable NOT_A_MANAGER,
    GET "/tasks/{}" => Unavailable NOT_A_MANAGER,
    GET "/secrets" => Unavailable NOT_A_MANAGER,
    POST "/secrets/create" => Unavailable NOT_A_MANAGER,
    POST "/secrets/{}/update" => Unavailable NOT_A_MANAGER,
    GET "/secrets/{}" => Unavailable NOT_A_MANAGER,
    DELETE "/secrets/{}" => Unavailable NOT_A_MANAGER,
    GET "/configs" => Unavailable NOT_A_MANAGER,
    POST "/configs/create" => Unavailable NOT_A_MANAGER,
    POST "/configs/{}/update" => Unavailable NOT_A_MANAGER,
    GET "/configs/{}" => Unavailable NOT_A_MANAGER,
    DELETE "/configs/{}" => Unavailable NOT_A_MANAGER,

    GET "/plugins/privileges" => NotImplemented NO_PLUGINS,
    POST "/plugins/pull" => NotImplemented NO_PLUGINS,
    POST "/plugins/create" => NotImplemented NO_PLUGINS,
    POST "/plugins/{}/push" => NotImplemented NO_PLUGINS,
    POST "/plugins/{}/upgrade" => NotImplemented NO_PLUGINS,
    GET "/containers/{}/checkpoints" => NotImplemented NO_CHECKPOINTS,
    POST "/containers/{}/checkpoints" => NotImplemented NO_CHECKPOINTS,
    DELETE "/containers/{}/checkpoints/{}" => NotImplemented NO_CHECKPOINTS,
}

/// The refusal of a path, if it is one that is refused.
pub(crate) fn refusal(method: &Method, path: &str) -> Option<Failure> {
    REFUSALS
        .iter()
        .find(|r| r.method == *method && matched(r.path, path).is_some())
        .map(|r| Failure::new(r.class, r.reason))
}

/// How an endpoint is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// By a router.
    Implemented,
    /// With this reason.
    Refused(&'static str),
    /// As a page that does not exist.
    Missing,
}

/// How the endpoint of a checklist is answered. The path is in the checklist's notation,
/// `/containers/{id}/json`.
pub fn coverage(method: &str, path: &str) -> Coverage {
    let template = blank(path);
    let same = |m: &Method, p: &str| m.as_str() == method && blank(p) == template;
    if routers::ALL.iter().flat_map(|r| r.iter()).any(|r| same(&r.method, r.path)) {
        return Coverage::Implemented;
    }
    match REFUSALS.iter().find(|r| same(&r.method, r.path)) {
        Some(refusal) => Coverage::Refused(refusal.reason),
        None => Coverage::Missing,
    }
}

/// A template with its variables' names taken out.
fn blank(path: &str) -> String {
    let segments = path.split('/').map(|s| if s.starts_with('{') { "{}" } else { s });
    segments.collect::<Vec<_>>().join("/")
}
