#![no_main]
//! No text makes the loading of compose files panic: a file is read, joined with itself, checked, and printed; what is
//! printed is read again.

use gantry_compose_file::load::{Files, Request, load};
use gantry_compose_file::render::{self, Form};
use libfuzzer_sys::fuzz_target;

struct One(String);

impl Files for One {
    fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        match path {
            "/p/compose.yaml" => Ok(self.0.clone().into_bytes()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    fn is_folder(&self, path: &str) -> bool {
        path == "/p"
    }

    fn is_file(&self, path: &str) -> bool {
        path == "/p/compose.yaml"
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let request = Request {
        current_folder: "/p".to_owned(),
        files: vec!["compose.yaml".to_owned(), "compose.yaml".to_owned()],
        ..Request::default()
    };
    if let Ok(project) = load(&request, &One(text.to_owned())) {
        let _ = load(&request, &One(render::project(&project, Form::Yaml)));
    }
});
