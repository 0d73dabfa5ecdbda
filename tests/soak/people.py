"""Who uses the server while it is tormented. Each checks what it was promised, through every fault and restart."""

import asyncio
import collections
import contextlib
import json
import random
import socket
import struct

import websockets

from node import check

TO_ALL = "to all: "
HURT = (OSError, EOFError, asyncio.TimeoutError, websockets.InvalidHandshake, websockets.InvalidMessage,
        websockets.ConnectionClosed)  # fmt: skip


async def connect(world, query="", direct=False, compression=None):
    """Through the proxy; or directly, with so little room for what is not read that the server soon has to keep it."""
    options = {}
    if world.node.settings.tls:
        options = {"ssl": world.node.trust, "server_hostname": "127.0.0.1"}
    if direct:
        options["sock"] = sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        sock.setblocking(False)
        try:
            host, port = world.node.public.split(":")
            await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        except OSError:
            sock.close()
            raise
    return await websockets.connect(
        f"{'wss' if 'ssl' in options else 'ws'}://{world.proxy.address}/ws{query}",
        open_timeout=5, close_timeout=1, ping_interval=None, compression=compression, **options,
    )  # fmt: skip


async def drop(connection):
    """Without a word, whatever has become of it."""
    with contextlib.suppress(AttributeError):  # of asyncio's TLS, once it has ended
        connection.transport.abort()
    await connection.wait_closed()


@contextlib.contextmanager
def hurt_allowed(world):
    """What networks and servers that end do to a client; a close is to be one that is due."""
    try:
        yield
    except websockets.ConnectionClosed as e:
        world.was_closed(e)
    except HURT:
        pass


async def ended(world, task):
    """Waits for a task that was cancelled; what it found wrong comes out here."""
    with contextlib.suppress(asyncio.CancelledError), hurt_allowed(world):
        await task


class OneAfterAnother:
    """Has one socket after the other, with a pause between them."""

    def __init__(self, world, seed):
        self.world, self.random = world, random.Random(seed)

    async def live(self):
        while self.world.running:
            with hurt_allowed(self.world):
                await self.one_socket()
            await asyncio.sleep(self.random.uniform(*self.PAUSE))


class Echoer(OneAfterAnother):
    """Sends numbered messages of all sizes; what comes back is what it sent, in order, nothing twice, nothing left out."""

    PAUSE = (0, 0.2)

    async def one_socket(self):
        connection = await connect(self.world, compression=self.random.choice((None, "deflate")))
        expected = collections.deque()
        reading = asyncio.create_task(self.read(connection, expected))
        try:
            for n in range(self.random.choice((1, 10, 100, 400))):
                if reading.done() or not self.world.running:
                    break
                text = f"{n}:" + "x" * self.random.choice((0, 1, 100, 126, 2_000, 20_000))
                expected.append(text)
                await connection.send(text)
                await asyncio.sleep(self.random.choice((0, 0, 0.01)))
            if self.random.random() < 0.5:
                await connection.close()
        finally:
            await drop(connection)
            reading.cancel()
            await ended(self.world, reading)

    async def read(self, connection, expected):
        async for text in connection:
            if text.startswith(TO_ALL):
                self.world.counts["broadcasts seen"] += 1
                continue
            while self.world.node.settings.drops and expected and text != expected[0]:
                expected.popleft()
                self.world.counts["echoes dropped"] += 1
            check(expected and text == expected[0], f"an echo out of order: {text[:40]!r}")
            expected.popleft()
            self.world.counts["echoes"] += 1


