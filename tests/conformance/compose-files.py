#!/usr/bin/env python3
"""The files that compose-spec's own loader is tested with, given to Docker Compose 2 and to ours: what one prints, hashes or
refuses, the other does.

usage: compose-files.py GANTRY DOCKER-COMPOSE-2 [NAME]      (NAME: only files whose name holds this)

The files stand in the tests of the Go module compose-go, which other people wrote; it comes by Go's own client and is not part
of this project. Exit 77: it is not to be had. What differs stands in `compose-files.known` with its reason, and may only shrink.
"""
import concurrent.futures
import difflib
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap

MODULE = "github.com/compose-spec/compose-go/v2@v2.9.1"
ENOUGH = 400
here = os.path.dirname(os.path.abspath(__file__))


def module():
    """Where the module's files are."""
    try:
        said = subprocess.run(["go", "mod", "download", "-json", MODULE], cwd="/", env={**os.environ, "GOFLAGS": "-mod=mod"},
                              capture_output=True, text=True, timeout=200)
        return json.loads(said.stdout)["Dir"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        print(f"{MODULE} is not to be had: its files are not compared", file=sys.stderr)
        sys.exit(77)


def texts(folder):
    """Every compose file that stands in a test, under a name that says where."""
    seen = set()
    for path in sorted(glob.glob(f"{folder}/**/*_test.go", recursive=True)):
        with open(path) as file:
            source = file.read()
        name = os.path.relpath(path, folder).replace("/", "_").removesuffix("_test.go")
        count = 0
        for text in re.findall("`([^`]*)`", source):
            if not re.search(r"^\s*(services|include|volumes|networks|configs|secrets|models):", text, re.M):
                continue
            count += 1
            text = textwrap.dedent(text.replace("\t", "  ") if re.search(r"^\t", text, re.M) else text).lstrip("\n")
            if text not in seen:
                seen.add(text)
                yield f"{name}-{count}", text


def say(program, folder, *words):
    return subprocess.run([program, "config", "--no-consistency", *words], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120,
                          env={"HOME": "/root", "PATH": os.environ["PATH"], "PWD": folder, "DOCKER_HOST": "unix:///nowhere"})


def compare(theirs, ours, folder):
    """What differs, in lines; none if nothing does."""
    one, other = say(theirs, folder), say(ours, folder)
    if one.returncode or other.returncode:
        if bool(one.returncode) == bool(other.returncode):
            return []
        return [f"docker compose {one.returncode}: {one.stderr.strip()}", f"ours {other.returncode}: {other.stderr.strip()}"]
    pairs = [(one, other), (say(theirs, folder, "--hash", "*"), say(ours, folder, "--hash", "*"))]
    return [line for one, other in pairs for line in
            difflib.unified_diff(one.stdout.splitlines(), other.stdout.splitlines(), "docker compose", "ours", "", "", 1, "")]


def known():
    with open(f"{here}/compose-files.known") as file:
        lines = [line.split(None, 1) for line in file if line.strip() and not line.startswith("#")]
    return {name: why.strip() for name, why in lines}


gantry, theirs, *only = sys.argv[1:]
found = [(name, text) for name, text in texts(module()) if not only or only[0] in name]
with tempfile.TemporaryDirectory(prefix="compose-files-") as work:
    os.symlink(os.path.abspath(gantry), f"{work}/docker-compose")

    def judge(case):
        folder = f"{work}/{case[0]}"
        os.mkdir(folder)
        with open(f"{folder}/compose.yaml", "w") as file:
            file.write(case[1])
        return case[0], compare(os.path.abspath(theirs), f"{work}/docker-compose", folder)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        judged = dict(pool.map(judge, found))
reasons = known()
wrong = {name: lines for name, lines in judged.items() if lines and name not in reasons}
for name, lines in wrong.items():
    print(f"{name}:", *lines, sep="\n  ")
gone = [name for name in reasons if not judged.get(name, only)]
if gone:
    print(f"alike now, and to be taken from compose-files.known: {', '.join(gone)}")
print(f"{len(judged)} files of {MODULE}: {sum(not lines for lines in judged.values())} alike, {len(reasons)} differ for a reason")
sys.exit(bool(wrong or gone or (len(judged) < ENOUGH and not only)))
