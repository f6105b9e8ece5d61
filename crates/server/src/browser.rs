//! Pages in a browser on this machine: they reach a TCP door like any program, without the person's knowing. A page may send
//! what has no body unasked (`POST /build?remote=...` is enough to be root), and its browser says that it does.
//!
//! A unix socket is out of a browser's reach, and no client of Docker's sends these headers but two kinds: libraries that attach
//! by WebSocket name the engine's own address or localhost as their origin, and a web console's server that hands its users'
//! requests on says whom it speaks for. A page cannot say that: its browser would first ask us whether it may.
//!
//! Sources: RFC 6454, section 7; W3C "Fetch Metadata Request Headers".

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::failure::Failure;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What says that a server hands a request on.
const HANDED_ON: [HeaderName; 3] =
    [HeaderName::from_static("x-forwarded-for"), header::FORWARDED, HeaderName::from_static("x-real-ip")];

/// Why a request is not answered: a page sends it.
pub(crate) fn refusal(headers: &HeaderMap) -> Option<Failure> {
    is_of_a_page(headers).then(|| Failure {
        status: StatusCode::FORBIDDEN,
        ..Failure::invalid("a web page may not speak to the engine: the request has a browser's Origin")
    })
}

fn is_of_a_page(headers: &HeaderMap) -> bool {
    if HANDED_ON.iter().any(|name| headers.contains_key(name)) {
        return false;
    }
    let text = |value: Option<&HeaderValue>| {
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
    };
    let Some(origin) = text(headers.get(header::ORIGIN)) else {
        return text(headers.get(SITE)).is_some_and(|site| site == "cross-site");
    };
    let Some((_, authority)) =
        origin.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
    else {
        // An extension or a program made of web parts has a scheme of its own; `null` is a page that hides its name.
        return !origin.contains("://");
    };
    let attaches = text(headers.get(header::UPGRADE)).is_some_and(|to| to == "websocket");
    let own = text(headers.get(header::HOST)).is_some_and(|host| host == authority);
    let local = authority.split(':').next() == Some("localhost");
    !(attaches && (own || local))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_a_page(lines: &[(&'static str, &'static str)]) -> bool {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        is_of_a_page(&lines.iter().map(pair).collect())
    }

    #[test]
    fn a_page_is_known_by_what_its_browser_adds() {
        for page in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "HTTP://EVIL.example:80"), ("host", "127.0.0.1:2375")],
            // Its name leads here by now.
            &[("origin", "http://evil.example:2375"), ("host", "evil.example:2375")],
            &[("origin", "http://localhost:8080"), ("host", "localhost:2375")],
            &[("origin", "https://evil.example"), ("upgrade", "websocket"), ("host", "127.0.0.1:2375")],
            &[("origin", "http://localhost.evil.example"), ("upgrade", "websocket")],
            // A picture or a link in a page: no origin.
            &[("sec-fetch-site", "cross-site"), ("host", "localhost:2375")],
        ] {
            assert!(of_a_page(page), "{page:?}");
        }
    }

    #[test]
    fn clients_are_no_pages() {
        for client in [
            &[][..],
            &[("host", "docker:2375"), ("user-agent", "Docker-Client/28.2")],
            // docker-py and Go's WebSocket library.
            &[("origin", "http://docker:2375"), ("host", "docker:2375"), ("upgrade", "websocket")],
            &[("origin", "http://localhost"), ("host", "127.0.0.1:2375"), ("upgrade", "WebSocket")],
            // A console's server for its user.
            &[("origin", "https://console.example"), ("x-forwarded-for", "10.0.0.7")],
            &[("origin", "chrome-extension://abc")],
            // What a person types into the address line.
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!of_a_page(client), "{client:?}");
        }
    }
}
