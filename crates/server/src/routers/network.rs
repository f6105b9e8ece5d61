//! Networks.

use crate::call::Call;
use crate::convert::{create, network as wire, plumb as hand};
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::network::{
    NetworkConnect, NetworkCreate, NetworkCreated, NetworkDisconnect, NetworksPruned, Plumb, PlumbRoute,
    Plumbed,
};
use http::StatusCode;

routes! {
    GET "/networks" => list,
    GET "/networks/" => list,
    POST "/networks/create" => create,
    POST "/networks/prune" => prune,
    POST "/networks/{}/connect" => connect,
    POST "/networks/{}/disconnect" => disconnect,
    GET "/networks/{}" => inspect,
    DELETE "/networks/{}" => remove,
    POST "/containers/{}/plumb" => plumb,
    POST "/containers/{}/route" => route,
}

async fn list(call: Call) -> Answer {
    // Since 1.28 the list does not say who is in a network.
    let detailed = call.version.before(28);
    let networks = call.app.engine.network_list(call.query.filters()?.0).await?;
    let entry = |(network, endpoints): &(_, Vec<_>)| {
        wire::network(network, Some(endpoints.as_slice()).filter(|_| detailed))
    };
    reply::ok(&networks.iter().map(entry).collect::<Vec<_>>())
}

async fn inspect(call: Call) -> Answer {
    match call.query.get("verbose") {
        "" | "1" | "t" | "T" | "TRUE" | "true" | "True" | "0" | "f" | "F" | "FALSE" | "false" | "False" => {}
        other => {
            return Err(Failure::invalid(format!(
                "invalid value for verbose: {other}: strconv.ParseBool: parsing {other:?}: invalid syntax"
            )));
        }
    }
    let scope = call.query.get("scope");
    if !matches!(scope, "" | "local") {
        return Err(Failure::new(
            gantry_errdefs::Class::NotFound,
            format!("network {} not found", call.name),
        ));
    }
    let (network, endpoints) = call.app.engine.network_inspect(&call.name).await?;
    reply::ok(&wire::network(&network, Some(&endpoints)))
}

async fn create(call: Call) -> Answer {
    let (app, version) = (call.app.clone(), call.version);
    let mut body: NetworkCreate = call.json_or_default().await?;
    if version.before(48) {
        body.enable_ipv4 = None;
    }
    let (id, warnings) = app.engine.network_create(wire::spec(body)?).await?;
    reply::created(&NetworkCreated { id: id.to_string(), warning: warnings.join("\n") })
}

async fn remove(call: Call) -> Answer {
    call.app.engine.network_remove(&call.name).await?;
    reply::no_content()
}

async fn prune(call: Call) -> Answer {
    let deleted = call.app.engine.network_prune(call.query.filters()?.0).await?;
    reply::ok(&NetworksPruned { networks_deleted: Some(deleted).filter(|names| !names.is_empty()) })
}

async fn connect(call: Call) -> Answer {
    let (app, name) = (call.app.clone(), call.name.clone());
    let body: NetworkConnect = call.json_or_default().await?;
    let endpoint = create::endpoint(body.endpoint_config.unwrap_or_default())?;
    app.engine.network_connect(&name, &body.container, endpoint).await?;
    Ok(reply::status(StatusCode::OK))
}

async fn disconnect(call: Call) -> Answer {
    let (app, name) = (call.app.clone(), call.name.clone());
    let body: NetworkDisconnect = call.json_or_default().await?;
    app.engine.network_disconnect(&name, &body.container, body.force).await?;
    Ok(reply::status(StatusCode::OK))
}

async fn plumb(call: Call) -> Answer {
    let (app, name) = (call.app.clone(), call.name.clone());
    let body: Plumb = call.json_or_default().await?;
    let made = app.engine.network_plumb(&name, hand::interface(&body)?).await?;
    reply::created(&Plumbed {
        interface: made.interface,
        host_interface: made.host_interface,
        mac_address: made.mac.to_string(),
    })
}

async fn route(call: Call) -> Answer {
    let (app, name) = (call.app.clone(), call.name.clone());
    let body: PlumbRoute = call.json_or_default().await?;
    app.engine.network_route(&name, hand::route(&body)?).await?;
    reply::no_content()
}
