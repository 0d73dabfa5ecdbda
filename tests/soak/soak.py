"""Torture: real processes, a network that lies, clients that check what they were promised. `./dev soak --help`.

Servers come and go at one address: drained under load, cut, killed, or brought to rest and accounted for to the last
descriptor. Exits with 1, and says which promise was broken, at the first one that is.
"""

import argparse
import asyncio
import collections
import logging
import random
import sys
import time

from faults import FaultProxy
from node import Broken, Node, check
from people import Echoer, Flooder, Meddler, Owner
from settings import LIMITS, POLICIES, Settings

ECHOERS, OWNERS, FLOODERS = 24, 12, 2
ENDINGS = ("drain", "cut", "kill", "rest")
GROWTH = 32 * 1024 * 1024  # of resident memory, between the first rest and the last of one server


def by_code(metrics, code):
    return sum(v for k, v in metrics.items() if k.startswith("fairlead_connections_closed") and f'code="{code}"' in k)


class World:
    def __init__(self, node, proxy, seed):
        self.node, self.proxy = node, proxy
        self.counts, self.outcomes = collections.Counter(), collections.Counter()
        self.closes = collections.Counter()
        self.met, self.missed = collections.Counter(), collections.Counter()  # limits, by Flooders
        self.running = False
        self.random = random.Random(seed)

    async def turmoil(self, seconds):
        """Everybody at once, for so long; then they have left."""
        self.running = True
        seed = self.random.random
        people = [Echoer(self, seed()) for _ in range(ECHOERS)] + [Meddler(self, seed())]
        people += [Flooder(self, seed()) for _ in range(FLOODERS)]
        people += [Owner(self, f"s{self.random.randrange(10**9)}", seed()) for _ in range(OWNERS)]
        tasks = [asyncio.create_task(one.live()) for one in people]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        self.running = False
        for task in done:
            task.result()
        return tasks

    async def over(self, tasks):
        done, pending = await asyncio.wait(tasks, timeout=90)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
        check(not pending, f"{len(pending)} people did not come to an end")

    def was_closed(self, e):
        """Somebody's connection has ended; by a Close of the server's only with a code that is due."""
        if e.rcvd:
            self.closes[e.rcvd.code] += 1
            check(e.rcvd.code in self.node.settings.closes(), f"closed with {e.rcvd.code} {e.rcvd.reason!r}")

    async def rest(self, descriptors):
        """Nobody is left, and nothing of them."""
        for _ in range(300):
            now = await self.node.metrics()
            left = {k: v for k, v in now.items() if v and (
                k.startswith(("fairlead_connections{", "fairlead_sessions{", "fairlead_mailbox_messages", "fairlead_queued"))
                or k in ("fairlead_sockets", "fairlead_users", "fairlead_behaviors"))}  # fmt: skip
            if not left and self.node.descriptors() <= descriptors:
                break
            await asyncio.sleep(0.1)
        else:
            check(False, f"30 s after the last client: {left}, {self.node.descriptors()} descriptors, {descriptors} before")
        opened = now["fairlead_connections_opened_total"]
        by = lambda name: sum(v for k, v in now.items() if k.startswith(name + "{"))  # noqa: E731
        # One that never opened has ended as well.
        check(by("fairlead_connections_closed_total") >= opened, f"{opened} opened, fewer ended: {now}")
        check(by("fairlead_sessions_spawned_total") == by("fairlead_sessions_ended_total"), f"sessions: {now}")
        errors = sum(v for k, v in now.items() if k.startswith("fairlead_connections_closed") and 'severity="error"' in k)
        check(errors == 0, f"{errors} connections ended by an error of the server's")
        slow, fast = (by_code(now, code) for code in (3008, 1008))
        codes = self.node.settings.closes()
        check((3008 in codes or not slow) and (1008 in codes or not fast), f"{slow} closed with 3008, {fast} with 1008")
        hits = await self.node.limit_hits()
        wrong = {name: hits[name] for name in self.node.settings.not_due() if hits[name]}
        check(not wrong, f"limits that nobody was to meet: {wrong}")
        return now

    async def one_server(self, ending, seconds, settings):
        await self.node.start(settings)
        before = self.outcomes.copy()
        await self.node.metrics()
        descriptors = self.node.descriptors()
        if ending != "rest":
            tasks = await self.turmoil(seconds)
            await getattr(self.node, ending)()
            await self.over(tasks)
            return
        resident = []
        for _ in range(3):
            await self.over(await self.turmoil(seconds / 3))
            now = await self.rest(descriptors)
            resident.append(self.node.resident())
        for _ in range(120):  # memory is given back once in 10 s at most
            if self.node.sanitized() or resident[-1] - resident[0] < GROWTH:
                break
            await asyncio.sleep(0.1)
            resident[-1] = self.node.resident()
        check(self.node.sanitized() or resident[-1] - resident[0] < GROWTH, f"resident memory at three rests: {resident}")
        asked = self.outcomes - before
        emitted = sum(n for what, n in asked.items() if what in ("emit written", "emit kept", "emit pending"))
        for name, n in (("spawned", asked["spawned"]), ("events", emitted)):
            seen = now[f'fairlead_session{"s_spawned" if name == "spawned" else "_events"}_total{{type="session"}}']
            check(seen == n, f"{name}: the server counts {seen}, those who asked {n}")
        self.counts["descriptors too many at rest"] += self.node.descriptors() - descriptors
        self.counts["MB resident at the last rest"] = resident[-1] // 1_000_000
        await self.node.drain()


