#!/usr/bin/env python3
"""The power fails at random moments, while clients push to the registry and delete; then a reckoning.

usage: registry_power.py [--cuts N] [--seed S] [--fs ext4|xfs]

Its storage is a file system of its own (disk.py). After each cut every blob, manifest and tag that was acknowledged is there with its bytes, and
every deletion that was acknowledged stands.
"""
import argparse
import hashlib
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from disk import Disk
from engine import TARGET, inside_namespaces

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
WORKERS = 4


class Registry:
    def __init__(self, root):
        self.program = os.environ.get("PROGRAM", f"{TARGET}/debug/gantry")
        self.root, self.troubles = root, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self):
        with open(f"{self.root}/log", "ab") as log:
            self.process = subprocess.Popen([self.program, "registry", "serve", "--addr", f"127.0.0.1:{self.port}", "--root", f"{self.root}/data/registry"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "the registry does not start"
                time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)


def ask(connection, method, path, body=None, kind="application/octet-stream"):
    connection.request(method, path, body=body, headers={"Content-Type": kind, "Accept": "*/*"})
    answer = connection.getresponse()
    return answer.status, answer.getheader("Location", ""), answer.read()


class Ledger:
    """What was acknowledged: path to its bytes, or None where it was deleted. What is under way is not in it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.facts = {}

    def doubt(self, path):
        with self.lock:
            self.facts.pop(path, None)

    def say(self, path, content):
        with self.lock:
            self.facts[path] = content

    def tags_of(self, worker):
        with self.lock:
            return [path for path, content in self.facts.items() if content is not None and path.startswith(f"/v2/w{worker}/") and "/manifests/" in path]


def work(number, registry, ledger, chance, end):
    connection = registry.connect()
    try:
        while not end.is_set():
            push(number, connection, ledger, chance)
            if chance.random() < 0.2 and (tags := ledger.tags_of(number)):
                path = chance.choice(tags)
                ledger.doubt(path)
                if ask(connection, "DELETE", path)[0] == 202:
                    ledger.say(path, None)
    except (OSError, http.client.HTTPException):
        # The cut.
        pass
    except AssertionError as err:
        registry.troubles.append(f"refused: {err}")


def push(number, connection, ledger, chance):
    repository = f"/v2/w{number}/r{chance.randrange(3)}"
    blob = os.urandom(chance.choice([100, 70_000, 1 << 20]))
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    _, place, _ = ask(connection, "POST", f"{repository}/blobs/uploads/")
    place = place[place.index("/v2"):]
    status, _, told = ask(connection, "PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", blob)
    assert status == 201, told
    ledger.say(f"{repository}/blobs/{digest}", blob)
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(blob)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).encode()
    path = f"{repository}/manifests/t{chance.randrange(20)}"
    ledger.doubt(path)
    status, _, told = ask(connection, "PUT", path, manifest, MANIFEST)
    assert status == 201, told
    ledger.say(path, manifest)


def reckon(registry, ledger):
    connection, wrong = registry.connect(), []
    for path, content in ledger.facts.items():
        status, _, body = ask(connection, "GET", path)
        if content is None and status != 404:
            wrong.append(f"{path} was deleted and is back: {status}")
        if content is not None and (status, body) != (200, content):
            wrong.append(f"{path} was acknowledged and is gone or another: {status}, {len(body)} of {len(content)} bytes")
    return wrong


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--cuts", type=int, default=20)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--fs", default="ext4")
    asked = asked.parse_args()
    inside_namespaces()
    root = tempfile.mkdtemp(prefix="gantry-badday-")
    disk = Disk(asked.fs, f"{root}/disk", f"{root}/data", 1 << 30)
    registry, ledger, moments, wrong = Registry(root), Ledger(), random.Random(asked.seed), []
    registry.start()
    for cut in range(asked.cuts):
        end = threading.Event()
        chances = [random.Random(asked.seed * 1000 + cut * WORKERS + number) for number in range(WORKERS)]
        workers = [threading.Thread(target=work, args=(number, registry, ledger, chances[number], end)) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        time.sleep(moments.uniform(0.1, 1.2))
        disk.cut(registry.process.pid)
        registry.kill()
        end.set()
        for worker in workers:
            worker.join()
        disk.unmount()
        disk.mount()
        registry.start()
        wrong += [f"after cut {cut + 1}: {line}" for line in registry.troubles + reckon(registry, ledger)]
    there = sum(content is not None for content in ledger.facts.values())
    print(f"{asked.cuts} cuts on {asked.fs}, seed {asked.seed}: {there} acknowledged things there, {len(ledger.facts) - there} deletions stand")
    for line in wrong:
        print(f"WRONG: {line}")
    registry.kill()
    disk.delete()
    shutil.rmtree(root)
    sys.exit(bool(wrong))


main()
