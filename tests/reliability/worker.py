"""What the clients of kill.py and power.py do, whom they pull from, and the ledger of what was acknowledged to them."""
import io
import json
import os
import random
import socket
import subprocess
import tarfile
import threading
import time

from engine import Gone, Refused

# What a worker's project is: the web waits for its base, and is scaled up and down.
PROJECT = """
services:
  base: {image: busybox, command: &idle [sh, -c, "trap exit TERM; while :; do sleep 1 & wait; done"], volumes: ["data:/data"]}
  web: {image: busybox, command: *idle, depends_on: [base], scale: 2}
volumes: {data: {}}
"""

TAR = {"Content-Type": "application/x-tar"}


def packed(**files):
    """A tar archive of these files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return archive.getvalue()


class Registry:
    """A registry beside the engine that is never killed. It holds one image of a layer that nothing else has."""

    noise = os.urandom(8 << 20)

    def __init__(self, engine):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        with open(f"{engine.root}/registry.log", "ab") as log:
            self.process = subprocess.Popen(
                [engine.program, "registry", "serve", "--addr", self.address, "--root", f"{engine.root}/registry"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def fill(self, engine, workers):
        archive = packed(noise=self.noise, more=os.urandom(8 << 20))
        for number in range(workers):
            repository = self.repository(number)
            engine.ask("POST", "/images/create", archive, fromSrc="-", repo=repository, tag="t")
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
        self.copied = {}

    def run(self):
        deeds = [self.create, self.start_one, self.run_short, self.exec_one, self.remove, self.remove, self.commit, self.untag,
                 self.volume, self.volume_remove, self.network, self.network_remove, self.save_load, self.build, self.stop_one,
                 self.copy_in, self.copy_in, self.copy_out, self.export, self.rename, self.pull, self.compose_up, self.compose_up, self.compose_down]
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

    def copy_in(self):
        name = self.one("c")
        if name:
            data = os.urandom(self.random.choice((100, 1 << 20)))
            # What was copied before may be half written over.
            self.copied.pop(name, None)
            self.engine.ask("PUT", f"/containers/{name}/archive?path=/home", packed(copied=data), headers=TAR)
            self.copied[name] = data

    def copy_out(self):
        name = self.random.choice(list(self.copied) or [None])
        if name and ("c", name) in self.ledger.facts:
            status, archive = self.engine.raw("GET", f"/containers/{name}/archive?path=/home/copied")
            if status == 404:
                raise AssertionError(f"{name} has no longer what was copied into it: {status} {archive}")
            if status != 200:
                raise Refused(status, archive.decode(errors="replace").strip())
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                if tar.extractfile("copied").read() != self.copied[name]:
                    raise AssertionError(f"{name} has not what was copied into it")

    def export(self):
        name = self.one("c")
        if name:
            status, told = self.engine.raw("GET", f"/containers/{name}/export")
            if status != 200:
                raise Refused(status, told.decode(errors="replace").strip())

    def rename(self):
        name = self.one("c")
        if name:
            new = self.fresh("c")
            for one in (name, new):
                self.ledger.doubt("c", one)
                self.ledger.doubt("running", one)
            self.copied.pop(name, None)
            self.engine.ask("POST", f"/containers/{name}/rename", name=new)
            self.ledger.say("c", name, False)
            self.ledger.say("c", new, True)

    def remove(self):
        name = self.one("c")
        if name:
            self.ledger.doubt("running", name)
            self.copied.pop(name, None)
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
        context = packed(Dockerfile=text, file=os.urandom(1024))
        self.ledger.doubt("i", image)
        told = self.engine.ask("POST", "/build", context, headers=TAR, t=f"{image}:t")
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
