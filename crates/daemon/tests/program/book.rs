//! The book's chapters about images, containers and volumes, as they are typed there. `ubuntu:14.04` is Debian under that name.

use crate::harness::{Engine, debian};
use crate::machine::Machine;

fn reader() -> Engine {
    let engine = Engine::empty(&[]);
    engine.docker(["load", "-q", "-i", &debian().display().to_string()]).ok();
    for name in ["ubuntu:14.04", "ubuntu", "training/sinatra"] {
        engine.docker(["tag", "debian", name]).ok();
    }
    engine.docker(["rmi", "debian"]).ok();
    engine
}

#[test]
fn the_books_chapter_about_images_goes_as_typed() {
    let engine = reader();
    let here = Machine(&engine);
    let images = here.types("sudo docker images");
    assert!(images.starts_with("REPOSITORY "), "{images}");
    assert!(images.lines().any(|line| line.starts_with("ubuntu ") && line.contains(" 14.04 ")), "{images}");

    let said = here
        .types_on_a_terminal("sudo docker run -t -i training/sinatra /bin/bash", "touch /json.gem\\nexit\\n");
    assert!(said.contains("touch /json.gem"), "{said}");
    let id = here.types("sudo docker ps -a -q | head -n 1");
    assert_eq!(id.len(), 12);
    let made = here.types(&format!(
        "sudo docker commit -m \"Added json gem\" -a \"Docker Newbee\" {id} ouruser/sinatra:v2"
    ));
    assert!(made.starts_with("sha256:"), "{made}");
    let told = here.types("sudo docker inspect -f '{{.Comment}}|{{.Author}}' ouruser/sinatra:v2");
    assert_eq!(told, "Added json gem|Docker Newbee");
    assert_eq!(here.types("sudo docker run --rm ouruser/sinatra:v2 ls /json.gem"), "/json.gem");
    let short = here.types("sudo docker images -q ouruser/sinatra");
    here.types(&format!("sudo docker tag {short} ouruser/sinatra:devel"));
    let tags = here.types("sudo docker images ouruser/sinatra --format '{{.Tag}}' | sort");
    assert_eq!(tags, "devel\nv2");

    // From a file, and from far.
    here.types("sudo docker run --name template ubuntu:14.04 true; sudo docker export template > ubuntu-14.04-minimal.tar");
    let made = here.types("sudo cat ubuntu-14.04-minimal.tar | docker import - ubuntu:imported");
    assert!(made.starts_with("sha256:"), "{made}");
    here.types("gzip -1 -k ubuntu-14.04-minimal.tar; ip link set lo up");
    let mut server = here
        .line("exec python3 -m http.server --bind 127.0.0.1 8000")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    here.until("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/ || true", "200");
    here.types("sudo docker import http://127.0.0.1:8000/ubuntu-14.04-minimal.tar.gz example/imagerepo");
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(here.types("sudo docker run --rm example/imagerepo /bin/echo imported"), "imported");

    here.types("sudo docker save -o ubuntu_14.04.tar ubuntu:14.04");
    here.types("sudo docker rm $(sudo docker ps -a -q)");
    let gone = here.types(
        "sudo docker rmi training/sinatra ubuntu:14.04 ubuntu ouruser/sinatra:v2 ouruser/sinatra:devel",
    );
    assert!(
        gone.contains("Untagged: training/sinatra:latest") && gone.contains("Deleted: sha256:"),
        "{gone}"
    );
    assert_eq!(here.types("sudo docker load --input ubuntu_14.04.tar"), "Loaded image: ubuntu:14.04");
    assert_eq!(here.types("sudo docker load < ubuntu_14.04.tar"), "Loaded image: ubuntu:14.04");
    assert_eq!(here.types("sudo docker run --rm ubuntu:14.04 /bin/echo back"), "back");

    // What lost its name.
    here.types("printf 'FROM ubuntu:14.04\\nRUN true\\n' | sudo docker build -q -t app - && printf 'FROM ubuntu:14.04\\nRUN date\\n' | sudo docker build -q -t app -");
    assert_eq!(here.types("sudo docker images -q -f dangling=true | wc -l"), "1");
    here.types("sudo docker rmi $(docker images -q -f dangling=true)");
    assert_eq!(here.types("sudo docker images -q -f dangling=true"), "");
    assert_eq!(here.types("sudo docker history -q ubuntu:14.04 | wc -l"), "1");
}

