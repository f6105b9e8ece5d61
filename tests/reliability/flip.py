#!/usr/bin/env python3
"""One byte flipped in any file under the data root while the engine is down; then a reckoning.

usage: flip.py [--flips N] [--seed S] [--only KIND]

An engine is filled (containers, images, a build, a volume, a network, logs, events) and stopped; its data root is kept. Each round takes a fresh
copy, flips one bit of one byte of one file, starts the engine and asks for everything. What must hold:

- the engine starts and answers every listing, and nothing in it panics;
- what is not as before is told: by the answer, or by a line of the log;
- only that one thing fails (and what stands on it);
- removing or loading it again mends it, and a new container runs.

Bytes that are a container's or a volume's own (the layers' files, a volume's content) are theirs: flipped, everything else must work.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import io

from engine import Engine, Gone, Refused, inside_namespaces

KINDS = {
    "store": lambda path: path == "store.db",
    "blob": lambda path: path.startswith("content/"),
    "layer": lambda path: path.startswith("snapshots/"),
    "container": lambda path: path.startswith("containers/"),
    "volume": lambda path: path.startswith("volumes/"),
    "build": lambda path: path.startswith("build/"),
    "rest": lambda path: True,
}


def fill(engine):
    engine.load_busybox()
    for name in ("one", "two"):
        engine.ask("POST", f"/containers/create?name={name}", {
            "Image": "busybox", "Cmd": ["sh", "-c", "echo said"], "HostConfig": {"NetworkMode": "none", "Binds": ["kept:/v"]}})
        engine.ask("POST", f"/containers/{name}/start")
        engine.ask("POST", f"/containers/{name}/wait")
    engine.ask("POST", "/commit", {}, container="one", repo="made", tag="t")
    engine.ask("POST", "/containers/create?name=three", {"Image": "made:t", "Cmd": ["echo", "said"], "HostConfig": {"NetworkMode": "none"}})
    engine.ask("POST", "/networks/create", {"Name": "net"})
    engine.ask("POST", "/volumes/create", {"Name": "free", "Labels": {"a": "b"}})
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        text = b"FROM busybox\nRUN echo built > /name\n"
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    engine.ask("POST", "/build", body.getvalue(), headers={"Content-Type": "application/x-tar"}, t="built:t")


def look(engine):
    """Everything there is, thing by thing: a text, or the refusal."""
    seen = {}

    def see(thing, *ask, **query):
        try:
            answer = engine.ask(*ask, **query)
            seen[thing] = answer if isinstance(answer, str) else "there"
            return answer
        except Refused as err:
            seen[thing] = f"REFUSED {err}"
            return None

    for thing, path in (("containers", "/containers/json?all=1&size=1"), ("images", "/images/json?all=1"), ("volumes", "/volumes"),
                        ("networks", "/networks"), ("df", "/system/df"), ("info", "/info"), ("events", "/events?since=0&until=1")):
        see(f"list {thing}", "GET", path)
    for name in ("one", "two", "three"):
        see(f"container {name}", "GET", f"/containers/{name}/json")
        said = see(f"container {name} logs", "GET", f"/containers/{name}/logs?stdout=1")
        # Every look starts them anew and so adds a line.
        if isinstance(said, str):
            seen[f"container {name} logs"] = "said" if said.count("said") else ""
        see(f"container {name} changes", "GET", f"/containers/{name}/changes")
        if see(f"container {name} start", "POST", f"/containers/{name}/start") is None and "REFUSED" not in seen[f"container {name} start"]:
            ended = see(f"container {name} wait", "POST", f"/containers/{name}/wait")
            seen[f"container {name} wait"] = f"{(ended or {}).get('StatusCode')}"
    for name in ("busybox", "made:t", "built:t"):
        see(f"image {name}", "GET", f"/images/{name}/json")
        see(f"image {name} history", "GET", f"/images/{name}/history")
        try:
            status, data = engine.raw("GET", f"/images/{name}/get")
        except Gone as err:
            # Its end is how a stream that began well tells that it could not go on.
            seen[f"image {name} save"] = f"REFUSED {err}"
            continue
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                seen[f"image {name} save"] = "there" if status == 200 and len(tar.getnames()) > 2 else f"REFUSED {status} {data[:300]}"
        except tarfile.TarError as err:
            seen[f"image {name} save"] = f"REFUSED {err} {data[:300]}"
    for name in ("kept", "free"):
        see(f"volume {name}", "GET", f"/volumes/{name}")
    see("network net", "GET", "/networks/net")
    return seen


def mend(engine):
    """What a person does: removes what fails, and brings the image in again."""
    for name in ("one", "two", "three"):
        engine.forgiving("DELETE", f"/containers/{name}", force=1, v=1)
    for name in ("made:t", "built:t", "busybox"):
        engine.forgiving("DELETE", f"/images/{name}", force=1)
    engine.ask("POST", "/build/prune", all=1)
    engine.ask("POST", "/images/prune", filters='{"dangling":["false"]}')
    for name in ("kept", "free"):
        engine.forgiving("DELETE", f"/volumes/{name}", force=1)
    engine.forgiving("DELETE", "/networks/net")
    engine.load_busybox()
    engine.ask("POST", "/containers/create?name=new", {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", "Binds": ["kept:/v"]}})
    engine.ask("POST", "/containers/new/start")
    ended = engine.ask("POST", "/containers/new/wait")
    if ended["StatusCode"] != 0:
        raise Refused(500, f"the new container ended with {ended}")
    engine.ask("DELETE", "/containers/new", force=1, v=1)


def files(root):
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) and not name.endswith(".ballast"):
                found.append(os.path.relpath(path, root))
    return sorted(found)


def flip(path, chance):
    size = os.path.getsize(path)
    at, bit = chance.randrange(size), chance.randrange(8)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << bit)]))
    return at, bit


def roots(different, kind):
    """The independent things among those that are different: an image takes the containers made of it along, a layer's program too."""
    if kind == "layer":
        different = {name for name in different if not (name.startswith("container ") and name.endswith(" wait"))}
    things = {" ".join(name.split(" ")[:2]) for name in different}
    images = {thing for thing in things if thing.startswith("image ")}
    if images:
        things = {thing for thing in things if not thing.startswith("container ")}
        # Images stand on each other's layers.
        things = (things - images) | {"image"}
    return things


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--flips", type=int, default=12)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", choices=KINDS)
    asked = asked.parse_args()
    inside_namespaces()
    engine = Engine()
    engine.start()
    fill(engine)
    engine.stop()
    data, kept = f"{engine.root}/data", f"{engine.root}/kept"
    engine.start()
    before = look(engine)
    engine.stop()
    shutil.rmtree(f"{engine.root}/exec", ignore_errors=True)
    subprocess.run(["cp", "-a", data, kept], check=True)
    bad = [name for name, text in before.items() if text.startswith("REFUSED")]
    before = {name: "said" if name.endswith(" logs") else text for name, text in before.items()}
    if bad:
        sys.exit(f"nothing was flipped yet, and this fails: {({name: before[name] for name in bad})}")
    chance = random.Random(asked.seed)
    by_kind = {}
    for path in files(kept):
        by_kind.setdefault(next(kind for kind, fits in KINDS.items() if fits(path)), []).append(path)
    kinds = [asked.only] if asked.only else sorted(by_kind)
    tally, wrong = {}, []
    for number in range(asked.flips):
        kind = kinds[number % len(kinds)]
        path = chance.choice(by_kind[kind])
        subprocess.run(["rm", "-rf", data], check=True)
        subprocess.run(["cp", "-a", kept, data], check=True)
        at, bit = flip(f"{data}/{path}", chance)
        what = f"{path} byte {at} bit {bit}"
        open(engine.log, "w").close()
        outcome = "unseen"
        try:
            engine.start()
            seen = look(engine)
            different = sorted(name for name in before if seen.get(name) != before[name])
            log = engine.tail(2000)
            if different:
                outcome = "told"
                told = [name for name in different if seen.get(name, "").startswith("REFUSED")]
                lines = [line for line in log.split("\n") if " WARN" in line or "ERROR" in line or "damaged" in line]
                if not told and not lines and kind not in ("layer", "volume", "container"):
                    wrong.append(f"{what}: nobody tells why {different} is not as before")
                if len(roots(different, kind)) > 1:
                    wrong.append(f"{what}: more than one thing fails: {different} {[seen[name] for name in told][:3]}")
                if any(name.startswith("list ") for name in different):
                    wrong.append(f"{what}: a listing fails: {[(name, seen[name]) for name in different if name.startswith('list ')]}")
            elif " WARN" in log or "ERROR" in log:
                outcome = "logged"
            mend(engine)
            engine.stop()
            # The database asserts what its pages hold; the store hears it and takes its copy.
            replaced = "its copy of that time stands in" in log
            if replaced and not different:
                outcome = "replaced"
            if "panicked" in engine.tail(2000) and not replaced:
                wrong.append(f"{what}: it panicked")
        except (Gone, Refused, RuntimeError, subprocess.TimeoutExpired) as err:
            outcome = "failed"
            wrong.append(f"{what}: {str(err)[-600:]}")
            if engine.process.poll() is None:
                engine.kill()
        tally.setdefault(kind, {}).setdefault(outcome, 0)
        tally[kind][outcome] += 1
    print(json.dumps({"flips": asked.flips, "seed": asked.seed, "outcome": tally}, indent=1))
    for line in wrong:
        print(f"WRONG: {line}")
    engine.delete()
    sys.exit(1 if wrong else 0)


main()
