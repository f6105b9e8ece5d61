"""Starts engines for a benchmark, each with its own root and socket, and stops them again.

Docker's engine runs in a network namespace of its own, so that its rules and bridge never meet the host's.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time


class Engine:
    def __init__(self, name, command, client, environment=None):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix=f"bench-{name}-")
        self.socket = f"{self.folder}/engine.sock"
        self.client = client
        self.log = open(f"{self.folder}/log", "wb")
        command = [part.format(folder=self.folder, socket=self.socket) for part in command]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**os.environ, **(environment or {})}
        )
        deadline = time.time() + 60
        while self.run("version", check=False).returncode != 0:
            if self.process.poll() is not None or time.time() > deadline:
                raise RuntimeError(f"{name} did not start: {open(self.log.name).read()[-2000:]}")
            time.sleep(0.1)

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
        ids = self.text("ps", "-aq").split()
        if ids:
            self.run("rm", "-fv", *ids, check=False)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def gantry(program):
    return Engine(
        "gantry",
        [program, "daemon", "--data-root", "{folder}/data", "--exec-root", "{folder}/exec", "--pidfile", "{folder}/pid",
         "-H", "unix://{socket}", "--log-level", "warn"],
        program,
    )


def docker():
    """Docker's engine, or None where it is not installed. `DOCKERD` names another one."""
    dockerd = os.environ.get("DOCKERD") or shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    client = shutil.which("docker")
    if not dockerd or not client:
        return None
    script = (
        "mount --make-rprivate / && ip link set lo up && exec {dockerd} --data-root {{folder}}/data --exec-root {{folder}}/exec "
        "--pidfile {{folder}}/pid -H unix://{{socket}} --log-level error"
    ).format(dockerd=dockerd)
    return Engine("docker", ["unshare", "--net", "--mount", "sh", "-c", script], client)
