//! The network verbs with their events.

use gantry_errdefs::{Class, Classified};
use gantry_events::Kind;
use gantry_names::NetworkId;
use gantry_network::{Endpoint, Network, NetworkSpec};

use super::{none, plain, plan};
use crate::admission::Verb;
use crate::engine::{Engine, blocking};
use crate::error::{Error, Result};
use crate::filters::{self, Filters};
use crate::record::ContainerRecord;
use crate::spec::{EndpointSpec, NetworkMode};

impl Engine {
    /// Lists networks with their endpoints.
    pub async fn network_list(&self, filters: Filters) -> Result<Vec<(Network, Vec<Endpoint>)>> {
        filters::check(&filters, &["dangling", "driver", "id", "label", "name", "scope", "type"])?;
        let dangling = filters::truth(&filters, "dangling")?;
        for kind in filters::values(&filters, "type") {
            if !matches!(kind.as_str(), "custom" | "builtin") {
                return Err(Error::Invalid(format!("invalid filter: 'type'='{kind}'")));
            }
        }
        let networks = self.inner.network.owner()?;
        let any = |key: &str, hit: &dyn Fn(&str) -> bool| {
            !filters.contains_key(key) || filters::values(&filters, key).any(|value| hit(value))
        };
        let wanted = |network: &Network, endpoints: &[Endpoint]| {
            any("driver", &|driver| network.driver.as_str() == driver)
                && any("id", &|id| network.id.as_str().starts_with(id))
                && any("name", &|name| network.name.contains(name))
                && any("scope", &|scope| scope == "local")
                && any("type", &|kind| (kind == "builtin") == network.predefined)
                && filters::labels_match(&filters, &network.labels)
                && dangling.is_none_or(|dangling| dangling == (endpoints.is_empty() && !network.predefined))
        };
        let all = networks.list().into_iter().map(|network| {
            let endpoints = networks.endpoints(&network.id);
            (network, endpoints)
        });
        Ok(all.filter(|(network, endpoints)| wanted(network, endpoints)).collect())
    }

    /// Makes a network.
    pub async fn network_create(&self, spec: NetworkSpec) -> Result<(NetworkId, Vec<String>)> {
        let engine = self.clone();
        let created = blocking(move || Ok::<_, Error>(engine.inner.network.owner()?.create(spec)?)).await?;
        self.own_event(&created.network, "create");
        Ok((created.network.id, created.warnings))
    }

    /// One network.
    pub async fn network_inspect(&self, name: &str) -> Result<(Network, Vec<Endpoint>)> {
        let networks = self.inner.network.owner()?;
        let network = networks.get(name)?;
        let mut endpoints = networks.endpoints(&network.id);
        for container in self.registry().all() {
            let record = container.record();
            if record.state.is_alive() {
                endpoints.extend(plain::endpoint(&record, &network));
            }
        }
        Ok((network, endpoints))
    }

    /// Removes a network that no container is on.
    pub async fn network_remove(&self, name: &str) -> Result<()> {
        let (engine, name) = (self.clone(), name.to_owned());
        let removed = blocking(move || Ok::<_, Error>(engine.inner.network.owner()?.remove(&name)?)).await?;
        self.own_event(&removed, "destroy");
        Ok(())
    }

    /// Removes every network of people's making that no container is on; their names.
    pub async fn network_prune(&self, filters: Filters) -> Result<Vec<String>> {
        filters::check(&filters, &["label", "label!", "until"])?;
        let until = filters::until(&filters)?;
        let engine = self.clone();
        let pruned = blocking(move || {
            let before = |network: &Network| {
                until.is_none_or(|until| i128::from(network.created_ns) < until.as_nanosecond())
            };
            let networks = engine.inner.network.owner()?;
            Ok::<_, Error>(
                networks.prune(|network| filters::labels_match(&filters, &network.labels) && before(network)),
            )
        })
        .await?;
        pruned.iter().for_each(|network| self.own_event(network, "destroy"));
        let attributes = [("reclaimed".to_owned(), "0".to_owned())].into();
        self.publish(Kind::Network, "prune", "", attributes);
        Ok(pruned.into_iter().map(|network| network.name).collect())
    }

