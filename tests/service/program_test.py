"""The real program, from outside: python3-websockets and HTTP clients that nobody here wrote.

program_test.py PROGRAM [unittest arguments]
"""

import asyncio
import contextlib
import fcntl
import http.client
import json
import pathlib
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import websockets
import websockets.extensions.permessage_deflate

from program import PATIENCE, Program

PROGRAM = sys.argv.pop(1)


class Server(Program):
    def __init__(self, *arguments, **how):
        super().__init__(PROGRAM, "serve", "--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0", *arguments, **how)
        self.ws = self.find(r"(?m)^ *WebSocket  (wss?://127\.0\.0\.1:\d+/\S+)$")
        self.health = self.find(r"(?m)^ *health     (https?://127\.0\.0\.1:\d+/health)$")
        self.debug = self.find(r"(?m)^ *debug      (http://127\.0\.0\.1:\d+/debug/tree)$")
        self.internal = self.debug.removesuffix("/debug/tree")

    @property
    def address(self):
        """(host, port) of the public listener."""
        host, port = self.ws.removeprefix("ws://").removesuffix("/ws").split(":")
        return host, int(port)

    def connect(self, **options):
        # close_timeout: the library's own wait for a server that does not answer its Close.
        return websockets.connect(self.ws, close_timeout=PATIENCE, **options)


def request(url, body=None, headers=None):
    """(status, JSON object) of one HTTP request."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=PATIENCE) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def ask(url, body=None, headers=None):
    """The same, without holding up the WebSocket clients of the same test."""
    return await asyncio.get_running_loop().run_in_executor(None, request, url, body, headers)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


async def all_open(server, number):
    """Waits until so many connections are open: a client reads its 101 before its actor has opened."""
    while True:
        _, table = await ask(server.internal + "/debug/connections")
        if [row["state"] for row in table["connections"]] == ["open"] * number:
            return
        await asyncio.sleep(0.01)


async def logged(server, text):
    begun = time.monotonic()
    while text not in server.errors:
        assert time.monotonic() < begun + PATIENCE, f"{text!r} was never logged:\n{server.errors}"
        await asyncio.sleep(0.01)


async def silent_client(server):
    """A socket that upgrades and then neither reads nor answers."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 101 " in await soon(reader.readuntil(b"\r\n\r\n"))
    return writer


def metrics(server):
    with urllib.request.urlopen(server.internal + "/metrics", timeout=PATIENCE) as reply:
        return reply.read().decode()


async def last_closed(server):
    """The newest record of /debug/closed, as soon as there is one."""
    while not (records := (await ask(server.internal + "/debug/closed"))[1]["closed"]):
        await asyncio.sleep(0.01)
    return records[0]


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)


