//! The list of an image's packages, as SPDX 2.3: what dpkg and apk have written down in it.

use std::io::Read;

use gantry_build::files::Root;
use gantry_buildkit::grpc::{Code, Status};
use gantry_names::Digest;
use serde_json::{Value, json};

use super::root;
use crate::Inner;
use crate::job::Outcome;

/// No database of packages is larger.
const LIMIT: u64 = 256 << 20;

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    /// `deb` or `apk`.
    kind: &'static str,
    name: String,
    version: String,
    architecture: String,
}

/// The document about an image.
pub(super) async fn document(inner: &Inner, outcome: &Outcome, name: &str) -> Result<Value, Status> {
    let (packages, system) = match outcome.built.chain() {
        None => (Vec::new(), String::new()),
        Some(_) => {
            let root = root(inner, &outcome.built)?;
            let read = tokio::task::spawn_blocking(move || (packages(&root), system(&root))).await;
            read.map_err(|error| Status::new(Code::Internal, error.to_string()))?
        }
    };
    let id = Digest::sha256_of(&outcome.built.document);
    Ok(spdx(name, id.hex(), &inner.facts.version, &packages, &system))
}

fn text(root: &Root, path: &str) -> Option<String> {
    root.stat(path, true).ok().flatten()?;
    let mut bytes = Vec::new();
    root.file(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The system's name: `debian`, `alpine`.
fn system(root: &Root) -> String {
    let release =
        text(root, "etc/os-release").or_else(|| text(root, "usr/lib/os-release")).unwrap_or_default();
    let id = release.lines().find_map(|line| line.strip_prefix("ID="));
    id.unwrap_or_default().trim_matches('"').to_owned()
}

fn packages(root: &Root) -> Vec<Package> {
    let mut found = Vec::new();
    if let Some(status) = text(root, "var/lib/dpkg/status") {
        found.extend(dpkg(&status));
    }
    // Images without a package manager keep a file a package.
    for name in root.names("var/lib/dpkg/status.d").unwrap_or_default() {
        let path = format!("var/lib/dpkg/status.d/{}", name.to_string_lossy());
        found.extend(text(root, &path).into_iter().flat_map(|one| dpkg(&one)));
    }
    for path in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
        if let Some(installed) = text(root, path) {
            found.extend(apk(&installed));
            break;
        }
    }
    found.sort_by(|a, b| (a.kind, &a.name, &a.architecture).cmp(&(b.kind, &b.name, &b.architecture)));
    found.dedup();
    found
}

/// Paragraphs of `Key: value`; only what is installed counts.
fn dpkg(status: &str) -> Vec<Package> {
    let field = |paragraph: &str, name: &str| {
        let found = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default().to_owned()
    };
    status
        .split("\n\n")
        .filter(|paragraph| {
            let status = field(paragraph, "Status");
            status.is_empty() || status.ends_with(" installed")
        })
        .map(|paragraph| Package {
            kind: "deb",
            name: field(paragraph, "Package"),
            version: field(paragraph, "Version"),
            architecture: field(paragraph, "Architecture"),
        })
        .filter(|package| !package.name.is_empty())
        .collect()
}

/// Paragraphs of `K:value`.
fn apk(installed: &str) -> Vec<Package> {
    let field = |paragraph: &str, name: &str| {
        let found = paragraph.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().to_owned()
    };
    let package = |paragraph: &str| Package {
        kind: "apk",
        name: field(paragraph, "P:"),
        version: field(paragraph, "V:"),
        architecture: field(paragraph, "A:"),
    };
    installed.split("\n\n").map(package).filter(|package| !package.name.is_empty()).collect()
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn spdx(name: &str, id: &str, version: &str, packages: &[Package], system: &str) -> Value {
    let entries: Vec<Value> = packages
        .iter()
        .enumerate()
        .map(|(number, package)| {
            let Package { kind, name, version, architecture } = package;
            let system = if system.is_empty() { if *kind == "apk" { "alpine" } else { "debian" } } else { system };
            let locator = format!(
                "pkg:{kind}/{system}/{}@{}?arch={architecture}",
                escaped(name),
                escaped(version)
            );
            json!({
                "SPDXID": format!("SPDXRef-Package-{number}"),
                "name": name,
                "versionInfo": version,
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": false,
                "licenseConcluded": "NOASSERTION",
                "licenseDeclared": "NOASSERTION",
                "copyrightText": "NOASSERTION",
                "externalRefs": [{
                    "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator,
                }],
            })
        })
        .collect();
    let related: Vec<Value> = (0..packages.len())
        .map(|number| {
            json!({
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": format!("SPDXRef-Package-{number}"),
            })
        })
        .collect();
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://gantry.invalid/spdx/{id}"),
        "creationInfo": {
            "created": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "creators": [format!("Tool: gantry-{version}")],
        },
        "packages": entries,
        "relationships": related,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_read_and_what_was_removed_is_no_package() {
        let status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\nDescription: x\n y: z\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: c++\nStatus: hold ok installed\nArchitecture: all\nVersion: 1:2~3\n";
        let packages = dpkg(status);
        assert_eq!(packages.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["libc6", "c++"]);
        let document = spdx("x", "id", "1", &packages, "debian");
        assert_eq!(
            document["packages"][1]["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/c%2B%2B@1%3A2~3?arch=all"
        );
        let packages = apk("C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\n\nP:zlib\nV:1.3\nA:x86_64\n");
        assert_eq!(packages.len(), 2);
        assert_eq!((packages[0].name.as_str(), packages[0].version.as_str()), ("musl", "1.2.4-r2"));
    }
}
