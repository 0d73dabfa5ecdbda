#!/usr/bin/env python3
"""A backend that owns an agent's run and shows it live in a browser, through Fairlead's internal HTTP API.

It spawns a session, emits every step of the run into it, reads what the user says, and ends it. Only the standard
library. The page that it serves attaches to the session by itself: see agent.js, and README.md for what to try.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import pathlib
import queue
import random
import secrets
import signal
import sys
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).parent
PAGES = {"/": ("index.html", "text/html"), "/agent.js": ("agent.js", "text/javascript")}
MOST_ANSWERS = 100  # of the user's that wait; more are not listened to
MOST_TEXT = 200  # characters of one


class Fault(Exception):
    """What ends this program, in words for its user."""


class Away(Fault):
    """The server gave no answer for too long."""


class Stopped(Exception):
    """Ctrl-C, or SIGTERM."""


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- the server's API -------------------------------------------------------------------------------------------------


class Fairlead:
    """The internal HTTP API of one server."""

    def __init__(self, url, token, patience, stopping):
        self.url = urllib.parse.urlsplit(url)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.patience, self.stopping = patience, stopping

    def ask(self, method, path, body=None, timeout=10.0):
        """One request: (status, JSON object). OSError or HTTPException if no answer came, whatever became of it there."""
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port or 80, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), self.headers)
            reply = connection.getresponse()
            text = reply.read()
        try:
            return reply.status, json.loads(text)
        except ValueError:  # a few early refusals are plain text
            return reply.status, {"error": text.decode(errors="replace").strip()}

    def insist(self, method, path, body, timeout=10.0, patience=None):
        """Asks until there is an answer that says what became of it. The key in `body` is what makes that safe."""
        give_up = time.monotonic() + (patience or self.patience)
        for attempt in range(1_000_000):
            try:
                status, answer = self.ask(method, path, body, timeout)
                if status not in (202, 503, 504):  # not known yet; not now; nobody acknowledged it yet
                    return status, answer
                why = answer.get("error") or answer.get("note") or status
            except (OSError, http.client.HTTPException) as error:
                why = f"no answer ({error or type(error).__name__})"
            if time.monotonic() >= give_up:
                raise Away(f"{self.url.geturl()}{path}: {why}; is it running? README.md says how to start it")
            say(f"{path}: {why}; asking again with the same key")
            # Exponential, and not in step with everybody else who lost the server in the same moment.
            if self.stopping.wait(min(5.0, 0.1 * 2 ** min(attempt, 6)) * random.uniform(0.5, 1.0)):
                raise Stopped


# --- the session ------------------------------------------------------------------------------------------------------


class Session:
    """One session, and the log of all that was emitted into it.

    The server numbers events from 1 in the order of `log`. A session lives in its server's memory; when that ends, the
    session is spawned again, under a new id, and gets the whole log again: event k has offset k as before, and clients
    go on from the offset that they have. That holds because nobody else emits into it, which is checked.
    """

    def __init__(self, server, name, options):
        self.server, self.name, self.options = server, name, options
        self.log = []
        self.id, self.spawned = "", 0
        self.whole = threading.Lock()  # held while a session has only a part of the log: nobody may attach to that

    def spawn(self):
        with self.whole:
            while True:
                self.spawned += 1
                self.id = f"{self.name}.{self.spawned}"
                body = {"type": "session", "id": self.id, "key": self.id, "options": self.options}
                status, answer = self.server.insist("POST", "/api/spawn_session", body)
                if status not in (200, 201):
                    raise Fault(f"the server does not spawn {self.id}: {answer.get('error', status)}")
                say(f"session {self.id} spawned; it gets the {len(self.log)} events so far")
                if all(self._tell(offset) for offset in range(1, len(self.log) + 1)):
                    return

    def emit(self, kind, **data):
        self.log.append({"type": kind, "data": data})
        if not self._tell(len(self.log)):
            self.spawn()

    def wait_until_acked(self, patience):
        """True once a client has said that it has everything."""
        give_up = time.monotonic() + patience
        while (left := give_up - time.monotonic()) > 0:
            with contextlib.suppress(Away):
                if self._tell(len(self.log), patience=left, acked=True, ack_timeout_ms=2000):
                    return True
                self.spawn()
        return False

    def _tell(self, offset, patience=None, **how):
        """Emits entry `offset` of the log. False: the server has no such session any more."""
        body = {"session": self.id, "key": f"e{offset}", "wait": True, **self.log[offset - 1], **how}
        status, answer = self.server.insist("POST", "/api/emit", body, patience=patience)
        if status in (404, 410):
            return False
        if status != 200:
            raise Fault(f"event {offset} is refused: {answer.get('error', status)}")
        if answer["result"]["offset"] != offset:
            raise Fault(f"event {offset} became {answer['result']['offset']}: somebody else emits into {self.id}")
        return True

    def new_token(self):
        """(id, token) for one more client. None while there is no session that anybody could attach to."""
        if not self.whole.acquire(timeout=2):
            return None
        try:
            status, answer = self.server.ask("POST", "/api/issue_token", {"session": self.id}, timeout=2)
            return (self.id, answer["token"]) if status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            self.whole.release()

    def listen(self, heard, over):
        """Puts what clients say into `heard`, each once, until `over`."""
        inbox, done_with = "", 0
        while not over.is_set():
            if inbox != self.id:  # another session has another inbox
                inbox, done_with = self.id, 0
            try:
                path = f"/api/session/{inbox}/inbox?after={done_with}&wait_ms=20000"
                status, page = self.server.ask("GET", path, timeout=30)
            except (OSError, http.client.HTTPException):
                status, page = 0, {}
            if status != 200 or page["ended"]:
                over.wait(0.5)  # whoever emits finds out, and spawns it again
                continue
            for message in page["messages"]:
                done_with = message["offset"]
                if "text" in message:
                    heard(message["text"][:MOST_TEXT])

    def end(self, reason):
        with contextlib.suppress(OSError, http.client.HTTPException):  # then it ends by itself: nobody attaches
            self.server.ask("POST", "/api/end_session", {"session": self.id, "reason": reason}, timeout=5)


# --- the run ----------------------------------------------------------------------------------------------------------


def run(session, task, steps, pace, answers):
    """Plays an agent's run. A real agent would work where this one waits for the user."""
    session.emit("agent_started", task=task, steps=steps)
    for step in range(1, steps + 1):
        session.emit("agent_thinking", about=f"step {step} of {steps}")
        for kind, data in (("tool_executing", {"input": step}), ("tool_completed", {"output": step * step})):
            with contextlib.suppress(queue.Empty):
                answer = answers.get(timeout=pace)
                if answer is None:
                    raise Stopped
                if answer.strip().lower() == "cancel":
                    return session.emit("agent_completed", outcome="cancelled")
                session.emit("agent_thinking", about=f"you said: {answer}")
            session.emit(kind, tool="square", **data)
    return session.emit("agent_completed", outcome="done")


