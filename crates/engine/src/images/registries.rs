//! The engine's one client of all registries: made of the settings in force, made anew when they change.

use std::sync::{Arc, Mutex, PoisonError};

use gantry_distribution::http::Proxies;
use gantry_distribution::{Credentials, Event, Registry, Settings};

use super::Progress;
use crate::config::EngineConfig;
use crate::engine::Engine;

/// The client, once it was needed.
#[derive(Default)]
pub(crate) struct Registries(Mutex<Option<Arc<Registry>>>);

impl Registries {
    fn get(&self, config: &EngineConfig) -> Arc<Registry> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(held.get_or_insert_with(|| Arc::new(Registry::new(settings(config)))))
    }

    /// New settings: what is under way goes on with the old ones.
    pub(crate) fn renew(&self, config: &EngineConfig) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = held.as_mut() {
            *client = Arc::new(client.renewed(settings(config)));
        }
    }
}

impl Engine {
    /// One client for all pulls and pushes: two pulls that want a blob fetch it once.
    pub(super) fn registries(&self) -> Arc<Registry> {
        self.inner.registries.get(&self.config())
    }
}

fn settings(config: &EngineConfig) -> Settings {
    let (facts, transfers) = (&config.facts, &config.transfers);
    let usual = Settings::default();
    Settings {
        mirrors: facts.mirrors.clone(),
        insecure: facts.insecure_registries.clone(),
        certificates: transfers.certificates.iter().cloned().chain(usual.certificates).collect(),
        proxies: Proxies::new(&facts.http_proxy, &facts.https_proxy, &facts.no_proxy),
        downloads: transfers.downloads,
        uploads: transfers.uploads,
        attempts: transfers.attempts,
        agent: usual.agent,
        // As with Docker: whom a person trusts with a password may have a token service anywhere.
        own_realms: false,
    }
}

/// An event in Docker's words.
pub(super) fn message(event: Event) -> Progress {
    match event {
        Event::Status { id, text } => {
            Progress { status: text, id: id.unwrap_or_default(), ..Progress::default() }
        }
        Event::Pushed { tag, digest, size } => Progress {
            aux: Some(serde_json::json!({ "Tag": tag, "Digest": digest, "Size": size })),
            ..Progress::default()
        },
        Event::Layer { id, step } => {
            let (current, total) = step.counted().unwrap_or_default();
            Progress { status: step.text(), id, current, total, ..Progress::default() }
        }
    }
}

/// `X-Registry-Auth`, as clients send it.
pub(super) fn credentials(auth: Option<serde_json::Value>) -> Credentials {
    let auth = auth.unwrap_or_default();
    let text = |key: &str| auth.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Credentials {
        username: text("username"),
        password: text("password"),
        identity_token: text("identitytoken"),
        registry_token: text("registrytoken"),
    }
}
