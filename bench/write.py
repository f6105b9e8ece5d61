#!/usr/bin/env python3
"""Puts what the benchmarks printed into the last section of a page, with the machine and the versions it was measured on.

usage: write.py FOLDER PAGE        a file of the folder is one benchmark's output; files are taken in the order of their names
"""
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys

HEADING = "## The last whole run"
VERSIONS = [["docker", "--version"], ["dockerd", "--version"], ["docker-compose", "version", "--short"], ["docker-registry", "--version"],
            ["crun", "--version"], ["runc", "--version"]]


def machine():
    """Processor, kernel and memory, a line."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal: *(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return f"{os.cpu_count()} cores ({model[1] if model else os.uname().machine}), {memory >> 20} GiB, Linux {os.uname().release}"


def versions():
    """The first line that each reference says of itself."""
    found = []
    for command in VERSIONS:
        if shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().split("\n")[0]
            found.append(said if command[0] in said else f"{command[0]} {said}")
    return "; ".join(found)


def main():
    folder, page = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    before = page.read_text().split(f"\n{HEADING}\n")[0].rstrip()
    parts = [before, "", HEADING, "", f"Written by `make bench` on {datetime.date.today():%-d %B %Y}: {machine()}. Beside {versions()}.", ""]
    for file in sorted(folder.iterdir()):
        parts += [f"### {file.name.split(' ', 1)[1].capitalize()}", "", "```text", file.read_text().strip("\n"), "```", ""]
    page.write_text("\n".join(parts))


main()
