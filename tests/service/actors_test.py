"""Two processes over CAF, killed in every order: `fairlead serve --actors` and the example that spawns a session there.

actors_test.py PROGRAM FOLDER_OF_THE_EXAMPLES [unittest arguments]
"""

import asyncio
import json
import pathlib
import signal
import sys
import unittest
import urllib.request

import websockets

from program import PATIENCE, Program

PROGRAM = sys.argv.pop(1)
EXAMPLES = pathlib.Path(sys.argv.pop(1))
EVENTS = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]


class Server(Program):
    def __init__(self, *options):
        super().__init__(
            PROGRAM, "serve", "--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0", "--actors", "127.0.0.1:0",
            "--threads", "1", "--log-format", "json", *options,
        )  # fmt: skip
        self.api = self.find(r"(http://127\.0\.0\.1:\d+)/debug/tree")
        self.port = self.find(r"actors +127\.0\.0\.1:(\d+)")
        self.ws = self.find(r"(ws://127\.0\.0\.1:\d+)/ws")

    def ended_sessions(self):
        with urllib.request.urlopen(f"{self.api}/debug/sessions?state=ended", timeout=PATIENCE) as answer:
            return {one["id"]: one["by"] for one in json.load(answer)["sessions"]}


class Agent(Program):
    def __init__(self, server, *more):
        super().__init__(EXAMPLES / "agent_over_caf", server.port, "ann", *more)
        self.query = self.find(r"(/ws\?session=\S+)")
        self.session = self.find(r"session=([^&]+)&")


class Actors(unittest.IsolatedAsyncioTestCase):
    async def attach(self, server, agent):
        """The run as the user's client sees it, up to the last event."""
        client = await websockets.connect(server.ws + agent.query, close_timeout=PATIENCE)
        frames = [json.loads(await asyncio.wait_for(client.recv(), PATIENCE)) for _ in range(1 + len(EVENTS))]
        self.assertEqual([f["type"] for f in frames[1:]], EVENTS)
        self.assertEqual([f["offset"] for f in frames[1:]], [1, 2, 3, 4, 5])
        return client

    async def test_a_run_that_is_acknowledged(self):
        with Server() as server, Agent(server, "acked") as agent:
            client = await self.attach(server, agent)
            await client.send('{"ack": 5}')
            agent.find(r"(agent_completed: acked at 5)")
            self.assertEqual(agent.wait(), 0)
            await asyncio.wait_for(client.wait_closed(), PATIENCE)  # its owner is gone
            self.assertEqual(client.close_code, 4500)
            self.assertEqual(server.ended_sessions(), {agent.session: "owner"})

    async def test_the_server_is_killed(self):
        with Server() as server, Agent(server, "acked") as agent:
            client = await self.attach(server, agent)
            server.signal(signal.SIGKILL)
            agent.find(r"(agent_completed: the node is lost)")
            self.assertEqual(agent.wait(), 1)
            self.assertIn("the node is lost", agent.errors)
            await asyncio.wait_for(client.wait_closed(), PATIENCE)

    async def test_an_owner_is_killed_and_another_is_not(self):
        with Server() as server, Agent(server, "acked") as first, Agent(server, "acked") as second:
            mine, other = await self.attach(server, first), await self.attach(server, second)
            first.signal(signal.SIGKILL)
            await asyncio.wait_for(mine.wait_closed(), PATIENCE)
            self.assertEqual(mine.close_code, 4500)
            self.assertEqual(server.ended_sessions(), {first.session: "owner"})
            await other.send('{"ack": 5}')
            second.find(r"(agent_completed: acked at 5)")
            self.assertEqual(second.wait(), 0)

    async def test_the_server_drains(self):
        with Server("--drain-spread", "0s") as server, Agent(server, "acked") as agent:
            client = await self.attach(server, agent)
            server.signal(signal.SIGTERM)
            await asyncio.wait_for(client.wait_closed(), PATIENCE)
            agent.find(r"(agent_completed: unacked at 5)")  # its session has ended, which it was told
            self.assertEqual(agent.wait(), 0)
            self.assertEqual(server.wait(), 0)

    async def test_a_stopped_owner_is_killed_while_the_server_goes(self):
        with Server("--drain-spread", "0s", "--drain-timeout", "1s") as server, Agent(server, "acked") as agent:
            client = await self.attach(server, agent)
            agent.signal(signal.SIGSTOP)  # it reads nothing, and answers nothing
            server.signal(signal.SIGTERM)
            await asyncio.wait_for(client.wait_closed(), PATIENCE)
            self.assertIn(server.wait(), (0, 3))  # which does not wait for it for ever
            agent.signal(signal.SIGKILL)

    def test_beyond_loopback_it_does_not_start(self):
        with Program(PROGRAM, "serve", "--listen", "127.0.0.1:0", "--internal", "off", "--actors", "0.0.0.0:0") as refused:
            self.assertEqual(refused.wait(), 2)
            self.assertIn("--actors", refused.errors)
            self.assertIn("other machines", refused.errors)

    def test_nobody_is_there(self):
        with Program(EXAMPLES / "agent_over_caf", "1", "ann") as alone:
            self.assertEqual(alone.wait(), 1)
            self.assertIn("cannot connect", alone.errors)


if __name__ == "__main__":
    unittest.main()
