#!/usr/bin/env python3
"""Ctrl-C at random moments of `compose up`, `down`, `run`, `stop` and `scale`, once and twice; then the next `up` has to repair it.

usage: interrupt.py [--rounds N] [--seed S]

A project of six services (conditions, a network, volumes, published ports, one service that is replaced start-first) is changed before each
round, so that every `up` makes containers anew. What was under way is interrupted by SIGINT at a random moment, sometimes again a moment
later. After the next `up -d` there are exactly the containers that the file asks for, all of them run what it says, under their own
names, and nothing else of the project runs. At the end `down` leaves no container, network or volume.
"""
import argparse
import os
import random
import signal
import subprocess
import time

from engine import Engine, inside_namespaces

FILE = """
services:
  db:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    environment: {{N: "{n}"}}
    volumes: [data:/data, /anonymous]
    healthcheck: {{test: [CMD, test, -e, /data], interval: 200ms, retries: 30}}
  web:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    environment: {{N: "{n}"}}
    ports: ["8080:80"]
    depends_on: {{db: {{condition: service_healthy}}}}
    deploy: {{update_config: {{order: start-first}}}}
  slow: {{image: busybox, command: sleep 1000, stop_grace_period: 1s, environment: {{N: "{n}"}}, networks: [default, other]}}
  many: {{image: busybox, command: sleep 1000, stop_grace_period: 0s, environment: {{N: "{n}"}}, scale: 3, depends_on: [db]}}
  once: {{image: busybox, command: "true", environment: {{N: "{n}"}}}}
networks: {{other: }}
volumes: {{data: }}
"""
RUNNING = {"app-db-1", "app-web-1", "app-slow-1", "app-many-1", "app-many-2", "app-many-3"}
VERBS = [
    ["up", "-d"],
    ["up", "-d"],
    ["up"],
    ["up", "-d", "--force-recreate", "-V"],
    ["run", "--rm", "-T", "slow", "sleep", "5"],
    ["down", "-t", "0"],
    ["stop"],
    ["up", "-d", "--scale", "many=6"],
    ["restart", "-t", "0"],
]


class Project:
    def __init__(self, engine):
        self.engine = engine
        self.folder = f"{engine.root}/app"
        os.mkdir(self.folder)
        self.link = f"{engine.root}/docker-compose"
        os.symlink(os.path.realpath(engine.program), self.link)
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_CONFIG": engine.root}

    def write(self, n):
        with open(f"{self.folder}/compose.yaml", "w") as file:
            file.write(FILE.format(n=n))

    def begin(self, words):
        return subprocess.Popen([self.link, *words], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, words):
        child = self.begin(words)
        told, _ = child.communicate(timeout=120)
        assert child.returncode == 0, f"{words}: {child.returncode}\n{told}"
        return told

    def containers(self):
        """Name to what is known, of all that carry the project's label."""
        wanted = '{"label":["com.docker.compose.project=app"]}'
        listed = self.engine.ask("GET", "/containers/json", all=1, filters=wanted)
        return {one["Names"][0].lstrip("/"): one for one in listed}


def reckon(project, n, after):
    """What is there is what the file says."""
    there = project.containers()
    one_offs = {name for name, one in there.items() if one["Labels"].get("com.docker.compose.oneoff") == "True"}
    names = set(there) - one_offs
    assert names == RUNNING | {"app-once-1"}, f"after {after}: {sorted(names)}"
    for name in RUNNING:
        told = project.engine.ask("GET", f"/containers/{name}/json")
        assert told["State"]["Running"], f"after {after}: {name} does not run"
        assert f"N={n}" in told["Config"]["Env"], f"after {after}: {name} is of an older file"


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--rounds", type=int, default=200)
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    words = words.parse_args()
    print(f"interrupt.py --rounds {words.rounds} --seed {words.seed}", flush=True)
    chance = random.Random(words.seed)
    inside_namespaces()
    engine = Engine()
    cut, spent = 0, {}
    try:
        engine.start()
        engine.load_busybox()
        project = Project(engine)
        project.write(0)
        begin = time.monotonic()
        project.end(["up", "-d"])
        usual = time.monotonic() - begin
        for n in range(1, words.rounds + 1):
            project.write(n)
            verb = chance.choice(VERBS)
            child = project.begin(verb)
            time.sleep(chance.random() * (spent.get(verb[0], usual) * 1.1))
            twice = chance.random() < 0.4
            cut += child.poll() is None
            child.send_signal(signal.SIGINT)
            if twice:
                time.sleep(chance.random() * 0.2)
                child.send_signal(signal.SIGINT)
            told, _ = child.communicate(timeout=60)
            after = f"round {n}, {' '.join(verb)} {'twice' if twice else 'once'}: {child.returncode}\n{told}"
            begin = time.monotonic()
            told = project.end(["up", "-d"])
            spent["up"] = time.monotonic() - begin
            reckon(project, n, f"{after}--- then\n{told}")
        project.end(["down", "-v", "-t", "0", "--remove-orphans"])
        left = [name for name, one in project.containers().items() if one["Labels"].get("com.docker.compose.oneoff") != "True"]
        assert not left, f"down left {left}"
        for name in project.containers():
            engine.ask("DELETE", f"/containers/{name}", force=1, v=1)
        networks = [one["Name"] for one in engine.ask("GET", "/networks") if one["Name"].startswith("app_")]
        volumes = [one["Name"] for one in engine.ask("GET", "/volumes")["Volumes"] or [] if one["Name"].startswith("app_")]
        assert not networks and not volumes, f"down left {networks} {volumes}"
        print(f"{words.rounds} rounds, {cut} of them cut off in the middle: the next up repaired every one")
    finally:
        engine.stop()
        engine.delete()


if __name__ == "__main__":
    main()
