#!/usr/bin/env python3
"""Writes what the original docker-compose says of each case into the case's file.

    refresh.py /path/to/docker-compose [case ...]      (as root: the cases stand in /project, which their hashes hold)

A case is one text: `=== args`, `=== env`, `=== file NAME` are what goes in; `=== yaml`, `=== json`, `=== hash` or
`=== refused` what came out of `docker-compose config`; `=== told` is
what ours says of a project that both refuse. The test `reference` asks the same of ours, without docker-compose.
"""
import pathlib, shutil, subprocess, sys

ROOT = pathlib.Path("/project")
OUTPUTS = {"yaml": [], "json": ["--format", "json"], "hash": ["--hash", "*"]}


def sections(text):
    found, name = [], None
    for line in text.splitlines(keepends=True):
        if line.startswith("=== "):
            name = line[4:].strip()
            found.append([name, ""])
        else:
            found[-1][1] += line
    return found


def run(reference, args, env, extra):
    # Flags of the program itself stand before its command, those of the command behind it.
    own = []
    rest = list(args)
    while rest and rest[0] in ("-f", "-p", "--profile", "--env-file", "--project-directory", "--all-resources"):
        own.append(rest.pop(0))
        if own[-1] != "--all-resources":
            own.append(rest.pop(0))
    return subprocess.run(
        [reference, *own, "config", *rest, *extra],
        cwd=ROOT, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/root", **env},
    )


def refresh(reference, case):
    inputs = [s for s in sections(case.read_text()) if s[0].split()[0] in ("args", "env", "file", "told")]
    given = dict(inputs)
    args = given.get("args", "").split()
    env = dict(line.split("=", 1) for line in given.get("env", "").splitlines())
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir()
    for name, text in inputs:
        if name.startswith("file "):
            path = ROOT / name[5:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    text = "".join(f"=== {name}\n{content}" for name, content in inputs)
    for output, extra in OUTPUTS.items():
        if output == "hash" and any(arg.startswith("--no-") or not arg.startswith("-") for arg in args[-1:]) and (
            not args or args[-2:][0] not in ("-f", "-p", "--profile", "--env-file", "--project-directory")
        ):
            continue
        told = run(reference, args, env, extra)
        if told.returncode != 0:
            lines = [line for line in told.stderr.splitlines() if not line.startswith("time=")]
            text += "=== refused\n" + "\n".join(lines) + "\n"
            break
        text += f"=== {output}\n{told.stdout}"
        if not text.endswith("\n"):
            text += "\n"
    shutil.rmtree(ROOT)
    case.write_text(text)


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    if ROOT.exists():
        sys.exit(f"{ROOT} is there already")
    for case in sorted(here.glob("*.case")):
        # Fig's form is before the time of this docker-compose: what ours makes of it is written by hand.
        if case.stem == "fig" or case.stem.startswith("first-"):
            continue
        if not sys.argv[2:] or case.stem in sys.argv[2:]:
            refresh(sys.argv[1], case)
