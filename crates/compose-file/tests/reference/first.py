#!/usr/bin/env python3
"""Writes the config hashes of docker-compose 1.29 into the cases `first-*.case`, as `=== first`.

    python first.py          (as root, by a Python that has docker-compose 1.29.2 and what it needs)

The image of each service counts as `sha256:<service>`, the id of another's container as `id of service:<it>`; no engine is asked.
"""
import os, pathlib, shutil

os.environ["HOME"] = "/root"

from compose.config import config
from compose.config.environment import Environment
from compose.project import Project
from compose.container import Container
from compose.service import Service
from docker.errors import NotFound

from refresh import ROOT, sections


class NoEngine:
    api_version = "1.40"

    def inspect_network(self, *_, **__):
        raise NotFound("none")

    inspect_volume = inspect_network


class Other:
    def __init__(self, name):
        self.id = f"id of {name}"


Container.from_id = classmethod(lambda cls, client, name, **_: Other(f"container:{name}"))
Service.containers = lambda self, **_: [Other(f"service:{self.name}")]
Service.image = lambda self, **_: {"Id": f"sha256:{self.name}"}

for case in sorted(pathlib.Path(__file__).parent.glob("first-*.case")):
    kept = [section for section in sections(case.read_text()) if section[0] != "first"]
    ROOT.mkdir()
    names = []
    for name, text in kept:
        if name.startswith("file "):
            (ROOT / name[5:]).write_text(text)
            names += [name[5:]] if name.endswith("yml") else []
    os.chdir(ROOT)
    details = config.find(str(ROOT), names, Environment({"HOME": "/root", "PATH": "/usr/bin:/bin"}))
    project = Project.from_config(ROOT.name, config.load(details), NoEngine())
    hashes = "".join(f"{s.name} {s.config_hash}\n" for s in sorted(project.services, key=lambda s: s.name))
    shutil.rmtree(ROOT)
    case.write_text("".join(f"=== {name}\n{text}" for name, text in kept) + f"=== first\n{hashes}")
