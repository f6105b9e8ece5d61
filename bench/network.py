#!/usr/bin/env python3
"""What a container's network costs, Gantry beside Docker in one run: starts on the bridge, throughput between containers and
through published ports, HTTP requests, ten thousand ports, names. Each engine has a network namespace of its own with one
interface, 192.0.2.10, and another machine (192.0.2.20) on its cable. Needs root; uses iperf3, wrk and nginx where they are.

  bench/network.py GANTRY [rounds] [starts|ports|names|traffic|requests ...]      (all of it without a word)
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from engines import Engine

HOST, CLIENT = "192.0.2.10", "192.0.2.20"
CABLE = (
    "mount --make-rprivate / && ip link set lo up && ip link add eth0 type veth peer name eth0 netns {other} && "
    f"ip addr add {HOST}/24 dev eth0 && ip link set eth0 up && exec "
)
DNS = """
import os, socket, time
name = os.environ["NAME"]
question = b"\\x12\\x34\\x01\\x00\\x00\\x01" + bytes(6)
question += b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\\0\\0\\x01\\0\\x01"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("127.0.0.11", 53)); s.settimeout(5)
took = []
for _ in range(int(os.environ["COUNT"])):
    begun = time.perf_counter(); s.send(question); answer = s.recv(512); took.append(time.perf_counter() - begun)
    assert answer[3] & 15 == 0 and answer[7] >= 1, answer
took.sort()
print(took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3, took[-1] * 1e3)
"""
# Programs of the host for a container: the image has none of its own.
PROGRAMS = [part for folder in ("/usr", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache") if os.path.exists(folder)
            for part in ("-v", f"{folder}:{folder}:ro")]


class Side:
    """An engine with its machines."""

    def __init__(self, name, command, client):
        self.machine = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        while os.readlink(f"/proc/{self.machine.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        script = CABLE.replace("{other}", str(self.machine.pid)) + command
        self.engine = Engine(name, ["unshare", "--net", "--mount", "sh", "-c", script], client)
        self.name = name
        self.other(f"ip link set lo up; ip addr add {CLIENT}/24 dev eth0; ip link set eth0 up")

    def other(self, line):
        return inside(self.machine.pid, line)

    def host(self, line):
        return inside(self.engine.process.pid, line)

    def run(self, *words):
        return self.engine.text("run", "-d", *words).strip()

    def address(self, name):
        return self.engine.text("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name).strip()

    def remove(self, *names):
        self.engine.run("rm", "-f", *names)

    def stop(self):
        self.engine.stop()
        self.machine.kill()
        self.machine.wait()


def inside(pid, line):
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", "sh", "-c", line], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{line}: {done.stdout} {done.stderr}")
    return done.stdout


def iperf(where, address, port=5201):
    for _ in range(50):
        try:
            told = json.loads(where(f"iperf3 -J -t 2 -c {address} -p {port}"))
            return told["end"]["sum_received"]["bits_per_second"] / 1e9
        except RuntimeError:
            time.sleep(0.1)
    raise RuntimeError(f"nobody answers at {address}:{port}")


def wrk(where, url):
    told = where(f"wrk -t 1 -c 32 -d 1s {url}")
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"{url}: {told}")
    return float(next(line for line in told.splitlines() if "Requests/sec" in line).split()[1])


def answers(where, url):
    """Waits until somebody serves it."""
    deadline = time.time() + 30
    while where(f"curl -s -m 2 {url} || true") != "hello":
        if time.time() > deadline:
            raise RuntimeError(f"nobody answers at {url}")
        time.sleep(0.05)


def started(side, network):
    begun = time.perf_counter()
    name = side.run("--network", network, "busybox", "sleep", "1000")
    took = (time.perf_counter() - begun) * 1e3
    side.remove(name)
    return took


def at_once(side, count=32):
    begun = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        names = list(pool.map(lambda _: side.run("busybox", "sleep", "1000"), range(count)))
    took = time.perf_counter() - begun
    side.remove(*names)
    return count / took


def ten_thousand(side, inner):
    last = inner + 9999
    begun = time.perf_counter()
    name = side.run("-p", f"20000-29999:{inner}-{last}/udp", "busybox", "sleep", "1000")
    took = (time.perf_counter() - begun) * 1e3
    side.remove(name)
    return took


def names(side):
    side.engine.run("network", "create", "named")
    target = side.run("--name", "target", "--network", "named", "busybox", "sleep", "1000")
    words = ["run", "--rm", "--network", "named", *PROGRAMS, "-e", "NAME=target", "-e", "COUNT=5000", "busybox",
             "/usr/bin/python3", "-c", DNS]
    told = side.engine.text(*words).split()
    side.remove(target)
    side.engine.run("network", "rm", "named")
    return [float(word) for word in told]


def show(what, unit, rows):
    """One line a measure: each side's median, least and most, and the median of its rounds' ratios to the last side's."""
    last = list(rows)[-1]
    for name, values in rows.items():
        ratios = [value / reference for value, reference in zip(values, rows[last])]
        ratio = f"  {statistics.median(ratios):6.3f} of {last}" if name != last else ""
        print(f"{what:<52} {name:<7} median {statistics.median(values):9.2f} {unit}  min {min(values):9.2f}  max {max(values):9.2f}{ratio}",
              flush=True)


