//! The environment of `--link` (the book's `DB_PORT_5432_TCP_ADDR=...`).

use std::net::IpAddr;

use crate::spec::Port;

/// Variables of the other container that mean something to itself only.
const PRIVATE: [&str; 3] = ["HOME", "HOSTNAME", "PATH"];

/// The variables that a link gives the container `own_name`, in Docker's order.
///
/// `alias` is the other's name here, `address` its address, `exposed` the ports it exposes and `environment` its own
/// variables (`KEY=value`).
pub fn environment(
    own_name: &str,
    alias: &str,
    address: IpAddr,
    exposed: &[Port],
    environment: &[String],
) -> Vec<String> {
    let prefix: String =
        alias.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let mut ports = exposed.to_vec();
    ports.sort_by_key(|port| (port.protocol, port.number));
    ports.dedup();
    let mut out = vec![format!("{prefix}_NAME=/{own_name}/{alias}")];
    let url = |port: &Port| format!("{}://{}:{}", port.protocol, bracketed(address), port.number);
    let upper = |port: &Port| port.protocol.as_str().to_ascii_uppercase();
    if let Some(first) = ports.first() {
        out.push(format!("{prefix}_PORT={}", url(first)));
    }
    // Docker gives runs of consecutive ports a start and an end instead of one variable set a port.
    for run in runs(&ports) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let base = format!("{prefix}_PORT_{}_{}", first.number, upper(&first));
        if run.len() > 1 {
            out.push(format!("{base}_START={}", url(&first)));
            out.push(format!("{base}_ADDR={address}"));
            out.push(format!("{base}_PROTO={}", first.protocol));
            out.push(format!("{base}_PORT_START={}", first.number));
            out.push(format!("{base}_END={}", url(&last)));
            out.push(format!("{base}_PORT_END={}", last.number));
        }
        for port in run {
            let base = format!("{prefix}_PORT_{}_{}", port.number, upper(port));
            out.push(format!("{base}={}", url(port)));
            out.push(format!("{base}_ADDR={address}"));
            out.push(format!("{base}_PORT={}", port.number));
            out.push(format!("{base}_PROTO={}", port.protocol));
        }
    }
    for variable in environment {
        if let Some((key, value)) = variable.split_once('=')
            && !PRIVATE.contains(&key)
        {
            out.push(format!("{prefix}_ENV_{key}={value}"));
        }
    }
    out
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

fn runs(ports: &[Port]) -> impl Iterator<Item = &[Port]> {
    ports.chunk_by(|a, b| a.protocol == b.protocol && a.number + 1 == b.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Protocol;

    #[test]
    fn the_books_database_link() {
        let port = Port { number: 5432, protocol: Protocol::Tcp };
        let own = ["PATH=/bin".to_owned(), "PGDATA=/var/lib".to_owned()];
        let env = environment("web2", "db", "172.17.0.5".parse().unwrap(), &[port], &own);
        assert_eq!(
            env,
            [
                "DB_NAME=/web2/db",
                "DB_PORT=tcp://172.17.0.5:5432",
                "DB_PORT_5432_TCP=tcp://172.17.0.5:5432",
                "DB_PORT_5432_TCP_ADDR=172.17.0.5",
                "DB_PORT_5432_TCP_PORT=5432",
                "DB_PORT_5432_TCP_PROTO=tcp",
                "DB_ENV_PGDATA=/var/lib",
            ]
        );
    }

    #[test]
    fn a_run_of_ports_has_a_start_and_an_end() {
        let port = |number| Port { number, protocol: Protocol::Tcp };
        let env =
            environment("web", "my-db", "10.0.0.2".parse().unwrap(), &[port(81), port(80), port(443)], &[]);
        assert!(env.contains(&"MY_DB_PORT_80_TCP_PORT_START=80".to_owned()));
        assert!(env.contains(&"MY_DB_PORT_80_TCP_PORT_END=81".to_owned()));
        assert!(env.contains(&"MY_DB_PORT_443_TCP_PORT=443".to_owned()));
        assert!(!env.iter().any(|v| v.starts_with("MY_DB_PORT_443_TCP_START")));
    }
}
