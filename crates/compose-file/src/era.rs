//! Every era of file in today's form: fig and version 1 have services at the top, later ones under `services:`.

use crate::tree::{FileError, Map, Node, Position, Value};

/// Keys that only a file with `services:` has at its top.
const TODAY: [&str; 9] =
    ["version", "services", "networks", "volumes", "secrets", "configs", "name", "include", "models"];

/// Attributes of version 1 and fig that have another name today.
const RENAMED: [(&str, &str); 3] =
    [("net", "network_mode"), ("log_driver", "logging"), ("log_opt", "logging")];

/// Gives the file in today's form. A file is of the first era when something at its top is a service by its looks (it
/// builds, extends or has an image) and none of today's keys is anything else.
pub fn today(mut file: Node) -> Result<Node, FileError> {
    let at = file.at.clone();
    let map = match &mut file.value {
        Value::Null => return Ok(Node { value: Value::Map(Map::default()), ..file }),
        Value::Map(map) => map,
        _ => {
            return Err(FileError::new(&at, "Top-level object must be a mapping"));
        }
    };
    let plain = |entry: &crate::tree::Entry| TODAY.contains(&entry.key.as_str()) && !is_service(&entry.value);
    if map.iter().any(|entry| plain(entry) || entry.key.starts_with("x-"))
        || !map.iter().any(|entry| is_service(&entry.value))
    {
        return Ok(file);
    }
    let mut services = Map::default();
    for entry in map.iter() {
        let mut service = entry.value.clone();
        if let Value::Map(attributes) = &mut service.value {
            renamed(attributes)?;
        }
        services.set(&entry.key, &entry.at, service);
    }
    let mut whole = Map::default();
    whole.set(
        "services",
        &at,
        Node { value: Value::Map(services), at: at.clone(), join: Default::default() },
    );
    // The first era's services share the engine's default network, not one of the project's own.
    whole.set("x-gantry-era", &at, text("1", &at));
    Ok(Node { value: Value::Map(whole), at, join: Default::default() })
}

fn is_service(node: &Node) -> bool {
    matches!(&node.value, Value::Map(map) if ["image", "build", "extends"].iter().any(|key| map.get(key).is_some()))
}

fn text(text: &str, at: &Position) -> Node {
    Node { value: Value::Scalar { text: text.into(), plain: true }, at: at.clone(), join: Default::default() }
}

fn renamed(service: &mut Map) -> Result<(), FileError> {
    if let Some(net) = service.remove(RENAMED[0].0) {
        // `container:web` named a service of the file where there is one; the project decides that.
        service.set(RENAMED[0].1, &net.at.clone(), net);
    }
    if let Some(dockerfile) = service.remove("dockerfile") {
        let at = dockerfile.at.clone();
        let mut build = Map::default();
        if let Some(context) = service.remove("build") {
            build.set("context", &at, context);
        }
        build.set("dockerfile", &at, dockerfile);
        service.set(
            "build",
            &at,
            Node { value: Value::Map(build), at: at.clone(), join: Default::default() },
        );
    }
    let (driver, options) = (service.remove(RENAMED[1].0), service.remove(RENAMED[2].0));
    if let Some(at) = driver.as_ref().or(options.as_ref()).map(|node| node.at.clone()) {
        let mut logging = Map::default();
        if let Some(driver) = driver {
            logging.set("driver", &at, driver);
        }
        if let Some(options) = options {
            logging.set("options", &at, options);
        }
        service.set(
            "logging",
            &at,
            Node { value: Value::Map(logging), at: at.clone(), join: Default::default() },
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::read;

    fn whole(file: &str) -> Node {
        today(read("fig.yml", file).unwrap().remove(0)).unwrap()
    }

    fn service(node: &Node, name: &str) -> Map {
        let services = node.map("x").unwrap().get("services").unwrap().map("x").unwrap();
        services.get(name).unwrap().map("x").unwrap().clone()
    }

    #[test]
    fn a_fig_file_becomes_services() {
        let node = whole(
            "web:\n  build: .\n  dockerfile: D\n  links: [redis]\n  net: host\n  log_driver: none\nredis:\n  image: redis\n",
        );
        let web = service(&node, "web");
        let build = web.get("build").unwrap().map("x").unwrap();
        assert_eq!(build.get("dockerfile").unwrap().text("x").unwrap(), "D");
        assert_eq!(web.get("network_mode").unwrap().text("x").unwrap(), "host");
        assert!(web.get("logging").is_some() && web.get("net").is_none());
        assert!(service(&node, "redis").get("image").is_some());
        crate::schema::check(&node).unwrap();
    }

    #[test]
    fn a_service_may_be_called_volumes_in_the_first_era_only() {
        let first = whole("volumes:\n  image: busybox\n");
        assert!(service(&first, "volumes").get("image").is_some());
        let later = whole("services:\n  web: { image: x }\nvolumes:\n");
        assert!(service(&later, "web").get("image").is_some());
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        let list = read("fig.yml", "- a\n").unwrap().remove(0);
        assert_eq!(today(list).unwrap_err().to_string(), "fig.yml:1:1: Top-level object must be a mapping");
    }
}
