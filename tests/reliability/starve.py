#!/usr/bin/env python3
"""An engine that lacks what it needs: room, inodes, descriptors, memory, a file system to stack, somebody who reads.

usage: starve.py [--long] [--only WORD]

Each case says what must hold: what cannot be done is refused in a sentence, what could be done goes on, and when the need is met again a new container runs
and nothing is left behind. `--long` adds 500 containers, 10,000 exec and a GB of log.
"""
import argparse
import http.client
import io
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time

from engine import Engine, Gone, Refused, UnixConnection, inside_namespaces

DIGEST = re.compile(r"^[0-9a-f]{64}$")
RESULTS = {}
WRONG = []


def check(case, holds, sentence):
    if not holds:
        WRONG.append(f"{case}: {sentence}")


def create(engine, name, command, **host):
    host.setdefault("NetworkMode", "none")
    return engine.ask("POST", f"/containers/create?name={name}", {"Image": "busybox", "Cmd": command, "HostConfig": host})["Id"]


def run(engine, name="new", command=("true",), **host):
    """A container from create to removal; its exit code."""
    create(engine, name, list(command), **host)
    engine.ask("POST", f"/containers/{name}/start")
    code = engine.ask("POST", f"/containers/{name}/wait")["StatusCode"]
    engine.ask("DELETE", f"/containers/{name}", force=1, v=1)
    return code


def memory_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def finish(case, engine):
    """The need is met again: a new container runs, everything is removed, nothing is left."""
    try:
        check(case, run(engine) == 0, "afterwards a new container does not run")
        engine.remove_everything()
        engine.stop()
    except (Refused, Gone, subprocess.TimeoutExpired) as err:
        check(case, False, f"afterwards: {err}\n{engine.tail()}")
        engine.kill()
    def left():
        # The harness's own small disk is no find.
        return [line for line in engine.left_behind() if line != f"mount {engine.root}/data"]

    # The kernel takes a namespace down, and with it its cables' other ends, a while after the last of it was let go.
    until(lambda: not left(), 20)
    for line in left():
        check(case, False, f"left behind: {line}")
    check(case, "panicked" not in engine.tail(5000), "the engine panicked")
    subprocess.run(["umount", "-l", f"{engine.root}/data"], stderr=subprocess.DEVNULL)
    engine.delete()


def small_disk(options):
    engine = Engine()
    os.mkdir(f"{engine.root}/data")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", f"{engine.root}/data"], check=True)
    engine.start()
    engine.load_busybox()
    create(engine, "old", ["sh", "-c", "echo said; sleep 300"])
    engine.ask("POST", "/containers/old/start")
    return engine


def fill_up(path):
    with open(path, "wb", buffering=0) as file:
        for piece in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"x" * piece):
                    pass
            except OSError:
                pass


def archive(names):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        for name, data in names:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return body.getvalue()


def refused(case, what, engine, sentence, *ask, **query):
    try:
        told = engine.ask(*ask, **query)
        if not re.search(sentence, str(told), re.I):
            check(case, False, f"{what} was not refused: {str(told)[-200:]}")
    except Refused as err:
        check(case, re.search(sentence, str(err), re.I), f"{what} is refused without saying why: {err}")
    except Gone:
        # Refused before its body was read whole: this client writes on and never reads the answer.
        check(case, until(lambda: answers(engine)), f"the engine is gone after {what}")


def everything_refused(case, engine, sentence):
    refused(case, "create", engine, sentence, "POST", "/containers/create?name=more", {"Image": "busybox", "Cmd": ["true"]})
    # A record so small may still find its place.
    refused(case, "volume", engine, f"{sentence}|Mountpoint", "POST", "/volumes/create", {"Name": "more"})
    refused(case, "commit", engine, sentence, "POST", "/commit", {}, container="old", repo="more")
    big = archive([(f"f{number}", os.urandom(200_000)) for number in range(3)])
    refused(case, "import", engine, sentence, "POST", "/images/create?fromSrc=-&repo=more", big)
    refused(case, "build", engine, sentence, "POST", "/build?t=more", archive([("Dockerfile", b"FROM busybox\nCOPY f /f\nRUN echo > /x\n"), ("f", os.urandom(300_000))]),
            headers={"Content-Type": "application/x-tar"})
    # `/info` counts images in the store, which cannot be opened again after some refused writes until there is room: docs/reliability.md.
    for path in ("/containers/json?all=1", "/images/json", "/containers/old/json", "/containers/old/logs?stdout=1", "/volumes"):
        try:
            engine.ask("GET", path)
        except Refused as err:
            check(case, False, f"reading {path}: {err}")
    names = [one["Names"] for one in engine.ask("GET", "/containers/json", all=1)]
    check(case, names == [["/old"]], f"a refused container is there: {names}")
    check(case, engine.ask("GET", "/containers/old/json")["State"]["Running"], "what ran does not run any more")