# --- the page ---------------------------------------------------------------------------------------------------------


def page_handler(session, websocket, over):
    """Serves the page, and tells it where the run can be seen."""
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self' {websocket}"
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10
        server_version, sys_version = "agent_events", ""

        def do_GET(self):
            name, kind = PAGES.get(self.path.split("?")[0], (None, None))
            if not name:
                return self.answer(404, b"no such page\n")
            return self.answer(200, (HERE / name).read_bytes(), kind)

        def do_POST(self):
            # The token lets its bearer see the run: another site's page may not have it, by whatever name it got here.
            host = urllib.parse.urlsplit("//" + self.headers.get("Host", "")).hostname
            origin = self.headers.get("Origin")
            if host not in ("127.0.0.1", "localhost") or origin not in (None, f"http://{self.headers['Host']}"):
                return self.answer(403, b"this is for the page of this server\n")
            if self.path != "/session":
                return self.answer(404, b"no such place\n")
            if over.is_set():
                return self.answer(410, b"the run is over\n")
            made = session.new_token()
            if not made:
                return self.answer(503, b"the session is not there just now; come again\n")
            place = {"url": websocket, "run": session.name, "session": made[0], "token": made[1]}
            return self.answer(200, json.dumps(place).encode(), "application/json")

        def answer(self, status, body, kind="text/plain"):
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", policy)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):  # what is of interest is told by the session
            pass

    return Handler


