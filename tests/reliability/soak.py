#!/usr/bin/env python3
"""An engine that is used all day: nothing it is asked fails, it does not grow, and nothing is left.

usage: soak.py [--minutes M]

Ten containers with health checks of a second, one that ends as soon as it is started again, one whose log is rotated all the time, a client that
follows the events and one that follows counters; beside them one deed after the other, each checked by its result. Memory, descriptors and threads
are counted all along: in the second half the engine may not grow.
"""
import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import time

from engine import Engine, UnixConnection, inside_namespaces

# What the second half may add; allocators and stacks move by less.
GROWTH_KIB = 4 << 10
IDLE = ["sh", "-c", "trap exit TERM; while :; do sleep 1 & wait; done"]
PROJECT = """
services:
  base: {image: busybox, command: [sleep, "1000"], init: true, volumes: ["data:/data"]}
  web: {image: busybox, command: [sleep, "1000"], init: true, depends_on: [base], scale: 2}
volumes: {data: {}}
"""


def create(engine, name, body, **host):
    body = {"Image": "busybox", "HostConfig": host, **body}
    engine.ask("POST", f"/containers/create?name={name}", body)
    engine.ask("POST", f"/containers/{name}/start")


class Listener(threading.Thread):
    """A client that follows a stream for a while, leaves, and comes again."""

    def __init__(self, engine, path):
        super().__init__(daemon=True)
        self.engine, self.path, self.end = engine, path, False

    def run(self):
        while not self.end:
            connection = UnixConnection(self.engine.socket, 10)
            try:
                connection.request("GET", self.path)
                stream, until = connection.getresponse(), time.monotonic() + 5
                while time.monotonic() < until and stream.read1(1 << 16):
                    pass
            except OSError:
                time.sleep(0.1)
            finally:
                connection.close()


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r} in place of {wanted!r}")


def deed_exec(engine, turn):
    name = f"healthy{turn % 10}"
    made = engine.ask("POST", f"/containers/{name}/exec", {"Cmd": ["sh", "-c", f"exit {turn % 100}"], "AttachStdout": True})
    engine.ask("POST", f"/exec/{made['Id']}/start", {})
    equal(engine.ask("GET", f"/exec/{made['Id']}/json")["ExitCode"], turn % 100)


def deed_run(engine, turn):
    create(engine, "short", {"Cmd": ["sh", "-c", f"exit {turn % 100}"]})
    equal(engine.ask("POST", "/containers/short/wait")["StatusCode"], turn % 100)
    engine.ask("DELETE", "/containers/short", v=1)


def deed_volume(engine, turn):
    engine.ask("POST", "/volumes/create", {"Name": f"volume{turn}"})
    create(engine, "writer", {"Cmd": ["touch", "/v/file"]}, Binds=[f"volume{turn}:/v"])
    equal(engine.ask("POST", "/containers/writer/wait")["StatusCode"], 0)
    engine.ask("DELETE", "/containers/writer")
    engine.ask("DELETE", f"/volumes/volume{turn}")


def deed_network(engine, turn):
    engine.ask("POST", "/networks/create", {"Name": f"network{turn}"})
    name = f"healthy{turn % 10}"
    engine.ask("POST", f"/networks/network{turn}/connect", {"Container": name})
    engine.ask("POST", f"/networks/network{turn}/disconnect", {"Container": name})
    engine.ask("DELETE", f"/networks/network{turn}")


