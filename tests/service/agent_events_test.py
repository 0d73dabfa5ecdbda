"""examples/agent_events: a run is seen without a gap or a double, whatever happens to sockets, answers and servers.

agent_events_test.py PROGRAM [unittest arguments]
"""

import asyncio
import json
import random
import subprocess
import sys
import unittest
import urllib.parse

import websockets

from agent_stage import BACKEND, PATIENCE, Server, Stage, ask, gates, soon

PROGRAM = sys.argv.pop(1)
STEPS = 5
EVENTS = 1 + 3 * STEPS + 1
RUN = ["agent_started", *["agent_thinking", "tool_executing", "tool_completed"] * STEPS, "agent_completed"]
QUICK = ("--pace", "0.02", "--steps", str(STEPS))
STAY_AWAY, ASK_AGAIN = {4500, 4503, 4504, 1011}, {4501, 4502}


class Client:
    """What agent.js does, in Python. `at` has what is to happen at an offset, before that is acknowledged."""

    def __init__(self, stage):
        self.stage = stage
        self.at = {}
        self.place, self.epoch, self.last, self.failures = None, "", 0, 0
        self.events, self.doubled, self.gaps, self.closes, self.attached = [], [], [], [], []
        self.socket = None

    @property
    def offsets(self):
        return [event["offset"] for event in self.events]

    async def follow(self):
        """Until told to stay away; returns the reason."""
        while True:
            if not self.place:
                status, found = await ask(self.stage.host, "POST", "/session")
                if status == 410:
                    return found
                if status == 200:
                    self.place, self.epoch = found, ""
            if self.place:
                code, reason = await self.one_socket()
                if code in STAY_AWAY:
                    return f"{code} {reason}"
                if code in ASK_AGAIN:
                    self.place = None
            self.failures += 1
            delay = min(0.2, 0.01 * 2 ** min(self.failures, 10))
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # part of what is tested: exponential, with jitter

    async def one_socket(self):
        query = urllib.parse.urlencode(
            {"session": self.place["session"], "token": self.place["token"], "after": self.last, "epoch": self.epoch})
        try:
            self.socket = await websockets.connect(
                f"{self.place['url']}?{query}", origin=self.stage.page, open_timeout=PATIENCE, close_timeout=PATIENCE)
        except (OSError, websockets.InvalidHandshake, asyncio.TimeoutError):
            return None, ""
        try:
            async for text in self.socket:
                await self.received(json.loads(text))
        except websockets.ConnectionClosed:
            pass
        await self.socket.wait_closed()
        self.closes.append(self.socket.close_code)
        return self.socket.close_code, self.socket.close_reason

    async def received(self, message):
        if now := message.get("attached"):
            self.failures, self.place["token"] = 0, now["token"]
            self.attached.append(now)
            if not now["recovered"]:
                self.gaps.append((self.last, now["offset"]))
                self.last = now["offset"]
            self.epoch = now["epoch"]
        elif message["offset"] <= self.last:
            return self.doubled.append(message["offset"])
        else:
            self.last = message["offset"]
            self.events.append(message)
            if act := self.at.pop(self.last, None):
                await act()
        await self.socket.send(json.dumps({"ack": self.last}))
        return None


