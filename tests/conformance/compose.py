#!/usr/bin/env python3
"""compose-spec's own conformance tests on our engine, by our compose or another.

usage: compose.py GANTRY SUITE [DOCKER-COMPOSE]

SUITE is a clone of github.com/compose-spec/conformance-tests: other people's program, and no part of this project. Its tests,
its server and its client are built by Go; all happens in namespaces of an engine of its own, so its fixed port 8080 is free.

"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
import engines  # noqa: E402

COMMAND = """name: compose
command: docker-compose
ps_command: docker ps -aq
global_opts: [{name: -f, value: compose.yaml}]
up: {name: up, opts: [{name: -d}]}
down: {name: down, opts: [{name: -t, value: "0"}]}
"""

gantry, suite, *other = sys.argv[1:]
with tempfile.TemporaryDirectory(prefix="compose-conformance-") as work:
    shutil.copytree(suite, f"{work}/suite")
    shutil.rmtree(f"{work}/suite/commands")
    os.mkdir(f"{work}/suite/commands")
    with open(f"{work}/suite/commands/compose.yml", "w") as file:
        file.write(COMMAND)
    go = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    for name in ("server", "client"):
        subprocess.run(["go", "build", "-o", f"{work}/{name}", f"./{name}"], cwd=f"{work}/suite", env=go, check=True)
        subprocess.run(["tar", "-C", work, "-cf", f"{work}/{name}.tar", name], check=True)
    subprocess.run(["go", "test", "-c", "-o", f"{work}/test", "."], cwd=f"{work}/suite", env=go, check=True)
    os.mkdir(f"{work}/bin")
    os.symlink(os.path.abspath(other[0] if other else gantry), f"{work}/bin/docker-compose")
    engine = engines.gantry(os.path.abspath(gantry))
    try:
        for name in ("server", "client"):
            engine.run("import", "-c", f'ENTRYPOINT ["/{name}"]', f"{work}/{name}.tar", f"composespec/conformance-tests-{name}")
        environment = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}", "PATH": f"{work}/bin:{os.environ['PATH']}"}
        done = subprocess.run(["nsenter", "-t", str(engine.process.pid), "-n", f"{work}/test", "-test.v"],
                              cwd=f"{work}/suite", env=environment)
    finally:
        engine.stop()
sys.exit(done.returncode)
