"""Starts engines for a benchmark, each with its own root and socket, and stops them again.

Every engine runs in a network namespace of its own, so that rules and bridges never meet the host's or each other's, and on
a fresh filesystem of its own: ext4 walks past every inode that was deleted within the last five minutes, so on a shared
one each round would pay for the files that the rounds before it removed.
"""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("engine", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    def __init__(self, name, command, client, environment=None):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix=f"bench-{name}-")
        self.socket = f"{self.folder}/engine.sock"
        self.client = client
        self.log = open(f"{self.folder}/log", "wb")
        os.mkdir(f"{self.folder}/data")
        disk = f"{self.folder}/disk"
        with open(disk, "wb") as file:
            file.truncate(32 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", disk], check=True)
        mounted = subprocess.run(["mount", "-o", "loop,noinit_itable", disk, f"{self.folder}/data"], capture_output=True)
        if mounted.returncode != 0:  # no loop devices here: tests can do without, figures are not to be had
            print(f"{name} shares the machine's filesystem: {mounted.stderr.decode().strip()}", file=sys.stderr)
            os.unlink(disk)
        self.command = [part.format(folder=self.folder, socket=self.socket) for part in command]
        self.environment = {**os.environ, **(environment or {})}
        self.launch()

    def launch(self):
        """Starts it, and waits until it answers."""
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.environment,
            start_new_session=True,
        )
        name = self.name
        deadline = time.time() + 60
        while self.run("version", check=False).returncode != 0:
            if self.process.poll() is not None or time.time() > deadline:
                raise RuntimeError(f"{name} did not start: {open(self.log.name).read()[-2000:]}")
            time.sleep(0.02)

    def crash(self):
        """kill -9, of the engine alone: its containers are left."""
        self.process.kill()
        self.process.wait()

    def call(self, method, path, body=None):
        """One request of the Engine API; the answer's JSON, or its text."""
        connection = Connection(self.socket)
        data = json.dumps(body) if body is not None else None
        connection.request(method, f"/v1.40{path}", data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{self.name} {method} {path}: {answer.status} {text[:300]}")
        try:
            return json.loads(text)
        except ValueError:
            return text

    def run(self, *words, check=True, **options):
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run([self.client, "-H", f"unix://{self.socket}", *words], **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name} {' '.join(words)}: {done.stderr.decode()}")
        return done

    def text(self, *words):
        return self.run(*words, stdout=subprocess.PIPE).stdout.decode()

    def memory_kib(self):
        """Proportional set size of the engine and the processes it started that are not containers."""
        total = 0
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total

    def family(self):
        """Every process whose command line names this engine's folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if self.folder.encode() in file.read():
                        found.append(int(pid))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def stop(self):
        """Removes its containers, stops it, and takes its folder away."""
        ids = self.run("ps", "-aq", check=False, stdout=subprocess.PIPE).stdout.decode().split()
        for begin in range(0, len(ids), 200):
            self.run("rm", "-fv", *ids[begin : begin + 200], check=False)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        subprocess.run(["umount", "--lazy", f"{self.folder}/data"], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def apart(dockerd, flags, net=True):
    """A command line for an engine in namespaces of its own; {folder} and {socket} are filled in later."""
    script = f"mount --make-rprivate / && ip link set lo up && exec {dockerd} {flags}"
    own = ["--net", "--mount"] if net else ["--mount"]
    return ["unshare", *own, "sh", "-c", script]


PLACES = "--data-root {folder}/data --exec-root {folder}/exec --pidfile {folder}/pid -H unix://{socket}"


def gantry(program, flags="", net=True):
    return Engine("gantry", apart(f"{program} daemon", f"{PLACES} --log-level warn {flags}", net), program)


def docker(flags="", net=True):
    """Docker's engine, or None where it is not installed. `DOCKERD` names another one."""
    dockerd = os.environ.get("DOCKERD") or shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    client = shutil.which("docker")
    if not dockerd or not client:
        return None
    return Engine("docker", apart(dockerd, f"{PLACES} --live-restore --log-level error {flags}", net), client)