class Runs(unittest.IsolatedAsyncioTestCase):
    def saw_everything(self, client):
        self.assertEqual(client.offsets, list(range(1, EVENTS + 1)))
        self.assertEqual([event["type"] for event in client.events], RUN)
        self.assertEqual((client.doubled, client.gaps, client.at), ([], [], {}))
        self.assertEqual([now["recovered"] for now in client.attached], [True] * len(client.attached))

    async def ends_well(self, stage):
        stage.backend.signal()
        self.assertEqual(await asyncio.to_thread(stage.backend.wait), 0, stage.backend.errors)

    async def test_kicked_cut_off_and_answers_lost(self):
        waits = gates(4, 11)
        async with Stage(PROGRAM, *QUICK, gates=waits) as stage:
            stage.internal.lose = {"/api/spawn_session": 1, '"e2"': 2, '"e9"': 1}
            client = Client(stage)

            async def kick():
                await stage.kick()
                waits[f'"e{client.last + 1}"'].set()

            async def cut():
                stage.public.cut()

            client.at = {3: kick, 6: cut, 10: kick, EVENTS: cut}  # the last: what it would have acknowledged
            self.assertEqual(await soon(client.follow()), "4500 the run is over")
            self.saw_everything(client)
            self.assertEqual(client.closes, [4001, 1006, 4001, 1006, 4500])
            self.assertEqual(len({now["epoch"] for now in client.attached}), 1)
            self.assertEqual(set(stage.internal.lose.values()), {0})
            self.assertEqual(stage.backend.errors.count("/api/emit: no answer"), 3, stage.backend.errors)
            self.assertEqual(stage.backend.errors.count("/api/spawn_session: no answer"), 1)
            await self.ends_well(stage)

    async def test_a_drain_then_another_server(self):
        waits = gates(4)
        async with Stage(PROGRAM, *QUICK, server=("--drain-timeout", "1h"), gates=waits) as stage:
            client = Client(stage)

            async def grace():  # who loses its socket now may still come back to this server
                status, _ = await ask(stage.server.internal, "POST", "/api/drain", {"grace_ms": 600_000})
                self.assertEqual(status, 202)
                await stage.kick()
                waits['"e4"'].set()

            async def drain():
                # Not awaited to its end: the server waits for this client's Close.
                client.replaced = asyncio.create_task(stage.drain_and_replace())

            client.at = {3: grace, 8: drain}
            self.assertEqual(await soon(client.follow(), 2 * PATIENCE), "4500 the run is over")
            self.saw_everything(client)
            self.assertEqual(client.closes, [4001, 1012, 4501, 4500])
            self.assertEqual(await client.replaced, 0)  # nobody was cut
            epochs = [now["epoch"] for now in client.attached]
            self.assertEqual((len(epochs), epochs[0] == epochs[1], epochs[1] == epochs[2]), (3, True, False))
            await self.ends_well(stage)

    async def test_a_gap_is_told(self):
        waits = gates(4)
        async with Stage(PROGRAM, *QUICK, "--keep", "3", gates=waits) as stage:
            client = Client(stage)

            async def away():
                stage.public.upstream = None
                stage.public.cut()
                waits['"e4"'].set()
                await stage.internal.seen('"e10"')  # so 9 are there, of which 7, 8 and 9 are kept
                stage.public.upstream = stage.server.public

            client.at = {3: away}
            await soon(client.follow())
            self.assertEqual([before for before, _ in client.gaps], [3])
            position = client.gaps[0][1]
            self.assertGreaterEqual(position, 9)
            self.assertEqual(client.offsets, [1, 2, 3, *range(position + 1, EVENTS + 1)])
            self.assertEqual(client.doubled, [])

    async def test_the_user_is_heard_once_and_cancels(self):
        async with Stage(PROGRAM, "--pace", "0.02", "--steps", "300") as stage:
            stage.internal.lose = {"inbox?after=0": 1}
            client = Client(stage)

            async def hello():
                await client.socket.send("hello")

            async def cancel():
                await client.socket.send(" Cancel ")

            client.at = {2: hello, 12: cancel}
            self.assertEqual(await soon(client.follow()), "4500 the run is over")
            self.assertEqual(stage.internal.lose, {"inbox?after=0": 0})
            said = [event["data"]["about"] for event in client.events if "said" in event["data"].get("about", "")]
            self.assertEqual(said, ["you said: hello"])
            self.assertEqual((client.events[-1]["type"], client.events[-1]["data"]["outcome"]), ("agent_completed", "cancelled"))
            self.assertEqual(client.offsets, list(range(1, len(client.events) + 1)))
            self.assertEqual(await ask(stage.host, "POST", "/session"), (410, "the run is over\n"))

    async def test_a_backend_that_stops_ends_its_session(self):
        async with Stage(PROGRAM, "--pace", "60") as stage:
            client = Client(stage)

            async def stop():
                stage.backend.signal()

            client.at = {2: stop}
            self.assertEqual(await soon(client.follow()), "4500 the backend stops")
            self.assertEqual(await asyncio.to_thread(stage.backend.wait), 0)


