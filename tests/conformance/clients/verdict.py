#!/usr/bin/env python3
"""Judges a run of a client's suite: what once passed must pass.

usage: verdict.py RESULTS PASSING-LIST gantry|docker
With RECORD=1 the list is written anew from the results, for the day when more pass.
"""
import os
import sys

results, listed, engine = sys.argv[1:]
seen = {}
with open(results) as file:
    for line in file:
        verdict, name = line.split(maxsplit=1)
        name = name.strip()
        # A test that failed and whose clean-up was reported apart failed.
        seen[name] = "failed" if "failed" in (verdict, seen.get(name)) else verdict
passed = sorted(name for name, verdict in seen.items() if verdict == "ok")
failed = sorted(name for name, verdict in seen.items() if verdict != "ok")
for name in failed:
    print(f"failed: {name}")
if os.environ.get("RECORD"):
    with open(listed, "w") as file:
        file.writelines(name + "\n" for name in passed)
lost = []
if engine == "gantry" and os.path.exists(listed) and not os.environ.get("ONLY"):
    with open(listed) as file:
        lost = sorted(set(file.read().split("\n")) - {""} - set(passed))
    for name in lost:
        print(f"passed once, and not now: {name}")
print(f"{os.path.basename(listed).removesuffix('.passing')} on {engine}: {len(passed)} of {len(seen)} pass")
sys.exit(1 if lost or not passed else 0)
