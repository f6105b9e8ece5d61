"""A project of 20 services: up, up again unchanged, down. Our compose beside Docker Compose 1 and 2, on one engine, ours.

usage: bench/compose.py GANTRY-PROGRAM BUSYBOX.tar [DOCKER-COMPOSE-2]

Docker Compose 1 is taken from the path when `docker-compose` there is one.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import engines
from measure import missing, report

program, busybox, *newer = sys.argv[1:]
SERVICES = 20
ROUNDS = 5


def sides(folder):
    """Name and command of every compose that is there, ours first."""
    link = os.path.join(folder, "docker-compose")
    os.symlink(os.path.abspath(program), link)
    found = [("gantry compose", link)]
    if newer:
        found.append(("docker compose 2", os.path.abspath(newer[0])))
    older = shutil.which("docker-compose")
    if older:
        version = subprocess.run([older, "version", "--short"], capture_output=True, text=True).stdout
        if version.startswith("1."):
            found.append(("docker-compose 1", older))
    return found


def begin(engine, folder, command, *words):
    return subprocess.Popen([command, *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}", "COMPOSE_PARALLEL_LIMIT": "64"})


def run(engine, folder, command, *words):
    """Runs it once: milliseconds."""
    start = time.perf_counter()
    child = begin(engine, folder, command, *words)
    told = child.communicate()[1]
    spent = time.perf_counter() - start
    if child.returncode != 0:
        raise RuntimeError(f"{command} {' '.join(words)}: {told.decode()}")
    return spent * 1000


def memory(engine, folder, command, *words):
    """The most memory that it had, in MiB. The kernel's own account of an ended child begins with that of who started it: it is asked while it runs."""
    child = begin(engine, folder, command, *words)
    most, ours = 0, "" if "python" in open(command, "rb").readline().decode(errors="replace") else os.readlink("/proc/self/exe")
    while child.poll() is None:
        try:
            with open(f"/proc/{child.pid}/status") as file:
                lines = [line for line in file if line.startswith("VmHWM:")]
                name = os.readlink(f"/proc/{child.pid}/exe")
        except OSError:
            continue
        if name != ours:  # it has become the program
            most = max([most, *(int(line.split()[1]) / 1024 for line in lines)])
        time.sleep(0.002)
    child.stderr.close()
    return most


with tempfile.TemporaryDirectory(prefix="bench-compose-") as folder:
    app = os.path.join(folder, "app")
    os.mkdir(app)
    with open(os.path.join(app, "docker-compose.yml"), "w") as file:
        file.write('version: "3.7"\nservices:\n')
        for n in range(SERVICES):
            file.write(f"  s{n}:\n    image: busybox\n    command: sleep 1000\n    stop_grace_period: 0s\n")
    engine = engines.gantry(program)
    try:
        engine.run("load", "-i", busybox)
        found = sides(folder)
        figures = {verb: {name: [] for name, _ in found} for verb in ("up", "again", "down", "memory")}
        for _ in range(ROUNDS):
            for name, command in found:
                figures["up"][name].append(run(engine, app, command, "up", "-d"))
                figures["again"][name].append(run(engine, app, command, "up", "-d"))
                figures["down"][name].append(run(engine, app, command, "down", "-t", "0"))
                figures["memory"][name].append(memory(engine, app, command, "up", "-d"))
                run(engine, app, command, "down", "-t", "0")
        report(f"up -d of {SERVICES} services, image there", figures["up"], "ms")
        report(f"up -d of the same, unchanged", figures["again"], "ms")
        report(f"down -t 0", figures["down"], "ms")
        report("memory of up", figures["memory"], "MiB")
        for wanted in ("docker compose 2", "docker-compose 1"):
            if wanted not in dict(found):
                missing(wanted, wanted)
    finally:
        engine.stop()
