//! Docker's registry's settings of `storage.s3`, `storage.gcs` and `storage.azure`, as this library's; those of
//! `storage.swift` are beside its driver.
//!
//! Without keys in the settings the credentials are the environment's: variables, instance metadata, workload
//! identity, as the provider's own tools find them.

use std::sync::Arc;
use std::time::Duration;

use gantry_distribution::http::{Client, Proxies, Tls, Trust};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::signer::Signer;
use object_store::{ObjectStore, RetryConfig, StaticCredentialProvider};
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use crate::connect::Connector;
use crate::far::Far;
use crate::swift;
use crate::upload::PARTS_MAX;

/// The drivers there are, as `storage` names them.
pub const DRIVERS: &[&str] = &["s3", "gcs", "azure", "swift"];

/// Bytes of a part when nobody says: Docker's registry's.
const PART: u64 = 10 << 20;
/// Smallest part S3 and Google take.
const PART_MIN: u64 = 5 << 20;
/// A far store that fails is asked again so often, and for so long.
const RETRIES: usize = 5;
const RETRY_TIME: Duration = Duration::from_secs(60);

/// Why a far place cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting is missing.
    #[error("storage.{driver}.{key} is not set")]
    Missing {
        /// Whose.
        driver: &'static str,
        /// Which.
        key: &'static str,
    },
    /// The settings do not go together.
    #[error("storage.{driver}: {text}")]
    Wrong {
        /// Whose.
        driver: &'static str,
        /// Why not.
        text: String,
    },
}

/// One driver's settings.
pub(crate) struct Settings<'a> {
    driver: &'static str,
    map: &'a Map<String, Value>,
}

impl Settings<'_> {
    /// A setting as text; what is empty is not set.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let text = match self.map.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn needed(&self, key: &'static str) -> Result<String, SettingsError> {
        self.text(key).ok_or(SettingsError::Missing { driver: self.driver, key })
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> bool {
        self.text(key).map_or(default, |text| text == "true")
    }

    pub(crate) fn wrong(&self, err: impl ToString) -> SettingsError {
        SettingsError::Wrong { driver: self.driver, text: err.to_string() }
    }

    fn connector(&self) -> Result<Connector, SettingsError> {
        let unverified = self.flag("skipverify", false) || self.flag("insecureskipverify", false);
        let tls = Tls::open(&Trust::default(), unverified).map_err(|err| self.wrong(err))?;
        let client = Client::new(Proxies::from_environment());
        Ok(Connector { client, tls: Arc::new(tls), anonymous: self.flag("anonymous", false) })
    }

    /// Bytes of one part.
    pub(crate) fn part(&self, default: u64) -> Result<u64, SettingsError> {
        let Some(text) = self.text("chunksize") else { return Ok(default) };
        text.parse().map_err(|_| self.wrong("chunksize is a number of bytes"))
    }

    fn far<S: ObjectStore + Signer>(
        &self,
        store: S,
        bucket: &str,
        signs: bool,
    ) -> Result<Far, SettingsError> {
        let root = self.text("rootdirectory").unwrap_or_default();
        let store = Arc::new(store);
        Ok(Far {
            signer: signs.then(|| Arc::clone(&store) as Arc<dyn Signer>),
            store,
            place: format!("{} {bucket}", self.driver),
            root: root.trim_matches('/').to_owned(),
            part: self.part(PART)?.max(PART_MIN),
            parts_max: PARTS_MAX,
            runtime: Handle::current(),
        })
    }
}

fn retries() -> RetryConfig {
    RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIME, ..RetryConfig::default() }
}

/// Opens the far place of `storage.<driver>`; `None` when the driver is none of [`DRIVERS`]. To be called within a
/// tokio runtime, whose blocking threads then use the place.
pub fn open(driver: &str, map: &Map<String, Value>) -> Result<Option<Far>, SettingsError> {
    match driver {
        "s3" => s3(&Settings { driver: "s3", map }).map(Some),
        "gcs" => gcs(&Settings { driver: "gcs", map }).map(Some),
        "azure" => azure(&Settings { driver: "azure", map }).map(Some),
        "swift" => {
            let settings = Settings { driver: "swift", map };
            swift::open(&settings, settings.connector()?).map(Some)
        }
        _ => Ok(None),
    }
}

