//! The machine's files, as the loader asks for them, and what it names on others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use gantry_compose_file::load::{Fetched, Files};

use super::far;
use crate::session::Session;

/// This machine's.
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        if path == "-" {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        std::fs::read(path)
    }

    fn is_folder(&self, path: &str) -> bool {
        Path::new(path).is_dir()
    }

    fn is_file(&self, path: &str) -> bool {
        Path::new(path).is_file()
    }
}

/// This machine's, and what is fetched to it; each address once.
pub struct Reach<'s> {
    s: &'s Session,
    fetched: RefCell<BTreeMap<String, Result<Fetched, String>>>,
}

impl<'s> Reach<'s> {
    /// With this person's settings.
    pub fn new(s: &'s Session) -> Reach<'s> {
        Reach { s, fetched: RefCell::default() }
    }

    /// A link in what was fetched may lead anywhere on this machine: what it leads to is not a part of it.
    fn is_let_out(&self, path: &str) -> bool {
        let fetched = self.fetched.borrow();
        let mut roots = fetched.values().flatten().map(|fetched| &fetched.root);
        let Some(root) = roots.find(|root| Path::new(path).starts_with(root)) else { return false };
        match (std::fs::canonicalize(path), std::fs::canonicalize(root)) {
            (Ok(path), Ok(root)) => !path.starts_with(root),
            _ => false,
        }
    }
}

impl Files for Reach<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        if self.is_let_out(path) {
            return Err(io::Error::other("a link leads out of what was fetched"));
        }
        Disk.read(path)
    }

    fn is_folder(&self, path: &str) -> bool {
        Disk.is_folder(path)
    }

    fn is_file(&self, path: &str) -> bool {
        Disk.is_file(path)
    }

    fn fetch(&self, address: &str) -> Option<Result<Fetched, String>> {
        if let Some(known) = self.fetched.borrow().get(address) {
            return Some(known.clone());
        }
        let fetched = far::fetch(self.s, address)?;
        self.fetched.borrow_mut().insert(address.to_owned(), fetched.clone());
        Some(fetched)
    }
}