class CommandLine(unittest.TestCase):
    def test_version_and_help(self):
        version = run("--version")
        self.assertEqual(version.returncode, 0)
        self.assertRegex(version.stdout, r"^fairlead \d+\.\d+\.\d+\nCAF 0\.17\.\d+\nBoost 1\.\d+\.\d+\n$")
        for arguments in (["--help"], ["serve", "--help"], ["check-config", "--help"]):
            self.assertEqual(run(*arguments).returncode, 0)
        for word in ("--listen", "--drain-timeout", "max_queued_bytes", "SIGTERM"):
            self.assertIn(word, run("serve", "--help").stdout)

    def test_wrong_usage_is_exit_2(self):
        for arguments in (
            [],
            ["serve", "--no-such-option"],
            ["serve", "--plain", "all"],
            ["serve", "--listen", "nowhere"],
            ["serve", "--threads", "-1"],
            ["serve", "--internal", "0.0.0.0:0"],
            ["serve", "--config", "/does/not/exist"],
            ["check-config"],
        ):
            with self.subTest(arguments):
                done = run(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertNotEqual(done.stderr, "")
                self.assertEqual(done.stdout, "")

    def test_check_config(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "fairlead.toml")
            file.write_text("[listen]\nthreads = 2\n", encoding="utf-8")
            self.assertEqual(run("check-config", file).stdout, f"{file}: ok\n")
            file.write_text("[listen]\nthread = 2\nplain = 1\n", encoding="utf-8")
            for command in (["check-config", file], ["serve", "--config", file]):
                done = run(*command)
                self.assertEqual(done.returncode, 2)
                self.assertIn(f'{file}:2: listen.thread: there is no such key; did you mean "listen.threads"', done.stderr)
                self.assertIn(f"{file}:3: listen.plain: an integer; give a string", done.stderr)

    def test_a_port_in_use_is_exit_1_and_named(self):
        with Server() as server:
            address = "%s:%d" % server.address
            done = run("serve", "--listen", address, "--internal", "off")
            self.assertEqual(done.returncode, 1)
            self.assertIn(address, done.stderr)


class Talking(unittest.IsolatedAsyncioTestCase):
    async def test_broadcast_reaches_everyone_the_sender_too(self):
        with Server() as server:
            async with server.connect() as ann, server.connect() as bob:
                await ann.send("hello")
                await ann.send(b"\x00\xff")
                for client in (ann, bob):
                    self.assertEqual(await soon(client.recv()), "hello")
                    self.assertEqual(await soon(client.recv()), b"\x00\xff")
            server.signal()
            self.assertEqual(server.wait(), 0)

    async def test_echo_and_off(self):
        with Server("--plain", "echo") as server:
            async with server.connect() as ann, server.connect() as bob:
                await ann.send("a")
                await bob.send("b" * 60_000)
                self.assertEqual(await soon(ann.recv()), "a")
                self.assertEqual(await soon(bob.recv()), "b" * 60_000)
        with Server("--plain", "off") as server:
            async with server.connect() as ann:
                await ann.send("a")
                await soon(await ann.ping())  # it lives
                _, table = await ask(server.internal + "/debug/connections")
                self.assertEqual(table["connections"][0]["messages_in"], 1)
                self.assertEqual(table["connections"][0]["messages_out"], 0)

    async def test_the_clients_close_is_answered_and_recorded(self):
        with Server() as server:
            async with server.connect() as ann:
                await ann.close(4001, "so long")
                self.assertEqual(ann.close_code, 4001)
            # The record comes once the server has seen the socket end; the client may know earlier.
            record = await soon(last_closed(server))
            self.assertEqual((record["code"], record["reason"], record["initiator"]), (4001, "so long", "peer"))
            self.assertTrue(record["clean"])

    async def test_too_large_a_message_closes_with_1009(self):
        with Server() as server:
            async with server.connect() as ann:
                await ann.send("x" * (64 * 1024 + 1))
                await soon(ann.wait_closed())
                self.assertEqual(ann.close_code, 1009)

    async def test_a_trusted_proxys_header_names_the_user(self):
        with Server("--user-header", "X-User") as server:
            async with server.connect(extra_headers={"X-User": "ann"}) as ann, server.connect() as other:
                await soon(all_open(server, 2))
                status, answer = await ask(server.internal + "/api/send", {"user": "ann", "data": "for ann", "wait": True})
                self.assertEqual((status, answer["result"]["addressed"], answer["result"]["written"]), (200, 1, 1))
                self.assertEqual(await soon(ann.recv()), "for ann")
                await ask(server.internal + "/api/send_all", {"data": "for all"})
                self.assertEqual(await soon(other.recv()), "for all")


class InternalApi(unittest.IsolatedAsyncioTestCase):
    async def test_debug_shapes(self):
        with Server("--threads", "2") as server:
            self.assertEqual((await ask(server.health))[1]["status"], "ok")
            async with server.connect():
                status, tree = await ask(server.debug)
                self.assertEqual(status, 200)
                self.assertEqual(len(tree["supervisor"]["rosters"]), 2)
                self.assertEqual(tree["unanswered"], [])
                status, table = await ask(server.internal + "/debug/connections")
                self.assertEqual((status, table["returned"], table["next_cursor"]), (200, 1, None))
                row = table["connections"][0]
                status, one = await ask(server.internal + "/debug/connections/" + row["id"])
                self.assertEqual(status, 200)
                for name in ("state", "state_since", "why", "peer", "user", "mailbox", "queued_messages",
                             "queued_bytes", "traffic", "last_close", "events"):
                    self.assertIn(name, one)
                self.assertIn("written", one["traffic"]["sends_by_outcome"])
                self.assertEqual((await ask(server.internal + "/debug/connections?limit=x"))[0], 400)
                self.assertEqual((await ask(server.internal + "/debug/connections/c9-9"))[0], 404)

    async def test_send_and_disconnect(self):
        with Server() as server:
            async with server.connect() as ann:
                await soon(all_open(server, 1))
                _, table = await ask(server.internal + "/debug/connections")
                client = table["connections"][0]["id"]
                send = server.internal + "/api/send"
                self.assertEqual((await ask(send, {"client": client, "data": "x", "wait": True}))[1],
                                 {"result": {"outcome": "written"}})
                self.assertEqual(await soon(ann.recv()), "x")
                nobody = {"client": "c0-99999", "data": "x", "wait": True}
                self.assertEqual((await ask(send, nobody))[1]["result"]["outcome"], "no_such_connection")
                self.assertEqual((await ask(send, {"data": "x"}))[0], 400)
                how = {"client": client, "disconnect": {"code": 4003, "reason": "out"}}
                _, answer = await ask(server.internal + "/api/disconnect", how)
                self.assertEqual(answer["result"]["outcome"], "initiated")
                await soon(ann.wait_closed())
                self.assertEqual((ann.close_code, ann.close_reason), (4003, "out"))

    async def test_the_token_is_asked_for(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "token")
            file.write_text("s3cret\n", encoding="utf-8")
            with Server("--internal-token-file", file) as server:
                self.assertEqual((await ask(server.debug))[0], 401)
                self.assertEqual((await ask(server.debug, headers={"Authorization": "Bearer s3cret"}))[0], 200)


class Reloading(unittest.IsolatedAsyncioTestCase):
    async def test_sighup_reloads_what_can_be(self):
        with tempfile.TemporaryDirectory() as folder:
            file, token = pathlib.Path(folder, "fairlead.toml"), pathlib.Path(folder, "token")
            token.write_text("old\n", encoding="utf-8")
            file.write_text(f'[internal]\ntoken_file = "{token}"\n', encoding="utf-8")
            with Server("--config", file, "--plain", "echo") as server:
                self.assertEqual((await ask(server.debug, headers={"Authorization": "Bearer old"}))[0], 200)
                async with server.connect() as before:
                    token.write_text("new\n", encoding="utf-8")
                    file.write_text(
                        f'[internal]\ntoken_file = "{token}"\n[limits]\nmax_message_size = 10\n'
                        '[log]\nlevel = "debug"\n[listen]\nuser_header = "X-User"\n',
                        encoding="utf-8")
                    server.signal(signal.SIGHUP)
                    await logged(
                        server,
                        'config.reloaded changed="internal.token limits.max_message_size log.level" '
                        "needs_restart=listen.user_header")
                    self.assertEqual((await ask(server.debug, headers={"Authorization": "Bearer old"}))[0], 401)
                    self.assertEqual((await ask(server.debug, headers={"Authorization": "Bearer new"}))[0], 200)
                    await before.send("as large as it could be when it began")
                    self.assertEqual(await soon(before.recv()), "as large as it could be when it began")
                    async with server.connect() as after:
                        await after.send("x" * 11)
                        await soon(after.wait_closed())
                        self.assertEqual(after.close_code, 1009)
                    await logged(server, "connection.accepted")  # debug lines, by now

    async def test_sighup_reloads_in_a_drain_too(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "fairlead.toml")
            file.write_text("", encoding="utf-8")
            with Server("--config", file, "--drain-grace", "1h", "--drain-timeout", "2h") as server:
                writer = await silent_client(server)
                server.signal()
                await logged(server, "server.draining")
                file.write_text("[limits]\nmax_message_size = 10\n", encoding="utf-8")
                server.signal(signal.SIGHUP)
                await logged(server, "config.reloaded changed=limits.max_message_size ")
                file.write_text("[limits]\nmax_mesage_size = 10\n", encoding="utf-8")
                server.signal(signal.SIGHUP)
                await logged(server, "config.reload_failed ")
                server.signal()
                self.assertEqual(server.wait(), 1)
                writer.close()

    async def test_a_bad_file_changes_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "fairlead.toml")
            file.write_text("", encoding="utf-8")
            with Server("--config", file) as server:
                file.write_text("[limits]\nmax_message_size = 10\nmax_mesage_size = 10\n", encoding="utf-8")
                server.signal(signal.SIGHUP)
                await logged(server, f"config.reload_failed what=")
                await logged(server, "limits.max_mesage_size: there is no such key")
                async with server.connect() as ann:
                    await ann.send("more than ten bytes")
                    self.assertEqual(await soon(ann.recv()), "more than ten bytes")
                server.signal()
                self.assertEqual(server.wait(), 0)


