//! `extends`: a service that begins as another one, of this file or another.

use crate::confined;
use crate::load::{Loader, Problems, Scope};
use crate::merge;
use crate::path;
use crate::relative::Ground;
use crate::tree::{FileError, Map, Node};

/// Most steps from a service to what it begins as; files that name each other over links have no end.
const STEP_LIMIT: usize = 50;

/// A service and the file it was asked for in.
type Link = (String, String);

impl Loader<'_> {
    /// Puts what each service extends into it.
    pub(crate) fn extend(&mut self, document: &mut Node, file: &str, scope: &Scope) -> Result<(), Problems> {
        let Some(services) = document.as_map_mut().and_then(|map| map.get_mut("services")) else {
            return Ok(());
        };
        let Some(all) = services.as_map_mut() else { return Ok(()) };
        let before = all.clone();
        for entry in all.iter_mut() {
            let reference = Reference { services: &before, file, trail: &[] };
            entry.value = self.extended(&entry.key, &entry.value, &reference, scope)?;
        }
        Ok(())
    }

    fn extended(
        &mut self,
        name: &str,
        service: &Node,
        from: &Reference<'_>,
        scope: &Scope,
    ) -> Result<Node, Problems> {
        let mut service = service.clone();
        let Some(extends) = service.as_map_mut().and_then(|map| map.remove("extends")) else {
            return Ok(service);
        };
        let (wanted, other) = parts(&extends, name)?;
        let file = other.as_deref().unwrap_or(from.file).to_owned();
        let trail = [from.trail, &[(name.to_owned(), file.clone())]].concat();
        if from.trail.contains(&(name.to_owned(), file.clone())) {
            return Err(circle(&trail, &extends).into());
        }
        if trail.len() > STEP_LIMIT {
            return Err(
                FileError::new(&extends.at, format!("services.{name}: too many steps of extends")).into()
            );
        }
        let theirs = match &other {
            Some(path) => Some(self.services_of(path, name, &wanted, &extends, scope)?),
            None => None,
        };
        let services = theirs.as_ref().unwrap_or(from.services);
        let Some(base) = services.get(&wanted) else {
            let message = match &other {
                Some(path) => {
                    format!(
                        "cannot extend service {name:?} in {}: service {wanted:?} not found in {path}",
                        from.file
                    )
                }
                None => format!("cannot extend service {name:?} in {file}: service {wanted:?} not found"),
            };
            return Err(FileError::new(&extends.at, message).into());
        };
        let base =
            self.extended(&wanted, base, &Reference { services, file: &file, trail: &trail }, scope)?;
        if base.is_null() {
            return Ok(service);
        }
        Ok(merge::merge(base, service, &["services", name])?)
    }

    /// The services of another file, its paths made to stand on the project's folder.
    fn services_of(
        &mut self,
        path: &str,
        name: &str,
        wanted: &str,
        extends: &Node,
        scope: &Scope,
    ) -> Result<Map, Problems> {
        let wrong = |error: String| FileError::new(&extends.at, error);
        let (local, root) = self.located(path, scope).map_err(wrong)?;
        let text = self.text_of(&local).map_err(wrong)?;
        let folder = path::relative(&scope.folder, &path::folder(&local));
        let mut whole = Node::of_map([], &extends.at);
        for mut document in self.documents(&local, &text, scope)? {
            let services = document.as_map_mut().and_then(|map| map.get_mut("services"));
            if let Some(service) = services.and_then(|node| node.as_map_mut()?.get_mut(wanted)) {
                self.check_service(service, wanted)?;
            }
            whole = self.joined(whole, document)?;
        }
        if let Some(root) = root {
            let problems = confined::problems(&whole, &path::folder(&local), &root);
            if !problems.is_empty() {
                return Err(problems.into());
            }
        }
        let home = self.home().map(str::to_owned);
        Ground { folder: &folder, home: home.as_deref() }.resolve(&mut whole, &[]);
        match whole.as_map().and_then(|map| map.get("services")).and_then(Node::as_map) {
            Some(services) => Ok(services.clone()),
            None => {
                let message = format!("cannot extend service {name:?} in {local}: no services section");
                Err(FileError::new(&extends.at, message).into())
            }
        }
    }
}

/// Where a service was found, and on what way.
struct Reference<'a> {
    services: &'a Map,
    file: &'a str,
    trail: &'a [Link],
}

/// The service and the file that are extended.
fn parts(extends: &Node, name: &str) -> Result<(String, Option<String>), FileError> {
    let Some(map) = extends.as_map() else { return Ok((extends.printed(), None)) };
    let service = map
        .get("service")
        .ok_or_else(|| FileError::new(&extends.at, format!("services.{name}.extends.service is required")))?;
    Ok((service.printed(), map.get("file").filter(|file| !file.is_null()).map(Node::printed)))
}

fn circle(trail: &[Link], extends: &Node) -> FileError {
    let mut message = "Circular reference:".to_owned();
    for (index, (service, file)) in trail.iter().enumerate() {
        let word = if index == 0 { "" } else { "extends " };
        message.push_str(&format!("\n  {word}{service} in {file}"));
    }
    FileError::new(&extends.at, message)
}
