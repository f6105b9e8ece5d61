#!/usr/bin/env python3
"""Fuzzes each reader of foreign bytes with libFuzzer, from its seeds and what earlier runs found, until each has had its share of
processor time.

usage: fuzz/run.py MINUTES [TARGET...]         (every target when none is named)

One process for each processor, always on the target that has had the least so far; the time counts over all runs, so a run that
was broken off (Ctrl-C) goes on where it was. Needs the nightly tool chain and a C++ compiler, no other tool. What is learned stays in
target/fuzz/corpus, the processor time and the inputs of every slice in target/fuzz/spent; an input that makes a target fall lies
in target/fuzz/found, that target is asked no more, and the script ends with 1.
"""
import glob
import os
import re
import signal
import subprocess
import sys
import threading

SLICE_SECONDS = 300
# libFuzzer's code for an end by Ctrl-C.
INTERRUPTED = 72
TRIPLE = "x86_64-unknown-linux-gnu"

here = os.path.dirname(os.path.abspath(__file__))
out = os.environ.get("CARGO_TARGET_DIR", f"{here}/../target") + "/fuzz"


def build():
    """A target folder and a target triple of its own: build scripts and macros are not instrumented, the product's artifacts stay."""
    coverage = ("-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters "
                "-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1")
    flags = {"RUSTFLAGS": f"--cfg fuzzing -Cdebug-assertions {coverage}", "CARGO_TARGET_DIR": out}
    subprocess.run(["cargo", "+nightly", "build", "--release", "--quiet", "--target", TRIPLE, "--bins"],
                   cwd=here, env={**os.environ, **flags}, check=True)
    subprocess.run([f"{here}/seeds.py", f"{out}/seeds"], check=True)


class Target:
    def __init__(self, name):
        self.name = name
        self.fell = False
        self.log = f"{out}/{name}.log"
        self.seconds, self.inputs = 0.0, 0
        for folder in (f"corpus/{name}", "found", "spent"):
            os.makedirs(f"{out}/{folder}", exist_ok=True)
        if os.path.exists(self.spent()):
            for line in open(self.spent()):
                self.count(*line.split())

    def spent(self):
        return f"{out}/spent/{self.name}"

    def count(self, user, system, inputs):
        self.seconds += float(user) + float(system)
        self.inputs += int(inputs)

    def slice(self, seconds):
        command = [f"{out}/{TRIPLE}/release/{self.name}", f"{out}/corpus/{self.name}", f"{out}/seeds/{self.name}", f"-max_total_time={seconds}",
                   "-timeout=60", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={out}/found/{self.name}-"]
        with open(self.log, "wb") as log:
            # Without Rust's own beginning of a program nobody else says that a closed socket is an error and no signal.
            child = subprocess.Popen(["env", "--ignore-signal=PIPE", *command], stdout=log, stderr=log)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        inputs = re.search(rb"stat::number_of_executed_units: *(\d+)", open(self.log, "rb").read())
        line = (f"{used.ru_utime:.3f}", f"{used.ru_stime:.3f}", int(inputs[1]) if inputs else 0)
        with open(self.spent(), "a") as file:
            print(*line, file=file)
        self.count(*line)
        self.fell = child.returncode not in (0, INTERRUPTED)
        kept = len(os.listdir(f"{out}/corpus/{self.name}"))
        result = f"FELL, see {self.log}" if self.fell else "nothing"
        print(f"{self.name:<14} {line[2]:>11} inputs now, {self.inputs:>12} in {self.seconds / 60:5.1f} CPU minutes so far, {kept:>6} kept: {result}", flush=True)


def work(targets, share, free, stop):
    """One process after the other, each on the target with the least that nobody else has in hand."""
    while True:
        with free:
            open_targets = [t for t in targets if t.seconds < share and not t.fell]
            if not open_targets or stop.is_set():
                return
            target = min(open_targets, key=lambda t: t.seconds)
            targets.remove(target)
        target.slice(max(10, min(SLICE_SECONDS, int(share - target.seconds) + 1)))
        with free:
            targets.append(target)


def main():
    share = 60 * float(sys.argv[1])
    build()
    names = sys.argv[2:] or sorted(os.path.basename(path)[:-3] for path in glob.glob(f"{here}/fuzz_targets/*.rs"))
    targets = [Target(name) for name in names]
    free, stop = threading.Lock(), threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    workers = [threading.Thread(target=work, args=(targets, share, free, stop)) for _ in os.sched_getaffinity(0)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(any(target.fell for target in targets))


main()
