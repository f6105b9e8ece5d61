//! The page of wiring: settings in, parts out.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantry_distribution::http::{Client, Proxies, Tls};
use http::{HeaderName, HeaderValue};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::collect::Upkeep;
use super::{DRAIN, RunError};
use crate::access::htpasswd::Htpasswd;
use crate::access::keys::Keys;
use crate::access::rights::{Rights, Rule};
use crate::access::service::Service;
use crate::access::{Access, Action, Foreign};
use crate::config::{Config, ConfigError};
use crate::events::Events;
use crate::http::listen::Listen;
use crate::metrics::Metrics;
use crate::pattern::Pattern;
use crate::proxy::Proxy;
use crate::server::{Rules, Server};
use crate::store::driver::Driver;
use crate::store::local::Local;
use crate::store::upload::Uploads;
use crate::store::{Store, layout};

/// Where images are kept when nobody says: Docker's registry's place.
const ROOT: &str = "/var/lib/registry";
/// Where to listen when nobody says.
const ADDRESS: &str = ":5000";
/// Connections at once when nobody says: each costs a descriptor or two.
const CONNECTIONS: usize = 4096;

/// Everything that runs.
pub(super) struct Assembled {
    pub listen: Listen,
    pub operators: Option<Listen>,
    pub control: Option<UnixListener>,
    pub upkeep: Upkeep,
    pub drain: Duration,
    pub lock: Option<File>,
}

/// A store that this process owns.
pub(super) struct Opened {
    pub store: Store,
    pub uploads: Uploads,
    /// The server's own directory.
    pub private: PathBuf,
    pub lock: File,
}

fn wrong(text: impl Into<String>) -> RunError {
    RunError::Config(ConfigError::Value(text.into()))
}

/// The directory of the storage.
pub(super) fn root(config: &Config) -> Result<PathBuf, RunError> {
    let (name, settings) = config.driver()?;
    if name != "filesystem" {
        return Err(wrong(format!("storage driver {name} is not part of this build; there is: filesystem")));
    }
    let root = settings.get("rootdirectory").and_then(serde_json::Value::as_str).unwrap_or(ROOT);
    Ok(PathBuf::from(root))
}