def disk_full(_long):
    engine = small_disk("size=40m")
    fill_up(f"{engine.root}/data/filler")
    everything_refused("disk full", engine, "no space left|room for")
    os.remove(f"{engine.root}/data/filler")
    finish("disk full", engine)


def no_inodes(_long):
    engine = small_disk("size=200m,nr_inodes=1500")
    os.mkdir(f"{engine.root}/data/filler")
    number = 0
    try:
        while True:
            open(f"{engine.root}/data/filler/{number}", "w").close()
            number += 1
    except OSError:
        pass
    everything_refused("no inodes", engine, "no space left|room for")
    subprocess.run(["rm", "-r", f"{engine.root}/data/filler"], check=True)
    finish("no inodes", engine)


def log_on_full_disk(_long):
    """A container that logs onto a full disk neither dies nor blocks for ever, and nor does the engine."""
    engine = small_disk("size=40m")
    create(engine, "talker", ["sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; i=$((i+1)); done; exit 5"])
    fill_up(f"{engine.root}/data/filler")
    try:
        engine.ask("POST", "/containers/talker/start")
        code = engine.ask("POST", "/containers/talker/wait", timeout=60)["StatusCode"]
        check("log on full disk", code == 5, f"it ended with {code}")
    except Refused as err:
        check("log on full disk", "no space left" in str(err).lower(), str(err))
    except Gone:
        check("log on full disk", False, "it blocks when its log has no room")
    os.remove(f"{engine.root}/data/filler")
    finish("log on full disk", engine)


def few_descriptors(_long):
    """More clients than descriptors: those that are too many are made to wait or refused; the others are served."""
    engine = Engine()
    engine.start()
    engine.load_busybox()
    resource.prlimit(engine.process.pid, resource.RLIMIT_NOFILE, (96, 96))
    crowd = []
    for _ in range(150):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(5)
        try:
            one.connect(engine.socket)
            crowd.append(one)
        except OSError:
            break
    time.sleep(0.5)
    check("few descriptors", engine.process.poll() is None, "the engine died")
    before = cpu_ticks(engine.process.pid)
    time.sleep(1)
    check("few descriptors", cpu_ticks(engine.process.pid) - before < 60, "the engine spins while it has no descriptor")
    for one in crowd:
        one.close()
    check("few descriptors", until(lambda: answers(engine)), "it does not answer when the crowd has gone")
    finish("few descriptors", engine)


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def answers(engine):
    try:
        engine.ask("GET", "/_ping", timeout=2)
        return True
    except (Gone, Refused):
        return False


