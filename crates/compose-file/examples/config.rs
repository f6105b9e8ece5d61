//! Prints a project as `docker compose config` does: for comparing the two by hand and in `tests/compose-files`.

use std::collections::BTreeMap;
use std::io::Read;

use gantry_compose_file::load::{Files, Request, Skip, load, load_model};
use gantry_compose_file::render::{self, Form};
use gantry_compose_file::{hash, variables};

struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        if path == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        std::fs::read(path)
    }

    fn is_folder(&self, path: &str) -> bool {
        std::path::Path::new(path).is_dir()
    }

    fn is_file(&self, path: &str) -> bool {
        std::path::Path::new(path).is_file()
    }
}

fn main() {
    let mut request = Request {
        environment: std::env::vars().collect::<BTreeMap<_, _>>(),
        current_folder: std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned(),
        ..Request::default()
    };
    let (mut form, mut what) = (Form::Yaml, String::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_default();
        let skip: &mut Skip = &mut request.skip;
        match arg.as_str() {
            "-f" => request.files.push(value()),
            "-p" => request.project_name = Some(value()),
            "--project-directory" => request.project_directory = Some(value()),
            "--profile" => request.profiles.push(value()),
            "--env-file" => request.env_files.push(value()),
            "--all-resources" => request.all_resources = true,
            "--format" => form = if value() == "json" { Form::Json } else { Form::Yaml },
            "--no-interpolate" => skip.interpolation = true,
            "--no-normalize" => skip.normalization = true,
            "--no-path-resolution" => skip.path_resolution = true,
            "--no-consistency" => skip.consistency = true,
            "--no-env-resolution" => skip.env_resolution = true,
            "--hash" | "--variables" => what = arg,
            "--services" => what = arg,
            "config" | "*" => {}
            _ => request.services.push(arg),
        }
    }
    match shown(&mut request, form, &what) {
        Ok(text) => print!("{text}"),
        Err(problems) => {
            eprintln!("{problems}");
            std::process::exit(1);
        }
    }
}

fn shown(
    request: &mut Request,
    form: Form,
    what: &str,
) -> Result<String, gantry_compose_file::load::Problems> {
    match what {
        "--variables" => {
            request.skip.interpolation = true;
            let model = load_model(request, &Disk)?;
            Ok(variables::of(&model.tree)
                .into_values()
                .map(|v| format!("{} {} {} {}\n", v.name, v.required, v.default, v.alternate))
                .collect())
        }
        "--hash" => {
            request.skip.env_resolution = true;
            let project = load(request, &Disk)?;
            Ok(project.services.values().map(|s| format!("{} {}\n", s.name, hash::service(s))).collect())
        }
        "--services" => Ok(load(request, &Disk)?.services.keys().map(|name| format!("{name}\n")).collect()),
        _ if request.skip.interpolation => Ok(render::model(&load_model(request, &Disk)?, form)),
        _ => {
            let project = load(request, &Disk)?;
            for warning in &project.warnings {
                eprintln!("{warning}");
            }
            Ok(render::project(&project, form))
        }
    }
}