def deed_build(engine, turn):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        for name, data in (("Dockerfile", f"FROM busybox\nRUN echo {turn} > /name\nCOPY file /file\n".encode()), ("file", os.urandom(1024))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    told = engine.ask("POST", "/build", body.getvalue(), headers={"Content-Type": "application/x-tar"}, t=f"built{turn % 3}")
    equal("Successfully tagged" in str(told), True)
    if turn % 4 == 0:
        engine.ask("POST", "/images/prune")
        engine.ask("POST", "/build/prune", all=1)


def deed_travel(engine, _):
    status, archive = engine.raw("GET", "/images/busybox/get")
    equal(status, 200)
    engine.ask("POST", "/images/load", archive)


def deed_commit(engine, turn):
    engine.ask("POST", "/commit", {}, container=f"healthy{turn % 10}", repo="kept", tag="t")
    engine.ask("DELETE", "/images/kept:t")


def deed_logs(engine, _):
    status, text = engine.raw("GET", "/containers/chatty/logs?stdout=1&tail=50")
    equal((status, b"some words" in text), (200, True))


def deed_restart(engine, turn):
    name = f"healthy{turn % 10}"
    engine.ask("POST", f"/containers/{name}/restart", t=1)
    equal(engine.ask("GET", f"/containers/{name}/json")["State"]["Running"], True)


def deed_compose(engine, _):
    for words in (("up", "-d"), ("up", "-d"), ("down", "-v", "-t", "0")):
        done = subprocess.run([engine.program, "-H", f"unix://{engine.socket}", "compose", "-p", "day", "-f", "-", *words],
                              input=PROJECT, capture_output=True, text=True, check=False, timeout=120)
        equal((words, done.returncode, done.stderr if done.returncode else ""), (words, 0, ""))


DEEDS = [deed_exec, deed_exec, deed_exec, deed_run, deed_run, deed_volume, deed_network, deed_build, deed_travel, deed_commit, deed_logs, deed_restart,
         deed_compose]


def account(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        own = int(re.search(r"Pss_Anon:\s+(\d+)", file.read()).group(1))
    return {"KiB": own, "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "threads": len(os.listdir(f"/proc/{pid}/task"))}


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--minutes", type=float, default=60)
    asked = asked.parse_args()
    inside_namespaces()
    engine, wrong = Engine(), []
    engine.start()
    engine.stop()
    empty = engine.disk_bytes()
    engine.start()
    engine.load_busybox()
    for number in range(10):
        health = {"Test": ["CMD", "true"], "Interval": 10**9}
        create(engine, f"healthy{number}", {"Cmd": IDLE, "Healthcheck": health}, RestartPolicy={"Name": "always"})
    create(engine, "ending", {"Cmd": ["false"]}, RestartPolicy={"Name": "always"})
    create(engine, "chatty", {"Cmd": ["sh", "-c", "while :; do echo some words for the log; usleep 2000; done"]},
           LogConfig={"Type": "json-file", "Config": {"max-size": "64k", "max-file": "3", "compress": "true"}})
    listeners = [Listener(engine, "/events"), Listener(engine, "/containers/healthy0/stats?stream=1")]
    for listener in listeners:
        listener.start()

    began, turn, done, accounts = time.monotonic(), 0, {}, []
    while time.monotonic() - began < 60 * asked.minutes:
        deed = DEEDS[turn % len(DEEDS)]
        turn += 1
        try:
            deed(engine, turn)
            done[deed.__name__] = done.get(deed.__name__, 0) + 1
        except Exception as err:  # whatever it is, the day goes on and it is told at the end
            wrong.append(f"{deed.__name__} {turn}: {err!r}")
        if turn % len(DEEDS) == 0:
            accounts.append(account(engine.process.pid))
    for listener in listeners:
        listener.end = True
        listener.join()

    for number in range(10):
        health = engine.ask("GET", f"/containers/healthy{number}/json")["State"]["Health"]["Status"]
        if health != "healthy" and health != "starting":
            wrong.append(f"healthy{number} is {health}")
    half = accounts[len(accounts) // 2:]
    quarter = max(1, len(half) // 2)
    for what, room in (("KiB", GROWTH_KIB), ("descriptors", 16), ("threads", 16)):
        before, after = (sorted(one[what] for one in part)[len(part) // 2] for part in (half[:quarter], half[-quarter:]))
        if after > before + room:
            wrong.append(f"{what}: {before} in the third quarter, {after} in the last one")
    engine.ids = frozenset(one["Id"] for one in engine.ask("GET", "/containers/json", all=1))
    engine.remove_everything()
    engine.stop()
    grown = engine.disk_bytes() - empty
    if grown > 1 << 20:
        wrong.append(f"the data root holds {grown // 1024} KiB more than an empty one")
    wrong += [f"left behind: {line}" for line in engine.left_behind()]
    if "panicked" in engine.tail(5000):
        wrong.append("the engine panicked")
    shown = {at: accounts[int(share * (len(accounts) - 1))] for at, share in (("first", 0), ("half", 0.5), ("last", 1))}
    print(json.dumps({"minutes": asked.minutes, "deeds": done, **shown, "disk above empty, KiB": grown // 1024}, indent=1))
    for line in wrong[:40]:
        print(f"WRONG: {line}")
    if wrong:
        print(f"{len(wrong)} things went wrong; kept: {engine.root}")
        sys.exit(1)
    engine.delete()


main()
