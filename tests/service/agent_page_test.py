"""examples/agent_events in a real browser: what the page shows after kicks, drops and a drain.

agent_page_test.py PROGRAM [unittest arguments]

Exits with 77, which ctest calls skipped, where there is no chromium; unless CI is true.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import websockets

from agent_stage import PATIENCE, Stage, gates, soon

PROGRAM = sys.argv.pop(1)
CHROMIUM = shutil.which("chromium")
STEPS = 5
EVENTS = 1 + 3 * STEPS + 1
START_UP = 60  # seconds that a browser may take to start


class Browser(contextlib.AsyncExitStack):
    """A headless Chromium, spoken to by its DevTools protocol."""

    async def __aenter__(self):
        try:
            return await self.start()
        except BaseException:
            await self.aclose()
            raise

    async def start(self):
        home = self.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        # No sandbox: it needs a user that is not root, or a kernel's leave; and the one page that it shows is ours.
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   "--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank"]  # fmt: skip
        self.process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "HOME": home}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)  # fmt: skip
        self.push_async_callback(self.end)
        address = await soon(self.address(), START_UP)
        self.reading = asyncio.create_task(self.process.stderr.read())  # so that it never waits for a reader
        self.socket = await self.enter_async_context(websockets.connect(address, max_size=None, close_timeout=PATIENCE))
        self.numbers, self.session = itertools.count(1), {}
        return self

    async def address(self):
        said = b""
        while line := await self.process.stderr.readline():
            said += line
            if found := re.search(rb"DevTools listening on (ws://\S+)", line):
                return found[1].decode()
        raise AssertionError(f"chromium did not start:\n{said.decode(errors='replace')}")

    async def end(self):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def call(self, method, **parameters):
        number = next(self.numbers)
        await self.socket.send(json.dumps({"id": number, "method": method, "params": parameters, **self.session}))
        async for text in self.socket:
            answer = json.loads(text)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
        raise AssertionError("the browser is gone")

    async def open(self, url):
        """In a new tab, which is the one that is asked from now on."""
        self.session = {}
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        answer = await self.call("Page.navigate", url=url)  # answered when the new document is there
        assert "errorText" not in answer, answer

    async def offline(self, is_offline):
        """As the switch of the same name in the developer tools."""
        await self.call("Network.enable")
        await self.call("Network.emulateNetworkConditions", offline=is_offline, latency=0,
                        downloadThroughput=-1, uploadThroughput=-1)  # fmt: skip

    async def value(self, expression):
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, condition, patience=PATIENCE):
        """Waits until the document is such that this holds: told by the browser, not asked again and again."""
        waiting = f"""new Promise(done => {{
            const seen = () => {{ if ({condition}) {{ watch.disconnect(); done(true); }} }};
            const watch = new MutationObserver(seen);
            watch.observe(document, {{subtree: true, childList: true, characterData: true, attributes: true}});
            seen();
        }})"""
        try:
            await soon(self.value(waiting), patience)
        except asyncio.TimeoutError:
            shown = await soon(self.value("document.body.innerText"))
            raise AssertionError(f"never came to be: {condition}\n{shown}") from None

    async def state(self, state):
        await self.until(f"document.getElementById('state')?.dataset.state === '{state}'", 2 * PATIENCE)

    async def events(self, number):
        await self.until(f"document.querySelectorAll('#events li').length >= {number}")

    async def shown(self):
        """(offset or None, text) of each line of the list."""
        lines = await self.value("[...document.querySelectorAll('#events li')].map(l => [l.dataset.offset, l.innerText])")
        return [(int(offset) if offset else None, text) for offset, text in lines]

    async def text(self, name):
        return await self.value(f"document.getElementById('{name}').textContent")


class Page(unittest.IsolatedAsyncioTestCase):
    async def test_kicked_cut_off_and_drained_it_shows_every_event_once(self):
        hostile = '<img src=x onerror="document.title=1"><b>bold</b>'
        waits = gates(4, 8, 12, 15, EVENTS)
        run = Stage(PROGRAM, "--pace", "0.02", "--steps", str(STEPS), "--task", hostile, gates=waits)
        async with run as stage, Browser() as page:
            await page.open(stage.page)
            await page.events(3)
            await stage.kick()
            waits['"e4"'].set()
            await page.events(7)
            stage.public.cut()
            waits['"e8"'].set()
            await page.events(11)
            gone = asyncio.create_task(stage.drain_and_replace())
            waits['"e12"'].set()
            self.assertEqual(await soon(gone, 2 * PATIENCE), 0)
            await page.events(14)
            # The network is gone, which only this side knows: the server has the old socket until the new one takes over.
            stage.public.deafen()
            await page.offline(True)
            await page.state("waiting")
            waits['"e15"'].set()
            await page.offline(False)
            await page.events(EVENTS - 1)
            stage.public.deafen()  # that it has seen the last one is lost, and must be said again
            waits[f'"e{EVENTS}"'].set()
            await page.events(EVENTS)
            stage.public.cut()
            await page.state("over")
            shown = await page.shown()
            self.assertEqual([offset for offset, _ in shown], list(range(1, EVENTS + 1)), await page.text("link"))
            self.assertIn(hostile, shown[0][1])
            self.assertEqual(await page.value("document.querySelectorAll('#events img, #events b b').length"), 0)
            self.assertEqual((await page.text("missed"), await page.text("doubled")), ("0", "0"))
            self.assertGreaterEqual(int(await page.text("reconnects")), 5)
            tokens = [token for asked in stage.public.passed for token in re.findall(r"[?&]token=([\w-]+)", asked)]
            self.assertNotEqual(tokens[0], tokens[1])  # each time the next one
            told = await page.text("link")
            for reason in ("4001 kicked", "1006", "1012 server restarting", "4501", "offline", "4500 the run is over"):
                self.assertIn(reason, told)

    async def test_a_gap_is_shown_and_so_is_who_took_over(self):
        waits = gates(4)
        run = Stage(PROGRAM, "--pace", "0.02", "--steps", "300", "--keep", "3", gates=waits)
        async with run as stage, Browser() as page:
            await page.open(stage.page)
            await page.events(3)
            stage.public.upstream = None
            stage.public.cut()
            waits['"e4"'].set()
            await stage.internal.seen('"e10"')
            stage.public.upstream = stage.server.public
            await page.until("document.querySelector('#events .gap ~ li')")
            shown = await page.shown()
            self.assertEqual([offset for offset, _ in shown[:4]], [1, 2, 3, None])
            self.assertRegex(shown[3][1], r"^events 4 to \d+ were missed")
            after = [offset for offset, _ in shown[4:]]
            self.assertEqual(after, list(range(after[0], after[0] + len(after))))
            self.assertEqual(int(await page.text("missed")), after[0] - 4)
            first = page.session
            await page.open(stage.page)  # a second tab
            await page.state("live")
            await page.value("say('cancel')")
            await page.state("over")
            page.session = first
            await page.state("failed")
            self.assertIn("another page took over", await page.text("state"))


if __name__ == "__main__":
    if not CHROMIUM:
        print("There is no chromium here, so nobody looked at the page (apt-get install chromium).")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    unittest.main()
