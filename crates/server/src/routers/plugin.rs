//! Managed plugins: there are none.

use crate::call::Call;
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::plugin::Plugin;
use gantry_errdefs::Class;

routes! {
    GET "/plugins" => list,
    GET "/plugins/{}/json" => inspect,
    DELETE "/plugins/{}" => remove,
}

async fn list(call: Call) -> Answer {
    call.query.filters()?;
    reply::ok(&Vec::<Plugin>::new())
}

fn none(name: &str) -> Answer {
    Err(Failure::new(Class::NotFound, format!("plugin {name:?} not found")))
}

async fn inspect(call: Call) -> Answer {
    none(&call.name)
}

async fn remove(call: Call) -> Answer {
    none(&call.name)
}
