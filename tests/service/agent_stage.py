"""What the tests of examples/agent_events play on: the real server, the real backend, and proxies that lose things."""

import asyncio
import contextlib
import http.client
import json
import pathlib
import sys
import urllib.parse

from program import PATIENCE, Program

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "agent_events"
BACKEND = (sys.executable, EXAMPLE / "backend.py")


async def soon(awaitable, patience=PATIENCE):
    return await asyncio.wait_for(awaitable, patience)


class Server(Program):
    def __init__(self, program, *arguments):
        super().__init__(program, "serve", "--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0", *arguments)
        self.public = self.find(r"WebSocket  ws://([\d.:]+)/ws")
        self.internal = self.find(r"API        http://([\d.:]+)/")


def request(address, method, path, body=None, headers=None):
    """(status, JSON object or text)."""
    with contextlib.closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), headers or {})
        reply = connection.getresponse()
        text = reply.read().decode()
    return reply.status, json.loads(text) if text.startswith("{") else text


async def ask(*arguments, **named):
    return await soon(asyncio.to_thread(request, *arguments, **named))


class Proxy:
    """A TCP proxy on loopback that can do what networks do. Its port stays while what is behind it comes and goes."""

    def __init__(self):
        self.upstream = None  # "host:port"; None: whoever connects is reset
        self.lose = {}  # text of a request: how many answers to it are lost, each with its connection
        self.gates = {}  # text of a request: it is passed on once this event is set
        self.open, self.deaf = set(), set()
        self.passed = []  # the first bytes of each connection
        self.more = asyncio.Condition()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.cut()

    def cut(self):
        """What is connected breaks, without a word."""
        for one in list(self.open):
            one.transport.abort()

    def deafen(self):
        """What is connected is answered, and what it sends is lost: half of a network that is going."""
        self.deaf = set(self.open)

    async def seen(self, text):
        """Waits until a connection has begun with a request that has this."""
        async with self.more:
            await soon(self.more.wait_for(lambda: any(text in one for one in self.passed)))

    async def serve(self, reader, writer):
        self.open.add(writer)
        others = None
        with contextlib.suppress(OSError, AttributeError):
            up_reader, others = await asyncio.open_connection(*self.upstream.split(":"))
            self.open.add(others)
            asked = asyncio.create_task(self.pass_on(reader, others, True))
            await self.pass_on(up_reader, writer, False, asked)
            asked.cancel()
        for one in filter(None, (writer, others)):
            one.transport.abort()
            self.open.discard(one)

    async def pass_on(self, reader, writer, is_request, asked=None):
        first = None
        while data := await reader.read(65536):
            if is_request and first is None:
                first = await self.begin(reader, data)
                data = first
            if is_request and writer in self.deaf:
                continue
            if asked and self.is_lost(asked):
                return
            writer.write(data)
            await writer.drain()

    async def begin(self, reader, data):
        """All of a first request that is HTTP with a body; its gate."""
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                while len(body) < int(line.split(b":")[1]) and (more := await reader.read(65536)):
                    data, body = data + more, body + more
        text = data.decode(errors="replace")
        for pattern, gate in self.gates.items():
            if pattern in text:
                await gate.wait()
        asyncio.current_task().request = text
        async with self.more:
            self.passed.append(text)
            self.more.notify_all()
        return data

    def is_lost(self, asked):
        for pattern, left in self.lose.items():
            if left > 0 and pattern in getattr(asked, "request", ""):
                self.lose[pattern] -= 1
                return True
        return False


def gates(*events):
    """The run waits before each of these until it is set, so that what happens before it has happened."""
    return {f'"e{n}"': asyncio.Event() for n in events}


class Stage(contextlib.AsyncExitStack):
    """A backend whose browsers and whose server it reaches through proxies; and the server, which can be replaced."""

    def __init__(self, program, *arguments, server=(), gates=None):
        super().__init__()
        self.gates = gates or {}
        self.program, self.arguments, self.server_arguments = program, arguments, server

    async def __aenter__(self):
        try:
            return await self.start()
        except BaseException:
            await self.aclose()
            raise

    async def start(self):
        self.public = await self.enter_async_context(Proxy())
        self.internal = await self.enter_async_context(Proxy())
        self.internal.gates = self.gates
        self.backend = self.enter_context(
            Program(*BACKEND, "--server", f"http://{self.internal.address}", "--port", "0",
                    "--websocket", f"ws://{self.public.address}/ws", *self.arguments))  # fmt: skip
        self.page = self.backend.find(r"the page is at (http://[\d.:]+)/")
        self.host = urllib.parse.urlsplit(self.page).netloc
        self.start_server()
        return self

    def start_server(self):
        self.server = self.enter_context(Server(self.program, "--origins", self.page, *self.server_arguments))
        self.public.upstream, self.internal.upstream = self.server.public, self.server.internal

    async def kick(self):
        """The server closes the socket of the one client, once those before it are gone from its table."""
        rows = []
        while len(rows) != 1:
            _, table = await ask(self.server.internal, "GET", "/debug/connections")
            rows = [row for row in table["connections"] if row["state"] == "open"]
            assert table["connections"], "nobody is connected"
        how = {"client": rows[0]["id"], "disconnect": {"code": 4001, "reason": "kicked"}}
        status, answer = await ask(self.server.internal, "POST", "/api/disconnect", how)
        assert status == 200, answer

    async def drain_and_replace(self):
        """The server is told to stop, has ended, and another one is in its place. Returns the exit code."""
        self.server.signal()
        code = await asyncio.to_thread(self.server.wait)
        self.start_server()
        return code
