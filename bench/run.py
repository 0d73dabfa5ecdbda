#!/usr/bin/env python3
"""Compares a WebSocket server with the floor, in one run: `./dev bench`, or see --help and README.md."""

import argparse
import fnmatch
import json
import os
import signal
import statistics
import sys

import scenarios
from processes import BenchError, run_load, server
from scenarios import SCENARIOS

FAIRLEAD = ("{build}/fairlead serve --listen 127.0.0.1:0 --internal 127.0.0.1:0"
            " --threads {{threads}} --plain {{mode}}")
HEADINGS = ("scenario", "floor ns", "server ns", "ratio", "target", "", "floor p50/p99/p99.9 us",
            "server p50/p99/p99.9 us", "faults", "peak MB")
WIDTHS = (16, 9, 9, 7, 7, 5, 24, 24, 7, 7)


def parse_arguments():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", default=[],
                        help="only scenarios of this name or pattern, such as 'broadcast-*'; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--quick", action="store_true", help="one short repetition: a first impression, no verdict")
    parser.add_argument("--repeat", type=int, metavar="N", help="repetitions of each scenario [3]")
    parser.add_argument("--seconds", type=float, metavar="S", help="seconds of each measured window [2]")
    parser.add_argument("--json", metavar="FILE", help="also write every figure of every run")
    parser.add_argument("--check", action="store_true", help="end with 1 when a target is missed")
    parser.add_argument("--server", metavar="CMD",
                        help="the server's command, with {port}, {mode} and {threads} to fill in [fairlead serve ...];"
                             " without {port} it must print ws://127.0.0.1:PORT")
    parser.add_argument("--path", default="/ws", help="the path to upgrade [/ws]")
    parser.add_argument("--build", metavar="DIR", default=os.path.join(os.path.relpath(root), "build", "release"),
                        help="where the programs were built [build/release]")
    arguments = parser.parse_args()
    arguments.repeat = arguments.repeat or (1 if arguments.quick else 3)
    arguments.seconds = arguments.seconds or (1 if arguments.quick else 2)
    if arguments.repeat < 1 or arguments.seconds <= 0:
        parser.error("--repeat and --seconds must be positive")
    return parser, arguments


