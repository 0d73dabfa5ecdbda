"""What README.md and docs/ say can be typed, can be typed; what they say is answered, is answered.

    documents_test.py ROOT PROGRAM
"""

import asyncio
import http.client
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

import websockets

from markdown import FENCE, blocks, commands

ROOT, PROGRAM = pathlib.Path(sys.argv[1]), sys.argv[2]
DOCUMENTS = {
    file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
    for file in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
}
PUBLIC, INTERNAL, CLIENT = "127.0.0.1:8000", "127.0.0.1:8001", "c0-17"  # as the documents write them
EXPECTED = re.compile(r"#\s*(\d{3})\b")  # a comment behind a curl line that begins with a status: `# 404: ...`
CODE_OF_SERVICE = ("actors", "net", "service")


def output(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


def keys_missing(documented, answered, path=""):
    """Names in the documented JSON that the answer does not have. Values may differ, and null stands for anything. Of
    lists the first elements are compared; if one is empty, the other has to be."""
    if isinstance(documented, dict) and isinstance(answered, dict):
        for name, value in documented.items():
            if name not in answered:
                yield f"{path}/{name}"
            else:
                yield from keys_missing(value, answered[name], f"{path}/{name}")
    elif isinstance(documented, list) and isinstance(answered, list):
        if documented and answered:
            yield from keys_missing(documented[0], answered[0], f"{path}[0]")
        elif documented or answered:
            yield f"{path}[0]"


class Curl:
    """As much of a curl command line as the documents use."""

    def __init__(self, line):
        words = iter(shlex.split(line.split(" | ")[0], comments=True)[1:])
        self.method, self.body, self.headers, self.url = None, None, {}, None
        for word in words:
            if word == "-d":
                self.body = next(words)
            elif word == "-X":
                self.method = next(words)
            elif word == "-H":
                name, value = next(words).split(": ", 1)
                self.headers[name] = value
            elif not word.startswith("-"):
                self.url = word
        self.method = self.method or ("POST" if self.body is not None else "GET")

    def run(self, places):
        url, body = self.url, self.body
        for written, actual in places.items():
            url = url.replace(written, actual)
            body = body and body.replace(written, actual)
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        try:
            target = parts.path + ("?" + parts.query if parts.query else "")
            connection.request(self.method, target, body, self.headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


class Server:
    """The program, and clients of one user on it."""

    def __init__(self, *options, cwd=None):
        self.options, self.cwd = options or ("--user-header", "X-User"), cwd

    def __enter__(self):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0", "--threads", "1",
             "--log-level", "error", *self.options],
            stdout=subprocess.PIPE, text=True, cwd=self.cwd)  # fmt: skip
        found = {}
        while len(found) < 2:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the server ended at once")
            if match := re.search(r"(WebSocket|debug)\s+\w+://([\d.:]+)/", line):
                found[match[1]] = match[2]
        self.public, self.internal = found["WebSocket"], found["debug"]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=30)

    def with_client(self, act):
        """Calls `act(id)` while a client of user ann is connected, and has said something."""

        async def session():
            url = f"ws://{self.public}/ws"
            async with websockets.connect(url, extra_headers={"X-User": "ann"}) as client:
                await client.send("hello")
                await client.recv()
                _, body = Curl(f"curl 'http://{self.internal}/debug/connections?sort=age&limit=1'").run({})
                newest = json.loads(body)["connections"][0]["id"]
                return await asyncio.to_thread(act, newest)

        return asyncio.run(asyncio.wait_for(session(), 30))

    def curl(self, line):
        return self.with_client(
            lambda client: Curl(line).run({PUBLIC: self.public, INTERNAL: self.internal, CLIENT: client}))


