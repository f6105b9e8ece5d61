//! `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, in Go's reading of them.

use std::net::IpAddr;

use http::Uri;

/// Which proxy leads to which host.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Uri>,
    https: Option<Uri>,
    except: Vec<String>,
}

impl Proxies {
    /// No proxy at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Out of the environment; capital and small names both count.
    pub fn from_environment() -> Self {
        let look = |name: &str| {
            [name.to_owned(), name.to_lowercase()]
                .iter()
                .find_map(|name| std::env::var(name).ok())
                .unwrap_or_default()
        };
        Self::new(&look("HTTP_PROXY"), &look("HTTPS_PROXY"), &look("NO_PROXY"))
    }

    /// Out of texts; an empty one is none. `host:port` means `http://host:port`.
    pub fn new(http: &str, https: &str, except: &str) -> Self {
        let uri = |text: &str| {
            let text = text.trim();
            let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
            (!text.is_empty()).then(|| full.parse().ok()).flatten()
        };
        let except = except
            .split(',')
            .map(|host| host.trim().to_lowercase())
            .filter(|host| !host.is_empty())
            .collect();
        Self { http: uri(http), https: uri(https), except }
    }

    /// The proxy to a host.
    pub fn for_host(&self, https: bool, host: &str) -> Option<&Uri> {
        let proxy = if https { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_lowercase();
        let address = host.parse::<IpAddr>().ok();
        // This machine is never behind a proxy.
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return None;
        }
        let excepted = self.except.iter().any(|rule| excepts(rule, &host, address));
        (!excepted).then_some(proxy)
    }
}

fn excepts(rule: &str, host: &str, address: Option<IpAddr>) -> bool {
    if rule == "*" {
        return true;
    }
    let rule =
        rule.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(rule, |(host, _)| host);
    if let Some(address) = address {
        return rule == host || crate::resolve::in_network(rule, address);
    }
    let bare = rule.trim_start_matches("*.").trim_start_matches('.');
    let below = host.strip_suffix(bare).is_some_and(|front| front.ends_with('.'));
    below || (host == bare && !rule.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_names_domains_and_networks() {
        let proxies = Proxies::new("p:3128", "http://p:3129", "example.com,.corp,10.0.0.0/8,192.168.1.5");
        for (host, through) in [
            ("registry.example.org", true),
            ("example.com", false),
            ("a.example.com", false),
            ("notexample.com", true),
            ("x.corp", false),
            ("corp", true),
            ("10.1.2.3", false),
            ("11.1.2.3", true),
            ("192.168.1.5", false),
            ("localhost", false),
            ("127.0.0.1", false),
            ("[::1]", false),
        ] {
            assert_eq!(proxies.for_host(true, host).is_some(), through, "{host}");
        }
        assert_eq!(proxies.for_host(false, "x.org").unwrap().to_string(), "http://p:3128/");
        assert!(Proxies::new("", "", "").for_host(false, "x.org").is_none());
    }
}
