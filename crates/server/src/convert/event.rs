//! Events on the wire: today's shape, with what clients before 1.22 read beside it.

use gantry_api::events::{EventActor, EventMessage};
use gantry_events::{Event, Kind};

/// One event.
pub(crate) fn message(event: Event) -> EventMessage {
    let old = matches!(event.kind, Kind::Container | Kind::Image);
    let from = match event.kind {
        Kind::Container => event.attribute("image").unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    EventMessage {
        status: if old { event.action.clone() } else { String::new() },
        id: if old { event.actor.id.clone() } else { String::new() },
        from,
        r#type: event.kind.as_str().into(),
        scope: "local".into(),
        time: event.time_ns / 1_000_000_000,
        time_nano: event.time_ns,
        action: event.action,
        actor: EventActor { id: event.actor.id, attributes: Some(event.actor.attributes) },
    }
}
