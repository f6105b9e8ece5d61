"""An engine under test: started, killed, started again, and asked over its socket.

Everything happens in a network and a mount namespace of the harness's own (see `inside_namespaces`), so that whatever is left behind can only
be the engine's.
"""
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
TARGET = os.environ.get("CARGO_TARGET_DIR", f"{ROOT}/target")
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18


def inside_namespaces():
    """Gives this process a network and a mount namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "make mounts private")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Gone(Exception):
    """The engine went away before it answered: nothing is known of what was asked."""


class Refused(Exception):
    """The engine answered, and said no."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Engine:
    def __init__(self, root=None, flags=()):
        self.root = root or tempfile.mkdtemp(prefix="gantry-badday-")
        self.socket = f"{self.root}/engine.sock"
        self.flags = list(flags)
        self.program = os.environ.get("PROGRAM", f"{TARGET}/debug/gantry")
        self.process = None
        self.log = f"{self.root}/log"
        self.kills = 0

    def launch(self):
        """Starts the process; nobody waits for its answer."""
        helpers = f"{TARGET}/{os.uname().machine}-unknown-linux-gnu/small"
        environment = {**os.environ, "GANTRY_SHIM": os.environ.get("GANTRY_SHIM", f"{helpers}/gantry-shim")}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "daemon", "-H", f"unix://{self.socket}", "--data-root", f"{self.root}/data", "--exec-root",
                 f"{self.root}/exec", "--pidfile", f"{self.root}/pid", *self.flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )

    def start(self):
        """Starts it and waits for its first answer. Gives the seconds that it took."""
        self.launch()
        began = time.monotonic()
        deadline = began + 60
        while True:
            try:
                self.ask("GET", "/_ping", timeout=5)
                return time.monotonic() - began
            except (Gone, Refused):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the engine did not start:\n{self.tail()}")
                time.sleep(0.01)

    def kill(self):
        self.kills += 1
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)

    def tail(self, lines=30):
        with open(self.log, "rb") as file:
            return b"\n".join(file.read().split(b"\n")[-lines:]).decode(errors="replace")

    def raw(self, method, path, body=None, headers=None, timeout=60):
        """One request; its status and body as bytes."""
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException) as err:
            raise Gone(repr(err)) from None
        finally:
            connection.close()

    def ask(self, method, path, body=None, headers=None, timeout=60, **query):
        """One request; its answer as JSON, or text where it is none."""
        if query:
            path += "?" + urllib.parse.urlencode(query)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        status, data = self.raw(method, path, body, headers, timeout)
        if status >= 400:
            raise Refused(status, data.decode(errors="replace").strip())
        try:
            return json.loads(data) if data else None
        except ValueError:
            text = data.decode(errors="replace")
            # A stream tells its failure in its last object.
            if '"errorDetail"' in text:
                raise Refused(500, text.strip().split("\n")[-1])
            return text

    def load_busybox(self):
        made = subprocess.run([f"{ROOT}/tests/images.sh", f"{ROOT}/.test-images", "busybox"], check=True, stdout=subprocess.PIPE)
        with open(made.stdout.decode().strip(), "rb") as file:
            self.ask("POST", "/images/load", file.read())

    def remove_everything(self):
        for container in self.ask("GET", "/containers/json", all=1):
            self.forgiving("DELETE", f"/containers/{container['Id']}", force=1, v=1)
        for network in self.ask("GET", "/networks"):
            if network["Name"] not in ("bridge", "host", "none"):
                self.forgiving("DELETE", f"/networks/{network['Id']}")
        for volume in self.ask("GET", "/volumes")["Volumes"] or []:
            self.forgiving("DELETE", f"/volumes/{volume['Name']}", force=1)
        # Those that others were made from go after them.
        images = [image["Id"] for image in self.ask("GET", "/images/json", all=1)]
        while images:
            kept = [image for image in images if not self.gone(image)]
            if kept == images:
                raise AssertionError(f"images cannot be removed: {images}")
            images = kept
        # Hundreds of layers, each its own small write: on a busy disk that takes its time.
        self.ask("POST", "/build/prune", timeout=600, all=1)
        self.ask("POST", "/images/prune", timeout=600, filters='{"dangling":["false"]}')

    def gone(self, image):
        """Removes an image; says whether it is gone."""
        try:
            self.forgiving("DELETE", f"/images/{image}", force=1)
        except Refused as err:
            if err.status != 409:
                raise
            return False
        return True

    def forgiving(self, method, path, **query):
        try:
            self.ask(method, path, **query)
        except Refused as err:
            if err.status != 404:
                raise

    def disk_bytes(self):
        """What the data root takes but for the history of events, which has a bound of its own; a file with several names counts once."""
        total, seen = 0, set()
        for folder, folders, files in os.walk(f"{self.root}/data"):
            if folder == f"{self.root}/data":
                folders[:] = [name for name in folders if name != "events"]
            for name in files:
                try:
                    found = os.lstat(os.path.join(folder, name))
                    if found.st_ino not in seen:
                        seen.add(found.st_ino)
                        total += found.st_blocks * 512
                except FileNotFoundError:
                    pass
        return total

    def left_behind(self):
        """What is still there of an engine that has ended, a line each. An empty list is what is wanted."""
        found = []
        with open("/proc/self/mounts") as file:
            found += [f"mount {line.split()[1]}" for line in file if self.root in line]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if self.root in line and int(pid) != os.getpid() and "gantry" in line.split(" ")[0]:
                found.append(f"process {pid} {line}")
        links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout.split("\n")
        found += [f"link {line}" for line in links if line.startswith(("veth", "vh", "br-"))]
        for folder, _, _ in os.walk("/sys/fs/cgroup"):
            if os.path.basename(folder) in self.ids:
                found.append(f"cgroup {folder}")
        runtime = f"{self.root}/exec"
        if os.path.isdir(runtime):
            found += [f"folder {runtime}/{name}" for name in os.listdir(runtime) if len(name) == 64]
        for name in ("containers", "volumes", "build"):
            folder = f"{self.root}/data/{name}"
            if os.path.isdir(folder):
                found += [f"folder {folder}/{entry}" for entry in os.listdir(folder) if len(entry) == 64 or name == "volumes"]
        return found

    def forget(self, ledger, workers):
        """Takes out of the ledger what a kill is allowed to undo: nothing."""

    def look_inside(self, ledger):
        """What is wrong with the contents of what is there, a line each, where that is looked at."""
        return []

    ids = frozenset()

    def delete(self):
        shutil.rmtree(self.root, ignore_errors=True)
