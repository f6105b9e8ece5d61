//! The first registry's image, as the book runs it: where it was told its configuration and where people mount their
//! volume. Today's image is called the same, so the same commands must do the same.

use std::path::PathBuf;

use serde_json::{Value, json};

/// Where the first registry kept its images.
const ITS_ROOT: &str = "/tmp/registry";
/// Where today's image keeps them, when nobody says otherwise.
const TODAYS_ROOT: &str = "/var/lib/registry";

/// The flavors that were in the image, for whoever names one and brings no file.
pub const FLAVORS: &str = "
local: &local
    loglevel: _env:LOGLEVEL:info
    mirroring: {source: _env:MIRROR_SOURCE}
    storage: local
    storage_path: _env:STORAGE_PATH:/tmp/registry
dev: *local
s3: &s3
    loglevel: _env:LOGLEVEL:info
    storage: s3
    s3_access_key: _env:AWS_KEY
    s3_secret_key: _env:AWS_SECRET
    s3_bucket: _env:AWS_BUCKET
    s3_region: _env:AWS_REGION
    s3_encrypt: _env:AWS_ENCRYPT:true
    s3_secure: _env:AWS_SECURE:true
    boto_host: _env:AWS_HOST
    storage_path: _env:STORAGE_PATH:/registry
prod: *s3
gcs:
    storage: gcs
    boto_bucket: _env:GCS_BUCKET
    gs_keyfile: _env:GCS_KEYFILE
azureblob:
    storage: azureblob
    azure_storage_account_name: _env:AZURE_STORAGE_ACCOUNT_NAME
    azure_storage_account_key: _env:AZURE_STORAGE_ACCOUNT_KEY
    azure_storage_container: _env:AZURE_STORAGE_CONTAINER:registry
swift:
    storage: swift
    swift_authurl: _env:OS_AUTH_URL
    swift_container: _env:OS_CONTAINER
    swift_user: _env:OS_USERNAME
    swift_password: _env:OS_PASSWORD
    swift_tenant_name: _env:OS_TENANT_NAME
    swift_region_name: _env:OS_REGION_NAME
    storage_path: _env:STORAGE_PATH:/registry
";

/// The file that `DOCKER_REGISTRY_CONFIG` names.
pub fn file(variables: &[(String, String)]) -> Option<PathBuf> {
    let told = variables.iter().find(|(name, _)| name == "DOCKER_REGISTRY_CONFIG");
    told.map(|(_, path)| PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty())
}

/// Keeps images in the volume that somebody mounted where the first registry kept them, if nothing else was said.
pub fn use_its_volume(tree: &mut Value, variables: &[(String, String)], mounts: &str) {
    let root = "/storage/filesystem/rootdirectory";
    let told = variables.iter().any(|(name, _)| name.starts_with("REGISTRY_STORAGE"));
    let usual = tree.pointer(root).and_then(Value::as_str) == Some(TODAYS_ROOT);
    // proc_pid_mountinfo(5): the fifth field is where it is mounted.
    let mounted = mounts.lines().any(|line| line.split(' ').nth(4) == Some(ITS_ROOT));
    if let Some(place) = tree.pointer_mut(root).filter(|_| usual && mounted && !told) {
        *place = json!(ITS_ROOT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn variable(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_volume_of_the_first_registry_is_used_unless_something_else_was_said() {
        let mounts =
            "22 1 0:2 / /proc rw - proc proc rw\n23 1 8:1 /opt/data /tmp/registry rw - ext4 /dev/sda rw\n";
        let tree = || json!({"storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}}});
        let root = |variables: &[(String, String)], mounts: &str| {
            let mut tree = tree();
            use_its_volume(&mut tree, variables, mounts);
            tree["storage"]["filesystem"]["rootdirectory"].as_str().unwrap().to_owned()
        };
        assert_eq!(root(&[], mounts), "/tmp/registry");
        assert_eq!(root(&[], "22 1 0:2 / /proc rw - proc proc rw\n"), "/var/lib/registry");
        let said = [variable("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/var/lib/registry")];
        assert_eq!(root(&said, mounts), "/var/lib/registry");
        assert_eq!(
            file(&[variable("DOCKER_REGISTRY_CONFIG", "/registry-conf/config.yml")]).unwrap().as_os_str(),
            "/registry-conf/config.yml"
        );
    }

    #[test]
    fn a_flavor_without_a_file_is_the_images_own() {
        let todays = "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\n";
        let variables = vec![
            variable("SETTINGS_FLAVOR", "s3"),
            variable("AWS_BUCKET", "acme-docker"),
            variable("AWS_KEY", "key"),
            variable("AWS_SECRET", "secret"),
            variable("SEARCH_BACKEND", "sqlalchemy"),
        ];
        let (name, s3) = Config::from_text(todays, variables).unwrap().driver().unwrap();
        assert_eq!(
            (name.as_str(), &s3["bucket"], &s3["rootdirectory"]),
            ("s3", &json!("acme-docker"), &json!("/registry"))
        );
        assert_eq!((&s3["accesskey"], &s3["encrypt"]), (&json!("key"), &json!(true)));
        let dev = Config::from_text(todays, vec![variable("SETTINGS_FLAVOR", "dev")]).unwrap();
        assert_eq!(dev.driver().unwrap().1["rootdirectory"], "/tmp/registry");
        assert!(Config::from_text(todays, vec![variable("SETTINGS_FLAVOR", "nosuch")]).is_err());
    }
}
