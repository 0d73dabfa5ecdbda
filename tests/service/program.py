"""Runs programs of ours for tests: start, read the address that they print, stop, look at how they ended."""

import re
import signal
import subprocess
import threading

PATIENCE = 30  # seconds for anything that should happen at once


class Program:
    """A program that prints where to connect and serves until a signal. Its standard error is kept; while `listening` is
    clear, nobody reads it."""

    def __init__(self, *command, **how):
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how
        )
        self.printed = ""
        self.errors = ""
        self.listening = threading.Event()
        self.listening.set()
        self._reader = threading.Thread(target=self._read_errors)
        self._reader.start()

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors += line
            self.listening.wait()

    def find(self, pattern):
        """Reads standard output until a line has this; returns the first group."""
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            while not (found := re.search(pattern, self.printed)):
                line = self.process.stdout.readline()
                if not line:
                    raise AssertionError(f"{pattern!r} was never printed:\n{self.printed}\n{self.errors}")
                self.printed += line
            return found.group(1)
        finally:
            watchdog.cancel()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        """Waits for the end and returns the exit code."""
        try:
            code = self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.listening.set()
            self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.listening.set()
        self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
