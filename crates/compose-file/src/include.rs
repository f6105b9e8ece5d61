//! `include`: whole projects of other files, each with its own folder and environment.

use crate::find;
use crate::load::{Loader, Problem, Problems, Scope};
use crate::path;
use crate::tree::{FileError, Map, Node, Value};

/// Most files on the way to an included one; files that name each other over links have no end.
const STEP_LIMIT: usize = 50;

/// What an included project gives to the one that includes it.
const GIVEN: [&str; 6] = ["services", "volumes", "networks", "secrets", "configs", "models"];

impl Loader<'_> {
    /// Puts in what a document includes. `trail` holds the files on the way to it.
    pub(crate) fn include(
        &mut self,
        document: &mut Node,
        trail: &[String],
        scope: &Scope,
    ) -> Result<(), Problems> {
        let Some(map) = document.as_map_mut() else { return Ok(()) };
        let Some(includes) = map.remove("include") else { return Ok(()) };
        let Value::List(list) = &includes.value else { return Ok(()) };
        for entry in list {
            let mut imported = self.included(entry, trail, scope)?;
            for kind in GIVEN {
                if let Some(from) = imported.as_map_mut().and_then(|map| map.remove(kind)) {
                    import(map, kind, from, entry)?;
                }
            }
        }
        Ok(())
    }

    fn included(&mut self, entry: &Node, trail: &[String], scope: &Scope) -> Result<Node, Problems> {
        let texts = |key: &str| -> Vec<String> {
            let node = entry.as_map().and_then(|map| map.get(key));
            node.map(crate::merge::sequence).unwrap_or_default().iter().map(Node::printed).collect()
        };
        let wrong = |message: String| Problems::from(FileError::new(&entry.at, message));
        let named = if entry.as_text().is_some() { vec![entry.printed()] } else { texts("path") };
        let here = |file: &String| self.located(file, scope).map_err(wrong);
        let located: Vec<_> = named.iter().map(here).collect::<Result<_, _>>()?;
        let Some((first, root)) = located.first() else {
            return Err(wrong("include.path is required".to_owned()));
        };
        if trail.contains(first) {
            let way = [&trail[1..], std::slice::from_ref(first)].concat().join("\n include ");
            return Err(wrong(format!("include cycle detected:\n{}\n include {way}", trail[0])));
        }
        if trail.len() > STEP_LIMIT {
            return Err(wrong("too many steps of include".to_owned()));
        }
        let (folder, root) = match texts("project_directory").first() {
            Some(folder) => (path::join(&scope.folder, folder), scope.root.clone()),
            None => (path::folder(first), root.clone()),
        };
        let usual = path::join(&folder, ".env");
        let env_files = match texts("env_file") {
            named if !named.is_empty() => {
                named.iter().map(|file| Ok(here(file)?.0)).collect::<Result<_, Problems>>()?
            }
            _ if self.files.is_file(&usual) => vec![usual],
            _ => Vec::new(),
        };
        let mut environment = scope.environment.clone();
        let values = find::read_env_files(&env_files, &environment, self.files)
            .map_err(|problems| wrong(problems.to_string()))?;
        for (name, value) in values {
            environment.entry(name).or_insert(value);
        }
        let shown = path::relative(&scope.folder, &folder);
        let inner = Scope { ground: shown, folder, environment, resolve: true, root };
        let mut texts = Vec::with_capacity(located.len());
        for (file, _) in located {
            let text = self.text_of(&file).map_err(wrong)?;
            texts.push((file, text));
        }
        self.model(&texts, trail, &inner)
    }
}

fn import(map: &mut Map, kind: &str, from: Node, entry: &Node) -> Result<(), Problems> {
    if map.get(kind).is_none_or(Node::is_null) {
        map.set(kind, &entry.at, Node::of_map([], &entry.at));
    }
    let Some(to) = map.get_mut(kind).and_then(Node::as_map_mut) else { return Ok(()) };
    let Value::Map(from) = from.value else { return Ok(()) };
    for item in from.into_entries() {
        match to.get(&item.key) {
            Some(mine) if mine.data() == item.value.data() => {}
            Some(mine) => {
                let message = format!("{kind}.{} conflicts with imported resource", item.key);
                return Err(Problems(vec![Problem::At(FileError::new(&mine.at, message))]));
            }
            None => to.set(&item.key, &item.at, item.value),
        }
    }
    Ok(())
}
