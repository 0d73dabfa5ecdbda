"""The examples do what their first lines promise.

examples_test.py FOLDER_OF_THE_PROGRAMS [unittest arguments]
"""

import asyncio
import pathlib
import sys
import unittest

import websockets

from program import PATIENCE, Program

FOLDER = pathlib.Path(sys.argv.pop(1))


class Example(Program):
    def __init__(self, name):
        super().__init__(FOLDER / name)
        self.ws = self.find(r"(ws://127\.0\.0\.1:\d+/ws)")

    def connect(self, query=""):
        return websockets.connect(self.ws + query, close_timeout=PATIENCE)


async def receive(client, count):
    return [await asyncio.wait_for(client.recv(), PATIENCE) for _ in range(count)]


class Examples(unittest.IsolatedAsyncioTestCase):
    async def test_broadcast_room(self):
        with Example("broadcast_room") as room:
            with self.assertRaises(websockets.InvalidStatusCode) as refused:
                await room.connect()
            self.assertEqual(refused.exception.status_code, 403)
            async with room.connect("?name=ann") as ann:
                self.assertEqual(await receive(ann, 1), ["ann came in"])
                async with room.connect("?name=bob") as bob:
                    self.assertEqual(await receive(ann, 1), ["bob came in"])
                    await bob.send("hello")
                    self.assertEqual(await receive(ann, 1), ["bob: hello"])
                self.assertEqual(await receive(ann, 1), ["bob left (peer)"])
                room.signal()
                await asyncio.wait_for(ann.wait_closed(), PATIENCE)
                self.assertEqual((ann.close_code, ann.close_reason), (1001, "the room closes"))
            self.assertEqual(room.find(r"(\d+ of \d+ closed cleanly)"), "1 of 1 closed cleanly")
            self.assertEqual(room.wait(), 0)

    async def test_embedded_backbone(self):
        with Example("embedded_backbone") as backbone:
            with self.assertRaises(websockets.InvalidStatusCode) as refused:
                await backbone.connect()
            self.assertEqual(refused.exception.status_code, 401)
            async with backbone.connect("?user=ann") as ann, backbone.connect("?user=bob") as bob:
                await ann.send("order")
                steps = await receive(ann, 3)
                self.assertEqual(steps, ["order 1 accepted", "order 1 packed", "order 1 shipped"])
                await bob.send("hm")  # bob got nothing of ann's
                self.assertEqual(await receive(bob, 1), ["say order or bye"])
                await bob.send("bye")
                await asyncio.wait_for(bob.wait_closed(), PATIENCE)
                self.assertEqual((bob.close_code, bob.close_reason), (1000, "see you"))
            backbone.signal()
            self.assertEqual(backbone.wait(), 0)

    async def test_per_session_actor(self):
        with Example("per_session_actor") as agents:
            async with agents.connect() as ann, agents.connect() as bob:
                self.assertRegex((await receive(ann, 1))[0], r"^1 ready: I am the agent of c\d+-\d+$")
                await receive(bob, 1)
                await ann.send("hello")
                events = await receive(ann, 5)
                names = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]
                self.assertEqual([e.split(":")[0] for e in events], [f"{i} {n}" for i, n in enumerate(names, 2)])
                await ann.send("crash")
                await asyncio.wait_for(ann.wait_closed(), PATIENCE)
                self.assertEqual(ann.close_code, 1011)
                await bob.send("still there?")
                self.assertEqual((await receive(bob, 2))[1], "3 agent_thinking: run 1")
            agents.signal()
            self.assertEqual(agents.wait(), 0)


if __name__ == "__main__":
    unittest.main()