class Compression(unittest.IsolatedAsyncioTestCase):
    async def test_a_broadcast_to_clients_with_and_without(self):
        said = "".join(f"{i} ropes, " for i in range(3000))
        deflate = websockets.extensions.permessage_deflate.ClientPerMessageDeflateFactory
        offers = [[deflate()], [deflate(server_max_window_bits=9, client_max_window_bits=True)], None]
        with Server("--compression", "on") as server:
            async with contextlib.AsyncExitStack() as stack:
                clients = [
                    await stack.enter_async_context(server.connect(compression=None, extensions=offer))
                    for offer in offers
                ]
                self.assertEqual([len(client.extensions) for client in clients], [1, 1, 0])
                for sender in clients:
                    for text in (said, "short", said.encode()):
                        await sender.send(text)
                        for client in clients:
                            self.assertEqual(await soon(client.recv()), text)
                _, table = await ask(server.internal + "/debug/connections?sort=id")
                rows = table["connections"]
                self.assertEqual(sorted(row["compresses"] for row in rows), [False, True, True])
                self.assertEqual([row["queued_bytes"] for row in rows], [0, 0, 0])
            server.signal()
            self.assertEqual(server.wait(), 0)

    async def test_off_by_default(self):
        with Server() as server:
            async with server.connect() as ann:  # offers it
                self.assertEqual(ann.extensions, [])


