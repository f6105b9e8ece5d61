#!/usr/bin/env python3
"""What hands and hosts do to a running engine: a keeper that is stopped, a bridge that is deleted, a disk that turns read-only, a second engine.

usage: hand.py [--long] [--only WORD]

Each case says what must hold: it is told in a sentence within a bound, nothing is lost, what can go on goes on, and nothing is left behind.
"""
import os
import shutil
import signal
import socket
import subprocess
import time

from engine import Engine, Gone, Refused
from starve import RESULTS, WRONG, check, create, fill_up, finish, main, memory_kib, parent, refused, run, until


def begin(**host):
    engine = Engine()
    engine.start()
    engine.load_busybox()
    engine.ids = frozenset({create(engine, "box", ["sleep", "1000"], **host)})
    engine.ask("POST", "/containers/box/start")
    return engine


def state(engine, name="box"):
    return engine.ask("GET", f"/containers/{name}/json")["State"]


def taken(case, what, engine, *ask, **query):
    """What has to be done as if nothing had happened."""
    try:
        return engine.ask(*ask, **query)
    except (Gone, Refused) as err:
        check(case, False, f"{what}: {err}")
        return None


def hung_shim(_long):
    """A keeper that is stopped answers nothing: who only reads goes on, who asks it is told why, and the container can be ended."""
    case = "hung shim"
    for end in (("POST", "/containers/box/stop"), ("POST", "/containers/box/kill"), ("DELETE", "/containers/box?force=1")):
        engine = begin()
        inside, shim = state(engine)["Pid"], parent(state(engine)["Pid"])
        os.kill(shim, signal.SIGSTOP)
        for path in ("/containers/box/json", "/containers/json?all=1", "/containers/box/logs?stdout=1", "/containers/box/stats?stream=0&one-shot=1", "/containers/box/top"):
            taken(case, path, engine, "GET", path, timeout=20)
        if end[1].endswith("stop"):
            refused(case, "pause", engine, f"shim is stopped.*kill -CONT {shim}", "POST", "/containers/box/pause")
        taken(case, f"{end}", engine, *end)
        check(case, until(lambda: not os.path.exists(f"/proc/{inside}")), f"{end}: the container's process lives on")
        check(case, until(lambda: not os.path.exists(f"/proc/{shim}")), f"{end}: the shim lives on")
        finish(case, engine)


def full_exec_root(_long):
    """No room for a bundle: the start is refused, what runs is stopped as ever, and an engine that is killed comes back."""
    case = "full exec root"
    engine = Engine()
    room = f"{engine.root}/exec"
    os.mkdir(room)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", room], check=True)
    engine.start()
    engine.load_busybox()
    engine.ids = frozenset({create(engine, "box", ["sleep", "1000"]), create(engine, "other", ["sleep", "1000"])})
    engine.ask("POST", "/containers/box/start")
    fill_up(f"{room}/filler")
    refused(case, "start", engine, "no space left", "POST", "/containers/other/start")
    engine.kill()
    engine.start()
    check(case, state(engine)["Running"], "what ran does not run any more")
    taken(case, "stop", engine, "POST", "/containers/box/stop", t=0)
    os.remove(f"{room}/filler")
    taken(case, "start with room", engine, "POST", "/containers/other/start")
    engine.remove_everything()
    engine.stop()
    check(case, not [line for line in engine.left_behind() if line != f"mount {room}"], f"left behind: {engine.left_behind()}")
    subprocess.run(["umount", "-l", room], check=True)
    engine.delete()


