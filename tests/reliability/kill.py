#!/usr/bin/env python3
"""kill -9 of the engine at random moments, while many clients work; then a reckoning.

usage: kill.py [--kills N] [--seed S] [--workers W]

Each worker does one thing after another (create, start, run, exec, cp, export, rename, commit, rm, volumes, networks, load, save, build, pull, a
compose project) and writes in a ledger what was acknowledged. The engine is killed at a random moment and started again; then what the ledger
says must be so: what was acknowledged is there, what was acknowledged as removed is gone, what ran runs. What was under way at the kill may be
either. At the end everything is removed, the engine stopped, and nothing may be left: no mount, cgroup, link, process, folder, and no more of the
disk than an empty engine takes, but one MiB.
"""
from engine import Engine, inside_namespaces
from trial import trial, words

asked = words().parse_args()
inside_namespaces()
trial(Engine(), asked)
