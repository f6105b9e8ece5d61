use crate::project::{Config, Ipam, IpamPool, Model, Network, Project, Secret, Source, Volume};

use super::group::Group;
use super::{Form, Shown};

/// Everything below a project but its services.
pub(super) fn all(group: &mut Group, project: &Project) {
    let form = group.form;
    group.map("networks", &project.networks, |resource| network(resource, form));
    group.map("volumes", &project.volumes, |resource| volume(resource, form));
    group.map("secrets", &project.secrets, |resource| secret(resource, form));
    group.map("configs", &project.configs, |resource| config(resource, form));
    if form == Form::Yaml {
        group.map("models", &project.models, |resource| model(resource, form));
    }
}

pub(super) fn network(network: &Network, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("name", &network.name);
    group.text("driver", &network.driver);
    group.pairs("driver_opts", &network.driver_opts);
    group.nested("ipam", ipam(&network.ipam, form));
    group.switch("external", network.external);
    group.switch("internal", network.internal);
    group.switch("attachable", network.attachable);
    group.pairs("labels", &network.labels);
    group.maybe_switch("enable_ipv4", network.enable_ipv4);
    group.maybe_switch("enable_ipv6", network.enable_ipv6);
    group.extensions(&network.extensions);
    group.done()
}

fn ipam(ipam: &Ipam, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("driver", &ipam.driver);
    group.each("config", &ipam.config, |pool| self::pool(pool, form));
    // Compose reads the options and forgets them; they would be lost on the next reading otherwise.
    if form == Form::Yaml {
        group.pairs("options", &ipam.options);
    }
    group.extensions(&ipam.extensions);
    group.done()
}

fn pool(pool: &IpamPool, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("subnet", &pool.subnet);
    group.text("gateway", &pool.gateway);
    group.text("ip_range", &pool.ip_range);
    group.pairs("aux_addresses", &pool.aux_addresses);
    group.extensions(&pool.extensions);
    group.done()
}

pub(super) fn volume(volume: &Volume, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("name", &volume.name);
    group.text("driver", &volume.driver);
    group.pairs("driver_opts", &volume.driver_opts);
    group.switch("external", volume.external);
    group.pairs("labels", &volume.labels);
    group.extensions(&volume.extensions);
    group.done()
}

fn source(group: &mut Group, source: &Source, content: bool) {
    match source {
        Source::File(file) => group.text("file", file),
        Source::Environment { name, .. } => group.text("environment", name),
        Source::Content(text) if content => group.text("content", text),
        Source::External => group.switch("external", true),
        Source::Unsaid | Source::Content(_) => {}
    }
}

fn secret(secret: &Secret, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("name", &secret.name);
    source(&mut group, &secret.source, false);
    group.pairs("labels", &secret.labels);
    group.text("driver", &secret.driver);
    group.pairs("driver_opts", &secret.driver_opts);
    group.text("template_driver", &secret.template_driver);
    group.extensions(&secret.extensions);
    group.done()
}

fn config(config: &Config, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("name", &config.name);
    source(&mut group, &config.source, true);
    group.pairs("labels", &config.labels);
    group.text("template_driver", &config.template_driver);
    group.extensions(&config.extensions);
    group.done()
}

fn model(model: &Model, form: Form) -> Shown {
    let mut group = Group::new(form);
    group.text("name", &model.name);
    group.text("model", &model.model);
    group.integer("context_size", model.context_size);
    group.texts("runtime_flags", &model.runtime_flags);
    group.extensions(&model.extensions);
    group.done()
}
