"""The engine side by side with Docker's: run, exec, ps, start many, load, logs, memory.

usage: bench/engine.py GANTRY-PROGRAM BUSYBOX.tar [LARGE.tar]
"""
import concurrent.futures
import os
import statistics
import sys
import time

import engines
from measure import compare, missing, report

program, busybox, *large = sys.argv[1:]


def sides(all_engines, do):
    return [(engine.name, lambda engine=engine: do(engine)) for engine in all_engines]


def once(title, all_engines, do, rounds, unit, scale=1.0):
    """For what is too long to repeat often: `do` returns its own figure."""
    figures = {engine.name: [] for engine in all_engines}
    for _ in range(rounds):
        for engine in all_engines:
            figures[engine.name].append(do(engine) * scale)
    report(title, figures, unit)


def at_once(engine, count, *words):
    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda _: engine.run(*words), range(count)))
    return count / (time.perf_counter() - begin)


def load(engine, archive):
    begin = time.perf_counter()
    engine.run("load", "-i", archive)
    spent = time.perf_counter() - begin
    size = os.path.getsize(archive) / 1e6
    engine.run("rmi", "-f", "debian:latest", check=False)
    return size / spent


def logs(engine):
    size = 200_000_000
    begin = time.perf_counter()
    engine.run("run", "--name", "chatter", "--network", "none", "-d", "busybox", "sh", "-c",
               f"yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c {size}")
    engine.run("wait", "chatter")
    spent = time.perf_counter() - begin
    engine.run("rm", "-f", "chatter")
    return size / 1e6 / spent


def processor_ms(engine):
    """CPU of the engine's own processes, in milliseconds since each began."""
    ticks = 0
    for pid in engine.family():
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
                ticks += sum(int(fields[place]) for place in (11, 12, 13, 14))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def main():
    running = [engines.gantry(program)]
    docker = engines.docker()
    if docker:
        running.append(docker)
    else:
        missing("Docker", "dockerd")
    try:
        for engine in running:
            engine.run("load", "-i", busybox)
        for network in ("none", "host"):
            compare(f"run --rm --network {network} busybox true",
                    sides(running, lambda engine: engine.run("run", "--rm", "--network", network, "busybox", "true")))
        if all(engine.run("run", "--rm", "busybox", "true", check=False).returncode == 0 for engine in running):
            compare("run --rm busybox true, default network",
                    sides(running, lambda engine: engine.run("run", "--rm", "busybox", "true")))
        for engine in running:
            engine.run("run", "-d", "--network", "none", "--name", "sleeper", "busybox", "sleep", "3600")
        compare("exec sleeper true", sides(running, lambda engine: engine.run("exec", "sleeper", "true")))
        compare("ps, one container", sides(running, lambda engine: engine.run("ps")))
        once("32 run --rm at once, containers per second", running,
             lambda engine: at_once(engine, 32, "run", "--rm", "--network", "none", "busybox", "true"), 3, "1/s")
        before = {engine.name: engine.memory_kib() for engine in running}
        for engine in running:
            for number in range(20):
                engine.run("run", "-d", "--network", "none", "--name", f"idle{number}", "busybox", "sleep", "3600")
        print("\nmemory (PSS) of the engine and its helpers")
        for engine in running:
            after = engine.memory_kib()
            each = (after - before[engine.name]) / 20
            print(f"  {engine.name:24} {before[engine.name] / 1024:8.1f} MiB with one container, "
                  f"{each:8.0f} KiB more for each further one")
        for engine in running:
            for _ in range(980):
                engine.run("create", "--network", "none", "busybox", "true")
        compare("ps -a, 1,000 containers", sides(running, lambda engine: engine.run("ps", "-a")), rounds=7)
        if large:
            once("load, MB of archive per second", running, lambda engine: load(engine, large[0]), 3, "MB/s")
        once("logs through the shim, MB per second", running, logs, 3, "MB/s")
    finally:
        for engine in running:
            engine.stop()


main()
