"""The engine side by side with Docker's: run, exec, ps, many at once, removal, restore, load, save, commit, logs, memory.

usage: bench/engine.py GANTRY-PROGRAM BUSYBOX.tar [LARGE.tar]
`ONLY=word,word` in the environment runs the parts whose names hold one of the words.
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import engines
from measure import compare, missing, report

program, busybox, *large = sys.argv[1:]
only = [word for word in os.environ.get("ONLY", "").split(",") if word]

ARCHIVE = f"{os.path.dirname(os.path.abspath(__file__))}/../tests/archive.py"

SLEEPER = {"Image": "busybox", "Cmd": ["sleep", "3600"], "HostConfig": {"NetworkMode": "none"}}
SHORT = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}


def sides(running, do):
    return [(engine.name, lambda engine=engine: do(engine)) for engine in running]


def once(title, running, do, rounds, unit):
    """For what is too long to repeat often: `do` returns its own figure. Higher may be better: the title says what it is."""
    figures = {engine.name: [] for engine in running}
    for _ in range(rounds):
        for engine in running:
            # Nobody pays for what another left to be written.
            os.sync()
            figures[engine.name].append(do(engine))
    report(title, figures, unit)


def timed(do):
    begin = time.perf_counter()
    do()
    return time.perf_counter() - begin


def at_once(count, do):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(do, range(count)))


def clear(engine):
    ids = [container["Id"] for container in engine.call("GET", "/containers/json?all=1")]
    at_once(8, lambda lane: [engine.call("DELETE", f"/containers/{one}?force=1&v=1") for one in ids[lane::8]])


def alone(running):
    compare("the client alone: --version (ms)", sides(running, lambda engine: engine.run("--version")), rounds=30)
    compare("run --help (ms)", sides(running, lambda engine: engine.run("run", "--help")), rounds=30)


def runs(running):
    for network in ("none", "host"):
        compare(f"run --rm --network {network} busybox true (ms)",
                sides(running, lambda engine: engine.run("run", "--rm", "--network", network, "busybox", "true")))
    compare("run --rm busybox true, default network (ms)",
            sides(running, lambda engine: engine.run("run", "--rm", "busybox", "true")))


def execs(running):
    for engine in running:
        engine.run("run", "-d", "--network", "none", "--name", "sleeper", "busybox", "sleep", "3600")
    compare("exec sleeper true (ms)", sides(running, lambda engine: engine.run("exec", "sleeper", "true")))
    compare("ps, one container (ms)", sides(running, lambda engine: engine.run("ps")))


def many(running):
    def whole(engine, _):
        one = engine.call("POST", "/containers/create", SHORT)["Id"]
        engine.call("POST", f"/containers/{one}/start")
        engine.call("POST", f"/containers/{one}/wait")
        engine.call("DELETE", f"/containers/{one}")

    once("32 containers created, started, waited for and removed at once, by API (per second)", running,
         lambda engine: 32 / timed(lambda: at_once(32, lambda turn: whole(engine, turn))), 3, "1/s")
    once("32 `run --rm` at once, by client (per second)", running,
         lambda engine: 32 / timed(lambda: at_once(
             32, lambda _: engine.run("run", "--rm", "--network", "none", "busybox", "true"))), 3, "1/s")


def removal(running):
    def fifty(engine):
        ids = [engine.call("POST", "/containers/create", SLEEPER)["Id"] for _ in range(50)]
        at_once(8, lambda lane: [engine.call("POST", f"/containers/{one}/start") for one in ids[lane::8]])
        return 50 / timed(lambda: at_once(50, lambda at: engine.call("DELETE", f"/containers/{ids[at]}?force=1")))

    once("50 running containers removed by force at once, by API (per second)", running, fifty, 2, "1/s")


def memory(running):
    before = {engine.name: engine.memory_kib() for engine in running}
    for engine in running:
        ids = [engine.call("POST", "/containers/create", SLEEPER)["Id"] for _ in range(20)]
        for one in ids:
            engine.call("POST", f"/containers/{one}/start")
    print("\nmemory (PSS) of the engine and its helpers")
    for engine in running:
        after = engine.memory_kib()
        print(f"  {engine.name:24} {before[engine.name] / 1024:8.1f} MiB, "
              f"{(after - before[engine.name]) / 20:8.0f} KiB more for each running container")
        clear(engine)


def restore(running):
    """kill -9 with 100 containers running, and the time until the next engine has answered `ps`."""
    def again(engine):
        ids = [engine.call("POST", "/containers/create", SLEEPER)["Id"] for _ in range(100)]
        at_once(8, lambda lane: [engine.call("POST", f"/containers/{one}/start") for one in ids[lane::8]])
        engine.crash()
        begin = time.perf_counter()
        engine.launch()
        found = len(engine.call("GET", "/containers/json"))
        spent = time.perf_counter() - begin
        if found != 100:
            raise RuntimeError(f"{engine.name}: {found} of 100 containers found again")
        clear(engine)
        return spent * 1000

    # Docker's engine takes containerd with it when it is killed; only ours is asked.
    once("100 running containers found again after kill -9 (ms)", running[:1], again, 3, "ms")


def lists(running):
    for engine in running:
        at_once(8, lambda _: [engine.call("POST", "/containers/create", SHORT) for _ in range(125)])
    compare("ps -a, 1,000 containers, by client (ms)", sides(running, lambda engine: engine.run("ps", "-a")), rounds=9)
    compare("GET /containers/json?all=1, 1,000 containers (ms)",
            sides(running, lambda engine: engine.call("GET", "/containers/json?all=1")), rounds=9)
    for engine in running:
        clear(engine)


def variant(archive, folder, number):
    """The image with one more file in front of its layer, so that every digest of it is new."""
    made = f"{folder}/{number}.tar"
    mark = tarfile.TarInfo(f"variant-{number}")
    with tarfile.open(archive) as tar:
        layer = next(member for member in tar if member.name.endswith("/layer.tar"))
        with open(f"{folder}/layer", "wb") as file:
            file.write(mark.tobuf())
            shutil.copyfileobj(tar.extractfile(layer), file)
    subprocess.run([sys.executable, ARCHIVE, made, "debian:latest", '["bash"]', f"{folder}/layer"], check=True)
    return made


def archives(running):
    if not large:
        return missing("load, save and commit", "a large image")
    size = os.path.getsize(large[0]) / 1e6

    # Each round loads an image that was never there: another layer, so nothing is known and nothing was just deleted.
    folder = tempfile.mkdtemp(prefix="bench-archives-")
    variants = [variant(large[0], folder, turn) for turn in range(5)]

    def load(engine):
        turn = rounds[engine.name] = rounds.get(engine.name, -1) + 1
        return size / timed(lambda: engine.run("load", "-q", "-i", variants[turn]))

    rounds = {}

    def save(engine):
        return size / timed(lambda: engine.run("save", "-o", f"{engine.folder}/saved.tar", "debian:latest"))

    once(f"load of {size:.0f} MB (MB/s)", running, load, 5, "MB/s")
    shutil.rmtree(folder)
    once(f"save of {size:.0f} MB (MB/s)", running, save, 5, "MB/s")

    def commit(engine):
        engine.run("run", "--name", "changed", "--network", "none", "busybox", "sh", "-c",
                   "dd if=/dev/urandom of=/a bs=1M count=20 2>/dev/null")
        spent = timed(lambda: engine.run("commit", "changed", "committed"))
        engine.run("rm", "changed")
        engine.run("rmi", "committed")
        return spent * 1000

    once("commit of a 20 MB change (ms)", running, commit, 5, "ms")


def logs(running):
    size = 200_000_000
    line = "0123456789" * 7

    def write(engine):
        def whole():
            engine.run("run", "--name", "chatter", "--network", "none", "-d", "busybox", "sh", "-c",
                       f"yes {line} | head -c {size}")
            engine.run("wait", "chatter")

        spent = timed(whole)
        engine.run("rm", "-f", "chatter")
        return size / 1e6 / spent

    once("logs through the shim (MB/s)", running, write, 3, "MB/s")


def main():
    running = []
    try:
        running.append(engines.gantry(program))
        docker = engines.docker()
        if docker:
            running.append(docker)
        else:
            missing("Docker", "dockerd")
        for engine in running:
            engine.run("load", "-i", busybox)
        for part in (alone, runs, execs, many, removal, memory, restore, lists, archives, logs):
            if not only or any(word in part.__name__ for word in only):
                part(running)
                for engine in running:
                    clear(engine)
    finally:
        for engine in running:
            engine.stop()


main()
