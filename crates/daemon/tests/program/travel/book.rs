//! The book's chapter about registries, as it is typed there: the first registry's image, its volume and its file.

use crate::harness::Engine;
use crate::machine::Machine;

/// Many images at once, with the commands of the book's script.
const PUSH_IMAGES: &str = r#"#!/bin/bash
registry=192.168.7.26:5000
if [ $# -lt 1 ]; then
    sudo docker images
    echo "Usage: $0 image1[:tag1] [image2[:tag2]...]"
    exit
fi
for image in "$@"; do
    echo -e "\033[34mUploading $image...\033[0m"
    sudo docker tag $image $registry/$image
    sudo docker push $registry/$image
    sudo docker rmi $registry/$image
    echo -e "\033[32mDone\033[0m"
done
"#;

/// The configuration in the book's shape: flavors, and values that come from the environment.
const CONFIG: &str = "common: &common
    loglevel: _env:LOGLEVEL:info
    search_backend: _env:SEARCH_BACKEND:
local: &local
    <<: *common
    storage: local
    storage_path: _env:STORAGE_PATH:/tmp/registry
s3: &s3
    <<: *common
    storage: s3
    s3_bucket: _env:AWS_BUCKET
dev: &dev
    <<: *local
    loglevel: _env:LOGLEVEL:debug
prod: &prod
    <<: *s3
";

#[test]
fn the_books_chapter_about_registries_goes_as_typed() {
    let engine = Engine::with(&["--insecure-registry=192.168.7.26:5000"]);
    let here = Machine(&engine);
    here.has_program("push_images", PUSH_IMAGES);
    here.types("ip addr add 192.168.7.26/32 dev lo; ip link set lo up");
    here.types("sudo docker tag busybox ubuntu:14.04");
    here.types("sudo docker run -d -p 5000:5000 -v $PWD/opt/data/registry:/tmp/registry registry");
    here.until("curl -s -o /dev/null -w '%{http_code}' http://192.168.7.26:5000/v2/ || true", "200");

    let images = here.types("sudo docker images");
    assert!(images.lines().any(|line| line.starts_with("ubuntu ") && line.contains(" 14.04 ")), "{images}");
    here.types("sudo docker tag $(sudo docker images -q ubuntu | cut -c1-6) 192.168.7.26:5000/test");
    let said = here.types("sudo docker push 192.168.7.26:5000/test");
    assert!(said.contains("The push refers to repository [192.168.7.26:5000/test]"), "{said}");
    let found = here.types("curl -s http://192.168.7.26:5000/v1/search");
    assert!(found.contains("\"num_results\":1") && found.contains("\"name\":\"test\""), "{found}");
    let kept = here.types("ls $PWD/opt/data/registry/docker/registry/v2/repositories");
    assert_eq!(kept, "test");

    // From another machine of this network.
    let mut other = Engine::shared(&[]);
    other.stop();
    let net = format!("/proc/{}/ns/net", engine.pid().as_raw_nonzero());
    let quiet = ["--bridge=none", "--iptables=false", "--ip-forward=false"];
    other.relaunch_in(&net, &[&quiet[..], &["--insecure-registry=192.168.7.26:5000"]].concat());
    other.docker(["pull", "192.168.7.26:5000/test"]).ok();
    let images = other.docker(["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    assert_eq!(images, "192.168.7.26:5000/test:latest");

    let said = here.types("push_images ubuntu:14.04 busybox:latest");
    assert!(said.contains("Uploading ubuntu:14.04...") && said.matches("Done").count() == 2, "{said}");
    assert!(said.contains("Untagged: 192.168.7.26:5000/ubuntu:14.04"), "{said}");
    assert!(here.types("push_images").contains("Usage: "));
    let tags = here.types("curl -s http://192.168.7.26:5000/v2/ubuntu/tags/list");
    assert_eq!(tags, r#"{"name":"ubuntu","tags":["14.04"]}"#);
    let found = here.types("sudo docker search 192.168.7.26:5000/busy --format '{{.Name}}'");
    assert_eq!(found, "busybox");
    other.docker(["pull", "-q", "192.168.7.26:5000/ubuntu:14.04"]).ok();

    // A file of one's own, and a flavor of it.
    std::fs::create_dir(engine.path("registry-conf")).unwrap();
    std::fs::write(engine.path("registry-conf/config.yml"), CONFIG).unwrap();
    here.types(
        "sudo docker run -d -p 5001:5000 -v $PWD/registry-conf:/registry-conf -e STORAGE_PATH=/registry-conf/data \
         -e DOCKER_REGISTRY_CONFIG=/registry-conf/config.yml registry",
    );
    here.until("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:5001/v2/ || true", "200");
    here.types("sudo docker tag ubuntu:14.04 127.0.0.1:5001/mine && sudo docker push 127.0.0.1:5001/mine");
    assert_eq!(here.types("ls $PWD/registry-conf/data/docker/registry/v2/repositories"), "mine");
}