class Bench:
    """One run of the whole comparison: where the programs are, where they are pinned, what came out."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.load = self.program("fairlead_load")
        self.floor = self.program("fairlead_floor") + " --port 0 --mode {mode}"
        self.server = arguments.server or FAIRLEAD.format(build=arguments.build)
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.client_core = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
        self.records = []
        self.failures = 0
        self.missed = 0

    def program(self, name):
        for place in ("bench", "."):
            path = os.path.join(self.arguments.build, place, name)
            if os.path.exists(path):
                return os.path.normpath(path)
        sys.exit(f"run.py: there is no {name} in {self.arguments.build}: build it first (./dev build), or give --build")

    def once(self, template, scenario, threads=1, extra=()):
        load = [*scenario.load, *extra]
        if scenario.kind != "idle":
            load += ["--seconds", str(self.arguments.seconds)]
        with server(template, scenario.mode, threads, self.server_core) as running:
            report = run_load(self.load, load, running.pid, running.port, self.arguments.path, self.client_core)
            if scenario.kind == "silent":
                report["dropped"] = running.counter('fairlead_limit_hits_total{limit="dropped_oldest"}')
            return report

    def pairs(self, scenario):
        """Both sides in turn, the first one changing: a machine that slows down slows both."""
        if scenario.kind == "loops":
            sides = ((self.server, 1), (self.server, 2))
        elif scenario.kind == "silent":
            patient = self.server + scenarios.SILENT_SERVER
            sides = ((patient, 1), (patient, 1, scenarios.SILENT_READERS))
        else:
            sides = ((self.floor, 1), (self.server, 1))
        for repetition in range(self.arguments.repeat):
            order = (0, 1) if repetition % 2 == 0 else (1, 0)
            reports = {}
            for side in order:
                template, *how = sides[side]
                reports[side] = self.once(template, scenario, *how)
            yield reports[0], reports[1]

    def measure(self, scenario):
        try:
            runs = list(self.pairs(scenario))
        except BenchError as error:
            self.failures += 1
            print(f"{scenario.name:<16}  FAILED: {error}", flush=True)
            return
        record = {"scenario": scenario.name, "target": scenario.target, "runs": runs}
        if scenario.kind == "idle":
            self.show_idle(runs)
        else:
            self.show_ratio(scenario, runs, record)
        self.records.append(record)

    def verdict(self, good):
        self.missed += not good
        return "ok" if good else "MISS"

    def show_ratio(self, scenario, runs, record):
        base, other = ([pair[side] for pair in runs] for side in (0, 1))
        figure = p99 if scenario.kind == "silent" else nanoseconds
        ratio = statistics.median(figure(b) / figure(a) for a, b in runs)
        faults = sum(sum(report[key].values()) for pair in runs for report in pair
                     for key in ("faults", "warmup_faults"))
        self.failures += faults != 0
        record.update(ratio=ratio, faults=faults)
        print(row(scenario.name, median(nanoseconds, base), median(nanoseconds, other), f"{ratio:.3f}", f"{scenario.target:.2f}",
                  self.verdict(ratio <= scenario.target), latencies(base), latencies(other), str(faults),
                  f"{max(r['memory_after']['peak_rss_kb'] for r in other) / 1024:.1f}"), flush=True)
        if scenario.kind == "silent":
            self.show_silent(runs)

    def show_silent(self, runs):
        growth = max(b["memory_after"]["peak_rss_kb"] - a["memory_after"]["peak_rss_kb"] for a, b in runs)
        print(f"{'':<16}  for those who never read: {growth / 1024:.1f} MB"
              f" (at most {scenarios.SILENT_GROWTH_KB // 1024}: {self.verdict(growth <= scenarios.SILENT_GROWTH_KB)})", flush=True)
        for _, report in runs:
            # Full all the time: each message of the window took the place of another, at each of them.
            due = report["messages"] * scenarios.SILENT
            if report["dropped"] < due or report["silent_disconnected"] > 0:
                self.failures += 1
                print(f"{'':<16}  FAILED: their queues were not full, or they were ended: {report['dropped']:.0f} dropped of"
                      f" {due}, {report['silent_disconnected']} disconnected", flush=True)

    def show_idle(self, runs):
        print()
        for title, key, target, unit in (
                ("resident bytes per idle connection", "rss_bytes_per_connection", scenarios.IDLE_BYTES, ""),
                ("server CPU to open a connection", "server_us_per_open", scenarios.OPEN_MICROSECONDS, " us")):
            floor, tested = (statistics.median(pair[side][key] for pair in runs) for side in (0, 1))
            print(f"idle: {title}: {tested:.1f}{unit}, at most {target}{unit}: {self.verdict(tested <= target)}"
                  f" (floor {floor:.1f}{unit})", flush=True)
        print()

    def save(self):
        if self.arguments.json:
            with open(self.arguments.json, "w", encoding="utf-8") as file:
                json.dump({"server": self.server, "results": self.records}, file, indent=1)


def row(*cells):
    left = (0, 5)
    return "  ".join(f"{cell:<{width}}" if at in left else f"{cell:>{width}}"
                     for at, (cell, width) in enumerate(zip(cells, WIDTHS))).rstrip()


def nanoseconds(report):
    return report["server_ns_per_delivery"]


def p99(report):
    return report["latency_us"]["p99"]


def median(figure, reports):
    return f"{statistics.median(map(figure, reports)):.0f}"


def latencies(reports):
    medians = (statistics.median(report["latency_us"][key] for report in reports) for key in ("p50", "p99", "p99.9"))
    return " / ".join(f"{value:.0f}" for value in medians)


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    parser, arguments = parse_arguments()
    chosen = [s for s in SCENARIOS
              if not arguments.only or any(fnmatch.fnmatch(s.name, pattern) for pattern in arguments.only)]
    if arguments.list:
        print("\n".join(f"{s.name:<16}  {' '.join(s.load)}" for s in chosen))
        return 0
    if not chosen:
        parser.error(f"no such scenario: {', '.join(arguments.only)}; --list shows them")
    bench = Bench(arguments)
    signal.signal(signal.SIGTERM, interrupted)  # so that a polite kill stops the servers too
    if bench.server_core is None:
        print("run.py: one core only: server and client share it, expect noise", file=sys.stderr)
    if os.getloadavg()[0] > 0.5:
        print("run.py: something else is running on this machine, which blurs the ratios", file=sys.stderr)
    print(f"server: {bench.server}\nns: server CPU per delivery, median of {arguments.repeat};"
          f" loops-*: one loop in place of the floor, two in place of the server;\n"
          f"silent-*: no silent readers in place of the floor, ten in place of the server, and the ratio is that of p99\n")
    print(row(*HEADINGS))
    try:
        for scenario in chosen:
            bench.measure(scenario)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        bench.save()
    return 1 if bench.failures or (arguments.check and bench.missed) else 0


if __name__ == "__main__":
    sys.exit(main())
