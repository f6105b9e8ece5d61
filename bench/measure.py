"""Times commands side by side: interleaved rounds, median, min, max, and the ratio to the reference.

A benchmark is a list of (name, function); a function does the thing once and returns nothing. The first entry is ours, the
others are references. Rounds are interleaved, so that a noisy minute falls on all of them alike.
"""
import statistics
import sys
import time


def compare(title, sides, rounds=15, warm=2, unit="ms", scale=1000.0):
    times = {name: [] for name, _ in sides}
    for turn in range(warm + rounds):
        for name, run in sides:
            begin = time.perf_counter()
            run()
            spent = (time.perf_counter() - begin) * scale
            if turn >= warm:
                times[name].append(spent)
    report(title, times, unit)
    return {name: statistics.median(values) for name, values in times.items()}


def report(title, times, unit):
    ours = next(iter(times))
    base = statistics.median(times[ours])
    print(f"\n{title}")
    print(f"  {'':24} {'median':>10} {'min':>10} {'max':>10}   ours is")
    for name, values in times.items():
        middle = statistics.median(values)
        ratio = "" if name == ours else f"{base / middle:.3f} of it"
        print(f"  {name:24} {middle:10.2f} {min(values):10.2f} {max(values):10.2f} {unit} {ratio}")
    sys.stdout.flush()


def missing(title, what):
    print(f"\n{title}\n  {what} is not installed: nothing to compare with")
