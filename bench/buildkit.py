"""Builds with buildx side by side with Docker's BuildKit: a context of 10,000 files sent again with one change, a cached build.

usage: bench/buildkit.py GANTRY-PROGRAM BUSYBOX.tar
`ROUNDS=n` in the environment repeats each as often, `FILES=n` and `SIZE=bytes` make another context.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import engines
from measure import compare, missing

program, busybox = sys.argv[1:]
rounds = int(os.environ.get("ROUNDS", "5"))
files, size = int(os.environ.get("FILES", "10000")), int(os.environ.get("SIZE", "50000"))


def plugin():
    """The path of buildx, or None."""
    script = pathlib.Path(__file__).parent.parent / "tests/buildx.sh"
    got = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)
    return got.stdout.strip() if got.returncode == 0 else None


def main(buildx, docker, running, folder):
    config = folder / "client"
    (config / "cli-plugins").mkdir(parents=True)
    (config / "cli-plugins/docker-buildx").symlink_to(buildx)
    context = folder / "context"
    for number in range(files):
        path = context / f"d{number % 100}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    (context / "Dockerfile").write_text("FROM busybox\nCOPY d0/f0 /f\n")
    turn = 0

    def build(engine):
        environment = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_CONFIG": str(config)}
        words = [docker, "buildx", "build", "--progress=quiet", context]
        subprocess.run(words, env=environment, check=True, capture_output=True)

    def changed(engine):
        nonlocal turn
        turn += 1
        (context / "d7/f7").write_text(str(turn))
        build(engine)

    for engine in running:
        engine.run("load", "-i", busybox)
    sides = lambda work: [(one.name, lambda one=one: work(one)) for one in running]
    compare(f"{files} files of {size} bytes sent again with one change (ms)", sides(changed), rounds=rounds, warm=1)
    compare("nothing changed, all cached (ms)", sides(build), rounds=rounds, warm=1)


if __name__ == "__main__":
    title = "builds with buildx"
    buildx, docker = plugin(), shutil.which("docker")
    if not buildx or not docker:
        missing(title, "docker-buildx")
        sys.exit()
    running = [engine for engine in (engines.gantry(program), engines.docker()) if engine]
    if len(running) == 1:
        missing(title, "dockerd")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-buildkit-"))
    try:
        main(buildx, docker, running, folder)
    finally:
        for engine in running:
            engine.stop()
        shutil.rmtree(folder, ignore_errors=True)
