#!/usr/bin/env python3
"""kill -9 of the engine at random moments, while many clients work; then a reckoning.

usage: kill.py [--kills N] [--seed S] [--workers W]

Each worker does one thing after another (create, start, run, exec, commit, rm, volumes, networks, load, save, build, pull, a compose project)
and writes in a ledger what was acknowledged. The engine is killed at a random moment and started again; then what the ledger says must be so:
what was acknowledged is there, what was acknowledged as removed is gone, what ran runs. What was under way at the kill may be either.
At the end everything is removed, the engine stopped, and nothing may be left: no mount, cgroup, link, process, folder, and no more of the disk
than an empty engine takes, but one MiB.
"""
import argparse
import io
import json
import os
import random
import socket
import subprocess
import sys
import tarfile
import threading
import time

from engine import Engine, Gone, Refused, inside_namespaces

# What a worker's project is: the web waits for its base, and is scaled up and down.
PROJECT = """
services:
  base: {image: busybox, command: &idle [sh, -c, "trap exit TERM; while :; do sleep 1 & wait; done"], volumes: ["data:/data"]}
  web: {image: busybox, command: *idle, depends_on: [base], scale: 2}
volumes: {data: {}}
"""


class Registry:
    """A registry beside the engine that is never killed. It holds one image of a layer that nothing else has."""

    def __init__(self, engine):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        with open(f"{engine.root}/registry.log", "ab") as log:
            self.process = subprocess.Popen(
                [engine.program, "registry", "serve", "--addr", self.address, "--root", f"{engine.root}/registry"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def fill(self, engine, workers):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name in ("noise", "more"):
                info = tarfile.TarInfo(name)
                info.size = 8 << 20
                tar.addfile(info, io.BytesIO(os.urandom(info.size)))
        for number in range(workers):
            repository = self.repository(number)
            engine.ask("POST", "/images/create", archive.getvalue(), fromSrc="-", repo=repository, tag="t")
            engine.ask("POST", f"/images/{repository}/push", headers={"X-Registry-Auth": "e30="}, tag="t")
            engine.ask("DELETE", f"/images/{repository}:t")

    def repository(self, worker):
        return f"{self.address}/worker{worker}"

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


class Ledger:
    """What was acknowledged: name -> True (there) or False (gone), by kind. What is in doubt is in neither."""

    def __init__(self):
        self.lock = threading.Lock()
        self.facts = {}
        self.ids = set()

    def doubt(self, kind, name):
        with self.lock:
            self.facts.pop((kind, name), None)

    def say(self, kind, name, there):
        with self.lock:
            self.facts[kind, name] = there

    def there(self, kind):
        with self.lock:
            return [name for (of, name), there in self.facts.items() if of == kind and there]


class Worker(threading.Thread):
    """One client with a name of its own; its things carry that name, so nobody else touches them."""

    def __init__(self, number, engine, ledger, registry, seed):
        super().__init__(name=f"worker-{number}", daemon=True)
        self.image, self.project = registry.repository(number), f"project{number}"
        self.number, self.engine, self.ledger = number, engine, ledger
        self.random = random.Random(seed * 1000 + number)
        self.count = 0
        self.deeds = {}
        self.complaints = []
        self.go = threading.Event()
        self.end = False
        self.broken = None
        self.stopping = set()
        self.lost_networks = []

    def run(self):
        deeds = [self.create, self.start_one, self.run_short, self.exec_one, self.remove, self.remove, self.commit, self.untag,
                 self.volume, self.volume_remove, self.network, self.network_remove, self.save_load, self.build, self.stop_one,
                 self.pull, self.compose_up, self.compose_up, self.compose_down]
        while not self.end:
            self.go.wait()
            deed = self.random.choice(deeds)
            try:
                deed()
                self.deeds[deed.__name__] = self.deeds.get(deed.__name__, 0) + 1
            except Gone:
                time.sleep(0.02)
            except Refused as err:
                self.complaints.append(f"{deed.__name__}: {err}")
            except Exception as err:  # a fault of this harness must not pass for a quiet worker
                self.broken = repr(err)
                raise

    def fresh(self, kind):
        self.count += 1
        return f"{kind}{self.number}-{self.count}"

    def one(self, kind):
        mine = [name for name in self.ledger.there(kind) if name.startswith(f"{kind}{self.number}-")]
        return self.random.choice(mine) if mine else None

    def making(self, kind, name, method, path, body=None, **query):
        """Asks for a thing; only an answer makes it a fact."""
        self.ledger.doubt(kind, name)
        answer = self.engine.ask(method, path, body, **query)
        self.ledger.say(kind, name, True)
        return answer

    def unmaking(self, kind, name, path, **query):
        self.ledger.doubt(kind, name)
        self.engine.forgiving("DELETE", path, **query)
        self.ledger.say(kind, name, False)

    def create(self):
        if len(self.ledger.there("c")) > 30:
            return self.remove()
        name = self.fresh("c")
        made = self.making("c", name, "POST", f"/containers/create?name={name}", {
            "Image": "busybox", "Cmd": ["sh", "-c", "trap exit TERM; while :; do sleep 1 & wait; done"],
            "Labels": {"badday": str(self.number)}, "HostConfig": {"Memory": 64 << 20},
        })
        self.ledger.ids.add(made["Id"])

    def start_one(self):
        name = self.one("c")
        if name:
            self.ledger.doubt("running", name)
            self.engine.ask("POST", f"/containers/{name}/start")
            if name not in self.stopping:
                self.ledger.say("running", name, True)

    def stop_one(self):
        name = self.one("c")
        if name:
            self.ledger.doubt("running", name)
            # Where no answer comes the signal may be on its way all the same: what a later start finds running may still end.
            self.stopping.add(name)
            self.engine.ask("POST", f"/containers/{name}/stop", t=1)
            self.stopping.discard(name)
            self.ledger.say("running", name, False)

    def run_short(self):
        name = self.fresh("s")
        made = self.making("c", name, "POST", f"/containers/create?name={name}",
                           {"Image": "busybox", "Cmd": ["sh", "-c", "exit 7"]})
        self.ledger.ids.add(made["Id"])
        self.engine.ask("POST", f"/containers/{name}/start")
        ended = self.engine.ask("POST", f"/containers/{name}/wait")
        if ended["StatusCode"] != 7:
            self.complaints.append(f"{name} ended with {ended}")
        self.unmaking("c", name, f"/containers/{name}", force=1, v=1)

    def exec_one(self):
        name = self.one("c")
        if name and (("running", name) in self.ledger.facts) and self.ledger.facts[("running", name)]:
            made = self.engine.ask("POST", f"/containers/{name}/exec", {"Cmd": ["true"]})
            self.engine.ask("POST", f"/exec/{made['Id']}/start", {"Detach": True})

    def remove(self):
        name = self.one("c")
        if name:
            self.ledger.doubt("running", name)
            self.unmaking("c", name, f"/containers/{name}", force=1, v=1)

    def commit(self):
        name = self.one("c")
        if name and len(self.ledger.there("i")) < 12:
            image = self.fresh("i")
            self.making("i", image, "POST", "/commit", {}, container=name, repo=image, tag="t")

    def untag(self):
        image = self.one("i")
        if image:
            self.unmaking("i", image, f"/images/{image}:t", force=1)

    def volume(self):
        name = self.fresh("v")
        self.making("v", name, "POST", "/volumes/create", {"Name": name, "Labels": {"badday": "1"}})

    def volume_remove(self):
        name = self.one("v")
        if name:
            self.unmaking("v", name, f"/volumes/{name}")

    def network(self):
        if len(self.ledger.there("n")) < 8:
            name = self.fresh("n")
            # What a kill leaves in doubt is removed later, or the pool of addresses would be used up by them.
            self.lost_networks.append(name)
            self.making("n", name, "POST", "/networks/create", {"Name": name})
            self.lost_networks.remove(name)
            container = self.one("c")
            if container:
                self.engine.ask("POST", f"/networks/{name}/connect", {"Container": container})

    def network_remove(self):
        for lost in list(self.lost_networks):
            self.unmaking("n", lost, f"/networks/{lost}")
            self.lost_networks.remove(lost)
        name = self.one("n")
        if name:
            self.lost_networks.append(name)
            for container in self.engine.ask("GET", f"/networks/{name}")["Containers"] or {}:
                self.engine.ask("POST", f"/networks/{name}/disconnect", {"Container": container, "Force": True})
            self.unmaking("n", name, f"/networks/{name}")
            self.lost_networks.remove(name)

    def save_load(self):
        status, archive = self.engine.raw("GET", "/images/busybox/get")
        if status == 200:
            self.engine.ask("POST", "/images/load", archive)

    def build(self):
        if len(self.ledger.there("i")) >= 12:
            return self.untag()
        image = self.fresh("i")
        text = f"FROM busybox\nRUN echo {image} > /name\nCOPY file /file\n".encode()
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w") as tar:
            for name, data in (("Dockerfile", text), ("file", os.urandom(1024))):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        self.ledger.doubt("i", image)
        told = self.engine.ask("POST", "/build", body.getvalue(), headers={"Content-Type": "application/x-tar"}, t=f"{image}:t")
        if "Successfully tagged" in str(told):
            self.ledger.say("i", image, True)

    def pull(self):
        if ("i", self.image) in self.ledger.facts and self.ledger.facts["i", self.image]:
            self.unmaking("i", self.image, f"/images/{self.image}:t")
        self.making("i", self.image, "POST", "/images/create", fromImage=self.image, tag="t")

    def compose(self, *words):
        """Our compose, as a person types it. What it says of an engine that went away is no complaint."""
        kills = self.engine.kills
        done = subprocess.run([self.engine.program, "-H", f"unix://{self.engine.socket}", "compose", "-p", self.project, "-f", "-", *words],
                              input=PROJECT, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            if self.engine.kills != kills or "error during connect" in done.stderr or "Cannot connect" in done.stderr:
                raise Gone(done.stderr)
            raise Refused(done.returncode, done.stderr.strip())

    def containers(self, webs):
        return [f"{self.project}-base-1"] + [f"{self.project}-web-{number}" for number in range(1, webs + 1)]

    def compose_up(self):
        webs = self.random.randint(1, 3)
        for name in self.containers(3):
            self.ledger.doubt("c", name)
            self.ledger.doubt("running", name)
        self.compose("up", "-d", "--scale", f"web={webs}")
        # Which numbers they have is not ours to say: what an earlier kill left of a higher number stays, where it is enough.
        mine = json.dumps({"label": [f"com.docker.compose.project={self.project}"]})
        running = [one["Names"][0].lstrip("/") for one in self.engine.ask("GET", "/containers/json", filters=mine)]
        if len(running) != 1 + webs:
            raise AssertionError(f"up of {webs} webs left {running}")
        for name in self.containers(3):
            self.ledger.say("c", name, name in running)
            if name in running:
                self.ledger.say("running", name, True)

    def compose_down(self):
        for name in self.containers(3):
            self.ledger.doubt("c", name)
            self.ledger.doubt("running", name)
        self.compose("down", "-v", "-t", "0")
        for name in self.containers(3):
            self.ledger.say("c", name, False)


def reckon(engine, ledger):
    """Compares the ledger with the engine. Gives what is not as acknowledged."""
    wrong = []
    containers = {name.lstrip("/"): one for one in engine.ask("GET", "/containers/json", all=1) for name in one["Names"]}
    images = {tag for one in engine.ask("GET", "/images/json") for tag in one["RepoTags"] or []}
    volumes = {one["Name"] for one in engine.ask("GET", "/volumes")["Volumes"] or []}
    networks = {one["Name"] for one in engine.ask("GET", "/networks")}
    with ledger.lock:
        facts = dict(ledger.facts)
    for (kind, name), there in sorted(facts.items()):
        if kind == "running":
            state = containers.get(name, {}).get("State")
            if state is not None and (state == "running") != there:
                shown = engine.ask("GET", f"/containers/{name}/json")["State"]
                wrong.append(f"container {name} was acknowledged as {'running' if there else 'stopped'} and is {state}: {shown}")
            continue
        here = {"c": name in containers, "i": f"{name}:t" in images, "v": name in volumes, "n": name in networks}[kind]
        if here != there:
            wrong.append(f"{kind} {name} was acknowledged as {'there' if there else 'gone'} and is {'there' if here else 'gone'}")
    return wrong


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--workers", type=int, default=4)
    asked = asked.parse_args()
    inside_namespaces()
    engine, ledger = Engine(), Ledger()
    engine.start()
    engine.stop()
    empty = engine.disk_bytes()
    engine.start()
    engine.load_busybox()
    registry = Registry(engine)
    registry.fill(engine, asked.workers)
    workers = [Worker(number, engine, ledger, registry, asked.seed) for number in range(asked.workers)]
    for worker in workers:
        worker.go.set()
        worker.start()
    moments = random.Random(asked.seed)
    wrong, starts = [], []
    for kill in range(asked.kills):
        time.sleep(moments.uniform(0.05, 1.5))
        engine.kill()
        for worker in workers:
            worker.go.clear()
        time.sleep(0.1)
        starts.append(engine.start())
        # Requests that began before the kill have all failed by now; new ones begin after the reckoning.
        time.sleep(0.2)
        found = reckon(engine, ledger)
        wrong += [f"after kill {kill + 1}: {line}" for line in found]
        for worker in workers:
            worker.go.set()
    for worker in workers:
        worker.end = True
        worker.go.set()
    for worker in workers:
        worker.join(timeout=120)
        if worker.is_alive():
            wrong.append(f"{worker.name} still waits for an answer")
        if worker.broken:
            wrong.append(f"{worker.name} broke: {worker.broken}")
        # What the last kill cut, the next one mends: a pull goes on where it was, a project comes up and goes.
        for deed in (worker.pull, worker.compose_up, worker.compose_down):
            try:
                deed()
            except (Gone, Refused) as err:
                wrong.append(f"{worker.name}: {deed.__name__} after the last kill: {err}")
    registry.stop()
    engine.ids = frozenset(ledger.ids)
    engine.remove_everything()
    engine.stop()
    left = engine.left_behind()
    grown = engine.disk_bytes() - empty
    deeds = {}
    for worker in workers:
        for deed, count in worker.deeds.items():
            deeds[deed] = deeds.get(deed, 0) + count
    complaints = [line for worker in workers for line in worker.complaints]
    print(json.dumps({"kills": asked.kills, "seed": asked.seed, "deeds": deeds, "slowest start, s": round(max(starts), 2),
                      "disk above empty, KiB": grown // 1024, "refusals": len(complaints)}, indent=1))
    for line in sorted(set(complaints))[:20]:
        print(f"refused: {line}")
    if grown > 1 << 20:
        wrong.append(f"the data root holds {grown // 1024} KiB more than an empty one")
    for line in wrong + left:
        print(f"WRONG: {line}")
    if wrong or left:
        print(f"kept: {engine.root}")
        sys.exit(1)
    engine.delete()


main()
