//! Managed plugins: there are none.

use crate::call::Call;
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::plugin::Plugin;
use gantry_errdefs::Class;

routes! {
    GET "/plugins" => list,
    GET "/plugins/{}/json" => nobody,
    DELETE "/plugins/{}" => nobody,
    POST "/plugins/{}/enable" => nobody,
    POST "/plugins/{}/disable" => nobody,
    POST "/plugins/{}/set" => nobody,
}

async fn list(call: Call) -> Answer {
    call.query.filters()?;
    reply::ok(&Vec::<Plugin>::new())
}

async fn nobody(call: Call) -> Answer {
    Err(Failure::new(Class::NotFound, format!("plugin {:?} not found", call.name)))
}
