"""Clients work, the engine is killed at random moments, and what was acknowledged has to be so."""
import argparse
import json
import random
import sys
import time

from engine import Gone, Refused
from worker import Ledger, Registry, Worker


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


def words():
    asked = argparse.ArgumentParser()
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--workers", type=int, default=4)
    return asked


def trial(engine, asked):
    """Kills `engine` again and again while clients work, and reckons after each start; ends the program with 1 where anything is wrong."""
    ledger = Ledger()
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
        engine.forget(ledger, workers)
        starts.append(engine.start())
        # Requests that began before the kill have all failed by now; new ones begin after the reckoning.
        time.sleep(0.2)
        found = reckon(engine, ledger) + engine.look_inside(ledger)
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
