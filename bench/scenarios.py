"""What the benchmark measures, and what it should find: see README.md for how to read a ratio."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Scenario:
    name: str
    kind: str  # ratio: server against floor; idle: absolute figures; loops: two loops against one
    load: tuple  # arguments of fairlead_load
    mode: str = "broadcast"  # what the server does with a message
    target: Optional[float] = None  # the largest ratio that is good enough

    @property
    def silent(self):
        return "--silent-readers" in self.load


def _broadcast(name, payload, in_flight, target, *extra, kind="ratio"):
    load = ("broadcast", "--connections", "1000", "--payload", str(payload), "--in-flight", str(in_flight))
    return Scenario(name, kind, load + extra, target=target)


# Broadcasts in flight, and the largest ratio to the floor's CPU per delivery. With 4 KB messages the kernel's copying
# alone is above the last of them: compare with the floor's gather mode (README.md) before chasing it.
RATIOS = {1: 1.15, 8: 0.22, 64: 0.08}
ECHO_RATIO = 1.3
LOOPS_RATIO = 1.15
# Absolute figures, for one idle connection and for opening one.
IDLE_BYTES = 5 * 1024
OPEN_MICROSECONDS = 30
# How far silent readers may make the server grow in the measured window.
SILENT_GROWTH_KB = 64 * 1024

SCENARIOS = (
    *(_broadcast(f"broadcast-64b-{k}", 64, k, ratio) for k, ratio in RATIOS.items()),
    *(_broadcast(f"broadcast-4k-{k}", 4096, k, ratio) for k, ratio in RATIOS.items()),
    *(_broadcast(f"silent-64b-{k}", 64, k, ratio, "--silent-readers", "10") for k, ratio in RATIOS.items()),
    *(_broadcast(f"silent-4k-{k}", 4096, k, ratio, "--silent-readers", "10") for k, ratio in RATIOS.items()),
    Scenario("echo", "ratio", ("echo", "--connections", "200"), mode="echo", target=ECHO_RATIO),
    Scenario("idle", "idle", ("idle", "--connections", "10000")),
    *(_broadcast(f"loops-{k}", 64, k, LOOPS_RATIO, kind="loops") for k in (1, 8)),
)
