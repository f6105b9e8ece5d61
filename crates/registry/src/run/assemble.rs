//! The page of wiring: settings in, parts out.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gantry_distribution::http::{Client, Proxies, Tls, Trust};
use http::{HeaderName, HeaderValue};
use tokio::net::{TcpListener, UnixListener};

use super::collect::Upkeep;
use super::storage::Place;
use super::{DRAIN, RunError, tls};
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
use crate::store::blocking;

/// Where to listen when nobody says.
const ADDRESS: &str = ":5000";
/// Connections at once when nobody says: each costs a descriptor or two.
const CONNECTIONS: usize = 4096;

/// A client may be silent for so long when nobody says.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that runs.
pub(super) struct Assembled {
    pub listen: Listen,
    pub operators: Option<Listen>,
    pub control: Option<UnixListener>,
    pub upkeep: Upkeep,
    pub drain: Duration,
    pub lock: Option<File>,
}

fn wrong(text: impl Into<String>) -> RunError {
    RunError::Config(ConfigError::Value(text.into()))
}

/// Builds all parts.
pub(super) async fn assemble(config: Config) -> Result<Assembled, RunError> {
    let place = Place::of(&config)?;
    let sync = !config.gantry.nosync;
    let opened = blocking(move || place.open(sync)).await?;
    let client = Client::new(Proxies::from_environment());
    let tls = Arc::new(Tls::open(&Trust::default(), false).map_err(|err| RunError::Tls(err.to_string()))?);
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
    let acceptor = tls::acceptor(&config)?;
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
    let host = config.http.host.as_deref().filter(|_| !config.http.relativeurls).unwrap_or_default();
    let prefix = prefix(config)?;
    Ok(Rules {
        delete: config.delete_allowed(),
        read_only: config.read_only(),
        sparse: config.validation.manifests.indexes.platforms.as_deref() == Some("none"),
        sync,
        patience: config.gantry.patience.map_or(PATIENCE, |period| period.0),
        redirect: config.redirect(),
        immutable: immutable.collect(),
        quotas: quotas.collect(),
        headers,
        base_url: format!("{}{prefix}", host.trim_end_matches('/')),
        prefix,
        metrics_apart: config.http.debug.addr.is_some(),
        access_log: !config.log.accesslog.disabled,
    })
}

/// `http.prefix` without the slash at its end.
fn prefix(config: &Config) -> Result<String, RunError> {
    let told = config.http.prefix.as_deref().unwrap_or_default().trim_end_matches('/');
    match told.is_empty() || (told.starts_with('/') && !told.contains(['?', '#', '%', ' '])) {
        true => Ok(told.to_owned()),
        false => Err(wrong(format!("http.prefix {told:?} is no path: it begins with a slash"))),
    }
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
    Ok(Access { rights: Arc::new(rights), users, service, foreign, prefix: prefix(config)? })
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
