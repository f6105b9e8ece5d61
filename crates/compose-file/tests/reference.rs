//! What docker-compose 2.40 prints and hashes of each case in `reference/`, ours prints and hashes to the byte; what it
//! refuses, ours refuses, with the place. `reference/refresh.py` asks the original anew.

use std::collections::BTreeMap;
use std::path::Path;

use gantry_compose_file::hash;
use gantry_compose_file::load::{Files, Problems, Request, load, load_model};
use gantry_compose_file::render::{self, Form};

/// Where the cases' files stand; their hashes hold it.
const ROOT: &str = "/project";

#[derive(Default)]
struct Case {
    args: Vec<String>,
    environment: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
}

impl Case {
    fn read(text: &str) -> Self {
        let mut case = Self::default();
        let mut sections: Vec<(&str, String)> = Vec::new();
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("=== ") {
                Some(name) => sections.push((name.trim(), String::new())),
                None => sections.last_mut().expect("a section begins the case").1.push_str(line),
            }
        }
        for (name, text) in sections {
            match name.split_once(' ').unwrap_or((name, "")) {
                ("args", _) => case.args = text.split_whitespace().map(str::to_owned).collect(),
                ("env", _) => {
                    let pairs = text.lines().filter_map(|line| line.split_once('='));
                    case.environment = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
                }
                ("file", file) => drop(case.files.insert(format!("{ROOT}/{file}"), text)),
                (output, _) => drop(case.outputs.insert(output.to_owned(), text)),
            }
        }
        case
    }

    fn request(&self) -> Request {
        let mut request = Request { current_folder: ROOT.to_owned(), ..Request::default() };
        request.environment.clone_from(&self.environment);
        request.environment.insert("HOME".to_owned(), "/root".to_owned());
        request.environment.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        let mut args = self.args.iter().cloned();
        while let Some(arg) = args.next() {
            let mut value = || args.next().expect("a flag has its value");
            match arg.as_str() {
                "-f" => request.files.push(value()),
                "-p" => request.project_name = Some(value()),
                "--project-directory" => request.project_directory = Some(value()),
                "--profile" => request.profiles.push(value()),
                "--env-file" => request.env_files.push(value()),
                "--all-resources" => request.all_resources = true,
                "--no-interpolate" => request.skip.interpolation = true,
                "--no-normalize" => request.skip.normalization = true,
                "--no-path-resolution" => request.skip.path_resolution = true,
                "--no-consistency" => request.skip.consistency = true,
                service => request.services.push(service.to_owned()),
            }
        }
        request
    }

    /// What ours says in the place of one of docker-compose's outputs.
    fn ours(&self, output: &str) -> Result<String, Problems> {
        let mut request = self.request();
        let form = if output == "json" { Form::Json } else { Form::Yaml };
        if output == "hash" {
            request.skip.env_resolution = true;
            let project = load(&request, self)?;
            return Ok(project
                .services
                .values()
                .map(|s| format!("{} {}\n", s.name, hash::service(s)))
                .collect());
        }
        match request.skip.interpolation {
            true => load_model(&request, self).map(|model| render::model(&model, form)),
            false => load(&request, self).map(|project| render::project(&project, form)),
        }
    }
}

impl Files for Case {
    fn read(&self, path: &str) -> std::io::Result<Vec<u8>> {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(missing)
    }

    fn is_folder(&self, path: &str) -> bool {
        self.files.keys().any(|file| Path::new(file).starts_with(path)) && !self.is_file(path)
    }

