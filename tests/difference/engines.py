#!/usr/bin/env python3
"""The same commands and requests on two engines, ours and Docker's: output, complaints, exit code, JSON and events are compared.

    engines.py PROGRAM DOCKERD IMAGE [WORDS]
    CORNER=clients engines.py ...   our client and the original, each on an engine of Docker's: the commands alone

PROGRAM is gantry, DOCKERD is Docker's engine (its folder is put before the PATH, so that its containerd and runc are found), IMAGE a docker-archive
of busybox. Both engines run in network and mount namespaces of their own and are stopped at the end. The client is `docker` of the PATH, or
CLIENT. Cases are the lines of cli.cases and of engines.cases; with WORDS only those that hold them; {v} in a line is every version from 1.24 to 1.51. Ids, times, addresses and sizes are made alike
before they are compared. A case that differs is shown, unless it stands in engines.known (clients.known) with its reason; the exit code says whether any was shown.
"""
import concurrent.futures
import difflib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
# What has another name by decision (docs/differences.md) is made alike, so that the rest of a case is still compared.
PATTERNS = [
    (r"\b(docker|gantry)0\b", "<bridge>"),
    (r'("Runtime": ?)"(runc|gantry)"', r'\1"<runtime>"'),
    (r'("(PortBindings|RepoDigests)": ?)(null|\[\]|\{\})', r'\1<none>'),
    (r"\boverlay2?\b", "<driver>"),
    (r"\b[0-9a-f]{64}\b", "<ID>"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>"),
    (r"%2Ftmp%2Fdiffer-[^/]*%2Fs/", "<socket>/"),
    # The original's advice to install another builder is not ours to give.
    (r"^DEPRECATED: The legacy builder(.*\n)*?\n", ""),
    (r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{12}\b", "<id>"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z| ?[+-][0-9:]+( UTC)?)?", "<time>"),
    (r"(About an? |Less than an? )?([0-9]+ )?(second|minute|hour|day|week)s?( ago)", "<ago>"),
    (r"Up (Less than a |About an? )?([0-9]+ )?(seconds?|minutes?|hours?)", "Up <time>"),
    (r"\) <ago>", ") <ago>"),
    (r"([0-9a-f]{2}:){5}[0-9a-f]{2}", "<mac>"),
    (r"\b[0-9.]+ ?([kMG]i?)?B\b", "<size>"),
    (r"/[^ \"']*/(data|exec|run)/", "<root>/"),
    (r"/?\b[a-z]+_[a-z]+[0-9]?(?=\")", "<name>"),
    (r"(lookup [\w.-]+?)( on [\d.:]+: dial udp [\d.:]+: connect: network is unreachable|: no such host)", r"\1 <fails>"),
    (r"(error reading [a-z ]+: )(invalid character|expected value).*", r"\1<syntax>"),
    (r'("DockerVersion": )"[^"]*"', r"\1<version>"),
    # Go's names of types and fields.
    (r"(cannot unmarshal [a-z]+)( [\d.e+]+)? into [^\"]*", r"\1 <into>"),
    (r" +", " "),
    (r' (?=$|"$)', ""),
]
# Values that are another engine's by nature; that the key is there counts.
OPAQUE = {"Id", "Created", "Pid", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "SandboxID", "SandboxKey", "EndpointID", "NetworkID", "MacAddress",
          "StartedAt", "FinishedAt", "CreatedAt", "Mountpoint", "Size", "SizeRw", "SizeRootFs", "GraphDriver", "ParentId", "SharedSize", "Image", "ImageID",
          "Hostname", "Driver", "Source", "time", "timeNano", "Actor", "id", "Digest", "LastTagTime", "read", "preread", "Platform", "Processes"}


class Engine:
    """An engine in namespaces of its own."""

    def __init__(self, name, command, path=None, client=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"differ-{name}-"))
        self.socket = self.dir / "s"
        flags = ["-H", f"unix://{self.socket}", "--data-root", str(self.dir / "data"), "--exec-root", str(self.dir / "exec"), "--pidfile", str(self.dir / "pid")]
        environment = dict(os.environ, **({"PATH": f"{path}:{os.environ['PATH']}"} if path else {}))
        inside = ["sh", "-c", 'ip link set lo up; mount -t tmpfs tmpfs /run; exec "$0" "$@"']
        self.log = open(self.dir / "log", "w")
        self.process = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", *inside, *command, *flags],
                                        env=environment, stdout=self.log, stderr=self.log)
        self.work = self.dir / "work"
        (self.work / "ctx").mkdir(parents=True)
        (self.work / "ctx" / "Dockerfile").write_text("FROM busybox\nRUN echo hi > /x\n")
        (self.work / "env").write_text("A=1\n")
        (self.work / "file").write_text("hello\n")
        (self.work / "bin").mkdir()
        (self.work / "bin" / "docker").symlink_to(client or shutil.which(os.environ.get("CLIENT", "docker")))
        self.environment = dict(os.environ, HOME=str(self.dir / "home"), DOCKER_HOST=f"unix://{self.socket}", PATH=f"{self.work / 'bin'}:{os.environ['PATH']}")

    def await_answer(self):
        deadline = time.time() + 60
        while time.time() < deadline:
            try:
                self.request("GET", "/_ping")
                return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"no answer; {(self.dir / 'log').read_text()[-2000:]}")

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(str(self.socket))
        connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, answer.getheader("Content-Type"), text

    def shell(self, line, timeout=60):
        try:
            done = subprocess.run(["sh", "-c", line], cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
            return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            return "timeout", "", ""

    def clean(self, image):
        def items(path, key=None):
            listed = json.loads(self.request("GET", path)[2] or "[]")
            return (listed.get(key) if key else listed) or []
        for container in items("/containers/json?all=1"):
            self.request("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        for volume in items("/volumes", "Volumes"):
            self.request("DELETE", f"/volumes/{volume['Name']}?force=1")
        for network in items("/networks"):
            if network["Name"] not in ("bridge", "host", "none"):
                self.request("DELETE", f"/networks/{network['Id']}")
        there = False
        for listed in items("/images/json"):
            for tag in listed.get("RepoTags") or [listed["Id"]]:
                if tag == "busybox:latest":
                    there = True
                else:
                    self.request("DELETE", f"/images/{tag}?force=1")
        self.request("POST", "/build/prune?all=1")
        if not there:
            self.shell(f"docker load -qi {image}")
        for name in ("out", "cid", "x.tar"):
            shutil.rmtree(self.work / name, ignore_errors=True)
            (self.work / name).unlink(missing_ok=True)
        shutil.rmtree(self.dir / "home", ignore_errors=True)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def alike(text, engine):
    text = text.replace(str(engine.work), "<work>").replace(str(engine.dir), "<root>")
    for pattern, instead in PATTERNS:
        text = re.sub(pattern, instead, text, flags=re.M)
    return text


def shape(value, key=""):
    """JSON with what is another engine's by nature taken out."""
    # Ours knows the network of a container that was never started, theirs not yet.
    if key == "NetworkID":
        return "<NetworkID>"
    if key in OPAQUE and value not in (None, "", [], {}):
        return f"<{key}>"
    if isinstance(value, dict):
        return {name: shape(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        # Docker gives networks in any order.
        networks = value and all(isinstance(one, dict) and "IPAM" in one for one in value)
        return [shape(inner) for inner in (sorted(value, key=lambda one: one["Name"]) if networks else value)]
    return value


def run(engine, case, image, with_events):
    engine.clean(image)
    begun = time.time()
    if case.startswith("HTTP "):
        said = []
        for request in case.removeprefix("HTTP ").split(" ;; "):
            method, path, *body = request.split(" ", 2)
            status, kind, text = engine.request(method, path, body[0] if body else None)
            try:
                text = json.dumps(shape(json.loads(text)), indent=1, sort_keys=True)
            except ValueError:
                pass
            said.append(f"{method} {path} {status} {kind}\n{alike(text, engine)}\n")
        out = {"answer": "".join(said)}
    else:
        code, stdout, stderr = engine.shell(case)
        out = {"exit": str(code), "stdout": alike(stdout, engine), "stderr": alike(stderr, engine)}
    if not with_events:
        return out
    path = f"/events?since={begun:.6f}&until={time.time():.6f}"
    events = [json.loads(line) for line in engine.request("GET", path)[2].splitlines()]
    # In their order, each with the names of its attributes.
    attributes = lambda event: ",".join(sorted(event.get("Actor", {}).get("Attributes") or {}))
    told = [alike(f"{event.get('Type')} {event.get('Action')} {event.get('scope')} {attributes(event)}", engine) for event in events]
    out["events"] = "\n".join(in_one_order(told))
    return out


def in_one_order(told):
    """Events whose order, or whose being there, differs by decision (docs/differences.md)."""
    made = 0
    kept = []
    for event in told:
        made += event.startswith("container create ")
        # What is refused was never made here, so nothing of it is destroyed.
        if event.startswith("container destroy ") and not made:
            continue
        kept.append(event)
    # Ours tells an end when it has come, theirs when the network is gone, too; and ours joins networks before it tells of mounts.
    pairs = [("container die ", "network disconnect "), ("network connect ", "volume mount ")]
    for _ in kept:
        for at in range(len(kept) - 1):
            if any(kept[at].startswith(first) and kept[at + 1].startswith(then) for first, then in pairs):
                kept[at], kept[at + 1] = kept[at + 1], kept[at]
    return kept


def mistakes_alike(ours, theirs):
    """Theirs, where a 500 stands for the caller's mistake that we answer with 400, 403, 404 or 409 (docs/differences.md)."""
    if "answer" not in theirs or len(ours["answer"].splitlines()) != len(theirs["answer"].splitlines()):
        return theirs
    lines = []
    for our, their in zip(ours["answer"].splitlines(), theirs["answer"].splitlines()):
        same = re.sub(r" 4(00|03|04|09) ", " 500 ", our) == their and " 500 " in their
        lines.append(our if same else their)
    return dict(theirs, answer="".join(line + "\n" for line in lines))


def cases(words):
    for name in ("cli.cases", "engines.cases"):
        for line in (HERE / name).read_text().splitlines():
            if line and not line.startswith("#") and words in line:
                yield from [line.replace("{v}", f"1.{minor}") for minor in range(24, 52)] if "{v}" in line else [line]


def main(program, dockerd, image, words=""):
    image, program, dockerd = (os.path.abspath(path) for path in (image, program, dockerd))
    corner = os.environ.get("CORNER", "engines")
    known = set((HERE / f"{corner}.known").read_text().splitlines())
    docker = lambda name, client=None: Engine(name, [dockerd], os.path.dirname(dockerd), client)
    ours = docker("ours", program) if corner == "clients" else Engine("ours", [program, "daemon"])
    engines = [ours, docker("theirs")]
    total = different = listed = 0
    try:
        for engine in engines:
            engine.await_answer()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for case in cases(words):
                if corner == "clients" and case.startswith("HTTP "):
                    continue
                total += 1
                ours, theirs = pool.map(lambda engine: run(engine, case, image, corner == "engines"), engines)
                theirs = mistakes_alike(ours, theirs)
                if ours == theirs:
                    continue
                if case in known and not words:
                    listed += 1
                    continue
                different += 1
                print(f"=== {case}", flush=True)
                for part in ours:
                    changed = list(difflib.unified_diff(theirs[part].splitlines(), ours[part].splitlines(), f"theirs {part}", "ours", lineterm="", n=0))
                    print("\n".join(changed[:80]), flush=True)
    finally:
        for engine in engines:
            engine.stop()
    print(f"{total} cases, {total - different - listed} alike, {listed} known to differ, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