def little_memory(_long):
    """The engine alone in a cgroup of 64 MiB: the everyday works in it."""
    folder = next((f for f in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup") if os.path.exists(f"{f}/cgroup.procs")), None)
    name = f"{folder}/badday-{os.getpid()}"
    try:
        os.mkdir(name)
        limit = f"{name}/memory.limit_in_bytes"
        with open(limit if os.path.exists(limit) else f"{name}/memory.max", "w") as file:
            file.write(str(64 << 20))
    except OSError as err:
        RESULTS["little memory"] = f"not tried: {err}"
        return
    engine = Engine()
    engine.start()
    with open(f"{name}/cgroup.procs", "w") as file:
        file.write(str(engine.process.pid))
    engine.load_busybox()
    body = archive([("f", b"0" * (100 << 20))])
    engine.ask("POST", "/images/create?fromSrc=-&repo=big", body)
    check("little memory", run(engine) == 0, "no container runs")
    check("little memory", engine.process.poll() is None, "the engine was killed")
    RESULTS["engine after a layer of 100 MiB in 64 MiB, KiB"] = memory_kib(engine.process.pid)
    finish("little memory", engine)
    until(lambda: try_rmdir(name))


def try_rmdir(name):
    try:
        os.rmdir(name)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        return False


def deaf_clients(_long):
    """Clients that follow logs, events and an attach, and read nothing: the engine keeps nothing for them, and the container runs on."""
    engine = Engine()
    engine.start()
    engine.load_busybox()
    create(engine, "talker", ["sh", "-c", "dd if=/dev/zero bs=1M count=64 2>/dev/null | tr '\\0' 'x' | fold -w 120; exit 4"], LogConfig={"Type": "json-file", "Config": {"max-size": "8m"}})
    deaf = []
    for method, path in [("POST", "/containers/talker/attach?stream=1&stdout=1&stderr=1")] + [("GET", "/events")] * 8:
        one = socket.socket(socket.AF_UNIX)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(engine.socket)
        one.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{'Upgrade: tcp' + chr(13) + chr(10) + 'Connection: Upgrade' + chr(13) + chr(10) if method == 'POST' else ''}\r\n".encode())
        deaf.append(one)
    time.sleep(0.3)
    before = memory_kib(engine.process.pid)
    engine.ask("POST", "/containers/talker/start")
    for _ in range(8):
        one = socket.socket(socket.AF_UNIX)
        one.connect(engine.socket)
        one.sendall(b"GET /containers/talker/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        deaf.append(one)
    for number in range(30):
        engine.ask("POST", "/volumes/create", {"Name": f"event{number}"})
    time.sleep(3)
    # An attached client that does not read holds its container up, as it does with Docker; when it goes, the container goes on.
    grown = memory_kib(engine.process.pid) - before
    RESULTS["engine grown by 17 deaf clients, KiB"] = grown
    check("deaf clients", grown < 48 << 10, f"the engine grew by {grown} KiB")
    for one in deaf:
        one.close()
    try:
        code = engine.ask("POST", "/containers/talker/wait", timeout=120)["StatusCode"]
        check("deaf clients", code == 4, f"the container ended with {code}")
    except Gone:
        check("deaf clients", False, "the container does not go on when they have left")
    finish("deaf clients", engine)


def shims(engine):
    """The shims of this engine: pid -> container id."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "gantry-shim" in words[0] and any(engine.root in word for word in words):
            found[int(pid)] = " ".join(words)
    return found


def killed_shim(_long):
    """The shim of a running container is killed: its container is told as dead, and nothing of it is left."""
    engine = Engine()
    engine.start()
    engine.load_busybox()
    for number in range(4):
        name = f"orphan{number}"
        create(engine, name, ["sh", "-c", "sleep 1000 & sleep 1000 & wait"])
        engine.ask("POST", f"/containers/{name}/start")
        pid = engine.ask("GET", f"/containers/{name}/json")["State"]["Pid"]
        shim = parent(pid)
        os.kill(shim, signal.SIGKILL)
        told = until(lambda: not engine.ask("GET", f"/containers/{name}/json")["State"]["Running"])
        check("killed shim", told, "its container is still told as running")
        check("killed shim", until(lambda: not os.path.exists(f"/proc/{pid}")), "its container's process lives on")
        if number % 2:
            engine.ask("POST", f"/containers/{name}/start")
            check("killed shim", engine.ask("GET", f"/containers/{name}/json")["State"]["Running"], "it does not start again")
    finish("killed shim", engine)


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


def number_of_parent(pid):
    """The parent of a process that may be gone."""
    try:
        return parent(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def killed_while_starting(long):
    """Shims, what they clone, or both killed at any moment of a start: either it runs or it is refused, and nothing is left."""
    engine = Engine()
    engine.start()
    engine.load_busybox()
    ends = {"ran": 0, "refused": 0}
    for number in range(300 if long else 18):
        name = f"start{number}"
        engine.ids = engine.ids | {create(engine, name, ["sleep", "1000"])}
        end = threading.Event()

        def hunt():
            deadline = time.monotonic() + 0.002 * (number % 12)
            while not end.is_set():
                if time.monotonic() < deadline:
                    continue
                born = shims(engine)
                clones = [pid for pid in born if number_of_parent(pid) in born]
                # The keeper alone, the runtime's half-made process alone, or whatever is there.
                doomed = [list(set(born) - set(clones)), clones, list(born)][number % 3]
                for pid in doomed:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                if doomed:
                    return

        hunter = threading.Thread(target=hunt)
        hunter.start()
        try:
            engine.ask("POST", f"/containers/{name}/start")
            ends["ran"] += 1
        except Refused:
            ends["refused"] += 1
        end.set()
        hunter.join()
        engine.ask("DELETE", f"/containers/{name}", force=1, v=1)
    RESULTS["starts whose shim was killed"] = ends
    check("killed while starting", until(lambda: not shims(engine), 10), f"shims are left: {shims(engine)}")
    finish("killed while starting", engine)


def forking_while_dying(long):
    """A container that forks as fast as it can when it is told to stop, and when it is killed."""
    engine = Engine()
    engine.start()
    engine.load_busybox()
    for number in range(20 if long else 4):
        name = f"fork{number}"
        id = create(engine, name, ["sh", "-c", "trap 'while :; do sleep 1000 & done' TERM; while :; do sleep 0.1 & wait; done"], PidsLimit=200, Init=bool(number % 2))
        engine.ids = engine.ids | {id}
        engine.ask("POST", f"/containers/{name}/start")
        engine.ask("POST", f"/containers/{name}/stop", t=1)
        left = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if in_cgroup(pid, id)]
        check("forking while dying", until(lambda: not any(in_cgroup(pid, id) for pid in left), 10), f"processes are left: {left}")
        engine.ask("DELETE", f"/containers/{name}", force=1)
    finish("forking while dying", engine)


def in_cgroup(pid, id):
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            return id in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


def no_overlay(_long):
    """A data root on a file system that overlay cannot stand on: layers are copied, and the log says so."""
    case = "no overlay"
    engine = Engine()
    data, disk = f"{engine.root}/data", f"{engine.root}/disk"
    os.mkdir(data)
    with open(disk, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^filetype", disk], check=True)
    if subprocess.run(["mount", "-o", "loop", disk, data], capture_output=True, check=False).returncode != 0:
        RESULTS[case] = "not tried: no loop devices"
        engine.delete()
        return
    engine.start()
    engine.load_busybox()
    check(case, engine.ask("GET", "/info")["Driver"] == "native", "the driver stands on what cannot bear it")
    check(case, "do not tell what an entry is" in engine.tail(), "the log does not say why")
    finish(case, engine)


def read_only_etc(_long):
    """`/etc` read-only: nothing of the engine writes there."""
    subprocess.run(["mount", "--bind", "/etc", "/etc"], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", "/etc"], check=True)
    try:
        engine = Engine()
        engine.start()
        engine.load_busybox()
        check("read-only /etc", run(engine, NetworkMode="bridge") == 0, "no container runs")
        finish("read-only /etc", engine)
    finally:
        subprocess.run(["umount", "/etc"], check=True)


def clock(_long):
    """Read from the records: a container's age and times are told by the wall, restarts and waits by what cannot jump. Here: a record
    from the future neither stops the engine nor a listing."""
    engine = Engine()
    engine.start()
    engine.load_busybox()
    create(engine, "past", ["true"])
    engine.ask("POST", "/containers/past/start")
    engine.ask("POST", "/containers/past/wait")
    engine.stop()
    for folder, _, names in os.walk(f"{engine.root}/data"):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.utime(path, (time.time() + 10 * 365 * 86400,) * 2)
    engine.start()
    check("clock", len(engine.ask("GET", "/containers/json", all=1)) == 1, "the container is not listed")
    check("clock", len(engine.ask("GET", "/images/json")) == 1, "the image is not listed")
    finish("clock", engine)


def much_log(long):
    """A flood through one container's log: all of it counts, the log stays below its bound, the engine's memory too."""
    engine = Engine()
    engine.start()
    engine.load_busybox()
    megabytes = 1024 if long else 64
    before = memory_kib(engine.process.pid)
    id = create(engine, "flood", ["sh", "-c", f"dd if=/dev/zero bs=1M count={megabytes} 2>/dev/null | tr '\\0' 'x' | fold -w 1000"],
                LogConfig={"Type": "json-file", "Config": {"max-size": "8m", "max-file": "2"}})
    began = time.monotonic()
    engine.ask("POST", "/containers/flood/start")
    code = engine.ask("POST", "/containers/flood/wait", timeout=600)["StatusCode"]
    RESULTS["log through one container, MB/s"] = round(megabytes / (time.monotonic() - began), 1)
    check("much log", code == 0, f"it ended with {code}")
    folder = f"{engine.root}/data/containers/{id}"
    size = sum(os.path.getsize(f"{folder}/{name}") for name in os.listdir(folder) if "json.log" in name)
    check("much log", size < 20 << 20, f"the log takes {size >> 20} MiB")
    grown = memory_kib(engine.process.pid) - before
    check("much log", grown < 48 << 10, f"the engine grew by {grown} KiB")
    finish("much log", engine)


def many_containers(long):
    engine = Engine()
    engine.start()
    engine.load_busybox()
    count = 500 if long else 30
    began = time.monotonic()
    for number in range(count):
        create(engine, f"many{number}", ["sleep", "1000"])
        engine.ask("POST", f"/containers/many{number}/start")
    RESULTS[f"{count} containers made and started, s"] = round(time.monotonic() - began, 1)
    RESULTS[f"engine with {count} containers, KiB"] = memory_kib(engine.process.pid)
    check("many containers", len(engine.ask("GET", "/containers/json")) == count, "not all run")
    for number in range(count):
        engine.ask("DELETE", f"/containers/many{number}", force=1)
    finish("many containers", engine)


def many_exec(long):
    engine = Engine()
    engine.start()
    engine.load_busybox()
    create(engine, "box", ["sleep", "1000"])
    engine.ask("POST", "/containers/box/start")
    count = 10_000 if long else 100
    before = memory_kib(engine.process.pid)
    began = time.monotonic()
    wrong = 0
    for _ in range(count):
        made = engine.ask("POST", "/containers/box/exec", {"Cmd": ["false"], "AttachStdout": True})
        engine.ask("POST", f"/exec/{made['Id']}/start", {})
        try:
            wrong += engine.ask("GET", f"/exec/{made['Id']}/json")["ExitCode"] != 1
        except Refused:
            wrong += 1
    check("many exec", wrong == 0, f"{wrong} of {count} were not told how they ended")
    RESULTS[f"{count} exec, s"] = round(time.monotonic() - began, 1)
    grown = memory_kib(engine.process.pid) - before
    RESULTS[f"engine grown by {count} exec, KiB"] = grown
    check("many exec", grown < 64 << 10, f"the engine grew by {grown} KiB")
    pid = engine.ask("GET", "/containers/box/json")["State"]["Pid"]
    open_files = len(os.listdir(f"/proc/{parent(pid)}/fd"))
    check("many exec", open_files < 40, f"the shim holds {open_files} descriptors")
    finish("many exec", engine)


CASES = [disk_full, no_inodes, log_on_full_disk, few_descriptors, little_memory, deaf_clients, killed_shim, killed_while_starting,
         forking_while_dying, no_overlay, read_only_etc, clock, much_log, many_containers, many_exec]


def main(cases):
    asked = argparse.ArgumentParser()
    asked.add_argument("--long", action="store_true")
    asked.add_argument("--only", default="")
    asked = asked.parse_args()
    inside_namespaces()
    for case in cases:
        if asked.only in case.__name__:
            began = time.monotonic()
            try:
                case(asked.long)
            except Exception as err:  # one case's trouble must not hide the others'
                check(case.__name__, False, repr(err))
            print(f"{case.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    print(json.dumps(RESULTS, indent=1))
    for line in WRONG:
        print(f"WRONG: {line}")
    sys.exit(1 if WRONG else 0)


if __name__ == "__main__":
    main(CASES)
