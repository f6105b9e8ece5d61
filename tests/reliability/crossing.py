#!/usr/bin/env python3
"""Many clients at the same few things at once; what each was told must be so.

usage: crossing.py [--seconds N] [--seed S] [--clients C]

Some of what the clients do is a test of its own, beside everything else: an image built, by either door, while its base is removed and pruned can be saved whole; a
tag that was given stays through prunes; a container made with a volume that others remove, prune and fill has all of what its image holds there;
a container of one's own runs and tells its exit code. The rest only gets into the way: start, stop, restart, kill, pause, rename, update, commit, exec,
cp and rm of shared containers, networks connected and removed, volumes made and removed, prunes of every kind. No answer may be a failure of the
engine's own. At the end everything is removed, the engine started once more, and nothing may be there: no row that came back, no volume, no mount,
link, cgroup or process.
"""
import argparse
import io
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import threading
import time

from engine import Engine, Gone, Refused, inside_namespaces
from worker import TAR, packed

# What everybody has a hand on. No digits of an id: a container is found by the beginning of its own as well.
NAMES = ("hot", "hut", "hit")
# So many files has the image at the place of the volume.
FILES = 60
IDLE = ["sh", "-c", "trap exit TERM; while :; do sleep 1 & wait; done"]
# What no client ever caused: one of the engine's own stores does not hold what another says it does.
TORN = re.compile(r"(content|snapshot|layer) sha256:\w+.*(not found|missing)|is missing|parent")


