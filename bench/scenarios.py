"""What the benchmark measures, and what it should find: see README.md for how to read a ratio."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Scenario:
    name: str
    # ratio: server against floor; idle: absolute figures; loops: two loops against one;
    # silent: p99 with readers who never read against p99 without
    kind: str
    load: tuple  # arguments of fairlead_load
    mode: str = "broadcast"  # what the server does with a message
    target: Optional[float] = None  # the largest ratio that is good enough


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
# Connections that never read: how much later the 99th percentile of the others may be, and how far they may make the
# server grow. Their queues are kept full: what does not fit takes the place of what waits longest.
SILENT_RATIO = 1.3
SILENT = 10
SILENT_READERS = ("--silent-readers", str(SILENT))
SILENT_SERVER = " --slow-consumers drop_oldest"
SILENT_GROWTH_KB = SILENT * 1024  # max_queued_bytes, 1 MiB, of each
# The kernel takes some 2.5 MB for one of them, the queue 1 MiB.
SILENT_FILL = ("--fill", str(4 * 1024 * 1024))

SCENARIOS = (
    *(_broadcast(f"broadcast-64b-{k}", 64, k, ratio) for k, ratio in RATIOS.items()),
    *(_broadcast(f"broadcast-4k-{k}", 4096, k, ratio) for k, ratio in RATIOS.items()),
    *(_broadcast(f"silent-64b-{k}", 64, k, SILENT_RATIO, *SILENT_FILL, kind="silent") for k in RATIOS),
    *(_broadcast(f"silent-4k-{k}", 4096, k, SILENT_RATIO, *SILENT_FILL, kind="silent") for k in RATIOS),
    Scenario("echo", "ratio", ("echo", "--connections", "200"), mode="echo", target=ECHO_RATIO),
    Scenario("idle", "idle", ("idle", "--connections", "10000")),
    *(_broadcast(f"loops-{k}", 64, k, LOOPS_RATIO, kind="loops") for k in (1, 8)),
)
