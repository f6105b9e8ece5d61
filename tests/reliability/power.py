#!/usr/bin/env python3
"""The power fails at random moments, while many clients work; then a reckoning.

usage: power.py [--kills N] [--seed S] [--workers W] [--fs ext4|xfs] [--driver overlay|native] [--first N]

The data root is a file system of its own (disk.py) that is cut off at a random moment. Engine, shims and containers are killed, and what lives in
memory goes: the exec root, cgroups, bridges, rules. The file system is mounted again, as after a boot, and the engine started. Then what was
acknowledged must be so as in kill.py, but for what ran and for what was written into containers; images must be whole: they run, and have in them
what they had; containers start. --first cuts so many very first starts before that.
"""
import os
import random
import re
import signal
import subprocess
import time
import uuid

from disk import PATIENCE, Disk, output, run
from engine import Engine, Refused, inside_namespaces
from trial import trial, words
from worker import Registry

BOOT_ID = "/proc/sys/kernel/random/boot_id"
IMAGES_LOOKED_AT = CONTAINERS_STARTED = 4


class Machine(Engine):
    """An engine with all that a power cut takes from it."""

    def __init__(self, kind, driver):
        super().__init__()
        self.parent = f"power{os.getpid()}"
        self.flags = ["--cgroup-parent", f"/{self.parent}", f"--storage-driver={driver}"]
        self.exec, self.boot = f"{self.root}/exec", f"{self.root}/boot"
        self.disk = Disk(kind, f"{self.root}/disk", f"{self.root}/data")
        os.mkdir(self.exec)
        self.boots()
        run("mount", "--bind", self.boot, BOOT_ID)

    def boots(self):
        with open(self.boot, "w") as file:
            file.write(f"{uuid.uuid4()}\n")
        run("mount", "-t", "tmpfs", "tmpfs", self.exec)

    def kill(self):
        self.disk.cut(self.process.pid)
        super().kill()
        self.memory_is_gone()
        self.disk.mount()
        self.boots()

    def memory_is_gone(self):
        deadline = time.monotonic() + PATIENCE
        while pids := [pid for pid in filter(str.isdigit, os.listdir("/proc")) if self.is_ours(pid)]:
            assert time.monotonic() < deadline, f"processes do not die: {pids}"
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)
        for folder in [folder for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False) if self.parent in folder]:
            while not removed(folder):
                assert time.monotonic() < deadline, f"{folder} does not go"
                time.sleep(0.01)
        run("umount", "--recursive", self.exec)
        self.disk.unmount()
        for line in output("ip", "-brief", "link").split("\n"):
            name = line.split()[0].split("@")[0]
            if name.startswith(("gantry", "br-", "veth")):
                subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
        run("nft", "flush", "ruleset")
        for file in (self.socket, f"{self.root}/pid"):
            if os.path.exists(file):
                os.remove(file)

    def is_ours(self, pid):
        try:
            with open(f"/proc/{pid}/cgroup") as file:
                if f"/{self.parent}" in file.read():
                    return True
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read().startswith(f"gantry-shim\0--bundle\0{self.root}".encode())
        except (FileNotFoundError, ProcessLookupError):
            return False

    def forget(self, ledger, workers):
        with ledger.lock:
            ledger.facts = {fact: there for fact, there in ledger.facts.items() if fact[0] != "running"}
        for worker in workers:
            worker.copied.clear()

    def look_inside(self, ledger):
        wrong = []
        for image in sorted(ledger.there("i"))[-IMAGES_LOOKED_AT:]:
            try:
                wrong += [f"image {image}: {line}" for line in self.whole(f"{image}:t")]
            except Refused as err:
                wrong.append(f"image {image}: {err}")
        for container in sorted(name for name in ledger.there("c") if name.startswith("c"))[-CONTAINERS_STARTED:]:
            ledger.doubt("running", container)
            try:
                self.ask("POST", f"/containers/{container}/start")
                self.ask("GET", f"/containers/{container}/logs?stdout=1")
                self.ask("POST", f"/containers/{container}/stop", t=0)
            except Refused as err:
                # A network may go while a container that does not run is on it.
                if not re.search("network .* not found", str(err)):
                    wrong.append(f"container {container}: {err}")
        return wrong

    def whole(self, image):
        """Runs it, and looks for what it had."""
        pulled = "/" in image
        made = self.ask("POST", "/containers/create", {"Image": image, "Cmd": ["sh", "-c", "test ! -e /name || cat /name"], "HostConfig": {"NetworkMode": "none"}})["Id"]
        try:
            if pulled:
                status, archive = self.raw("GET", f"/containers/{made}/archive?path=/noise")
                return [] if status == 200 and Registry.noise in archive else ["it has not what was pulled"]
            self.ask("POST", f"/containers/{made}/start")
            code = self.ask("POST", f"/containers/{made}/wait")["StatusCode"]
            told = self.raw("GET", f"/containers/{made}/logs?stdout=1&stderr=1")[1]
            # A built image has its own name in it; a committed one has none.
            return [] if code == 0 and (not told or image.removesuffix(":t").encode() in told) else [f"it ends with {code} and {told}"]
        finally:
            self.ask("DELETE", f"/containers/{made}", force=1)

    def left_behind(self):
        return [line for line in super().left_behind() if line not in (f"mount {self.disk.folder}", f"mount {self.exec}")]

    def delete(self):
        run("umount", BOOT_ID)
        run("umount", "--recursive", self.exec)
        self.disk.delete()
        super().delete()


def removed(cgroup):
    """The kernel lets go of one a while after its last process."""
    try:
        os.rmdir(cgroup)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def first_start(asked, chance):
    """The power fails in the middle of the very first start: the next one is a first start or goes on, and works."""
    engine = Machine(asked.fs, asked.driver)
    engine.launch()
    time.sleep(chance.uniform(0, 1))
    engine.kill()
    engine.start()
    engine.load_busybox()
    wrong = engine.whole("busybox:latest")
    assert not wrong, wrong
    engine.stop()
    engine.delete()


asked = words()
asked.add_argument("--fs", default="ext4")
asked.add_argument("--driver", default="")
asked.add_argument("--first", type=int, default=0)
asked = asked.parse_args()
inside_namespaces()
chance = random.Random(asked.seed)
for _ in range(asked.first):
    first_start(asked, chance)
trial(Machine(asked.fs, asked.driver), asked)