    fn is_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let mut cases: Vec<(String, Case)> = std::fs::read_dir(folder)
        .expect("the cases")
        .map(|entry| entry.expect("a case").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "case"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a case's text");
            (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), Case::read(&text))
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

#[test]
fn what_docker_compose_says_ours_says() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (name, case) in cases() {
        for output in ["yaml", "json", "hash"] {
            let Some(reference) = case.outputs.get(output) else { continue };
            let ours = case.ours(output).unwrap_or_else(|problems| format!("refused: {problems}\n"));
            // The section's text ends with a line's end; the JSON that is printed does not.
            if ours.trim_end_matches('\n') != reference.trim_end_matches('\n') {
                wrong.push(format!("{name} {output}\n--- docker-compose\n{reference}--- ours\n{ours}"));
            }
            compared += 1;
        }
    }
    assert!(compared > 240, "only {compared} outputs were compared");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_docker_compose_refuses_ours_refuses_with_its_place() {
    let mut wrong = Vec::new();
    let mut refused = 0;
    for (name, case) in cases().into_iter().filter(|(_, case)| case.outputs.contains_key("refused")) {
        let wanted = case.outputs.get("told").map(String::as_str).unwrap_or_default().trim_end();
        let told =
            case.ours("yaml").map_or_else(|problems| problems.to_string(), |text| format!("taken:\n{text}"));
        if told != wanted {
            wrong.push(format!("{name}\n--- wanted\n{wanted}\n--- told\n{told}"));
        }
        refused += 1;
    }
    assert!(refused > 15, "only {refused} cases are refused");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_ours_prints_is_read_again_as_the_same_project() {
    let mut again = 0;
    for (name, case) in cases() {
        let Some(printed) =
            case.outputs.get("yaml").filter(|_| !case.args.iter().any(|a| a.starts_with("--no-")))
        else {
            continue;
        };
        let mut copy = Case { environment: case.environment.clone(), ..Case::default() };
        copy.environment.retain(|key, _| !key.starts_with("COMPOSE_"));
        copy.files.insert(format!("{ROOT}/compose.yaml"), printed.clone());
        let mut request = copy.request();
        // Services of a profile are there because it was on.
        request.profiles = vec!["*".to_owned()];
        request.all_resources = true;
        let project = load(&request, &copy).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert_eq!(&render::project(&project, Form::Yaml), printed, "{name}");
        again += 1;
    }
    assert!(again > 70, "only {again} were read again");
}

#[test]
fn services_of_docker_compose_1_29_are_recognised_by_their_hash() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for (name, case) in cases() {
        let Some(reference) = case.outputs.get("first") else { continue };
        let project = load(&case.request(), &case).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        for line in reference.lines() {
            let (service, wanted) = line.split_once(' ').expect("a service and its hash");
            let ours = hash::first(&project, service, Some(&format!("sha256:{service}")), &|name| {
                Some(format!("id of {name}"))
            });
            if ours.as_deref() != Some(wanted) {
                wrong.push(format!("{name} {service}: {ours:?}"));
            }
            compared += 1;
        }
    }
    assert!(compared > 18, "only {compared} services were compared");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Files of one text.
fn one(text: &[u8]) -> impl Files {
    struct One(Vec<u8>);
    impl Files for One {
        fn read(&self, _: &str) -> std::io::Result<Vec<u8>> {
            Ok(self.0.clone())
        }
        fn is_folder(&self, _: &str) -> bool {
            false
        }
        fn is_file(&self, path: &str) -> bool {
            path.ends_with("/compose.yaml")
        }
    }
    One(text.to_vec())
}

fn told(text: &[u8]) -> String {
    let request = Request { current_folder: ROOT.to_owned(), ..Request::default() };
    load(&request, &one(text)).map_or_else(|problems| problems.to_string(), |_| String::new())
}

#[test]
fn bad_bytes_and_bombs_are_refused() {
    let place = told(b"services:\n  w: {image: \xff}\n");
    assert_eq!(place, "/project/compose.yaml:2:14: yaml: invalid UTF-8 here");
    let mut bomb = String::from("x-a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let refs = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("x-a{level}: &a{level} [{refs}]\n"));
    }
    assert!(told(bomb.as_bytes()).contains("too large once its aliases are copied in"));
}

#[test]
fn files_that_name_each_other_without_end_are_refused() {
    // The same text is at every path, as behind a link to the folder itself.
    let include = told(b"include: [sub/compose.yaml]\nservices: { w: { image: x } }\n");
    assert!(include.contains("too many steps of include"), "{include}");
    let extends = told(b"services: { w: { image: x, extends: { file: sub/compose.yaml, service: w } } }\n");
    assert!(extends.contains("too many steps of extends"), "{extends}");
}

#[test]
fn what_does_nothing_here_is_told_in_a_sentence() {
    let text = b"services:\n  w:\n    image: x\n    models: [m]\n    deploy: { placement: { constraints: [a==b] } }\n  p: { provider: { type: t } }\nmodels: { m: { model: a } }\n";
    let request = Request { current_folder: ROOT.to_owned(), ..Request::default() };
    let project = load(&request, &one(text)).unwrap();
    let told = project.warnings.join("\n");
    for sentence in [
        "/project/compose.yaml:4:5: services.w.models: language models are not run here",
        "services.w.deploy.placement: it is for a cluster",
        "services.p.provider: provider programs are not called here",
    ] {
        assert!(told.contains(sentence), "{told}");
    }
}