# --- the program ------------------------------------------------------------------------------------------------------


def number(low, high, kind):
    def parse(text):
        with contextlib.suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        raise argparse.ArgumentTypeError(f'"{text}": give {low} to {high}')

    return parse


def url(example):
    def parse(text):
        with contextlib.suppress(ValueError):  # of a port that is none
            parts = urllib.parse.urlsplit(text)
            if parts.scheme == urllib.parse.urlsplit(example).scheme and parts.hostname and parts.port != 0:
                return text.rstrip("/")
        raise argparse.ArgumentTypeError(f'"{text}": give such as {example}')

    return parse


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--server", type=url("http://127.0.0.1:8001"), default="http://127.0.0.1:8001", help="its internal API [%(default)s]")
    parser.add_argument("--token-file", type=pathlib.Path, help="a file with the internal API's token, if it has one")
    parser.add_argument("--websocket", type=url("ws://127.0.0.1:8000/ws"), default="ws://127.0.0.1:8000/ws",
                        help="where browsers reach the server [%(default)s]")  # fmt: skip
    parser.add_argument("--port", type=number(0, 65535, int), default=8080,
                        help="of the page, on 127.0.0.1; 0: a free one [%(default)s]")  # fmt: skip
    parser.add_argument("--task", default="square some numbers", help="what the agent is asked to do [%(default)s]")
    parser.add_argument("--steps", type=number(1, 300, int), default=20, help="of the run [%(default)s]")
    parser.add_argument("--pace", type=number(0.01, 60, float), default=1.0, help="seconds between events [%(default)s]")
    parser.add_argument("--keep", type=number(1, 1024, int), default=1024,
                        help="events that the server keeps for who comes back; try 3 to see a gap [%(default)s]")  # fmt: skip
    parser.add_argument("--patience", type=number(0.1, 3600, float), default=60.0,
                        help="seconds that the server may be away [%(default)s]")  # fmt: skip
    parser.add_argument("--linger", type=number(0.1, 3600, float), default=120.0,
                        help="seconds that the end of the run waits for somebody to have seen it [%(default)s]")  # fmt: skip
    return parser.parse_args()


def work(options, session, answers, over):
    """The run from its first event to its end."""

    def hear(text):
        if answers.qsize() < MOST_ANSWERS:
            answers.put(text)

    session.spawn()
    threading.Thread(target=session.listen, args=(hear, over), daemon=True).start()
    run(session, options.task, options.steps, options.pace, answers)
    say(f"the run is over after {len(session.log)} events; waiting until somebody has seen it")
    seen = session.wait_until_acked(options.linger)
    over.set()
    session.end("the run is over")
    say("the run is over and was seen" if seen else f"the run is over; nobody saw its end in {options.linger:g} s")


def main():
    options = arguments()
    stopping, over = threading.Event(), threading.Event()
    answers = queue.SimpleQueue()  # whose put a signal handler may call

    def stop(*_):
        stopping.set()
        answers.put(None)

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, stop)
    token = options.token_file.read_text(encoding="utf-8").strip() if options.token_file else ""
    server = Fairlead(options.server, token, options.patience, stopping)
    session = Session(server, f"run-{secrets.token_hex(4)}", {"max_messages": options.keep})
    try:
        handler = page_handler(session, options.websocket, over)
        page = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), handler)
    except OSError as error:
        raise Fault(f"127.0.0.1:{options.port}: {error.strerror}; give another --port") from error
    page.daemon_threads = True
    threading.Thread(target=page.serve_forever, daemon=True).start()
    print(f"the page is at http://127.0.0.1:{page.server_port}/", flush=True)
    with contextlib.suppress(Stopped):
        work(options, session, answers, over)
        stopping.wait()  # the page can still be looked at
    if not over.is_set():
        over.set()
        session.end("the backend stops")
    page.shutdown()


if __name__ == "__main__":
    try:
        main()
    except (Fault, OSError) as error:
        sys.exit(f"backend.py: {error}")