class Tls(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.certificate, self.key = self.make("localhost")
        self.trust = ssl.create_default_context(cafile=self.certificate)

    def make(self, name):
        """A certificate that is its own authority, and its key."""
        files = [str(pathlib.Path(self.folder.name, f"{name}.{kind}")) for kind in ("pem", "key")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
             "-out", files[0], "-keyout", files[1]],
            capture_output=True, timeout=PATIENCE, check=True)  # fmt: skip
        return files

    async def test_wss(self):
        with Server("--plain", "echo", "--tls-cert", self.certificate, "--tls-key", self.key) as server:
            self.assertTrue(server.ws.startswith("wss://"))
            async with server.connect(ssl=self.trust, server_hostname="localhost") as ann:
                for said in ("a", "b" * 60_000, b"\x00\xff"):
                    await ann.send(said)
                    self.assertEqual(await soon(ann.recv()), said)
                _, table = await ask(server.internal + "/debug/connections")
                self.assertEqual(table["connections"][0]["tls"], "TLSv1.3")
            with self.assertRaises(ssl.SSLCertVerificationError):
                async with server.connect(ssl=self.trust, server_hostname="example.com"):
                    pass
            with self.assertRaises(Exception):  # plain ws:// on this port
                async with websockets.connect(server.ws.replace("wss://", "ws://")):
                    pass
            server.signal()
            self.assertEqual(server.wait(), 0)

    def test_a_file_that_cannot_be_used_is_exit_1_and_named(self):
        _, other_key = self.make("other")
        for key in (other_key, "/does/not/exist"):
            done = run("serve", "--listen", "127.0.0.1:0", "--internal", "off", "--tls-cert", self.certificate, "--tls-key", key)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f'"{key}"', done.stderr)


