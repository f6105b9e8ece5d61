#!/usr/bin/env python3
"""Data roots that older programs have left behind, under today's: all of it is there and goes on.

usage: older.py [--keep NAME]

`tests/older/<name>.tar.xz` is a data root as the engine of that time left it when the power went: containers that ran, had ended and were never
started, images made, built and committed, a volume, a network. Each is unpacked and today's engine started over it; what it held is asked for, used, and
removed, and nothing may be left. `--keep` makes such an archive with today's program: once for every release, and before a record's shape changes.
"""
import argparse
import glob
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import time

from engine import ROOT, Engine, inside_namespaces
from worker import TAR, packed

KEPT = f"{ROOT}/tests/older"
# What each next start makes anew.
PASSING = {"store.ballast", "store.db.kept"}


def program(code):
    """The smallest program of the x86-64: its machine code behind the headers."""
    address, headers = 0x400000, 64 + 56
    elf = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, address + headers, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, headers + len(code), headers + len(code), 4096) + code


# write(1, "older\n", 6); exit(7)
SAYS = program(bytes.fromhex("b801000000 bf01000000 488d3513000000 ba06000000 0f05 b83c000000 bf07000000 0f05") + b"older\n")
# pause(), for ever
WAITS = program(bytes.fromhex("b822000000 0f05 ebf7"))