class Documents(unittest.TestCase):
    def each_command(self, first):
        for name, text in DOCUMENTS.items():
            for line in commands(text):
                if line.split()[0] == first:
                    yield name, line

    def test_links_lead_somewhere(self):
        for name, text in DOCUMENTS.items():
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", FENCE.sub("", text)):
                if not target.startswith(("http://", "https://", "mailto:")):
                    there = (ROOT / name).parent / target
                    self.assertTrue(there.exists(), f"{name} links to {target}, which does not exist")

    def test_links_within_documents_lead_to_headings(self):
        def anchor(heading):
            return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")

        for name, text in DOCUMENTS.items():
            for target, part in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", FENCE.sub("", text)):
                if target.startswith("http"):
                    continue
                there = ((ROOT / name).parent / target).resolve() if target else (ROOT / name).resolve()
                headings = re.findall(r"^#+ (.*)$", FENCE.sub("", there.read_text(encoding="utf-8")), re.MULTILINE)
                self.assertIn(part, [anchor(h) for h in headings], f"{name} links to {target}#{part}")

    def test_dev_has_the_commands(self):
        known = re.findall(r"^  (\w+) ", output(str(ROOT / "dev"), "help")[1], re.MULTILINE)
        lines = list(self.each_command("./dev"))
        self.assertTrue(lines)
        for name, line in lines:
            self.assertIn(line.split()[1], known, f"{name}: {line}")

    def test_the_program_has_the_options(self):
        known = output(PROGRAM, "--help")[1] + output(PROGRAM, "serve", "--help")[1]
        lines = list(self.each_command("build/release/fairlead"))
        self.assertTrue(lines)
        for name, line in lines:
            for option in re.findall(r"(?<= )--?[a-z-]+", line):
                self.assertRegex(known, rf"(?m)(^|[\s,]){option}\b", f"{name}: {line}")

    def test_presets_exist(self):
        known = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
        presets = {p["name"] for p in known if not p.get("hidden")}
        for first in "cmake", "ctest":
            for name, line in self.each_command(first):
                for preset in re.findall(r"--preset (\w+)", line):
                    self.assertIn(preset, presets, f"{name}: {line}")

    def test_configuration_files_are_good(self):
        found = [(name, code) for name, text in DOCUMENTS.items() for _, code in blocks(text, "toml")]
        self.assertTrue(found)
        for name, code in found:
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write(code)
                file.flush()
                status, said = output(PROGRAM, "check-config", file.name)
                self.assertEqual(status, 0, f"{name}: {said}")

    def test_defaults_are_those_of_the_program(self):
        said = output(PROGRAM, "serve", "--help")[1].splitlines()
        _, shown = blocks(DOCUMENTS["docs/operations.md"], "toml")[0]
        for line in shown.splitlines():
            self.assertIn(line, said, "docs/operations.md shows a default that the program does not have")

    def test_log_events_exist(self):
        source = "".join(
            file.read_text(encoding="utf-8") for folder in CODE_OF_SERVICE for file in (ROOT / folder).glob("*.cpp"))
        states = {f"connection.{state}" for state in ("accepted", "open", "closing", "closed", "failed")}
        rows = re.findall(r"^\| `(\w+\.\w+)` \|", DOCUMENTS["docs/operations.md"], re.MULTILINE)
        self.assertTrue(rows)
        for event in rows:
            self.assertTrue(event in states or f'"{event}"' in source, f"docs/operations.md: nothing logs {event}")

    def test_limits_that_are_counted_are_listed(self):
        paragraph = re.search(r"^The limits, in `fairlead_limit_hits_total`: (.*?)\n\n", DOCUMENTS["docs/operations.md"],
                              re.MULTILINE | re.DOTALL)
        with Server() as server:
            _, metrics = server.curl(f"curl http://{INTERNAL}/metrics")
        counted = re.findall(r'^fairlead_limit_hits_total\{limit="(\w+)"\}', metrics, re.MULTILINE)
        self.assertTrue(counted)
        self.assertEqual(sorted(re.findall(r"`(\w+)`", paragraph[1])), sorted(counted))

    def test_tokens_in_five_minutes(self):
        start, make_and_use = (code for _, code in blocks(DOCUMENTS["docs/admission.md"], "bash"))
        with tempfile.TemporaryDirectory() as folder:

            def bash(code):
                return subprocess.run(["bash", "-euc", code], cwd=folder, check=True, timeout=60, text=True,
                                      stdout=subprocess.PIPE).stdout

            secret, serve = start.strip().splitlines()
            bash(secret)
            options = shlex.split(serve.removesuffix("&"))[2:]
            with Server(*options, cwd=folder) as server:
                *made, client = make_and_use.strip().splitlines()
                bearer = bash("\n".join(made) + "\necho $token").strip()
                url = shlex.split(client)[-1].replace("$token", bearer).replace(PUBLIC, server.public)

                async def user_of(url):
                    async with websockets.connect(url):
                        _, body = Curl(f"curl http://{server.internal}/debug/connections").run({})
                        return json.loads(body)["connections"][0]["user"]

                self.assertEqual(asyncio.run(user_of(url)), "ann")
                with self.assertRaises(websockets.InvalidStatusCode) as refused:
                    asyncio.run(user_of(url[:-2] + "AA"))
                self.assertEqual(refused.exception.status_code, 401)

    def test_curl_lines_are_answered(self):
        lines = list(self.each_command("curl"))
        self.assertTrue(lines)
        with Server() as server:
            for name, line in lines:
                expected = EXPECTED.search(line)
                with self.subTest(f"{name}: {line}"):
                    status, body = server.curl(line)
                    self.assertEqual(status, int(expected[1]) if expected else 200, body)

    def test_answers_are_as_shown(self):
        with Server() as server:
            checked = 0
            for name, text in DOCUMENTS.items():
                found = blocks(text)
                for (before, shell), (language, shown) in zip(found, found[1:]):
                    if before != "sh" or language != "json" or not shell.startswith("curl"):
                        continue
                    for line in shell.strip().splitlines():
                        _, body = server.curl(line)
                    missing = list(keys_missing(json.loads(shown), json.loads(body)))
                    self.assertEqual(missing, [], f"{name}: {shell.strip()}: answered {body}")
                    checked += 1
            self.assertTrue(checked)


unittest.main(argv=sys.argv[:1])
