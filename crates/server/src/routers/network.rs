//! Networks: there are none of the user's own yet. `none`, `host` and `container:X` are modes of a container.

use crate::call::Call;
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::network::{Network, NetworksPruned};
use gantry_errdefs::Class;

routes! {
    GET "/networks" => list,
    GET "/networks/" => list,
    GET "/networks/{}" => inspect,
    DELETE "/networks/{}" => inspect,
    POST "/networks/prune" => prune,
}

async fn list(call: Call) -> Answer {
    call.query.filters()?;
    reply::ok(&Vec::<Network>::new())
}

async fn inspect(call: Call) -> Answer {
    Err(Failure::new(Class::NotFound, format!("network {} not found", call.name)))
}

async fn prune(call: Call) -> Answer {
    call.query.filters()?;
    reply::ok(&NetworksPruned::default())
}