class Promises(unittest.IsolatedAsyncioTestCase):
    async def attach(self, server, query):
        """The first message to who attaches so."""
        async with websockets.connect(f"ws://{server.public}/ws?session=s&{query}", close_timeout=PATIENCE) as client:
            return json.loads(await soon(client.recv()))["attached"]

    async def test_the_epoch_tells_a_session_from_its_namesake_in_another_process(self):
        epochs = []
        for _ in range(2):
            with Server(PROGRAM) as server:
                _, made = await ask(server.internal, "POST", "/api/spawn_session", {"type": "session", "id": "s"})
                for _ in range(3):
                    await ask(server.internal, "POST", "/api/emit", {"session": "s", "type": "e", "data": 1, "wait": True})
                first = await self.attach(server, f"token={made['token']}&after=2")
                self.assertEqual((first["recovered"], first["offset"]), (True, 3))  # whichever epoch
                epochs.append(first["epoch"])
                other = await self.attach(server, f"token={first['token']}&after=2&epoch={epochs[0]}")
                self.assertEqual((other["recovered"], other["offset"]), (len(epochs) == 1, 3))
        self.assertNotEqual(*epochs)


class ThePage(unittest.IsolatedAsyncioTestCase):
    async def test_is_for_its_own_origin(self):
        async with Stage(PROGRAM, "--pace", "60") as stage:
            for path in ("/../backend.py", "/backend.py", "//etc/passwd", "/session"):
                self.assertEqual((await ask(stage.host, "GET", path))[0], 404)
            for headers in ({"Origin": "http://example.com"}, {"Host": "example.com"}, {"Origin": "null"}):
                self.assertEqual((await ask(stage.host, "POST", "/session", headers=headers))[0], 403)
            self.assertEqual((await ask(stage.host, "POST", "/elsewhere", headers={"Origin": stage.page}))[0], 404)
            status, script = await ask(stage.host, "GET", "/agent.js?1")
            self.assertEqual(status, 200)
            self.assertNotRegex(script, r"innerHTML\s*=|insertAdjacentHTML|document\.write")
            self.assertNotRegex(script + (await ask(stage.host, "GET", "/"))[1], r"(src|href)=.?(https?:)?//")


class CommandLine(unittest.TestCase):
    def run_backend(self, *arguments):
        return subprocess.run([*BACKEND, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)

    def test_help_and_wrong_usage(self):
        self.assertIn("--linger", self.run_backend("--help").stdout)
        for arguments, said in (
            (("--steps", "0"), '"0": give 1 to 300'),
            (("--pace", "nan"), '"nan": give 0.01 to 60'),
            (("--port", "x"), '"x": give 0 to 65535'),
            (("--server", "127.0.0.1:8001"), "give such as http://127.0.0.1:8001"),
            (("--server", "http://127.0.0.1:99999"), "give such as http://127.0.0.1:8001"),
            (("--websocket", "http://x"), "give such as ws://127.0.0.1:8000/ws"),
        ):
            done = self.run_backend(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)

    def test_what_is_not_there_is_named(self):
        for arguments, said in (
            (("--server", "http://127.0.0.1:9", "--port", "0", "--patience", "0.1"), "is it running?"),
            (("--token-file", "/does/not/exist"), "/does/not/exist"),
        ):
            done = self.run_backend(*arguments)
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)
            self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