fn s3(settings: &Settings<'_>) -> Result<Far, SettingsError> {
    let bucket = settings.needed("bucket")?;
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&bucket)
        .with_retry(retries())
        .with_http_connector(settings.connector()?);
    if let Some(region) = settings.text("region") {
        builder = builder.with_region(region);
    }
    let secure = settings.flag("secure", true);
    if let Some(endpoint) = settings.text("regionendpoint") {
        let endpoint = match (endpoint.contains("://"), secure) {
            (true, _) => endpoint,
            (false, true) => format!("https://{endpoint}"),
            (false, false) => format!("http://{endpoint}"),
        };
        // Other people's S3 has seldom a name per bucket.
        let virtual_hosted = !settings.flag("forcepathstyle", true);
        builder = builder
            .with_allow_http(endpoint.starts_with("http://"))
            .with_endpoint(endpoint)
            .with_virtual_hosted_style_request(virtual_hosted);
    } else {
        builder = builder.with_virtual_hosted_style_request(!settings.flag("forcepathstyle", false));
    }
    if let (Some(key), Some(secret)) = (settings.text("accesskey"), settings.text("secretkey")) {
        builder = builder.with_access_key_id(key).with_secret_access_key(secret);
    }
    if let Some(token) = settings.text("sessiontoken") {
        builder = builder.with_token(token);
    }
    if settings.flag("encrypt", false) {
        builder = match settings.text("keyid") {
            Some(key) => builder.with_sse_kms_encryption(key),
            None => {
                let key = "aws_server_side_encryption".parse().map_err(|err| settings.wrong(err))?;
                builder.with_config(key, "AES256")
            }
        };
    }
    settings.far(builder.build().map_err(|err| settings.wrong(err))?, &bucket, true)
}

fn gcs(settings: &Settings<'_>) -> Result<Far, SettingsError> {
    let bucket = settings.needed("bucket")?;
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(&bucket)
        .with_retry(retries())
        .with_http_connector(settings.connector()?);
    let credentials = settings.map.get("credentials").filter(|value| value.is_object());
    // Without a key of its own the program would have to ask Google to sign, a round trip for each blob.
    let signs = settings.text("keyfile").is_some() || credentials.is_some();
    if let Some(file) = settings.text("keyfile") {
        builder = builder.with_service_account_path(file);
    } else if let Some(credentials) = credentials {
        builder = builder.with_service_account_key(credentials.to_string());
    }
    let anonymous = settings.flag("anonymous", false);
    if let Some(endpoint) = settings.text("endpoint") {
        builder = builder.with_base_url(&endpoint);
    }
    if anonymous {
        let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
        builder = builder.with_credentials(Arc::new(nobody)).with_skip_signature(true);
    }
    settings.far(builder.build().map_err(|err| settings.wrong(err))?, &bucket, signs && !anonymous)
}

fn azure(settings: &Settings<'_>) -> Result<Far, SettingsError> {
    let container = settings.needed("container")?;
    let account = settings.needed("accountname")?;
    let realm = settings.text("realm").unwrap_or_else(|| "core.windows.net".to_owned());
    let endpoint = settings.text("endpoint").unwrap_or_else(|| format!("https://{account}.blob.{realm}"));
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_account(account)
        .with_container_name(&container)
        .with_allow_http(endpoint.starts_with("http://"))
        .with_endpoint(endpoint)
        .with_retry(retries())
        .with_http_connector(settings.connector()?);
    let key = settings.text("accountkey");
    let signs = key.is_some();
    if let Some(key) = key {
        builder = builder.with_access_key(key);
    }
    if let Some(Value::Object(map)) = settings.map.get("credentials") {
        let credentials = Settings { driver: "azure", map };
        let client = (credentials.text("clientid"), credentials.text("secret"), credentials.text("tenantid"));
        if let (Some(id), Some(secret), Some(tenant)) = client {
            builder = builder.with_client_secret_authorization(id, secret, tenant);
        }
    }
    settings.far(builder.build().map_err(|err| settings.wrong(err))?, &container, signs)
}