def deck(rng, cards):
    """All of them in some order, then all of them in another, for ever."""
    while True:
        yield from rng.sample(list(cards), len(cards))


async def soak(options):
    node = Node(options.program)
    end = time.monotonic() + options.seconds
    rng = random.Random(options.seed)
    endings, decks = collections.Counter(), [deck(rng, what) for what in (ENDINGS, LIMITS, POLICIES)]
    async with FaultProxy(node.public, options.seed) as proxy:
        world = World(node, proxy, options.seed)
        try:
            ending = None
            # All endings, whatever the time; and the last one is accounted for.
            while time.monotonic() < end or len(endings) < len(ENDINGS) or ending != "rest":
                ending, limits, policy = (next(d) for d in decks)
                if time.monotonic() >= end and len(endings) == len(ENDINGS):
                    ending = "rest"
                settings = Settings(limits, policy, rng.random() < 0.5, rng.random() < 0.5)
                # A short run has short turmoils, so that there is time for all of them.
                seconds = min(options.seconds / 12, 12) * rng.uniform(0.7, 1) * (2 if ending == "rest" else 1)
                began = time.monotonic()
                await world.one_server(ending, seconds, settings)
                endings[ending] += 1
                print(f"{time.monotonic() - began:5.1f} s  {ending:5}  {settings}", flush=True)
            for kind in world.missed:
                check(world.met[kind] or world.missed[kind] < 3, f"no flood of {world.missed[kind]} met the limits of {kind}")
        except Broken:
            if node.process and node.process.returncode is None:
                node.process.kill()
            print(f"it was to {ending}, with {node.settings}", file=sys.stderr)
            if node.errors:
                print("the server said:\n" + "\n".join(node.errors[:60]), file=sys.stderr)
            raise
    print(f"seed {options.seed}: every promise was kept through {sum(endings.values())} servers: {dict(endings)}")
    for title, counts in (
        ("connections", proxy.counts), ("seen", world.counts), ("outcomes", world.outcomes), ("closed with", world.closes),
        ("limits met", world.met), ("limits missed", world.missed),
    ):
        print(f"{title + ':':13}" + ", ".join(f"{name} {n}" for name, n in sorted(counts.items())))


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the faults and of what people do; the kernel's timing is its own")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.seconds = options.minutes * 60
    # It complains of writes to broken sockets, and of those tasks of websockets that an abort leaves behind.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        asyncio.run(soak(options))
    except Broken as e:
        print(f"soak: seed {options.seed}: {e}", file=sys.stderr)
        sys.exit(1)


main()
