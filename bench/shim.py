#!/usr/bin/env python3
"""What one shim costs: memory beside a sleeping container, time from spawn to exit, megabytes a second into the log.

Usage: shim.py PATH-OF-GANTRY-SHIM      (root; needs a static busybox at /bin/busybox)

Speaks the shim protocol itself, so that nothing of the engine is measured with it.
"""
import json, os, secrets, shutil, socket, statistics, struct, subprocess, sys, tempfile, time

SHIM = os.path.abspath(sys.argv[1])
DIR = tempfile.mkdtemp(prefix="gantry-bench-shim-")
LOWER = f"{DIR}/lower"
# As the engine spawns it.
ENV = {"PATH": os.environ["PATH"], "GLIBC_TUNABLES": "glibc.malloc.trim_threshold=8192:glibc.malloc.top_pad=0:"
       "glibc.malloc.mmap_threshold=32768:glibc.malloc.tcache_count=0"}


def spec(args, cgroup):
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/bin"], "cwd": "/",
                    "capabilities": {}, "noNewPrivileges": True},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
        "linux": {"cgroupsPath": cgroup, "namespaces": [{"type": t} for t in
                  ("pid", "mount", "ipc", "uts", "network")]},
    }


class Shim:
    def __init__(self, args, driver="json-file", options=None, start=True):
        self.id = secrets.token_hex(32)
        self.bundle = f"{DIR}/{self.id[:12]}"
        os.mkdir(self.bundle)
        for name in ("up", "work"):
            os.mkdir(f"{self.bundle}/{name}")
        self.log = f"{self.bundle}/log/c.log"
        config = {
            "id": self.id, "start": start,
            "root": {"overlay": {"lower": [LOWER], "upper": f"{self.bundle}/up", "work": f"{self.bundle}/work"}},
            "log": {"driver": driver, "path": self.log, "options": options or {}},
            "runtime": {"own": {"root": f"{DIR}/state"}}, "cgroup": f"/gantry-bench/{self.id[:12]}",
        }
        with open(f"{self.bundle}/config.json", "w") as out:
            json.dump(spec(args, config["cgroup"]), out)
        with open(f"{self.bundle}/shim.json", "w") as out:
            json.dump(config, out)
        self.socket, theirs = socket.socketpair()
        with open(f"{self.bundle}/shim.log", "w") as err:
            self.process = subprocess.Popen([SHIM, "--bundle", self.bundle], stdin=theirs, stderr=err, env=ENV)
        theirs.close()
        self.receive()
        answer = self.receive()
        if answer["re"] != "started":
            raise SystemExit(f"{answer}")
        self.pid = answer["pid"]

    def receive(self, sock=None):
        sock = sock or self.socket
        need = lambda n: sock.recv(n, socket.MSG_WAITALL)
        return json.loads(need(struct.unpack(">I", need(4))[0]))

    def ask(self, request, sock=None):
        text = json.dumps(request).encode()
        (sock or self.socket).sendall(struct.pack(">I", len(text)) + text)
        return self.receive(sock)

    def wait(self):
        """Until the container's exit is told."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{self.bundle}/shim.sock")
        self.ask({"version": 1, "pid": os.getpid()}, sock)
        self.ask({"op": "subscribe"}, sock)
        while (event := self.receive(sock))["event"] != "exited" or event.get("session"):
            pass
        return event

    def end(self):
        self.ask({"op": "shutdown"})
        self.socket.close()
        self.process.wait()


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def memory():
    shims = [Shim(["sleep", "3600"]) for _ in range(40)]
    time.sleep(0.2)
    pss = sorted(pss_kib(shim.process.pid) for shim in shims)
    print(f"memory, 40 running: PSS per shim median {statistics.median(pss):.0f} KiB, min {pss[0]}, max {pss[-1]}")
    for shim in shims:
        shim.end()


def run():
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        shim = Shim(["true"])
        shim.wait()
        times.append((time.perf_counter() - begin) * 1e3)
        shim.end()
    times.sort()
    print(f"spawn to exit told, `true`: median {statistics.median(times):.1f} ms, min {times[0]:.1f}, max {times[-1]:.1f}")


def throughput(driver, options, label):
    rates = []
    for _ in range(3):
        shim = Shim(["sh", "-c", "cat /lines /lines /lines /lines /lines /lines /lines /lines"], driver, options)
        begin = time.perf_counter()
        shim.wait()
        rates.append(8 * SIZE / (time.perf_counter() - begin) / 1e6)
        shim.end()
        shutil.rmtree(os.path.dirname(shim.log), ignore_errors=True)
    print(f"log {driver}, {label}: median {statistics.median(rates):.0f} MB/s of output, min {min(rates):.0f}, max {max(rates):.0f}")


os.makedirs(f"{LOWER}/bin")
for name in ("proc", "dev", "sys"):
    os.mkdir(f"{LOWER}/{name}")
shutil.copy("/bin/busybox", f"{LOWER}/bin/busybox")
for applet in ("sh", "cat", "sleep", "true"):
    os.symlink("busybox", f"{LOWER}/bin/{applet}")
with open(f"{LOWER}/lines", "wb") as lines:
    for number in range(640_000):
        lines.write(b"%08d the quick brown fox jumps over the lazy dog and \"goes\" on to a hundred bytes a line ......\n" % number)
SIZE = os.path.getsize(f"{LOWER}/lines")
try:
    memory()
    run()
    for driver in ("json-file", "local"):
        throughput(driver, {}, "rotating at 20 MB, five files, compressed")
        throughput(driver, {"compress": "false"}, "rotating, not compressed")
    throughput("none", {}, "nothing written")
finally:
    for hierarchy in os.listdir("/sys/fs/cgroup"):
        if os.path.isdir(f"/sys/fs/cgroup/{hierarchy}/gantry-bench"):
            os.rmdir(f"/sys/fs/cgroup/{hierarchy}/gantry-bench")
    shutil.rmtree(DIR, ignore_errors=True)
