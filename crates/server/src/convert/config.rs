//! A spec's image-like part as inspect prints it.

use gantry_api::Empty;
use gantry_api::container::{Config, Healthcheck};
use gantry_engine::spec::{ContainerSpec, PortSpec};

/// `Config`. Docker prints `null` for a command, environment or entrypoint that was never given.
pub(crate) fn config(spec: &ContainerSpec) -> Config {
    let volumes = spec.volumes.iter().map(|place| (place.clone(), Empty {}));
    let on_build = Some(spec.on_build.clone()).filter(|triggers| !triggers.is_empty());
    Config {
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        user: spec.user.clone(),
        attach_stdin: spec.attach_stdin,
        attach_stdout: spec.attach_stdout,
        attach_stderr: spec.attach_stderr,
        exposed_ports: spec.exposed_ports.iter().map(|port| (port_word(spec, port), Empty {})).collect(),
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        env: Some(spec.env.clone()),
        cmd: spec.command.clone(),
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        args_escaped: false,
        image: spec.image.clone(),
        volumes: Some(volumes.collect()).filter(|_| !spec.volumes.is_empty()),
        working_dir: spec.working_dir.clone(),
        entrypoint: spec.entrypoint.clone(),
        network_disabled: spec.network_disabled,
        mac_address: spec.mac_address.clone(),
        on_build,
        labels: Some(spec.labels.clone()),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_timeout,
        shell: spec.shell.clone(),
    }
}

/// A port as it was written.
pub(crate) fn port_word(spec: &ContainerSpec, port: &PortSpec) -> String {
    spec.port_words.get(port).cloned().unwrap_or_else(|| port.to_string())
}

fn healthcheck(check: &gantry_engine::spec::Healthcheck) -> Healthcheck {
    Healthcheck {
        test: check.test.clone(),
        interval: check.interval_ns,
        timeout: check.timeout_ns,
        start_period: check.start_period_ns,
        start_interval: check.start_interval_ns,
        retries: check.retries,
    }
}