class Client(threading.Thread):
    def __init__(self, number, engine, seed, until):
        super().__init__(name=f"client-{number}", daemon=True)
        self.number, self.engine, self.until = number, engine, until
        self.random = random.Random(seed * 1000 + number)
        self.count, self.done, self.refused, self.why, self.wrong = 0, {}, {}, {}, []
        self.broken = None

    def run(self):
        deeds = [self.build, self.build, self.tag, self.tag, self.volume, self.volume, self.volume, self.whole_life, self.whole_life, self.base_goes,
                 self.prune, self.prune, self.networks, self.networks] + [self.shared] * 20
        while time.monotonic() < self.until:
            deed = self.random.choice(deeds)
            try:
                deed()
                self.done[deed.__name__] = self.done.get(deed.__name__, 0) + 1
            except Refused as err:
                key = f"{deed.__name__} {err.status}"
                self.refused[key] = self.refused.get(key, 0) + 1
                # A build tells its failures in its stream: they have no status of their own.
                self.why[key] = str(err)
                if TORN.search(str(err)) or (err.status >= 500 and deed != self.build):
                    self.wrong.append(f"{deed.__name__}: {err}")
            except Gone as err:
                self.wrong.append(f"{deed.__name__}: no answer: {err}")
            except Exception as err:  # a fault of this harness must not pass for a quiet client
                self.broken = repr(err)
                raise

    def fresh(self, kind):
        self.count += 1
        return f"{kind}{self.number}-{self.count}"

    def ask(self, *ask, **query):
        return self.engine.ask(*ask, **query)

    def quietly(self, *ask, **query):
        """Asks, and takes a refusal for an answer."""
        try:
            return self.engine.ask(*ask, **query)
        except Refused as err:
            if err.status >= 500:
                raise
            return None

    def expect(self, right, what):
        if not right:
            self.wrong.append(what)

    def build(self):
        name = self.fresh("built")
        context = packed(Dockerfile=f"FROM base\nRUN echo {name} > /name; sleep 0.{self.random.randrange(5)}\n".encode())
        if self.random.randrange(2):
            told = self.ask("POST", "/build", context, headers=TAR, t=name, timeout=120)
            self.expect("Successfully tagged" in str(told), f"{name} was not built: {told}")
        else:
            # Our client, by BuildKit's door.
            done = subprocess.run([self.engine.program, "-H", f"unix://{self.engine.socket}", "build", "-q", "-t", name, "-"],
                                  input=context, capture_output=True, env={**os.environ, "DOCKER_BUILDKIT": "1"}, timeout=120, check=False)
            if done.returncode != 0:
                raise Refused(500, done.stderr.decode(errors="replace").strip())
        status, archive = self.engine.raw("GET", f"/images/{name}/get")
        self.expect(status == 200, f"{name} was built and cannot be saved: {status} {archive[:300]}")
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                layers = json.load(tar.extractfile("manifest.json"))[0]["Layers"]
                self.expect(all(tar.getmember(layer).size for layer in layers), f"{name} was saved with an empty layer")
        except (tarfile.TarError, KeyError) as err:
            self.wrong.append(f"{name} was built, and what was saved is not whole: {err!r}")
        self.ask("DELETE", f"/images/{name}")

    def tag(self):
        name = self.fresh("tag")
        self.ask("POST", "/images/base/tag", repo=name)
        known = self.ask("GET", f"/images/{name}/json")
        self.expect(f"{name}:latest" in known["RepoTags"], f"{name} was given and is not there: {known['RepoTags']}")
        self.ask("DELETE", f"/images/{name}")

    def base_goes(self):
        """The base is removed by name or by id, and comes back."""
        if self.random.randrange(2):
            self.quietly("DELETE", "/images/base")
        elif found := self.quietly("GET", "/images/base/json"):
            self.quietly("DELETE", f"/images/{found['Id']}")
        self.ask("POST", "/images/load", self.engine.base)

    def volume(self):
        """A container with a volume that everybody shares. Whoever makes it first, all of the image's files are there when it is made."""
        shared = self.random.choice(("shared-a", "shared-b"))
        name = self.fresh("user")
        self.ask("POST", f"/containers/create?name={name}",
                 {"Image": "base", "Cmd": ["true"], "Volumes": {"/anonymous": {}}, "HostConfig": {"Binds": [f"{shared}:/place"], "NetworkMode": "none"}})
        try:
            self.ask("POST", f"/containers/{name}/start")
            status, archive = self.engine.raw("GET", f"/containers/{name}/archive?path=/place")
            if status != 200:
                raise Refused(status, archive.decode(errors="replace"))
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                files = [member for member in tar if member.isfile()]
            self.expect(len(files) == FILES and all(one.size == 1000 for one in files), f"{name} has {len(files)} files in {shared}: {status}")
        finally:
            self.quietly("DELETE", f"/containers/{name}", force=1, v=1)
        self.quietly("DELETE", f"/volumes/{shared}")

    def whole_life(self):
        name = self.fresh("own")
        self.ask("POST", f"/containers/create?name={name}", {"Image": "kept", "Cmd": ["sh", "-c", "exit 7"], "HostConfig": {
            "AutoRemove": True, "NetworkMode": self.random.choice(("none", "bridge"))}})
        waiting = threading.Thread(target=lambda: ended.append(self.ask("POST", f"/containers/{name}/wait", condition="removed")), daemon=True)
        ended = []
        waiting.start()
        self.ask("POST", f"/containers/{name}/start")
        waiting.join(60)
        # A prune may have taken it between its creation and its start; then the start was refused.
        self.expect(ended and ended[0]["StatusCode"] in (0, 7), f"{name} ended with {ended}")

    def prune(self):
        kind = self.random.choice(("containers", "volumes", "networks", "images", "build"))
        query = {"all": 1} if kind == "build" else {}
        if kind == "containers":
            # Those that others have just made for themselves are theirs.
            query = {"filters": json.dumps({"label": ["shared"]})}
        self.quietly("POST", f"/{kind}/prune", **query)

    def networks(self):
        name = self.random.choice(("net-a", "net-b"))
        deed = self.random.randrange(4)
        if deed == 0:
            self.quietly("POST", "/networks/create", {"Name": name})
        elif deed == 1:
            self.quietly("DELETE", f"/networks/{name}")
        elif deed == 2:
            self.quietly("POST", f"/networks/{name}/connect", {"Container": self.random.choice(NAMES)})
        else:
            self.quietly("POST", f"/networks/{name}/disconnect", {"Container": self.random.choice(NAMES), "Force": True})

    def shared(self):
        """Something with a container that everybody has a hand on."""
        name = self.random.choice(NAMES)
        verb = self.random.choice(("create", "create", "start", "start", "start", "stop", "restart", "kill", "pause", "unpause", "rename", "update", "commit",
                                   "exec", "copy", "logs", "remove", "remove"))
        at = f"/containers/{name}"
        if verb == "create":
            self.quietly("POST", f"/containers/create?name={name}", {
                "Image": "kept", "Cmd": IDLE, "Labels": {"shared": ""}, "Volumes": {"/anonymous": {}},
                "HostConfig": {"AutoRemove": self.random.randrange(3) == 0, "Binds": ["busy:/busy"]}})
        elif verb in ("stop", "restart"):
            self.quietly("POST", f"{at}/{verb}", t=1)
        elif verb == "rename":
            self.quietly("POST", f"{at}/rename", name=self.random.choice(NAMES))
        elif verb == "update":
            self.quietly("POST", f"{at}/update", {"CpuShares": self.random.randrange(2, 1024)})
        elif verb == "commit":
            self.quietly("POST", "/commit", {}, container=name, repo="committed", tag=self.random.choice(NAMES))
        elif verb == "exec":
            if made := self.quietly("POST", f"{at}/exec", {"Cmd": ["true"]}):
                self.quietly("POST", f"/exec/{made['Id']}/start", {"Detach": True})
        elif verb == "copy":
            self.quietly("PUT", f"{at}/archive?path=/home", packed(copied=b"x" * 1000), headers=TAR)
        elif verb == "logs":
            self.quietly("GET", f"{at}/logs", stdout=1)
        elif verb == "remove":
            self.quietly("DELETE", at, force=self.random.randrange(2), v=self.random.randrange(2))
        else:
            self.quietly("POST", f"{at}/{verb}")


