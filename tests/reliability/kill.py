#!/usr/bin/env python3
"""kill -9 of the engine at random moments, while many clients work; then a reckoning.

usage: kill.py [--kills N] [--seed S] [--workers W]

Each worker does one thing after another (create, start, run, exec, cp, export, rename, commit, rm, volumes, networks, load, save, build, pull, a
compose project) and writes in a ledger what was acknowledged. The engine is killed at a random moment and started again; then what the ledger
says must be so: what was acknowledged is there, what was acknowledged as removed is gone, what ran runs. What was under way at the kill may be
either. At the end everything is removed, the engine stopped, and nothing may be left: no mount, cgroup, link, process, folder, and no more of the
disk than an empty engine takes, but one MiB.
"""
import argparse
import json
import os
import random
import socket
import subprocess
import sys
import time

from engine import Engine, Gone, Refused, inside_namespaces
from worker import Ledger, Worker, packed


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
        archive = packed(noise=os.urandom(8 << 20), more=os.urandom(8 << 20))
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
