use crate::project::{Config, Ipam, IpamPool, Model, Network, Secret, Source, Volume};
use crate::tree::Node;

use super::fields::Fields;

pub(super) fn network(fields: Fields<'_>) -> Network {
    Network {
        name: fields.text("name"),
        driver: fields.text("driver"),
        driver_opts: fields.pairs("driver_opts"),
        ipam: fields.under("ipam", ipam).unwrap_or_default(),
        external: fields.switch("external"),
        internal: fields.switch("internal"),
        attachable: fields.switch("attachable"),
        labels: fields.pairs("labels"),
        enable_ipv4: fields.maybe_switch("enable_ipv4"),
        enable_ipv6: fields.maybe_switch("enable_ipv6"),
        extensions: fields.extensions(),
    }
}

fn ipam(fields: Fields<'_>) -> Ipam {
    Ipam {
        driver: fields.text("driver"),
        config: fields.each("config", |fields| IpamPool {
            subnet: fields.text("subnet"),
            gateway: fields.text("gateway"),
            ip_range: fields.text("ip_range"),
            aux_addresses: fields.pairs("aux_addresses"),
            extensions: fields.extensions(),
        }),
        options: fields.pairs("options"),
        extensions: fields.extensions(),
    }
}

pub(super) fn volume(fields: Fields<'_>) -> Volume {
    Volume {
        name: fields.text("name"),
        driver: fields.text("driver"),
        driver_opts: fields.pairs("driver_opts"),
        external: fields.switch("external"),
        labels: fields.pairs("labels"),
        extensions: fields.extensions(),
    }
}

pub(super) fn secret(fields: Fields<'_>) -> Secret {
    let value = fields.get(crate::normalize::VALUE).map(Node::printed);
    Secret {
        name: fields.text("name"),
        source: source(fields, value),
        labels: fields.pairs("labels"),
        driver: fields.text("driver"),
        driver_opts: fields.pairs("driver_opts"),
        template_driver: fields.text("template_driver"),
        extensions: fields.extensions(),
    }
}

pub(super) fn config(fields: Fields<'_>) -> Config {
    let value = fields.get("content").map(Node::printed);
    Config {
        name: fields.text("name"),
        source: source(fields, value),
        labels: fields.pairs("labels"),
        template_driver: fields.text("template_driver"),
        extensions: fields.extensions(),
    }
}

fn source(fields: Fields<'_>, value: Option<String>) -> Source {
    if fields.switch("external") {
        return Source::External;
    }
    match (fields.text("file"), fields.text("environment")) {
        (file, _) if !file.is_empty() => Source::File(file),
        (_, name) if !name.is_empty() => Source::Environment { name, value },
        _ => match fields.get("content") {
            Some(content) => Source::Content(content.printed()),
            None => Source::Unsaid,
        },
    }
}

pub(super) fn model(fields: Fields<'_>) -> Model {
    Model {
        name: fields.text("name"),
        model: fields.text("model"),
        context_size: fields.integer("context_size"),
        runtime_flags: fields.texts("runtime_flags"),
        extensions: fields.extensions(),
    }
}
