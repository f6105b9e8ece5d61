"""An image of six layers and 180 MB travels: pushed to an empty local registry, and pulled from it by an engine without it.

usage: bench/travel.py GANTRY [ROUNDS]

Both engines push to the same registry program (ours), each round into an empty one; the image is loaded anew before each push, so
that nothing packed earlier is reused. Everything runs in a network namespace of its own.
"""
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import engines
import measure

HERE = os.path.dirname(os.path.abspath(__file__))
QUIET = "--bridge=none --iptables=false --ip-forward=false"
LAYERS, MEBIBYTES = 6, 30


def image(folder):
    """A docker-archive: half of each layer is text that packs well, half is noise that does not."""
    noise = random.Random(4)
    layers = []
    for number in range(LAYERS):
        root = f"{folder}/root{number}"
        os.makedirs(f"{root}/data{number}")
        for part in range(MEBIBYTES):
            with open(f"{root}/data{number}/{part}", "wb") as file:
                if part % 2:
                    file.write(noise.randbytes(1 << 20))
                else:
                    words = b" ".join(b"%x" % noise.getrandbits(24) for _ in range(4096))
                    file.write((words * (1 + (1 << 20) // len(words)))[: 1 << 20])
        layer = f"{folder}/{number}.layer"
        subprocess.run(["tar", "-C", root, "--sort=name", "--owner=0", "--group=0", "--mtime=@0", "-cf", layer, "."], check=True)
        shutil.rmtree(root)
        layers.append(layer)
    archive = f"{folder}/big.tar"
    subprocess.run([sys.executable, f"{HERE}/../tests/archive.py", archive, "big:latest", '["true"]', *layers], check=True)
    for layer in layers:
        os.remove(layer)
    return archive


class Registry:
    def __init__(self, gantry, port):
        self.folder = tempfile.mkdtemp(prefix="bench-registry-")
        self.process = subprocess.Popen(
            [gantry, "registry", "serve", "--addr", f"127.0.0.1:{port}", "--root", self.folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        deadline = time.time() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if time.time() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def trip(engine, gantry, archive, port):
    """Seconds of a push and of a pull."""
    name = f"127.0.0.1:{port}/big:latest"
    engine.run("load", "-q", "-i", archive)
    engine.run("tag", "big:latest", name)
    registry = Registry(gantry, port)
    try:
        begin = time.perf_counter()
        engine.run("push", "-q", name)
        pushed = time.perf_counter() - begin
        engine.run("rmi", "-f", "big:latest", name)
        begin = time.perf_counter()
        engine.run("pull", "-q", name)
        pulled = time.perf_counter() - begin
        engine.run("rmi", "-f", name)
        return pushed, pulled
    finally:
        registry.stop()


def main():
    if os.environ.get("BENCH_INSIDE") != "1":
        inside = ["unshare", "--net", "--mount", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv]
        sys.exit(subprocess.run(inside, env={**os.environ, "BENCH_INSIDE": "1"}).returncode)
    gantry = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    folder = tempfile.mkdtemp(prefix="bench-travel-")
    sides = [engines.gantry(gantry, QUIET, net=False)]
    docker = engines.docker(QUIET, net=False)
    if docker:
        sides.append(docker)
    try:
        archive = image(folder)
        push, pull = {side.name: [] for side in sides}, {side.name: [] for side in sides}
        for turn in range(rounds + 1):
            for side in sides:
                pushed, pulled = trip(side, gantry, archive, 5000 + turn)
                if turn:
                    push[side.name].append(pushed * 1000)
                    pull[side.name].append(pulled * 1000)
        measure.report(f"push of {LAYERS} layers, {LAYERS * MEBIBYTES} MB, to an empty registry", push, "ms")
        measure.report("pull of the same", pull, "ms")
        if not docker:
            measure.missing("push and pull", "dockerd")
    finally:
        for side in sides:
            side.stop()
        shutil.rmtree(folder)


main()
