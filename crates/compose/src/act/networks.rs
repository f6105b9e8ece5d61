//! Networks and volumes.

use serde_json::json;

use super::Executor;
use crate::convert;
use crate::failed::Failed;
use crate::hash;
use crate::plan::Existing;

/// What an engine answers when a thing of this name is there.
const CONFLICT: Option<u16> = Some(409);

impl Executor<'_> {
    pub(super) async fn create_network(&self, key: &str) -> Result<(), Failed> {
        let network = &self.scene.project.networks[key];
        let body = convert::network_body(self.scene.project, key, &hash::network(network));
        match self.scene.client.network_create(&body).await {
            // Another `up` of this moment made it: it is there, and that is what was wanted.
            Err(err) if err.status() == CONFLICT => Ok(()),
            // A driver that is not there does not come by waiting.
            other => other.map(drop).map_err(|err| Failed::Final(Box::new(err.into()))),
        }
    }

    pub(super) async fn remove_network(&self, name: &str, best_effort: bool) -> Result<(), Failed> {
        match self.scene.client.network_remove(name).await {
            // In use: some engines say 403, some 409.
            Err(err) if best_effort && matches!(err.status(), Some(403 | 409)) => {
                self.scene.progress.warn(&format!(
                    "network {name} is still in use and was left in place; remove it manually once no container is attached"
                ));
                Ok(())
            }
            other => Ok(other?),
        }
    }

    pub(super) async fn disconnect(&self, container: &Existing, network: &str) -> Result<(), Failed> {
        let body = json!({"Container": container.id, "Force": true});
        Ok(self.scene.client.network_disconnect(network, &body).await?)
    }

    pub(super) async fn connect(&self, container: &Existing, network: &str, key: &str) -> Result<(), Failed> {
        let service = self.scene.project.service(&container.service);
        let place = service.and_then(|s| s.networks.get(key)).and_then(Option::as_ref);
        let mut aliases = vec![container.name.clone(), container.service.clone()];
        aliases.extend(place.map(|p| p.aliases.clone()).unwrap_or_default());
        let mut endpoint = json!({"Aliases": aliases});
        if let Some(place) = place.filter(|p| !p.ipv4_address.is_empty() || !p.ipv6_address.is_empty()) {
            endpoint["IPAMConfig"] =
                json!({"IPv4Address": place.ipv4_address, "IPv6Address": place.ipv6_address});
        }
        let body = json!({"Container": container.id, "EndpointConfig": endpoint});
        Ok(self.scene.client.network_connect(network, &body).await?)
    }

    pub(super) async fn create_volume(&self, key: &str) -> Result<(), Failed> {
        let volume = &self.scene.project.volumes[key];
        let body = convert::volume_body(self.scene.project, key, &hash::volume(volume));
        let made = self.scene.client.volume_create(&body).await;
        made.map(drop).map_err(|err| Failed::Final(Box::new(err.into())))
    }
}
