#!/usr/bin/env python3
"""Our compose on an engine: every verb that a project's day needs, with what it has to say.

usage: tests/compose-on.py GANTRY-PROGRAM BUSYBOX.tar [docker|gantry]        (default: docker, the distribution's own dockerd)

`DOCKERD` names another dockerd. The engine runs in namespaces of its own and leaves nothing.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../bench"))
import engines  # noqa: E402

program, busybox, *rest = sys.argv[1:]
kind = rest[0] if rest else os.environ.get("ENGINE", "docker")

FILE = """
services:
  db:
    image: busybox
    command: sh -c 'echo db up; exec sleep 1000'
    stop_grace_period: 0s
    volumes: [data:/data]
    healthcheck: {test: [CMD, test, -e, /data], interval: 1s, retries: 30}
    secrets: [{source: word, uid: "33", mode: 0400}]
    post_start: [{command: [sh, -c, "echo post > /data/hook"]}]
  web:
    build: {context: ., dockerfile_inline: "FROM busybox\\nRUN echo built > /built\\n"}
    command: sh -c 'echo web up; cat /built; exec sleep 1000'
    stop_grace_period: 0s
    ports: ["80"]
    environment: {A: "%s"}
    depends_on: {db: {condition: service_healthy}}
    deploy: {update_config: {order: start-first}}
  other: {image: busybox, command: sleep 1000, stop_grace_period: 0s, environment: {A: "%s"}, deploy: {update_config: {order: start-first}}}
secrets: {word: {environment: WORD}}
volumes: {data: {}}
"""


class Project:
    def __init__(self, engine, folder):
        self.engine = engine
        self.folder = os.path.join(folder, "app")
        os.mkdir(self.folder)
        self.link = os.path.join(folder, "docker-compose")
        os.symlink(os.path.abspath(program), self.link)
        self.write("one")

    def write(self, word):
        with open(os.path.join(self.folder, "compose.yaml"), "w") as file:
            file.write(FILE % (word, word))
        with open(os.path.join(self.folder, ".env"), "w") as file:
            file.write("WORD=hush\n")

    def run(self, line, code=0):
        done = subprocess.run(
            [self.link, *line.split(" ")], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, env={**os.environ, "DOCKER_HOST": f"unix://{self.engine.socket}"})
        told = f"compose {line}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == code, told
        print(f"compose {line}: {done.returncode}")
        return done

    def says(self, line, words, code=0):
        done = self.run(line, code)
        assert words in done.stdout + done.stderr, f"compose {line} does not say {words!r}:\n{done.stdout}{done.stderr}"

    def ids(self):
        return sorted(self.run("ps -aq").stdout.split())


def day(project):
    project.run("up -d")
    made = project.ids()
    assert len(made) == 3, made
    project.run("up -d")
    assert project.ids() == made, "an unchanged project was touched"
    project.says("ps", "app-web-1")
    project.says("ps --format json", '"Service":"db"')
    project.says("logs --no-color", "db-1     | db up")
    project.says("logs web", "built")
    project.says("exec -T db cat /data/hook", "post")
    project.says("exec -T db stat -c %u:%a /run/secrets/word", "33:400")
    project.says("port web 80", ":")
    project.says("top db", "sleep 1000")
    project.says("images", "app-web")
    project.says("volumes -q", "app_data")
    project.says("ls -q", "app")
    project.run("cp compose.yaml db:/data/file")
    project.says("exec -T db cat /data/file", "services:")
    project.run("scale other=3")
    assert len(project.ids()) == 5
    project.run("scale other=1")
    assert project.ids() == made
    project.says("run --rm -T -e B=two db sh -c echo${IFS}$B", "two")
    project.run("run --rm -T --no-deps db false", 1)
    project.run("pause other")
    project.run("unpause other")
    project.run("restart -t 0 other")
    project.write("two")
    said = project.run("up -d")
    first = "not start-first" in said.stderr
    assert first == (kind == "docker"), f"what is told of start-first: {said.stderr}"
    project.says("exec -T web sh -c echo${IFS}$A", "two")
    project.run("kill other")
    project.run("start other")
    project.run("stop -t 0")
    project.run("up -d --wait")
    project.run("down -v --rmi local")
    assert project.ids() == []


engine = engines.docker() if kind == "docker" else engines.gantry(program)
if engine is None:
    sys.exit("docker's engine is not installed")
try:
    engine.run("load", "-i", busybox)
    with tempfile.TemporaryDirectory(prefix="compose-on-") as folder:
        day(Project(engine, folder))
    print(f"compose works on {kind}, version {engine.text('version', '--format', '{{.Server.Version}}').strip()}")
finally:
    engine.stop()
