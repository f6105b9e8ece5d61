"""Builds side by side with Docker's classic builder, over the API's POST /build: ten steps without a cache and with it, two
stages that need nothing of each other, and a COPY of a large context.

usage: bench/build.py GANTRY-PROGRAM BUSYBOX.tar
`ROUNDS=n` in the environment repeats each as often.
"""
import io
import json
import os
import sys
import tarfile

import engines
from measure import compare, missing

program, busybox = sys.argv[1:]
rounds = int(os.environ.get("ROUNDS", "5"))

TEN = "FROM busybox\n" + "".join(f"RUN echo {number} > /file{number}\n" for number in range(9))
STAGES = "FROM busybox AS one\nRUN sleep 1; echo 1 > /one\nFROM busybox AS two\nRUN sleep 1; echo 2 > /two\n" \
    "FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n"
COPY = "FROM busybox\nCOPY . /all\n"


def context(dockerfile, files=0, size=0):
    """A tar of the Dockerfile and as many files of so many bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        def add(name, data):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        add("Dockerfile", dockerfile.encode())
        for number in range(files):
            add(f"d{number % 100}/f{number}", os.urandom(size))
    return out.getvalue()


def build(engine, tar, query):
    connection = engines.Connection(engine.socket)
    connection.request("POST", f"/v1.40/build?rm=1&{query}", tar, {"Content-Type": "application/x-tar"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    last = json.loads(text.strip().splitlines()[-1])
    if answer.status != 200 or "Successfully built" not in last.get("stream", ""):
        raise RuntimeError(f"{engine.name}: {answer.status} {text[-300:]}")


def main(running):
    for engine in running:
        engine.run("load", "-i", busybox)

    def each(title, tar, query, **options):
        compare(title, [(one.name, lambda one=one: build(one, tar, query)) for one in running], **options)

    ten = context(TEN)
    each("ten steps, no cache (ms)", ten, "nocache=1", rounds=rounds, warm=1)
    each("ten steps, no network, no cache (ms)", ten, "nocache=1&networkmode=none", rounds=rounds, warm=1)
    each("ten steps, all cached (ms)", ten, "", rounds=3 * rounds, warm=2)
    each("two stages of a second each, no cache (ms)", context(STAGES), "nocache=1", rounds=3, warm=0)
    each("COPY of 2,000 files, 20 MB, no cache (ms)", context(COPY, 2000, 10240), "nocache=1", rounds=3, warm=1)


running = [engines.gantry(program)]
try:
    reference = engines.docker()
    if reference:
        running.append(reference)
    else:
        missing("builds", "Docker's engine")
    main(running)
finally:
    for engine in running:
        engine.stop()
