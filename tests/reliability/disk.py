"""A file system of its own on a loop device, and the end of its power.

`cut` shuts it down by the ioctl that xfstests use: what had not reached the disk by then never will, neither data nor journal.
"""
import fcntl
import os
import signal
import struct
import subprocess
import sys
import time

SHUTDOWN, WITHOUT_THE_LOG = 0x8004587D, 2
PATIENCE = 30


class Disk:
    def __init__(self, kind, file, folder, size=3 << 30):
        if subprocess.run(["losetup", "--find"], capture_output=True, check=False).returncode != 0:
            print("not tried: no loop devices")
            sys.exit(0)
        with open(file, "wb") as made:
            made.truncate(size)
        subprocess.run([f"mkfs.{kind}", "-q", file], check=True)
        self.device = output("losetup", "--find", "--show", file)
        self.folder = folder
        os.mkdir(folder)
        self.mount()

    def mount(self):
        run("mount", self.device, self.folder)

    def cut(self, writer):
        """Takes the power from the disk while `writer` (a process) is between two instructions: it acknowledges nothing any more. It is to be killed next."""
        stop(writer)
        root = os.open(self.folder, os.O_RDONLY)
        fcntl.ioctl(root, SHUTDOWN, struct.pack("I", WITHOUT_THE_LOG))
        os.close(root)

    def unmount(self):
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(["umount", self.folder], capture_output=True, check=False).returncode != 0:
            assert time.monotonic() < deadline, "somebody holds the disk"
            time.sleep(0.05)

    def delete(self):
        run("umount", "--recursive", self.folder)
        run("losetup", "--detach", self.device)


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE
    while not all(state(task) == "T" for task in os.listdir(f"/proc/{pid}/task")):
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.001)


def state(task):
    try:
        with open(f"/proc/{task}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        # A thread that has ended meanwhile.
        return "T"


def run(*command):
    subprocess.run(command, check=True)


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
