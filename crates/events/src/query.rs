//! Which events a subscriber wants. Pure.

use crate::{Event, Kind};

/// A time window and filters.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Replay from here (inclusive); without it only new events come.
    pub since_ns: Option<i64>,
    /// End here; without it the stream goes on.
    pub until_ns: Option<i64>,
    /// Further conditions.
    pub filters: Filters,
}

/// Docker's event filters: every named key must match, with any one of its values.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    pairs: Vec<(Key, Vec<String>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Event,
    Type,
    Label,
    Scope,
    Image,
    Daemon,
    Named(Kind),
}

impl Filters {
    /// The keys Docker knows.
    fn key(word: &str) -> Option<Key> {
        Some(match word {
            "event" => Key::Event,
            "type" => Key::Type,
            "label" => Key::Label,
            "scope" => Key::Scope,
            "image" => Key::Image,
            "daemon" => Key::Daemon,
            "container" => Key::Named(Kind::Container),
            "volume" => Key::Named(Kind::Volume),
            "network" => Key::Named(Kind::Network),
            "plugin" => Key::Named(Kind::Plugin),
            "service" => Key::Named(Kind::Service),
            "node" => Key::Named(Kind::Node),
            "secret" => Key::Named(Kind::Secret),
            "config" => Key::Named(Kind::Config),
            _ => return None,
        })
    }

    /// Adds a condition; says whether the key is one Docker knows.
    #[must_use]
    pub fn add(&mut self, key: &str, value: &str) -> bool {
        let Some(key) = Filters::key(key) else { return false };
        match self.pairs.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value.to_owned()),
            None => self.pairs.push((key, vec![value.to_owned()])),
        }
        true
    }

    /// Whether the event is wanted.
    pub fn matches(&self, event: &Event) -> bool {
        self.pairs.iter().all(|(key, values)| values.iter().any(|value| matches(*key, value, event)))
    }
}

impl Query {
    pub(crate) fn wants(&self, event: &Event) -> bool {
        self.since_ns.is_none_or(|since| event.time_ns >= since)
            && self.until_ns.is_none_or(|until| event.time_ns <= until)
            && self.filters.matches(event)
    }
}

fn matches(key: Key, value: &str, event: &Event) -> bool {
    match key {
        // `health_status` and `exec_create` stand for all of their details, the full text for itself.
        Key::Event => event.action == value || event.verb() == value,
        Key::Type => event.kind.as_str() == value,
        Key::Scope => value == "local",
        Key::Label => match value.split_once('=') {
            Some((name, wanted)) => event.attribute(name) == Some(wanted),
            None => event.attribute(value).is_some(),
        },
        Key::Daemon => event.kind == Kind::Daemon && names(event, value),
        Key::Named(kind) => event.kind == kind && names(event, value),
        Key::Image => match event.kind {
            Kind::Image => {
                image_is(&event.actor.id, value)
                    || event.attribute("name").is_some_and(|n| image_is(n, value))
            }
            _ => event.attribute("image").is_some_and(|image| image_is(image, value)),
        },
    }
}

fn names(event: &Event, value: &str) -> bool {
    event.actor.id.starts_with(value) || event.attribute("name").is_some_and(|name| name.starts_with(value))
}

fn image_is(image: &str, value: &str) -> bool {
    image == value || without_tag(image) == value
}

/// The name without its tag; a port in a registry's address is no tag.
fn without_tag(image: &str) -> &str {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Actor;

    fn event(kind: Kind, action: &str, id: &str, attributes: &[(&str, &str)]) -> Event {
        let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Event { time_ns: 5, kind, action: action.to_owned(), actor: Actor { id: id.to_owned(), attributes } }
    }

    fn wanted(filters: &[(&str, &str)], event: &Event) -> bool {
        let mut all = Filters::default();
        for (key, value) in filters {
            assert!(all.add(key, value), "{key}");
        }
        all.matches(event)
    }

    #[test]
    fn keys_are_all_needed_and_values_of_a_key_are_alternatives() {
        let die = event(
            Kind::Container,
            "die",
            "abcdef",
            &[("name", "web"), ("image", "nginx:1"), ("tier", "front")],
        );
        assert!(wanted(&[], &die));
        assert!(wanted(&[("event", "start"), ("event", "die")], &die));
        assert!(!wanted(&[("event", "die"), ("type", "image")], &die));
        assert!(wanted(&[("container", "abc")], &die));
        assert!(wanted(&[("container", "web")], &die));
        assert!(!wanted(&[("container", "db")], &die));
        assert!(wanted(&[("image", "nginx")], &die));
        assert!(wanted(&[("image", "nginx:1")], &die));
        assert!(!wanted(&[("image", "ngin")], &die));
        assert!(wanted(&[("label", "tier")], &die));
        assert!(wanted(&[("label", "tier=front")], &die));
        assert!(!wanted(&[("label", "tier=back")], &die));
        assert!(wanted(&[("scope", "local")], &die));
    }

    #[test]
    fn details_after_a_colon_are_found_by_their_verb() {
        let health = event(Kind::Container, "health_status: healthy", "a", &[]);
        assert!(wanted(&[("event", "health_status")], &health));
        assert!(wanted(&[("event", "health_status: healthy")], &health));
        assert!(!wanted(&[("event", "health_status: unhealthy")], &health));
    }

    #[test]
    fn a_registry_port_is_no_tag() {
        let pull = event(Kind::Image, "pull", "host:5000/app", &[("name", "host:5000/app")]);
        assert!(wanted(&[("image", "host:5000/app")], &pull));
        assert!(!wanted(&[("image", "host")], &pull));
    }

    #[test]
    fn an_unknown_key_is_told() {
        assert!(!Filters::default().add("colour", "red"));
    }
}
