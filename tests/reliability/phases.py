#!/usr/bin/env python3
"""kill -9 of an OCI runtime before each of its system calls, verb by verb; then a reckoning.

usage: phases.py [--every N] [--verb VERB] [--whom runtime|child|shim] [--runtime PROGRAM]

A tracer stops the runtime at every system call and kills it at the n-th, for n = 1, 1+N, 1+2N ... until it lives to its end; then it kills the
process that the runtime makes, in the same way. After each kill:

- `delete --force` takes the container away, and twice is no error: no process, cgroup, mount or folder is left;
- a container of the same id is created, started, and ends with what its command says;
- what `state` says in between is true: a container that waits for its start is told as created, never as running.

Then the same below an engine: of the runtime that it was given by name, verb by verb, and of its own shim. What cannot be started is refused in a
sentence and removed whole.
"""
import argparse
import ctypes
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from engine import TARGET, Engine, Refused, inside_namespaces

LIBC = ctypes.CDLL(None, use_errno=True)
TRACEME, CONT, SYSCALL, SETOPTIONS = 0, 7, 24, 0x4200
FORKS = 0x2 | 0x4 | 0x8  # TRACEFORK, TRACEVFORK, TRACECLONE
GOOD = 0x1  # TRACESYSGOOD: a stop at a system call is told from a signal
EXITKILL = 0x100000
WALL = 0x40000000
ID = "phases"
VERBS = ["create", "start", "exec", "kill", "delete", "run"]


def ptrace(request, pid, data=0):
    if LIBC.ptrace(request, pid, None, ctypes.c_void_p(data)) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


class Traced:
    """A program that is killed at its n-th system call, or whose first child is: `whom`."""

    def __init__(self, command, at, whom, output=None, note=None, enough=None):
        self.at, self.whom, self.killed, self.note, self.enough = at, whom, False, note, enough
        self.first = self.pid = os.fork()
        if self.pid == 0:
            if output:
                null = os.open("/dev/null", os.O_RDONLY)
                out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                for target, source in ((0, null), (1, out), (2, out)):
                    os.dup2(source, target)
            LIBC.ptrace(TRACEME, 0, None, None)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execv(command[0], command)
        os.waitpid(self.pid, 0)
        ptrace(SETOPTIONS, self.pid, GOOD | EXITKILL | (FORKS if whom == "child" else 0))
        ptrace(SYSCALL, self.pid)

    def run(self):
        """To the end of the program; its wait status."""
        stops, victim = 0, self.first if self.whom == "runtime" else None
        known = {self.first}
        while True:
            pid, status = self.next_stop()
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                known.discard(pid)
                if pid == self.first:
                    # What it made lives on, without us.
                    for child in known:
                        self.let_go(child)
                    return status
                continue
            if pid not in known:
                known.add(pid)
                victim = victim or pid
            passed = os.WSTOPSIG(status)
            if passed == signal.SIGTRAP | 0x80:
                passed = 0
                if pid == victim and not self.killed:
                    stops += 1
                    if stops == 2 * self.at - 1:  # Each call stops twice: before and after.
                        if self.note:
                            open(self.note, "w").close()
                        os.kill(pid, signal.SIGKILL)
                        self.killed = True
            elif passed in (signal.SIGTRAP, signal.SIGSTOP):
                passed = 0
            try:
                ptrace(SYSCALL if pid == victim else CONT, pid, passed)
            except ProcessLookupError:
                pass

    def next_stop(self):
        if not self.enough:
            return os.waitpid(-1, WALL)
        quiet = time.monotonic()
        while True:
            pid, status = os.waitpid(self.first, WALL | os.WNOHANG)
            if pid:
                return pid, status
            if time.monotonic() > quiet + 0.2:
                if self.enough():
                    os.kill(self.first, signal.SIGKILL)
                quiet = time.monotonic()
            time.sleep(0.0002)

    @staticmethod
    def let_go(pid):
        """A traced process can only be let go where it stands still; one that waits in a call is stopped first."""
        try:
            os.kill(pid, signal.SIGSTOP)
            while True:
                _, status = os.waitpid(pid, WALL)
                if not os.WIFSTOPPED(status):
                    return
                if os.WSTOPSIG(status) == signal.SIGSTOP:
                    ptrace(17, pid)  # DETACH
                    return
                ptrace(CONT, pid)
        except (ProcessLookupError, ChildProcessError):
            pass


