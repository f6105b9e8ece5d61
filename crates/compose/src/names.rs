//! What containers are called.

use gantry_compose_file::project::Service;

/// Between the parts of a name: `-`, or `_` as Compose 1 and fig had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// `project-service-1`
    Hyphen,
    /// `project_service_1`
    Underscore,
}

impl Separator {
    /// The character.
    pub fn as_str(self) -> &'static str {
        match self {
            Separator::Hyphen => "-",
            Separator::Underscore => "_",
        }
    }
}

/// The name of a service's container: its own, or `project-service-number`.
pub fn container(project: &str, service: &Service, number: u32, separator: Separator) -> String {
    if service.container_name.is_empty() {
        usual(project, &service.name, number, separator)
    } else {
        service.container_name.clone()
    }
}

/// `project-service-number`.
pub fn usual(project: &str, service: &str, number: u32, separator: Separator) -> String {
    let s = separator.as_str();
    format!("{project}{s}{service}{s}{number}")
}

/// The image of a service: the one it names, or the one that is built for it.
pub fn image(project: &str, service: &Service, separator: Separator) -> String {
    if service.image.is_empty() {
        format!("{project}{}{}", separator.as_str(), service.name)
    } else {
        service.image.clone()
    }
}

/// The name a container has while the one that it replaces still has the right one.
pub(crate) fn interim(replaced_id: &str, name: &str) -> String {
    format!("{}_{name}", &replaced_id[..replaced_id.len().min(12)])
}

/// The name without what [`interim`] put before it.
pub(crate) fn without_interim(name: &str) -> &str {
    match name.split_once('_') {
        Some((id, rest)) if id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()) => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_eras() {
        let service = Service { name: "web".into(), ..Service::default() };
        assert_eq!(container("p", &service, 2, Separator::Hyphen), "p-web-2");
        assert_eq!(container("p", &service, 2, Separator::Underscore), "p_web_2");
        assert_eq!(image("p", &service, Separator::Hyphen), "p-web");
        let named = Service { container_name: "own".into(), ..service };
        assert_eq!(container("p", &named, 1, Separator::Hyphen), "own");
        assert_eq!(without_interim(&interim("0123456789abcdef", "p-web-1")), "p-web-1");
        assert_eq!(without_interim("p_web_1"), "p_web_1");
    }
}