#[test]
fn the_books_chapter_about_containers_goes_as_typed() {
    let engine = reader();
    let here = Machine(&engine);
    assert_eq!(here.types("sudo docker run ubuntu:14.04 /bin/echo 'Hello world'"), "Hello world");
    let keys = "pwd\\nls -d /bin /boot /dev\\nexit\\n";
    let said = here.types_on_a_terminal("sudo docker run -t -i ubuntu:14.04 /bin/bash", keys);
    assert!(said.contains(":/# ") && said.contains("/bin  /boot  /dev"), "{said}");

    let script = "while true; do echo hello world; sleep 1; done";
    let id = here.types(&format!("sudo docker run -d ubuntu:14.04 /bin/sh -c \"{script}\""));
    assert_eq!(id.len(), 64);
    let short = &id[..12];
    assert!(here.types("sudo docker ps").contains(short));
    here.until(&format!("sudo docker logs {short}"), "hello world\nhello world");
    here.types(&format!("sudo docker stop -t 1 {short}"));
    let all = here.types("sudo docker ps -a");
    assert!(all.lines().any(|line| line.starts_with(short) && line.contains("Exited (")), "{all}");
    here.types(&format!("sudo docker start {short} && sudo docker restart -t 1 {short}"));
    assert!(here.types("sudo docker ps -q").contains(short));

    here.types("sudo docker run -idt --name inside ubuntu");
    let said = here.types_on_a_terminal("sudo docker attach inside", "echo joined-$((40+2))\\nexit\\n");
    assert!(said.contains("joined-42"), "{said}");
    here.types("sudo docker start inside");
    let entered = here.types(
        "PID=$(docker inspect --format \"{{ .State.Pid }}\" inside); \
         nsenter --target $PID --mount --uts --ipc --net --pid -- /bin/sh -c 'hostname; echo $(cat /proc/1/comm)'",
    );
    let hostname = here.types("sudo docker inspect --format '{{ .Config.Hostname }}' inside");
    assert_eq!(entered, format!("{hostname}\nbash"));
    assert_eq!(here.types("sudo docker exec inside hostname"), hostname);

    here.types(&format!("sudo docker export {short} > ubuntu.tar"));
    assert_eq!(here.types("tar tf ubuntu.tar etc/passwd"), "etc/passwd");
    here.types("cat ubuntu.tar | sudo docker import - test/ubuntu:v1.0");
    assert!(here.types("sudo docker images").contains("test/ubuntu"));

    let refused = here.line(&format!("sudo docker rm {short}")).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("container is running"), "{told}");
    here.types("sudo docker stop -t 0 $(sudo docker ps -q)");
    here.types("sudo docker rm $(sudo docker ps -a -q)");
    assert_eq!(here.types("sudo docker ps -a -q"), "");
}

#[test]
fn the_books_chapter_about_volumes_goes_as_typed() {
    let engine = reader();
    let here = Machine(&engine);
    here.types(
        "printf 'FROM ubuntu\\nCMD [\"sleep\", \"1000\"]\\n' | sudo docker build -q -t training/webapp -",
    );
    here.types("sudo docker run -d -P --name web -v /webapp training/webapp");
    let told =
        here.types("sudo docker inspect -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}}{{end}}' web");
    assert_eq!(told, "volume /webapp true");
    here.types("sudo docker rm -f -v web");
    assert_eq!(here.types("sudo docker volume ls -q"), "");

    here.types("mkdir -p src/webapp && echo page > src/webapp/index.html");
    here.types("sudo docker run -d -P --name web -v $PWD/src/webapp:/opt/webapp:ro training/webapp");
    assert_eq!(here.types("sudo docker exec web cat /opt/webapp/index.html"), "page");
    let refused = here.line("sudo docker exec web touch /opt/webapp/new").output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Read-only file system"), "{refused:?}");
    here.types("touch ~/.bash_history");
    let keys = "echo remembered\\nexit\\n";
    here.types_on_a_terminal(
        "sudo docker run --rm -it -v ~/.bash_history:/root/.bash_history ubuntu /bin/bash",
        keys,
    );
    assert!(here.types("cat ~/.bash_history").contains("echo remembered"));

    here.types("sudo docker run -d -v /dbdata --name dbdata ubuntu echo Data-only container for postgres");
    here.types("sudo docker run -d --volumes-from dbdata --name db1 training/webapp");
    here.types("sudo docker run -d --volumes-from dbdata --name db2 training/webapp");
    here.types("sudo docker run -d --name db3 --volumes-from db1 training/webapp");
    here.types("sudo docker exec db1 sh -c 'echo row > /dbdata/table'");
    assert_eq!(here.types("sudo docker exec db3 cat /dbdata/table"), "row");
    here.types("sudo docker rm -f dbdata");
    assert_eq!(here.types("sudo docker exec db2 cat /dbdata/table"), "row");

    let said = here.types(
        "sudo docker run --rm --volumes-from db1 -v $(pwd):/backup ubuntu tar cvf /backup/backup.tar /dbdata",
    );
    assert_eq!(said, "/dbdata/\n/dbdata/table");
    here.types("sudo docker run -v /dbdata --name dbdata2 ubuntu /bin/bash");
    here.types(
        "sudo docker run --rm --volumes-from dbdata2 -v $(pwd):/backup ubuntu tar xvf /backup/backup.tar",
    );
    assert_eq!(here.types("sudo docker run --rm --volumes-from dbdata2 ubuntu /bin/ls /dbdata"), "table");

    here.types("sudo docker rm -f web db1 db2");
    assert_eq!(here.types("sudo docker volume ls -q | wc -l"), "2");
    here.types("sudo docker rm -f -v db3 dbdata2");
}