class Bench:
    """A bundle, and the runtime under test."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.folder = tempfile.mkdtemp(prefix="gantry-phases-")
        self.root = f"{self.folder}/state"
        os.makedirs(f"{self.folder}/rootfs/bin")
        for name in ("proc", "sys", "dev", "tmp"):
            os.mkdir(f"{self.folder}/rootfs/{name}")
        shutil.copy("/bin/busybox", f"{self.folder}/rootfs/bin/busybox")
        os.symlink("busybox", f"{self.folder}/rootfs/bin/sh")
        self.configure()

    def configure(self):
        """With everything that is a step of its own: each hook, limits, a seccomp profile."""
        subprocess.run([self.runtime, "spec", "--bundle", self.folder], check=True, capture_output=True)
        path = f"{self.folder}/config.json"
        with open(path) as file:
            spec = json.load(file)
        spec["process"].update(terminal=False, args=["/bin/busybox", "sh", "-c", "sleep 1000 & wait"])
        spec["root"] = {"path": "rootfs", "readonly": False}
        spec["hostname"] = ID
        hook = [{"path": "/bin/true"}]
        spec["hooks"] = {name: hook for name in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
        spec["hooks"]["startContainer"] = [{"path": "/bin/busybox", "args": ["busybox", "true"]}]
        spec["linux"].update(cgroupsPath=f"/{ID}-{os.getpid()}", seccomp={
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]})
        spec["linux"]["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 100}, **spec["linux"].get("resources", {})}
        with open(path, "w") as file:
            json.dump(spec, file)

    def words(self, verb):
        rest = {"create": ["--bundle", self.folder, ID], "start": [ID], "exec": ["--detach", ID, "/bin/busybox", "sleep", "1000"],
                "kill": [ID, "KILL"], "delete": ["--force", ID], "run": ["--detach", "--bundle", self.folder, ID]}[verb]
        return [self.runtime, "--root", self.root, verb, *rest]

    def do(self, verb, patience=30):
        out = f"{self.folder}/out"
        with open(out, "wb") as file:  # No pipe: what a container holds open is not waited for.
            code = subprocess.run(self.words(verb), stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False, timeout=patience).returncode
        with open(out, errors="replace") as file:
            return code, file.read().strip()

    def status(self):
        done = subprocess.run([self.runtime, "--root", self.root, "state", ID], capture_output=True, text=True, check=False, timeout=30)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def left(self):
        """What there is of the container, a line each."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace")
                with open(f"/proc/{pid}/cgroup") as file:
                    inside = f"/{ID}-{os.getpid()}" in file.read()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # A process that has ended and is not reaped yet has no line.
            if line and int(pid) != os.getpid() and (inside or self.root in line):
                found.append(f"process {pid} {line}")
        found += [f"cgroup {folder}" for folder in glob.glob(f"/sys/fs/cgroup/**/{ID}-{os.getpid()}")]
        with open("/proc/self/mounts") as file:
            found += [f"mount {line.split()[1]}" for line in file if self.folder in line]
        if os.path.isdir(self.root):
            found += [f"folder {name}" for name in os.listdir(self.root)]
        return found