class Owner:
    """A backend that owns a session and tells it things, one after the other; and the client that is to get them all."""

    def __init__(self, world, name, seed):
        self.world, self.name, self.random = world, name, random.Random(seed)
        self.id = None
        self.spawned = 0

    async def live(self):
        """One session after the other; each is followed by a client of its own."""
        while self.world.running:
            with contextlib.suppress(OSError):
                await self.one_session()
            await asyncio.sleep(0.1)

    async def one_session(self):
        self.spawned += 1
        self.id = f"{self.name}-{self.spawned}"
        status, answer = await self.world.node.ask(
            "POST", "/api/spawn_session",
            {"type": "session", "id": self.id, "options": {"resume_window_ms": 60_000, "max_messages": 50_000,
                                                           "max_bytes": 16_000_000}},
        )  # fmt: skip
        if status == 503:
            return
        check(status == 201, f"spawn: {status} {answer}")
        self.world.outcomes["spawned"] += 1
        self.token, self.epoch, self.after, self.emitted, self.over = answer["token"], "", 0, 0, False
        # More than the kernel takes for a client that reads it slowly.
        self.heavy = self.random.random() < 0.15
        following = asyncio.create_task(self.follow())
        try:
            await self.emit_events()
            await self.all_received()
            status, answer = await self.world.node.ask("POST", "/api/end_session", {"session": self.id})
            check(status in (200, 404, 410), f"end: {status} {answer}")
        finally:
            self.over = True
            following.cancel()
            await ended(self.world, following)

    async def emit_events(self):
        events, padding = (300, 20_000) if self.heavy else (self.random.choice((5, 50, 300)), 0)
        for n in range(1, events + 1):
            if not self.world.running:
                return
            body = {"session": self.id, "type": "n", "data": {"n": n, "pad": "z" * padding}, "key": str(n), "wait": True}
            status, answer = await self.world.node.ask("POST", "/api/emit", body)
            outcome = answer["result"]["outcome"] if "result" in answer else answer.get("error", str(status))
            self.world.outcomes[f"emit {outcome}"] += 1
            if status in (404, 410) or outcome in ("ended", "no_such_session"):
                raise ConnectionAbortedError  # the server drains
            if status == 503:
                continue
            check(outcome in ("written", "kept", "pending"), f"emit: {status} {answer}")
            if outcome != "pending":
                check(answer["result"]["offset"] == self.emitted + 1, f"emit: {answer} after {self.emitted}")
            self.emitted += 1
            await asyncio.sleep(self.random.choice((0, 0, 0.02)))

    async def all_received(self):
        """Every event comes, however often the socket breaks."""
        for _ in range(1200):
            if self.after >= self.emitted or not self.world.node.process or self.world.node.process.returncode is not None:
                break
            await asyncio.sleep(0.05)
        else:
            check(False, f"{self.id}: the client has {self.after} of {self.emitted} events after 60 s")
        if self.after >= self.emitted:
            self.world.counts["sessions complete"] += 1

    async def follow(self):
        while not self.over:
            try:
                await self.one_socket()
            except websockets.ConnectionClosed as e:
                self.world.was_closed(e)
                if e.rcvd and e.rcvd.code in (4500, 4501):
                    return
                if e.rcvd and e.rcvd.code == 4502:  # the hello with the next token was lost too often
                    await self.new_token()
            except HURT:
                pass
            await asyncio.sleep(self.random.uniform(0, 0.1))

    async def new_token(self):
        with contextlib.suppress(OSError):
            status, answer = await self.world.node.ask("POST", "/api/issue_token", {"session": self.id})
            if status == 200:
                self.world.counts["tokens issued"] += 1
                self.token = answer["token"]

    async def one_socket(self):
        query = f"?session={self.id}&token={self.token}&after={self.after}"
        if self.epoch:
            query += f"&epoch={self.epoch}"
        connection = await connect(self.world, query, self.heavy, self.random.choice((None, "deflate")))
        try:
            async for text in connection:
                if not text.startswith(TO_ALL):  # which reaches a session's sockets as well
                    self.received(json.loads(text))
                if self.heavy:
                    await asyncio.sleep(0.01)
                if self.random.random() < 0.005:
                    return  # without a Close
        finally:
            await drop(connection)

    def received(self, what):
        if hello := what.get("attached"):
            self.world.counts["attaches"] += 1
            check(hello["recovered"], f"{self.id}: a gap behind {self.after}, but the stream keeps all: {hello}")
            self.token, self.epoch = hello["token"], hello["epoch"]
            return
        check(what["offset"] == self.after + 1, f"{self.id}: offset {what['offset']} behind {self.after}")
        check(what["data"]["n"] <= self.emitted + 1, f"{self.id}: an event that was not emitted: {what}")
        self.after = what["offset"]
        self.world.counts["events"] += 1


