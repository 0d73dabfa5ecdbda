"""A server process under test: started at a fixed address, asked over its internal API, ended in several ways, accounted for."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time

PATIENCE = 30

class Broken(AssertionError):
    """A promise was broken."""


def check(condition, text):
    if not condition:
        raise Broken(text)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Node:
    def __init__(self, program):
        self.program = program
        self.public, self.internal = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.directory = tempfile.TemporaryDirectory()
        self.certificate, self.key, self.config = (f"{self.directory.name}/{n}" for n in ("cert.pem", "key.pem", "toml"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=soak", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        self.trust = ssl.create_default_context(cafile=self.certificate)
        self.process = self.settings = None

    async def start(self, settings):
        self.settings, self.errors = settings, []
        with open(self.config, "w") as file:
            file.write(settings.config())
        tls = ("--tls-cert", self.certificate, "--tls-key", self.key) if settings.tls else ()
        self.process = await asyncio.create_subprocess_exec(
            self.program, "serve", "--listen", self.public, "--internal", self.internal, "--plain", "echo",
            "--log-format", "json", "--log-level", "warning", "--config", self.config,
            "--compression", "on" if settings.compression else "off", *tls,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.reading = asyncio.create_task(self.read_log())
        for _ in range(PATIENCE * 20):
            try:
                if (await self.ask("GET", "/ready"))[0] == 200:
                    return
            except OSError:
                pass
            check(self.process.returncode is None, "the server did not start:\n" + "\n".join(self.errors))
            await asyncio.sleep(0.05)
        raise Broken("the server did not become ready")

    async def read_log(self):
        """Everything that is no warning: errors, and what a sanitizer or a crash prints."""
        async for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip()
            if '"severity":"warning"' not in text and '"severity":"info"' not in text and text:
                self.errors.append(text)

    async def ask(self, method, path, body=None):
        """(status, JSON object or text). OSError if there is no answer."""
        reader, writer = await asyncio.open_connection(*self.internal.split(":"))
        try:
            data = b"" if body is None else json.dumps(body).encode()
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: {self.internal}\r\nConnection: close\r\n"
                f"Content-Length: {len(data)}\r\n\r\n".encode() + data
            )
            answer = await asyncio.wait_for(reader.read(), PATIENCE)
        except asyncio.TimeoutError as e:
            raise Broken(f"{method} {path} was not answered in {PATIENCE} s") from e
        finally:
            writer.transport.abort()
        head, _, text = answer.partition(b"\r\n\r\n")
        if not head:
            raise ConnectionResetError("no answer")
        text = text.decode()
        return int(head.split(b" ", 2)[1]), json.loads(text) if text.startswith("{") else text

    async def metrics(self):
        """{series: value}."""
        _, text = await self.ask("GET", "/metrics")
        return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*?\})?) (\S+)$", text, re.M)}

    async def limit_hits(self):
        """{limit: how often it has acted}."""
        found = ((re.fullmatch(r'fairlead_limit_hits_total\{limit="(\w+)"\}', k), v) for k, v in (await self.metrics()).items())
        return {match[1]: n for match, n in found if match}

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup") as file:
            return int(re.search(r"^Rss:\s+(\d+)", file.read(), re.M).group(1)) * 1024

    def sanitized(self):
        """Whether its memory says nothing: a sanitizer's allocator keeps what is freed."""
        with open(f"/proc/{self.process.pid}/maps") as file:
            return bool(re.search(r"lib[at]san\.so", file.read()))

    async def ended(self, *codes):
        """Waits for the end; it is to be one of these exit codes, with nothing said that is an error."""
        try:
            code = await asyncio.wait_for(self.process.wait(), PATIENCE)
        except asyncio.TimeoutError as e:
            self.process.kill()
            raise Broken("the server did not end") from e
        await self.reading
        check(not self.errors, "the server said:\n" + "\n".join(self.errors[:40]))
        check(code in codes, f"the server ended with {code}, not {codes}")

    async def drain(self):
        """SIGTERM under load. 3: somebody was cut at the deadline."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        await self.ended(0, 3)
        check(time.monotonic() - began < 10, "a drain of 6 s took longer than 10 s")

    async def cut(self):
        """SIGTERM, and once more because somebody is impatient."""
        self.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await self.ended(0, 1, 3)  # 1: it was cut short

    async def kill(self):
        self.process.kill()
        await self.ended(-signal.SIGKILL)