class Stopping(unittest.IsolatedAsyncioTestCase):
    SUMMARY = r"connections=2 closed=2 aborted=0 cut=0 messages_written=0 messages_refused=0 took_ms=\d+\n"

    async def drain(self, number):
        with Server() as server:
            async with server.connect() as ann, server.connect() as bob:
                server.signal(number)
                for client in (ann, bob):
                    await soon(client.wait_closed())
                    self.assertEqual(client.close_code, 1012)
                    self.assertEqual(client.close_reason, "server restarting, please reconnect")
                self.assertEqual(server.wait(), 0)
                self.assertRegex(server.errors, r"server\.drained " + self.SUMMARY)
                self.assertRegex(server.errors, r"server\.stopped " + self.SUMMARY)

    async def test_sigterm_drains(self):
        await self.drain(signal.SIGTERM)

    async def test_sigint_drains(self):
        await self.drain(signal.SIGINT)

    async def test_who_does_not_answer_is_aborted_at_the_deadline(self):
        with Server("--drain-timeout", "200ms") as server:
            writer = await silent_client(server)
            server.signal()
            self.assertEqual(server.wait(), 3)
            self.assertRegex(server.errors, r"server\.stopped connections=1 closed=0 aborted=1 cut=1 ")
            writer.close()

    async def test_a_second_signal_does_not_wait(self):
        with Server("--drain-timeout", "1h") as server:
            writer = await silent_client(server)
            server.signal()
            await logged(server, "server.stopping")
            server.signal(signal.SIGINT)
            self.assertEqual(server.wait(), 1)
            self.assertIn("server.drain_cut_short signal=2 connections=1", server.errors)
            self.assertRegex(server.errors, r"server\.stopped connections=1 closed=0 aborted=1 cut=1 ")
            writer.close()

    async def test_drain_over_http_then_a_signal(self):
        with Server("--drain-timeout", "1h", "--drain-grace", "30m") as server:
            writer = await silent_client(server)
            drain = server.internal + "/api/drain"
            self.assertEqual((await ask(drain))[1]["phase"], "serving")
            self.assertEqual((await ask(drain, {"rate": "fast"}))[0], 400)
            status, answer = await ask(drain, {"grace_ms": 600_000})
            self.assertEqual((status, answer["left"]), (202, 1))
            self.assertEqual((await ask(server.health.removesuffix("/health") + "/ready"))[0], 503)
            self.assertEqual((await ask(server.health))[0], 200)
            writer.close()
            await writer.wait_closed()
            server.signal()  # no further grace, and nobody is left
            self.assertEqual(server.wait(), 0)
            self.assertRegex(server.errors, r"server\.stopped connections=\d closed=0 ")

    async def test_json_logs(self):
        with Server("--log-format", "json", "--log-level", "debug") as server:
            async with server.connect() as ann:
                await ann.close(4000, 'a "quoted"\nreason')
            server.signal()
            self.assertEqual(server.wait(), 0)
            lines = [json.loads(line) for line in server.errors.splitlines()]
            self.assertEqual(lines[-1]["event"], "server.stopped")
            closed = [line for line in lines if line["event"] == "connection.closed"]
            self.assertEqual([line["reason"] for line in closed], ['a "quoted"\nreason'])