def read_only_disk(_long):
    """The data root's disk fails and the kernel makes it read-only: what writes is refused, what reads goes on, and what ran runs."""
    case = "read-only disk"
    engine = Engine()
    data, disk = f"{engine.root}/data", f"{engine.root}/disk"
    os.mkdir(data)
    with open(disk, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    if subprocess.run(["mount", "-o", "loop,errors=remount-ro", disk, data], capture_output=True, check=False).returncode != 0:
        RESULTS[case] = "not tried: no loop devices"
        engine.delete()
        return
    device = os.path.basename(subprocess.run(["findmnt", "-no", "SOURCE", data], capture_output=True, text=True, check=True).stdout.strip())
    engine.start()
    engine.load_busybox()
    engine.ids = frozenset({create(engine, "box", ["sh", "-c", "while sleep 0.1; do echo said; done"])})
    engine.ask("POST", "/containers/box/start")
    time.sleep(0.5)
    with open(f"/sys/fs/ext4/{device}/trigger_fs_error", "w") as file:
        file.write("made by a test")
    check(case, until(lambda: is_read_only(data), 10), "the kernel did not make it read-only")
    for what, ask in (("create", ("POST", "/containers/create?name=more", {"Image": "busybox", "Cmd": ["true"]})),
                      ("volume", ("POST", "/volumes/create", {"Name": "more"})), ("network", ("POST", "/networks/create", {"Name": "more"}))):
        refused(case, what, engine, "read-only file system|I/O error|Input/output error", *ask)
    for path in ("/containers/json?all=1", "/containers/box/json", "/containers/box/logs?stdout=1&tail=1", "/images/json", "/volumes", "/networks"):
        taken(case, path, engine, "GET", path)
    check(case, state(engine)["Running"], "what ran does not run any more")
    pid = state(engine)["Pid"]
    try:
        engine.ask("POST", "/containers/box/stop", t=0)
    except Refused as err:
        RESULTS["stop on a read-only disk"] = str(err)
    check(case, until(lambda: not os.path.exists(f"/proc/{pid}")), "it cannot be stopped")
    engine.kill()
    subprocess.run(["umount", "-l", data], check=True)
    subprocess.run(["e2fsck", "-fy", disk], check=False, capture_output=True)
    subprocess.run(["mount", "-o", "loop", disk, data], check=True)
    engine.start()
    check(case, [one["Names"] for one in engine.ask("GET", "/containers/json", all=1)] == [["/box"]], "its container is lost")
    check(case, not state(engine)["Running"], "what was stopped is told as running")
    finish(case, engine)


def is_read_only(path):
    try:
        os.close(os.open(f"{path}/.probe", os.O_CREAT | os.O_WRONLY))
        return False
    except OSError:
        return True


def links(kind):
    shown = subprocess.run(["ip", "-brief", "link", "show", "type", kind], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in shown.split("\n") if line]


def network_by_hand(_long):
    """The bridge, the sandbox's file and every rule are deleted: new containers and restarts have a network, and everything can be removed."""
    case = "network by hand"
    engine = begin(NetworkMode="bridge")
    reaches = ["sh", "-c", "ping -c 1 -W 5 172.17.0.1"]
    sandbox = engine.ask("GET", "/containers/box/json")["NetworkSettings"]["SandboxKey"]
    subprocess.run(["umount", "-l", sandbox], check=True)
    os.remove(sandbox)
    for bridge in links("bridge"):
        subprocess.run(["ip", "link", "del", bridge], check=True)
    check(case, run(engine, "second", reaches, NetworkMode="bridge") == 0, "a new container has no network when the bridge was deleted")
    taken(case, "restart", engine, "POST", "/containers/box/restart", t=0)
    engine.ask("POST", "/networks/create", {"Name": "net"})
    taken(case, "connect", engine, "POST", "/networks/net/connect", {"Container": "box"})
    for bridge in links("bridge"):
        subprocess.run(["ip", "link", "del", bridge], check=True)
    taken(case, "disconnect", engine, "POST", "/networks/net/disconnect", {"Container": "box"})
    taken(case, "network rm", engine, "DELETE", "/networks/net")
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    taken(case, "restart without rules", engine, "POST", "/containers/box/restart", t=0)
    check(case, run(engine, "third", reaches, NetworkMode="bridge", PortBindings={"80/tcp": [{"HostPort": ""}]}) == 0, "a new container has no network when the rules were deleted")
    finish(case, engine)


def two_engines(_long):
    """A second engine on the same pid file, data root, socket or exec root ends with a sentence, and the first one does not notice. Its socket deleted, it
    still ends as asked. What runs is not started again below another exec root."""
    case = "two engines"
    engine = begin(Init=True)
    flags = {"-H": f"unix://{engine.root}/other.sock", "--data-root": f"{engine.root}/data", "--exec-root": f"{engine.root}/exec", "--pidfile": f"{engine.root}/pid"}
    for change, sentence in (({}, "still running"), ({"--pidfile": f"{engine.root}/pid2"}, f"another engine runs on the data root {engine.root}/data"),
                             ({"--pidfile": f"{engine.root}/pid3", "--data-root": f"{engine.root}/data3", "--exec-root": f"{engine.root}/exec3", "-H": f"unix://{engine.socket}"}, "already running"),
                             ({"--pidfile": f"{engine.root}/pid4", "--data-root": f"{engine.root}/data4", "--bridge": "none"}, f"containers of the data root {engine.root}/data have their processes below")):
        words = [word for pair in {**flags, **change}.items() for word in pair] + ["--iptables=false"]
        done = subprocess.run([engine.program, "daemon", *words], capture_output=True, text=True, check=False, timeout=60)
        check(case, done.returncode != 0 and sentence in done.stderr, f"the second one says {done.stderr[-300:]!r}")
    check(case, state(engine)["Running"], "what ran does not run any more")
    os.remove(engine.socket)
    engine.stop()
    check(case, engine.process.returncode == 0, f"without its socket it ended with {engine.process.returncode}")
    engine.start()
    taken(case, "start", engine, "POST", "/containers/box/start")
    engine.kill()
    for key in ("-H", "--pidfile"):
        flags[key] += "5"
    done = subprocess.run([engine.program, "daemon", *[word for pair in flags.items() for word in pair], "--exec-root", f"{engine.root}/exec5"],
                          capture_output=True, text=True, check=False, timeout=60)
    check(case, done.returncode != 0 and f"start with --exec-root={engine.root}/exec" in done.stderr, f"below another exec root it says {done.stderr[-300:]!r}")
    engine.start()
    check(case, state(engine)["Running"], "what ran does not run any more")
    finish(case, engine)


def other_flags(_long):
    """The next engine is told other things than the one before: what runs is counted and ruled as it was, what cannot be changed under it is told."""
    case = "other flags"
    engine = begin(Memory=64 << 20, NetworkMode="bridge")
    engine.kill()
    engine.flags = ["--cgroup-parent", "/elsewhere", "--bip", "10.9.0.1/24", "--log-driver", "local", "--storage-driver", "native"]
    engine.start()
    counted = taken(case, "stats", engine, "GET", "/containers/box/stats?stream=0&one-shot=1")
    check(case, counted["memory_stats"].get("limit") == 64 << 20, f"its memory is counted as {counted['memory_stats']}")
    for verb in ("pause", "unpause"):
        taken(case, verb, engine, "POST", f"/containers/box/{verb}")
    check(case, 'asked="10.9.0.0/24' in engine.tail(), "a subnet that stays is not told")
    check(case, run(engine) == 0, "a new container does not run")
    taken(case, "stop", engine, "POST", "/containers/box/stop", t=0)
    refused(case, "start", engine, "the storage driver overlay holds its files, and this engine uses native", "POST", "/containers/box/start")
    engine.kill()
    engine.flags = []
    engine.start()
    taken(case, "start again", engine, "POST", "/containers/box/start")
    finish(case, engine)


def odd_resolv_conf(_long):
    """The host's list of name servers is not there, leads nowhere, or is no file: containers run."""
    case = "odd resolv.conf"
    copy = "/tmp/gantry-badday-etc"
    for kind in ("missing", "dangling", "folder"):
        shutil.copytree("/etc", copy, symlinks=True, ignore_dangling_symlinks=True)
        path = f"{copy}/resolv.conf"
        if os.path.lexists(path):
            os.remove(path)
        if kind == "dangling":
            os.symlink("/run/nowhere/resolv.conf", path)
        elif kind == "folder":
            os.mkdir(path)
        subprocess.run(["mount", "--bind", copy, "/etc"], check=True)
        try:
            engine = Engine()
            engine.start()
            engine.load_busybox()
            for network in ("bridge", "host", "none"):
                check(case, run(engine, NetworkMode=network) == 0, f"{kind}: no container of the network {network} runs")
            finish(case, engine)
        finally:
            subprocess.run(["umount", "/etc"], check=True)
            shutil.rmtree(copy)


def no_process_left(_long):
    """A container that is at its limit of processes: an exec that makes no more of them runs (in version 2 of cgroups it is refused), one that does ends
    and says why, and the container can be stopped."""
    case = "no process left"
    engine = Engine()
    engine.start()
    engine.load_busybox()
    engine.ids = frozenset({create(engine, "box", ["sh", "-c", "sleep 1000 & sleep 1000 & sleep 1000 & echo full; wait"], PidsLimit=4)})
    engine.ask("POST", "/containers/box/start")
    check(case, until(lambda: "full" in str(engine.ask("GET", "/containers/box/logs?stdout=1"))), "it does not come to its limit")
    for command, sentence in ((["echo", "done"], "done|resource temporarily unavailable"), (["sh", "-c", "true & wait"], "can't fork|resource temporarily unavailable")):
        made = engine.ask("POST", "/containers/box/exec", {"Cmd": command, "AttachStdout": True, "AttachStderr": True})
        refused(case, "exec", engine, sentence, "POST", f"/exec/{made['Id']}/start", {})
    check(case, state(engine)["Running"], "it does not run any more")
    taken(case, "stop", engine, "POST", "/containers/box/stop", t=1)
    finish(case, engine)


def many_listeners(long):
    """A crowd listens to the events: each hears every one."""
    case = "many listeners"
    engine = begin()
    before, crowd, count = memory_kib(engine.process.pid), [], 400 if long else 60
    for _ in range(count):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(30)
        one.connect(engine.socket)
        one.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        check(case, one.recv(1 << 12).startswith(b"HTTP/1.1 200"), "it is not let in")
        crowd.append(one)
    for number in range(40):
        engine.ask("POST", "/volumes/create", {"Name": f"event{number}"})
    for one in crowd:
        heard = b""
        try:
            while heard.count(b'"Type":"volume"') < 40 and (piece := one.recv(1 << 16)):
                heard += piece
        except TimeoutError:
            pass
        check(case, heard.count(b'"Type":"volume"') == 40, f"one heard {heard.count(b'volume')} of 40")
        one.close()
    RESULTS[f"engine grown by {count} listeners, KiB"] = memory_kib(engine.process.pid) - before
    finish(case, engine)


def many_mounts(long):
    case = "many mounts"
    engine = Engine()
    engine.start()
    engine.load_busybox()
    os.mkdir(f"{engine.root}/shared")
    count = 10_000 if long else 500
    began = time.monotonic()
    code = run(engine, "mounts", ["sh", "-c", f"test $(wc -l < /proc/mounts) -gt {count}"], Binds=[f"{engine.root}/shared:/m/{number}" for number in range(count)])
    RESULTS[f"a container with {count} mounts, s"] = round(time.monotonic() - began, 1)
    check(case, code == 0, f"it ended with {code}")
    finish(case, engine)


CASES = [hung_shim, full_exec_root, read_only_disk, network_by_hand, two_engines, other_flags, odd_resolv_conf, no_process_left, many_listeners, many_mounts]


main(CASES)