    /// Joins a container to a network, now if it runs, else at its next start.
    pub async fn network_connect(
        &self,
        network: &str,
        container: &str,
        endpoint: EndpointSpec,
    ) -> Result<()> {
        let container = self.find(container)?;
        let network = self.inner.network.owner()?.get(network)?;
        let _gate = container.enter().await?;
        let record = container.admit(Verb::Update)?;
        let text = match &record.spec.network_mode {
            NetworkMode::Host => {
                "container cannot be disconnected from host network or connected to host network"
            }
            NetworkMode::Container(_) => {
                "container sharing network namespace with another container or host cannot be connected to any other \
                 network"
            }
            _ if network.name == "host" => {
                "cannot connect container to host network - container must be created in host network mode"
            }
            _ if none::forbids(&record, &network) => {
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            }
            _ => "",
        };
        if !text.is_empty() {
            return Err(Error::Forbidden(text.to_owned()));
        }
        if record.spec.endpoints.contains_key(&network.name) && record.state.is_alive() {
            return Err(Error::Forbidden(format!(
                "endpoint with name {} already exists in network {}",
                record.name, network.name
            )));
        }
        if network.name == "none" {
            return self.join_none(&container).await;
        }
        let (engine, asked, known, name) =
            (self.clone(), endpoint.clone(), record.clone(), network.name.clone());
        blocking(move || engine.connect_now(&known, &name, &asked)).await?;
        // Whoever asks again changes nothing of what was asked at first, as with Docker.
        if record.spec.endpoints.contains_key(&network.name) {
            return Ok(());
        }
        self.change(&container, |record| {
            record.spec.endpoints.insert(network.name.clone(), endpoint);
        })
        .await
    }

    fn connect_now(&self, record: &ContainerRecord, network: &str, asked: &EndpointSpec) -> Result<()> {
        let networks = self.inner.network.owner()?;
        let mut with = record.clone();
        with.spec.endpoints = [(network.to_owned(), asked.clone())].into();
        let spec = self.endpoint_specs(&with, &[])?.into_iter().next();
        let spec = spec.map_or_else(|| plan::endpoint(network, asked, Vec::new()), Ok)?;
        networks.check(&spec)?;
        if record.state.is_alive() {
            for endpoint in networks.connect(&record.id, &[spec])? {
                self.network_event(&endpoint, "connect");
            }
        }
        Ok(())
    }

    /// Takes a container off a network. With `force`, one that is gone is fine.
    pub async fn network_disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        let found = self.find(container);
        if !force && let Err(missing) = found {
            return Err(missing);
        }
        let network = self.inner.network.owner()?.get(network)?;
        let container = match found {
            Err(err) if err.class() == Class::NotFound => return Ok(()),
            other => other?,
        };
        let _gate = container.enter().await?;
        let record = container.admit(Verb::Update)?;
        if record.spec.network_mode == NetworkMode::Host && network.name == "host" {
            let text =
                "cannot disconnect container from host network - container was created in host network mode";
            return Err(Error::Forbidden(text.to_owned()));
        }
        if record.spec.network_mode == NetworkMode::None && network.name == "none" {
            return self.leave_none(&container).await;
        }
        if !record.spec.endpoints.contains_key(&network.name) {
            return Err(Error::Forbidden(format!(
                "container {} is not connected to network {}",
                container.id, network.name
            )));
        }
        if record.state.is_alive() {
            let (engine, id, name) = (self.clone(), container.id.clone(), network.id.to_string());
            blocking(move || {
                let endpoint = engine.inner.network.owner()?.disconnect(&id, &name)?;
                engine.network_event(&endpoint, "disconnect");
                Ok::<_, Error>(())
            })
            .await?;
        }
        self.change(&container, |record| {
            record.spec.endpoints.remove(&network.name);
            // The first network is one it is still on; without any it has only its loopback.
            if record.spec.network_mode == NetworkMode::Named(network.name.clone())
                && let Some(next) = record.spec.endpoints.keys().next()
            {
                record.spec.network_mode = NetworkMode::Named(next.clone());
            }
        })
        .await
    }

    fn own_event(&self, network: &Network, action: &str) {
        let attributes = [
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.as_str().to_owned()),
        ];
        self.publish(Kind::Network, action, network.id.as_str(), attributes.into());
    }
}
