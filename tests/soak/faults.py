"""A TCP proxy on loopback that does to each connection what networks do: one fate each, drawn from a seed."""

import asyncio
import collections
import contextlib
import random
import socket
import struct

FATES = {
    "calm": 5,
    "slow": 2,  # each piece comes late
    "split": 2,  # byte by byte
    "reset": 3,  # both sides, in the middle of whatever is under way
    "half_open": 2,  # silence in both directions, and no end of the connection
    "zero_window": 2,  # the server is not read for a while
    "half_close": 1,  # the client's side ends, the server's goes on
}
SPLIT_BYTES = 3000  # byte by byte takes its time: after so many, in pieces again
SILENCE = 6  # seconds; longer than the server waits for a pong
STALL = 2


def reset(writer):
    """An RST in place of a FIN."""
    with contextlib.suppress(OSError, AttributeError):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class FaultProxy:
    def __init__(self, target, seed):
        self.target, self.random = target, random.Random(seed)
        self.counts = collections.Counter()
        self.running = set()
        self.faults = True  # False: newcomers are all calm

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0, backlog=1024)
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)

    async def accept(self, reader, writer):
        task = asyncio.current_task()
        self.running.add(task)
        fate = self.random.choices(list(FATES), FATES.values())[0] if self.faults else "calm"
        self.counts[fate] += 1
        try:
            await self.serve(fate, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.running.discard(task)
            writer.transport.abort()

    async def serve(self, fate, reader, writer):
        up_reader, up_writer = await asyncio.open_connection(*self.target.split(":"), limit=4096)
        try:
            # Until so many bytes have passed in one direction nothing happens: faults hit handshakes, frames and bodies.
            connection = Connection(fate, self.random.choice((20, 150, 400, 2_000, 20_000)), self.random)
            ends = [
                asyncio.create_task(connection.pass_on(reader, up_writer, True)),
                asyncio.create_task(connection.pass_on(up_reader, writer, False)),
            ]
            try:
                await asyncio.gather(*ends)
            finally:
                for end in ends:
                    end.cancel()
                await asyncio.gather(*ends, return_exceptions=True)
            if connection.is_reset:
                reset(writer)
                reset(up_writer)
        finally:
            up_writer.transport.abort()


class Connection:
    def __init__(self, fate, after, rng):
        self.fate, self.after, self.random = fate, after, rng
        self.is_reset = False

    async def pass_on(self, reader, writer, to_server):
        passed = 0
        while data := await reader.read(4096):
            passed += len(data)
            if passed >= self.after:
                if self.fate == "reset":
                    writer.write(data[: self.random.randrange(len(data) + 1)])
                    self.is_reset = True
                    raise ConnectionResetError
                if self.fate == "half_open":
                    await asyncio.sleep(SILENCE)
                    raise ConnectionAbortedError
                if self.fate == "half_close" and to_server:
                    writer.write_eof()
                    await asyncio.sleep(SILENCE)
                    raise ConnectionAbortedError
                if self.fate == "zero_window" and not to_server:
                    await asyncio.sleep(STALL)
                    self.after = passed + 200_000
            await self.write(writer, data, passed)
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def write(self, writer, data, passed):
        if self.fate == "split" and passed < SPLIT_BYTES:
            for i in range(len(data)):
                writer.write(data[i : i + 1])
                await asyncio.sleep(0)
        elif self.fate == "slow":
            await asyncio.sleep(self.random.uniform(0, 0.05))
            writer.write(data)
        else:
            writer.write(data)
        await writer.drain()