/// Opens the storage for this process alone.
pub(super) fn open_store(root: &Path, sync: bool) -> Result<Opened, RunError> {
    let private = root.join(layout::PRIVATE);
    fs::create_dir_all(&private).map_err(RunError::io(private.display().to_string()))?;
    let lock = File::options().create(true).truncate(false).write(true).open(private.join("lock"));
    let lock = lock.map_err(RunError::io("lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| RunError::InUse(root.to_owned()))?;
    let opened = (|| -> io::Result<(Store, Uploads)> {
        let driver: Arc<dyn Driver> = Arc::new(Local::open(root, &private.join("drafts"), sync)?);
        let store = Store::open(driver)?;
        // A volume that another registry wrote has no list of referrers yet.
        let indexed = private.join("referrers-indexed");
        if !indexed.exists() {
            store.index_referrers()?;
            fs::write(&indexed, b"1\n")?;
        }
        Ok((store, Uploads::open(&private.join("uploads"))?))
    })();
    let (store, uploads) = opened.map_err(RunError::io(root.display().to_string()))?;
    Ok(Opened { store, uploads, private, lock })
}

/// Builds all parts.
pub(super) async fn assemble(config: Config) -> Result<Assembled, RunError> {
    let root = root(&config)?;
    let sync = !config.gantry.nosync;
    let opened = tokio::task::spawn_blocking(move || open_store(&root, sync))
        .await
        .map_err(|err| wrong(err.to_string()))??;
    let client = Client::new(Proxies::from_environment());
    let tls = Arc::new(Tls::open(None, false).map_err(|err| RunError::Tls(err.to_string()))?);
    let server = Arc::new(Server {
        store: Arc::new(opened.store),
        uploads: Arc::new(opened.uploads),
        rules: rules(&config, sync)?,
        access: access(&config, &opened.private)?,
        events: Events::start(config.notifications.endpoints.clone(), &client, &tls),
        metrics: Metrics::default(),
        proxy: config
            .proxy
            .as_ref()
            .map(|proxy| Proxy::open(proxy, &opened.private.join("proxy")))
            .transpose()
            .map_err(wrong)?,
    });
    let control = control(&opened.private)?;
    let acceptor = acceptor(&config)?;
    let limit = config.gantry.maxconnections.unwrap_or(CONNECTIONS);
    let address = config.http.addr.as_ref().map_or(ADDRESS, |text| &text.0);
    let listen = Listen {
        listener: bind(address).await?,
        tls: acceptor,
        server: Arc::clone(&server),
        limit,
        operator: false,
    };
    let operators = match &config.http.debug.addr {
        None => None,
        Some(address) => {
            let listener = bind(&address.0).await?;
            Some(Listen { listener, tls: None, server: Arc::clone(&server), limit, operator: true })
        }
    };
    let drain =
        config.http.draintimeout.map(|period| period.0).filter(|drain| !drain.is_zero()).unwrap_or(DRAIN);
    let upkeep = Upkeep::from(&config)?;
    Ok(Assembled { listen, operators, control: Some(control), upkeep, drain, lock: Some(opened.lock) })
}

async fn bind(address: &str) -> Result<TcpListener, RunError> {
    let full = if address.starts_with(':') { format!("[::]{address}") } else { address.to_owned() };
    match TcpListener::bind(&full).await {
        // A machine without IPv6.
        Err(_) if address.starts_with(':') => TcpListener::bind(format!("0.0.0.0{address}"))
            .await
            .map_err(RunError::io(format!("listen on {address}"))),
        bound => bound.map_err(RunError::io(format!("listen on {address}"))),
    }
}

fn control(private: &Path) -> Result<UnixListener, RunError> {
    let path = private.join("control.sock");
    // We hold the lock: whoever made this socket is gone.
    match fs::remove_file(&path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(RunError::io("control socket")(err)),
        _ => UnixListener::bind(&path).map_err(RunError::io("control socket")),
    }
}

fn rules(config: &Config, sync: bool) -> Result<Rules, RunError> {
    let immutable = config.gantry.immutabletags.iter().map(|text| {
        let (names, tags) = text.split_once(':').unwrap_or((text, "**"));
        (Pattern::new(names), Pattern::new(tags))
    });
    let quotas = config.gantry.quotas.iter().map(|quota| (Pattern::new(&quota.repositories), quota.size.0));
    let mut headers = Vec::new();
    for (name, values) in &config.http.headers {
        for value in values {
            let name = HeaderName::try_from(name).map_err(|err| wrong(format!("http.headers: {err}")))?;
            let value =
                HeaderValue::try_from(&value.0).map_err(|err| wrong(format!("http.headers: {err}")))?;
            headers.push((name, value));
        }
    }
    let base_url = config.http.host.as_deref().filter(|_| !config.http.relativeurls).unwrap_or_default();
    Ok(Rules {
        delete: config.delete_allowed(),
        read_only: config.read_only(),
        sparse: config.validation.manifests.indexes.platforms.as_deref() == Some("none"),
        sync,
        immutable: immutable.collect(),
        quotas: quotas.collect(),
        headers,
        base_url: base_url.trim_end_matches('/').to_owned(),
        metrics_apart: config.http.debug.addr.is_some(),
        access_log: !config.log.accesslog.disabled,
    })
}

fn access(config: &Config, private: &Path) -> Result<Access, RunError> {
    let users = match &config.auth.htpasswd {
        None => None,
        Some(htpasswd) => {
            let realm = htpasswd.realm.as_deref().unwrap_or("Registry Realm");
            let what = htpasswd.path.display().to_string();
            Some(Htpasswd::open(&htpasswd.path, realm).map_err(RunError::io(what))?)
        }
    };
    let foreign = config.auth.token.as_ref().map(foreign).transpose()?;
    let service = match (config.gantry.tokenservice, &users) {
        (false, _) => None,
        (true, None) => {
            return Err(wrong("gantry.tokenservice needs auth.htpasswd: whose tokens would it give?"));
        }
        (true, Some(_)) => {
            let key = private.join("token-key.pk8");
            Some(Service::open(&key, "gantry").map_err(RunError::io(key.display().to_string()))?)
        }
    };
    let rules = config.gantry.access.iter().map(|rule| {
        let actions = rule.actions.iter().map(|word| {
            Action::parse(word)
                .ok_or_else(|| wrong(format!("gantry.access: {word} is none of pull, push, delete")))
        });
        Ok(Rule {
            repositories: rule.repositories.iter().map(|text| Pattern::new(text)).collect(),
            users: rule.users.iter().map(|user| user.0.clone()).collect(),
            actions: actions.collect::<Result<_, RunError>>()?,
        })
    });
    let rights = Rights {
        rules: rules.collect::<Result<_, RunError>>()?,
        anonymous_pull: config.gantry.anonymouspull,
        open: users.is_none() && foreign.is_none(),
    };
    Ok(Access { rights: Arc::new(rights), users, service, foreign })
}

fn foreign(token: &crate::config::Token) -> Result<Foreign, RunError> {
    let mut keys = Keys::default();
    if let Some(path) = &token.rootcertbundle {
        keys.add_certificates(path).map_err(RunError::io(path.display().to_string()))?;
    }
    if let Some(path) = &token.jwks {
        keys.add_jwks(path).map_err(RunError::io(path.display().to_string()))?;
    }
    if token.rootcertbundle.is_none() && token.jwks.is_none() {
        return Err(wrong("auth.token needs rootcertbundle or jwks: whose signatures count?"));
    }
    Ok(Foreign {
        realm: (!token.autoredirect).then(|| token.realm.clone()),
        path: token.autoredirectpath.clone().unwrap_or_else(|| "/auth/token".to_owned()),
        service: token.service.clone(),
        issuer: token.issuer.clone(),
        keys,
    })
}

fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, RunError> {
    let tls = &config.http.tls;
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else { return Ok(None) };
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |err: rustls_pki_types::pem::Error| RunError::Tls(format!("{path}: {err}"))
    };
    let broken = |err: &dyn std::error::Error| RunError::Tls(err.to_string());
    let chain = CertificateDer::pem_file_iter(certificate).map_err(failed(certificate))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(failed(certificate))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|err| broken(&err))?;
    let builder = if tls.clientcas.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for path in &tls.clientcas {
            for certificate in CertificateDer::pem_file_iter(path).map_err(failed(path))? {
                roots.add(certificate.map_err(failed(path))?).map_err(|err| broken(&err))?;
            }
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.map_err(|err| broken(&err))?)
    };
    let config = builder.with_single_cert(chain, key).map_err(|err| broken(&err))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