class FewDescriptors(unittest.IsolatedAsyncioTestCase):
    LIMIT = 160

    def limited(self, *arguments):
        few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (self.LIMIT, self.LIMIT))
        return Server("--threads", "2", *arguments, preexec_fn=few)

    def public_sockets(self, server, count):
        return [socket.create_connection(server.address, PATIENCE) for _ in range(count)]

    async def test_clients_cannot_take_those_of_the_operator(self):
        with self.limited() as server:
            await logged(server, f"WARN  process.too_few_descriptors limit={self.LIMIT} needed=")
            in_force = int(re.search(r"needed=\d+ max_connections=20000 in_force=(\d+) ", server.errors).group(1))
            self.assertGreater(in_force, self.LIMIT // 3)
            with contextlib.ExitStack() as closing:
                for s in self.public_sockets(server, in_force):
                    closing.enter_context(s)
                while f"\nfairlead_sockets {in_force}\n" not in metrics(server):
                    await asyncio.sleep(0.01)
                more = [closing.enter_context(s) for s in self.public_sockets(server, self.LIMIT)]
                answers = []
                for refused in more:
                    refused.settimeout(PATIENCE)
                    answers.append(refused.recv(12))
                self.assertEqual(set(answers), {b"HTTP/1.1 503", b""})
                self.assertEqual((await ask(server.internal + "/ready"))[0], 200)
                self.assertIn(f'\nfairlead_limit_hits_total{{limit="connections"}} {self.LIMIT}\n', metrics(server))
                self.assertNotIn("listener.accept_failed", server.errors)
            server.signal()
            self.assertEqual(server.wait(), 0)

    async def test_fewer_connections_need_no_warning_until_a_reload_allows_more(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "fairlead.toml")
            file.write_text("[limits]\nmax_connections = 20\n", encoding="utf-8")
            with self.limited("--config", file) as server:
                await logged(server, "server.started")
                self.assertNotIn("process.too_few_descriptors", server.errors)
                file.write_text("[limits]\nmax_connections = 1000\n", encoding="utf-8")
                server.signal(signal.SIGHUP)
                await logged(server, "config.reloaded")
                self.assertRegex(server.errors, r"process\.too_few_descriptors .* max_connections=1000 in_force=\d+ ")
                with contextlib.ExitStack() as closing:
                    for s in self.public_sockets(server, self.LIMIT):
                        closing.enter_context(s)
                    self.assertEqual((await ask(server.internal + "/ready"))[0], 200)


class StuckLog(unittest.IsolatedAsyncioTestCase):
    """Nobody reads standard error: a log collector that hangs, a blocking log driver, Ctrl-S."""

    QUEUED = 4096  # lines that may wait (docs/operations.md)

    @contextlib.contextmanager
    def stuck(self, *arguments):
        with Server(*arguments) as server:
            fcntl.fcntl(server.process.stderr, fcntl.F_SETPIPE_SZ, 4096)
            server.listening.clear()
            self.log(server, 200)  # more than the pipe and its reader hold
            yield server

    def log(self, server, lines):
        """Has the server log so many lines."""
        host, port = server.internal.removeprefix("http://").split(":")
        api = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        for _ in range(lines):
            api.request("POST", "/api/send", b'{"client": "c0-99999", "data": "x", "wait": true}')
            api.getresponse().read()
        api.close()

    async def ready(self, server):
        return (await ask(server.internal + "/ready"))[0]

    async def test_clients_are_served_and_sigterm_drains(self):
        with self.stuck("--plain", "echo", "--drain-grace", "300ms") as server:
            async with server.connect() as ann:
                await ann.send("hello")
                self.assertEqual(await soon(ann.recv()), "hello")
                self.assertEqual(await self.ready(server), 200)
                server.signal()
                while await self.ready(server) != 503:
                    await asyncio.sleep(0.01)
                await soon(ann.wait_closed())
                self.assertEqual(ann.close_code, 1012)
            self.assertEqual(server.wait(), 0)

    async def test_a_second_signal_ends_it(self):
        with self.stuck("--drain-timeout", "1h") as server:
            writer = await silent_client(server)
            server.signal()
            while await self.ready(server) != 503:
                await asyncio.sleep(0.01)
            server.signal()
            begun = time.monotonic()
            self.assertEqual(server.wait(), 1)
            self.assertLess(time.monotonic(), begun + 5)
            writer.close()

    async def test_lines_that_were_lost_are_told_when_it_is_read_again(self):
        with self.stuck() as server:
            self.log(server, self.QUEUED + 500)
            self.assertRegex(metrics(server), r"(?m)^fairlead_log_lines_lost_total [1-9]\d*$")
            server.listening.set()
            await logged(server, "log.lines_lost")
            server.signal()
            self.assertEqual(server.wait(), 0)
            lost = [int(n) for n in re.findall(r"WARN  log\.lines_lost lines=(\d+)\n", server.errors)]
            written = server.errors.count("connection.not_found")
            self.assertEqual(written + sum(lost), 200 + self.QUEUED + 500)


if __name__ == "__main__":
    unittest.main()
