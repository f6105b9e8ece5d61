//! Registries, asked through the engine: login, search, a look at a manifest.

use crate::call::{Call, decode_auth};
use crate::failure::Failure;
use crate::reply::{self, Answer};
use crate::route::routes;
use gantry_api::auth::{AuthConfig, AuthResponse};
use gantry_api::image::SearchResult;
use gantry_names::Reference;
use http::StatusCode;
use serde_json::json;

routes! {
    GET "/images/search" => search,
    POST "/auth" => login,
    GET "/distribution/{}/json" => inspect,
}

/// Credentials of a request's header. Bad ones count as none, as in Docker.
pub(super) fn auth(call: &Call) -> Option<serde_json::Value> {
    decode_auth(call.headers.get("x-registry-auth")?.as_bytes())
}

async fn search(call: Call) -> Answer {
    let limit = call.query.number("limit")?;
    let filters = call.query.filters()?;
    let found = call.app.engine.image_search(call.query.get("term"), limit, filters.0, auth(&call)).await?;
    let results = found.into_iter().map(|one| SearchResult {
        name: one.name,
        description: one.description,
        star_count: i64::try_from(one.star_count).unwrap_or(i64::MAX),
        is_official: one.is_official,
        is_automated: one.is_automated,
    });
    reply::ok(&results.collect::<Vec<_>>())
}

async fn login(call: Call) -> Answer {
    let app = call.app.clone();
    let given: AuthConfig = call.json().await?;
    let shown = json!({
        "username": given.username, "password": given.password,
        "identitytoken": given.identitytoken, "registrytoken": given.registrytoken,
    });
    let token = app.engine.login(&given.serveraddress, shown).await?;
    reply::ok(&AuthResponse { identity_token: token.unwrap_or_default(), status: "Login Succeeded".into() })
}

async fn inspect(call: Call) -> Answer {
    let reference = Reference::parse(&call.name).map_err(|error| Failure::invalid(error.to_string()))?;
    let found = call.app.engine.distribution_inspect(&reference, auth(&call)).await?;
    reply::json(StatusCode::OK, &found)
}