def compare(what, unit, sides, measure, rounds):
    """In short rounds by turns, each beginning with another side: a shared machine's speed drifts within a minute."""
    rows = {side.name: [] for side in sides}
    for turn in range(rounds):
        for side in sides[turn % len(sides):] + sides[:turn % len(sides)]:
            rows[side.name].append(measure(side))
    show(what, unit, rows)


def traffic(sides, rounds):
    for side in sides:
        side.run("--name", "sink", "-p", "5201:5201", *PROGRAMS, "busybox", "/usr/bin/iperf3", "-s")
        side.run("--name", "source", *PROGRAMS, "busybox", "sleep", "1000")
    between = lambda side: iperf(
        lambda line: side.engine.text("exec", "source", "sh", "-c", f"PATH=/usr/bin:$PATH; {line}"), side.address("sink"))
    compare("TCP, container to container", "Gbit/s", sides, between, rounds)
    for what, address in (("127.0.0.1", "127.0.0.1"), ("the host's address", HOST)):
        compare(f"TCP, host to a published port by {what}", "Gbit/s", sides, lambda side: iperf(side.host, address), rounds)
    compare("TCP, another machine to a published port", "Gbit/s", sides, lambda side: iperf(side.other, HOST), rounds)
    for side in sides:
        side.remove("sink", "source")


def requests(sides, rounds, folder):
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write("daemon off; pid /tmp/pid; error_log /dev/null; user root; worker_processes 1; events {}\n"
                   "http { access_log off; keepalive_requests 1000000000; server { listen 80; location / { return 200 hello; } } }\n")
    for side in sides:
        side.run("--name", "web", "-p", "8080:80", *PROGRAMS, "-v", f"{folder}:/conf:ro", "--tmpfs", "/var/log/nginx",
                 "--tmpfs", "/var/lib/nginx", "busybox", "/usr/sbin/nginx", "-c", "/conf/nginx.conf")
        answers(side.host, f"http://{side.address('web')}/")
        answers(side.other, f"http://{HOST}:8080/")
    compare("HTTP, host to the container's own address", "req/s", sides,
            lambda side: wrk(side.host, f"http://{side.address('web')}/"), rounds)
    for what, address in (("127.0.0.1", "127.0.0.1"), ("the host's address", HOST)):
        compare(f"HTTP, host to a published port by {what}", "req/s", sides,
                lambda side: wrk(side.host, f"http://{address}:8080/"), rounds)
    compare("HTTP, another machine to a published port", "req/s", sides, lambda side: wrk(side.other, f"http://{HOST}:8080/"), rounds)
    for side in sides:
        side.remove("web")


def measured(measure, programs, *given):
    """Measures, where the programs it needs are there; else says so."""
    missing = [name for name in programs if not shutil.which(name) and not os.path.exists(f"/usr/sbin/{name}")]
    if missing:
        print(f"{' and '.join(missing)} not installed: {' and '.join(programs)} measure nothing here", flush=True)
    else:
        measure(*given)


def main():
    program = os.path.realpath(sys.argv[1])
    words = sys.argv[2:]
    rounds = int(words.pop(0)) if words and words[0].isdigit() else 5
    asked = lambda part: not words or part in words
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    images = subprocess.run([f"{root}/tests/images.sh", f"{root}/.test-images", "busybox"], check=True, capture_output=True, text=True)
    client = shutil.which("docker") or program
    folders = "--data-root {folder}/data --exec-root {folder}/exec --pidfile {folder}/pid -H unix://{socket} --log-level error"
    sides = [Side("gantry", f"{program} daemon {folders}", client)]
    dockerd = os.environ.get("DOCKERD") or shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if dockerd:
        sides.append(Side("docker", f"{dockerd} {folders}", client))
        print(subprocess.run([dockerd, "--version"], capture_output=True, text=True).stdout.strip())
    else:
        print("dockerd is not installed: no comparison with it")
    folder = tempfile.mkdtemp(prefix="bench-network-")
    os.chmod(folder, 0o755)
    try:
        for side in sides:
            side.engine.run("load", "-i", images.stdout.strip())
        if asked("starts"):
            for network in ("none", "bridge"):
                compare(f"run -d, --network {network}", "ms", sides, lambda side: started(side, network), rounds * 3)
            compare("run -d, bridge, 32 at once", "starts/s", sides, at_once, min(rounds, 3))
        if asked("ports"):
            for what, inner in (("the same numbers", 20000), ("shifted", 40000)):
                # Docker's engine starts a process a port and takes minutes: it is not asked.
                compare(f"run -d -p of 10,000 UDP ports, {what}", "ms", sides[:1], lambda side: ten_thousand(side, inner), rounds)
        if asked("names"):
            rows = {side.name: names(side) for side in sides}
            for at, what in enumerate(("median", "99th percentile", "slowest")):
                show(f"a name asked at 127.0.0.11, {what} of 5,000", "ms", {name: [row[at]] for name, row in rows.items()})
        if asked("traffic"):
            measured(traffic, ("iperf3",), sides, rounds)
        if asked("requests"):
            measured(lambda *given: requests(*given, folder), ("wrk", "nginx", "curl"), sides, rounds * 4)
    finally:
        for side in sides:
            side.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