class Flooder(OneAfterAnother):
    """Sends without reading until the server has to keep more than it may; then leaves without a word, or reads all."""

    MESSAGES = 1_200
    PAUSE = (0.5, 1.5)

    async def one_socket(self):
        before = await self.hits()
        connection = await connect(self.world, direct=True)
        try:
            with contextlib.suppress(*HURT):
                for n in range(self.MESSAGES):
                    await asyncio.wait_for(connection.send(f"{n}:" + "x" * 10_000), 3)
            if before is not None:
                await self.wait_for_limit(before)
            if self.random.random() < 0.7:
                await self.read_all(connection)
        finally:
            await drop(connection)

    async def hits(self):
        """How often what is due has acted so far; None: nothing is due."""
        if due := self.world.node.settings.due():
            now = await self.world.node.limit_hits()
            return sum(n for name, n in now.items() if name in due)

    async def wait_for_limit(self, before):
        kind = self.world.node.settings.limits
        for _ in range(8):
            if await self.hits() > before:
                self.world.met[kind] += 1
                return
            await asyncio.sleep(0.2)
        self.world.missed[kind] += 1

    async def read_all(self, connection):
        settings, expected = self.world.node.settings, 0
        while expected < self.MESSAGES:
            try:
                text = await asyncio.wait_for(connection.recv(), 2)
            except asyncio.TimeoutError:
                check(settings.drops or not self.world.running or not connection.open or settings.limits != "wide",
                      f"a flooder got {expected} messages, and no more")  # fmt: skip
                return
            if text.startswith(TO_ALL):
                continue
            n = int(text.partition(":")[0])
            check(n == expected or (settings.drops and n > expected), f"a flooder got {n} in place of {expected}")
            expected = n + 1
        self.world.counts["floods read"] += 1


class Meddler:
    """Broadcasts, kicks people out, and has storms of sockets that mean no good."""

    def __init__(self, world, seed):
        self.world, self.random = world, random.Random(seed)

    async def live(self):
        while self.world.running:
            with contextlib.suppress(OSError):
                await self.random.choice((self.broadcast, self.broadcast, self.kick, self.storm))()
            await asyncio.sleep(self.random.uniform(0.05, 0.4))

    async def broadcast(self):
        size = self.random.choice((10, 1_000, 30_000))
        status, answer = await self.world.node.ask(
            "POST", "/api/send_all", {"data": TO_ALL + "y" * size, "wait": True}
        )
        if status == 200:
            sums = dict(answer["result"])
            addressed = sums.pop("addressed")
            check(sum(sums.values()) == addressed, f"a broadcast's outcomes do not add up: {answer}")
            self.world.counts["broadcasts"] += 1
            self.world.outcomes.update({f"sent {name}": n for name, n in sums.items() if n})
            refused = {name for name in ("overflow", "too_large", "expired") if sums.get(name)}
            settings = self.world.node.settings
            check(refused <= ({"overflow"} if settings.limits in ("queues", "budget") else set()), f"a broadcast: {answer}")
        else:
            check(status in (202, 503), f"send_all: {status} {answer}")

    async def kick(self):
        _, page = await self.world.node.ask("GET", "/debug/connections?limit=50")
        if there := page.get("connections"):
            one = self.random.choice(there)["id"]
            status, answer = await self.world.node.ask(
                "POST", "/api/disconnect", {"client": one, "disconnect": {"code": 4000, "reason": "kicked"}}
            )
            check(status == 200, f"disconnect: {status} {answer}")
            self.world.counts["kicks"] += 1

    async def storm(self):
        self.world.counts["storms"] += 1
        await asyncio.gather(*(self.stray() for _ in range(60)), return_exceptions=True)

    async def stray(self):
        _, writer = await asyncio.open_connection(*self.world.node.public.split(":"))
        upgrade = (
            "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        what = self.random.choice((b"", self.random.randbytes(300), upgrade[:60], upgrade, upgrade + b"\x81\x85"))
        writer.write(what)
        await asyncio.sleep(self.random.uniform(0, 0.3))
        if self.random.random() < 0.5:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
