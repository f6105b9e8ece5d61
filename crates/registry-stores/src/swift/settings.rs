//! Docker's registry's settings of `storage.swift`, or the environment of OpenStack's own programs.

use std::sync::Arc;

use super::login::{Login, Version};
use super::wire::Wire;
use super::{PARTS_MAX, Settings, Swift};
use crate::connect::Connector;
use crate::far::Far;
use crate::settings::{Settings as Told, SettingsError};

/// Bytes of a segment when nobody says, and the least there may be: Docker's registry's.
const PART: u64 = 20 << 20;
const PART_MIN: u64 = 1 << 20;

/// Opens the container of `storage.swift`. The login comes with the first request.
pub(crate) fn open(told: &Told<'_>, connector: Connector) -> Result<Far, SettingsError> {
    let container = told.needed("container")?;
    let or_environment = |key: &str, names: &[&str]| {
        let variable = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        told.text(key).or_else(|| names.iter().find_map(variable))
    };
    let needed = |key: &'static str, names: &[&str]| {
        or_environment(key, names).ok_or(SettingsError::Missing { driver: "swift", key })
    };
    let url = needed("authurl", &["OS_AUTH_URL", "ST_AUTH"])?.trim_end_matches('/').to_owned();
    let version = or_environment("authversion", &["OS_IDENTITY_API_VERSION", "ST_AUTH_VERSION"]);
    let version = version.as_deref().map(|version| version.trim_end_matches(".0"));
    let version = Version::of(version, &url).ok_or_else(|| told.wrong("authversion is 1, 2 or 3"))?;
    let endpoint = or_environment("endpointtype", &["OS_ENDPOINT_TYPE"]).unwrap_or_else(|| "public".into());
    let endpoint = endpoint.trim_end_matches("URL").to_owned();
    if !["public", "internal", "admin"].contains(&endpoint.as_str()) {
        return Err(told.wrong("endpointtype is public, internal or admin"));
    }
    let login = Login {
        url,
        version,
        username: needed("username", &["OS_USERNAME", "ST_USER"])?,
        password: needed("password", &["OS_PASSWORD", "ST_KEY"])?,
        tenant: or_environment("tenant", &["OS_PROJECT_NAME", "OS_TENANT_NAME"]),
        tenant_id: or_environment("tenantid", &["OS_PROJECT_ID", "OS_TENANT_ID"]),
        domain: or_environment("domain", &["OS_USER_DOMAIN_NAME"]),
        domain_id: or_environment("domainid", &["OS_USER_DOMAIN_ID"]),
        tenant_domain: or_environment("tenantdomain", &["OS_PROJECT_DOMAIN_NAME"]),
        tenant_domain_id: or_environment("tenantdomainid", &["OS_PROJECT_DOMAIN_ID"]),
        trust_id: or_environment("trustid", &["OS_TRUST_ID"]),
        region: or_environment("region", &["OS_REGION_NAME"]),
        endpoint,
    };
    let prefix = told.text("prefix").or_else(|| told.text("rootdirectory")).unwrap_or_default();
    let prefix = prefix.trim_matches('/');
    let within = |directory: &str| format!("{prefix}/{directory}").trim_matches('/').to_owned();
    let settings = Settings {
        container: container.clone(),
        segments: within("segments"),
        secret: told.text("secretkey"),
        container_secret: told.flag("tempurlcontainerkey", true),
    };
    let signs = settings.secret.is_some();
    let swift = Arc::new(Swift::new(Wire::new(connector, login, settings)));
    Ok(Far {
        signer: signs.then(|| Arc::clone(&swift) as Arc<dyn object_store::signer::Signer>),
        store: swift,
        root: within("files"),
        part: told.part(PART)?.max(PART_MIN),
        parts_max: PARTS_MAX,
        runtime: tokio::runtime::Handle::current(),
        place: format!("swift {container}"),
    })
}
