#!/usr/bin/env python3
"""The light example projects (HAProxy with three web servers, fig's first one), brought up by our compose and by Docker's own, asked over HTTP.

usage: tests/examples.py GANTRY DEBIAN.tar DOCKER-COMPOSE-2

DEBIAN.tar is the image `debian-with` of tests/images.sh: what the examples install is in it, so they are built without a network, in an engine
with namespaces of its own. The heavier examples need a network: `examples/compose/try.sh`, by hand.
"""
import os
import shutil
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../bench"))
import engines  # noqa: E402

program, debian, two = (os.path.abspath(word) for word in sys.argv[1:4])
engine = engines.gantry(program, "--bip 10.66.0.1/24 --dns 10.66.0.1")  # nobody answers there, and at once
with tempfile.TemporaryDirectory(prefix="examples-") as folder:
    for name in ("docker-compose", "fig"):
        os.symlink(program, f"{folder}/{name}")
    shutil.copytree(f"{here}/../examples/compose", f"{folder}/compose")

    def bring_up(compose, fig, *projects):
        done = subprocess.run([f"{folder}/compose/try.sh", *projects], stdin=subprocess.DEVNULL, timeout=300, env={
            **os.environ, "DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_CONFIG": folder, "DOCKER_BUILDKIT": "0", "COMPOSE": compose,
            "FIG": fig, "WITHIN": f"nsenter --net=/proc/{engine.process.pid}/ns/net"})
        assert done.returncode == 0, f"{compose}: {projects}"
        print(f"{os.path.relpath(compose, folder)}: {', '.join(projects)} answer", flush=True)

    try:
        engine.run("load", "-i", debian)
        bring_up(f"{folder}/docker-compose", f"{folder}/fig", "haproxy", "figtest")
        bring_up(two, two, "haproxy")
        one = shutil.which("docker-compose")
        version = subprocess.run([one, "version", "--short"], capture_output=True, text=True).stdout if one else ""
        if version.startswith("1."):
            bring_up(one, one, "figtest")
    finally:
        engine.stop()