def fill(engine):
    engine.load_busybox()
    engine.ask("POST", "/images/busybox/tag", repo="kept")
    files = {f"place/{number}": b"x" * 1000 for number in range(FILES)}
    engine.ask("POST", "/build", packed(Dockerfile=b"FROM kept\nCOPY place /place\n", **files), headers=TAR, t="base")
    status, engine.base = engine.raw("GET", "/images/base/get")
    if status != 200:
        sys.exit(f"the base cannot be saved: {engine.base}")


def things(engine):
    """What there is of what clients can make, a line each."""
    networks = [one["Name"] for one in engine.ask("GET", "/networks") if one["Name"] not in ("bridge", "host", "none")]
    volumes = [one["Name"] for one in engine.ask("GET", "/volumes")["Volumes"] or []]
    containers = [one["Names"][0] for one in engine.ask("GET", "/containers/json", all=1)]
    images = [one["Id"] for one in engine.ask("GET", "/images/json", all=1)]
    return [f"{kind} {name}" for kind, names in (("network", networks), ("volume", volumes), ("container", containers), ("image", images)) for name in names]


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--seconds", type=float, default=20)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--clients", type=int, default=6)
    asked = asked.parse_args()
    inside_namespaces()
    engine = Engine()
    engine.start()
    fill(engine)
    until = time.monotonic() + asked.seconds
    clients = [Client(number, engine, asked.seed, until) for number in range(asked.clients)]
    for client in clients:
        client.start()
    wrong = []
    for client in clients:
        client.join(timeout=asked.seconds + 180)
        if client.is_alive():
            wrong.append(f"{client.name} still waits for an answer")
        if client.broken:
            wrong.append(f"{client.name} broke: {client.broken}")
        wrong += client.wrong
    total = lambda field: {key: sum(getattr(client, field).get(key, 0) for client in clients)
                           for key in sorted({key for client in clients for key in getattr(client, field)})}
    why = {key: text for client in clients for key, text in client.why.items()}
    print(json.dumps({"seconds": asked.seconds, "seed": asked.seed, "clients": asked.clients, "done": total("done"), "refused": total("refused"), "the last words": why}, indent=1))
    engine.remove_everything()
    engine.stop()
    left = engine.left_behind()
    # What was removed must not come back from the store.
    engine.start()
    left += [f"after a start: {thing}" for thing in things(engine)]
    engine.stop()
    with open(engine.log, encoding="utf-8", errors="replace") as log:
        wrong += [f"log: {line.strip()}" for line in log if "panicked" in line]
    for line in wrong + left:
        print(f"WRONG: {line}")
    if wrong or left:
        print(f"kept: {engine.root}")
        sys.exit(1)
    engine.delete()


main()
