//! Building images. The builder has no cache of its own yet, so there is nothing to prune.

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::build::BuildPruned;

routes! {
    POST "/build/prune" => prune,
}

async fn prune(call: Call) -> Answer {
    call.query.filters()?;
    reply::ok(&BuildPruned::default())
}