def waits(pid):
    """Whether that process still is the runtime's: it has not executed the container's command."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"busybox" not in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


def prepare(bench, verb):
    """What the verb needs before it."""
    before = {"create": [], "run": [], "start": ["create"], "exec": ["create", "start"], "kill": ["create", "start"], "delete": ["create", "start"]}[verb]
    for step in before:
        code, said = bench.do(step)
        if code != 0:
            raise RuntimeError(f"{step} before {verb}: {said}")


def round_of(bench, verb, whom, at):
    """One kill. Gives whether there was one, and what was wrong."""
    prepare(bench, verb)
    traced = Traced(bench.words(verb), at, whom, f"{bench.folder}/said")
    status = traced.run()
    wrong = []
    if not traced.killed:
        bench.do("delete")
        return False, wrong
    if whom == "child" and os.WIFSIGNALED(status):
        wrong.append(f"the runtime itself was ended by signal {os.WTERMSIG(status)}")
    wrong += untrue(bench)
    for time_ in ("first", "second"):
        code, said = bench.do("delete")
        if code != 0:
            wrong.append(f"the {time_} delete --force: {said}")
    deadline = time.monotonic() + 10
    while (left := bench.left()) and time.monotonic() < deadline:
        time.sleep(0.02)
    wrong += [f"left: {line}" for line in left]
    for step in ("create", "start", "delete"):
        code, said = bench.do(step)
        if code != 0:
            wrong.append(f"afterwards {step}: {said}")
    if left:
        clean(bench, left)
    return True, wrong


def untrue(bench):
    """What `state` says and is not so. What was under way at the kill may still be coming true: it is asked once more."""
    for _ in range(2):
        told = (bench.status() or {"status": "gone"})
        if told["status"] == "running" and waits(told["pid"]):
            lie = "told as running, and its command is not executed"
        elif told["status"] == "created":
            code, said = bench.do("start")
            lie = code != 0 and f"told as created, and cannot be started: {said}"
        else:
            lie = None
        if not lie:
            return []
        time.sleep(0.5)
    return [lie]


def clean(bench, left):
    """What one kill left must not be taken for the next one's."""
    for line in left:
        what, where = line.split(" ")[:2]
        if what == "process":
            try:
                os.kill(int(where), signal.SIGKILL)
            except ProcessLookupError:
                pass
    time.sleep(0.1)
    for line in left:
        what, where = line.split(" ")[:2]
        if what == "cgroup":
            subprocess.run(["rmdir", where], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(bench.root, ignore_errors=True)


class Below:
    """An engine with a runtime that is started by us, as the folder's `plan` says, and its shim, started by hand."""

    def __init__(self, runtime):
        self.engine = Engine()
        self.shim = os.environ.get("GANTRY_SHIM", f"{os.path.dirname(runtime)}/gantry-shim")
        self.plan = f"{self.engine.root}/plan"
        self.killed = f"{self.engine.root}/killed"
        self.idle()
        stand_in = f"{self.engine.root}/runtime"
        with open(stand_in, "w") as file:
            file.write(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})\n"
                       f"import phases\nphases.stand_in({runtime!r}, {self.engine.root!r})\n")
        os.chmod(stand_in, 0o755)
        self.engine.flags = ["--add-runtime", f"phased={stand_in}"]
        self.engine.start()
        self.engine.load_busybox()

    def idle(self):
        self.write_plan("", 0)

    def write_plan(self, verb, at):
        if os.path.exists(self.killed):
            os.remove(self.killed)
        with open(self.plan, "w") as file:
            json.dump({"verb": verb, "at": at}, file)

    def create(self, **host):
        return self.engine.ask("POST", f"/containers/create?name={ID}", {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none", **host}})["Id"]

    def shim_at(self, at):
        """The bundle that the engine wrote for a container, and its shim killed by us: what its undertaker leaves of it."""
        id = self.create()
        self.engine.ask("POST", f"/containers/{ID}/start")
        bundle = f"{self.engine.root}/by-hand/{id}"
        os.makedirs(bundle)
        for name in ("config.json", "shim.json"):
            shutil.copy(f"{self.engine.root}/exec/{id}/{name}", bundle)
        self.engine.ask("POST", f"/containers/{ID}/stop", t=0)
        traced = Traced([self.shim, "--bundle", bundle], at, "runtime", f"{self.engine.root}/said", enough=lambda: self.runs(id))
        traced.run()
        done = subprocess.run([self.shim, "--bundle", bundle, "--clean"], capture_output=True, text=True, check=False, timeout=60)
        wrong = [f"the undertaker: {done.stderr}"] if done.returncode != 0 else []
        shutil.rmtree(bundle)
        wrong += self.what_is_left(id)
        self.engine.ask("DELETE", f"/containers/{ID}", force=1)
        return traced.killed, wrong

    def runs(self, id):
        """Whether the container's command is executed: from then on its shim only sleeps."""
        for path in glob.glob(f"/sys/fs/cgroup/**/{id}/cgroup.procs", recursive=True):
            with open(path) as file:
                for pid in file.read().split():
                    try:
                        with open(f"/proc/{pid}/cmdline") as line:
                            return line.read().startswith("sleep")
                    except (FileNotFoundError, ProcessLookupError):
                        pass
        return False

    def runtime_at(self, verb, at):
        """One kill. Gives whether there was one, and what was wrong."""
        engine, wrong, said = self.engine, [], ""
        id = self.create(Runtime="phased")
        if verb in ("exec", "delete"):
            engine.ask("POST", f"/containers/{ID}/start")
        self.write_plan(verb, at)
        try:
            if verb == "exec":
                made = engine.ask("POST", f"/containers/{ID}/exec", {"Cmd": ["sleep", "1000"]})
                engine.ask("POST", f"/exec/{made['Id']}/start", {"Detach": True})
            elif verb == "delete":
                engine.ask("POST", f"/containers/{ID}/kill")
                engine.ask("POST", f"/containers/{ID}/wait")
            else:
                engine.ask("POST", f"/containers/{ID}/start")
        except Refused as err:
            said = str(err)
        try:
            engine.ask("DELETE", f"/containers/{ID}", force=1)
        except Refused as err:
            wrong.append(f"rm --force: {err}")
        wrong += self.what_is_left(id)
        # A container that has ended is removed by its shim while its exit is told already.
        killed = os.path.exists(self.killed)
        self.idle()
        if killed and verb != "delete" and "the runtime was killed by signal 9" not in said:
            wrong.append(f"it is refused with {said!r}")
        return killed, wrong

    def what_is_left(self, id):
        deadline = time.monotonic() + 20
        while (left := self.left(id)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return [f"left: {line}" for line in left]

    def left(self, id):
        found = [f"cgroup {folder}" for folder in glob.glob(f"/sys/fs/cgroup/**/{id}", recursive=True)]
        found += [f"state {path}" for path in glob.glob(f"{self.engine.root}/exec/**/{id}", recursive=True)]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if id in line:
                found.append(f"process {pid} {line}")
        with open("/proc/self/mounts") as file:
            return found + [f"mount {line.split()[1]}" for line in file if id in line]

    def finish(self):
        self.engine.remove_everything()
        self.engine.stop()
        left = self.engine.left_behind()
        self.engine.delete()
        return left


def stand_in(program, root):
    """What the engine starts in the program's place."""
    words = sys.argv[1:]
    with open(f"{root}/plan") as file:
        plan = json.load(file)
    if plan["verb"] not in words:
        os.execv(program, [program, *words])
    # Once: whoever cleans up behind it lives.
    with open(f"{root}/plan", "w") as file:
        json.dump({"verb": ""}, file)
    traced = Traced([program, *words], plan["at"], "runtime", note=f"{root}/killed")
    status = traced.run()
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    sys.exit(os.WEXITSTATUS(status))


def below_an_engine(runtime, every, whom, verb, tally):
    fell = 0
    below = Below(runtime)
    for whom, verb in [pair for pair in [("runtime", "create"), ("runtime", "start"), ("runtime", "exec"), ("runtime", "delete"), ("shim", "create")]
                       if whom in (None, pair[0]) and verb in (None, pair[1])]:
        at, kills = 1, 0
        while True:
            killed, wrong = below.shim_at(at) if whom == "shim" else below.runtime_at(verb, at)
            for line in wrong:
                print(f"WRONG: below an engine: {verb}, {whom} killed at call {at}: {line}", flush=True)
            fell += bool(wrong)
            if not killed:
                break
            kills += 1
            at += every
        tally[f"below an engine: {verb}, {whom} killed"] = kills
    for line in below.finish():
        print(f"WRONG: below an engine: left behind: {line}")
        fell += 1
    return fell


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--every", type=int, default=1)
    asked.add_argument("--verb", choices=VERBS)
    asked.add_argument("--whom", choices=["runtime", "child", "shim"])
    asked.add_argument("--no-engine", action="store_true")
    asked.add_argument("--runtime", default=os.environ.get("GANTRY_RUNTIME", f"{TARGET}/{os.uname().machine}-unknown-linux-gnu/small/gantry-runtime"))
    asked = asked.parse_args()
    inside_namespaces()
    bench = Bench(asked.runtime)
    tally, fell = {}, 0
    for whom in [asked.whom] if asked.whom else ["runtime", "child"]:
        if whom == "shim":
            continue
        for verb in [asked.verb] if asked.verb else VERBS:
            if whom == "child" and verb in ("start", "kill", "delete"):
                continue
            at, kills = 1, 0
            while True:
                killed, wrong = round_of(bench, verb, whom, at)
                if not killed:
                    break
                kills += 1
                for line in wrong:
                    print(f"WRONG: {verb}, its {whom} killed at call {at}: {line}", flush=True)
                fell += bool(wrong)
                at += asked.every
            tally[f"{verb}, {whom} killed"] = kills
    if not asked.no_engine and asked.whom != "child":
        fell += below_an_engine(asked.runtime, asked.every, asked.whom, asked.verb, tally)
    print(json.dumps(tally, indent=1))
    shutil.rmtree(bench.folder, ignore_errors=True)
    sys.exit(1 if fell else 0)


if __name__ == "__main__":
    main()