def fill(engine):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in (("says", SAYS), ("waits", WAITS), ("etc/note", b"from the image\n")):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    engine.ask("POST", "/images/create", archive.getvalue(), fromSrc="-", repo="older", tag="1", changes='CMD ["/says"]')
    engine.ask("POST", "/build", packed(Dockerfile=b"FROM older:1\nCOPY file /file\nLABEL made=by-a-build\n", file=b"built\n"), headers=TAR, t="built:1")
    engine.ask("POST", "/networks/create", {"Name": "net", "Labels": {"a": "b"}, "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}})
    engine.ask("POST", "/volumes/create", {"Name": "data", "Labels": {"c": "d"}})
    for name, command, policy in (("ended", ["/says"], "no"), ("never", ["/says"], "no"), ("ran", ["/waits"], "no"), ("returns", ["/waits"], "always")):
        engine.ask("POST", f"/containers/create?name={name}", {
            "Image": "built:1", "Cmd": command, "Labels": {"which": name}, "ExposedPorts": {"80/tcp": {}}, "HostConfig": {
                "Binds": ["data:/data"], "NetworkMode": "net", "RestartPolicy": {"Name": policy}, "Memory": 64 << 20}})
        engine.ask("PUT", f"/containers/{name}/archive?path=/etc", packed(own=name.encode()), headers=TAR)
    engine.ask("PUT", "/containers/never/archive?path=/data", packed(row=b"order 1\n"), headers=TAR)
    for name in ("ended", "ran", "returns"):
        engine.ask("POST", f"/containers/{name}/start")
    engine.ask("POST", "/containers/ended/wait")
    engine.ask("POST", "/commit", {}, container="ended", repo="committed", tag="1")


def keep(name):
    engine = Engine()
    engine.start()
    fill(engine)
    # The power goes: neither the engine nor its shims have a last word.
    shims = [line.split()[1] for line in engine.left_behind() if line.startswith("process ")]
    engine.kill()
    for pid in shims:
        if int(pid) != engine.process.pid:
            os.kill(int(pid), 9)
    os.makedirs(KEPT, exist_ok=True)
    skip = lambda info: None if os.path.basename(info.name) in PASSING else info
    with tarfile.open(f"{KEPT}/{name}.tar.xz", "w:xz", preset=9) as tar:
        tar.add(f"{engine.root}/data", "data", filter=skip)
    # As on another machine: no process, no mount, no exec root.
    for line in engine.left_behind():
        if line.startswith("mount "):
            subprocess.run(["umount", "--lazy", line.split(" ", 1)[1]], check=True)
    shutil.rmtree(engine.root)
    print(f"{KEPT}/{name}.tar.xz: {os.path.getsize(f'{KEPT}/{name}.tar.xz')} bytes")


def look(engine):
    """What is not as it was left, a line each."""
    wrong = []

    def expect(what, found, wanted):
        if found != wanted:
            wrong.append(f"{what}: {found!r}, not {wanted!r}")

    def file(name, path):
        _, archive = engine.raw("GET", f"/containers/{name}/archive?path={path}")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            return tar.extractfile(os.path.basename(path)).read()

    # It waits a moment for its restart.
    deadline = time.monotonic() + 20
    while engine.ask("GET", "/containers/returns/json")["State"]["Status"] != "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    shown = {name: engine.ask("GET", f"/containers/{name}/json") for name in ("ended", "never", "ran", "returns")}
    expect("states", {name: one["State"]["Status"] for name, one in shown.items()},
           {"ended": "exited", "never": "created", "ran": "exited", "returns": "running"})
    expect("how they ended", [shown[name]["State"]["ExitCode"] for name in ("ended", "ran")], [7, 137])
    for name, one in shown.items():
        expect(f"{name}: label, memory, policy, network",
               (one["Config"]["Labels"], one["HostConfig"]["Memory"], one["HostConfig"]["RestartPolicy"]["Name"], list(one["NetworkSettings"]["Networks"])),
               ({"made": "by-a-build", "which": name}, 64 << 20, "always" if name == "returns" else "no", ["net"]))
        expect(f"{name}: its own file", file(name, "/etc/own"), name.encode())
        expect(f"{name}: the image's", file(name, "/file"), b"built\n")
        expect(f"{name}: the volume's", file(name, "/data/row"), b"order 1\n")
    status, log = engine.raw("GET", "/containers/ended/logs?stdout=1")
    expect("the log", (status, log[8:]), (200, b"older\n"))
    tags = sorted(tag for one in engine.ask("GET", "/images/json") for tag in one["RepoTags"])
    expect("images", tags, ["built:1", "committed:1", "older:1"])
    for tag in tags:
        expect(f"{tag}: saved", engine.raw("GET", f"/images/{tag}/get")[0], 200)
    network = engine.ask("GET", "/networks/net")
    expect("the network", (network["Labels"], network["IPAM"]["Config"][0]["Subnet"]), ({"a": "b"}, "10.77.0.0/24"))
    expect("the volume", engine.ask("GET", "/volumes/data")["Labels"], {"c": "d"})
    for name in ("never", "ended"):
        engine.ask("POST", f"/containers/{name}/start")
        expect(f"{name}: started again", engine.ask("POST", f"/containers/{name}/wait")["StatusCode"], 7)
    engine.ask("POST", "/containers/create?name=new", {"Image": "committed:1"})
    engine.ask("POST", "/containers/new/start")
    expect("a new one of an old image", engine.ask("POST", "/containers/new/wait")["StatusCode"], 7)
    told = engine.ask("POST", "/build", packed(Dockerfile=b"FROM older:1\nCOPY file /file\nLABEL made=by-a-build\n", file=b"built\n"), headers=TAR, t="built:2")
    expect("the build's cache", "Using cache" in str(told), True)
    return wrong


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--keep", metavar="NAME")
    asked = asked.parse_args()
    if os.uname().machine != "x86_64":
        sys.exit(77)
    inside_namespaces()
    if asked.keep:
        return keep(asked.keep)
    bad = []
    archives = sorted(glob.glob(f"{KEPT}/*.tar.xz"))
    for path in archives:
        engine = Engine()
        with tarfile.open(path) as tar:
            # Pythons before 3.11.4 trust by themselves, and have no word for it.
            tar.extractall(engine.root, **({"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}))
        engine.start()
        wrong = look(engine)
        engine.remove_everything()
        engine.stop()
        wrong += engine.left_behind()
        bad += [f"{os.path.basename(path)}: {line}" for line in wrong]
        if wrong:
            print(f"kept: {engine.root}\n{engine.tail()}")
        else:
            shutil.rmtree(engine.root)
    for line in bad:
        print(f"WRONG: {line}")
    print(f"{len(archives)} older data roots")
    sys.exit(1 if bad or not archives else 0)


main()
