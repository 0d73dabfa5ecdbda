"""Starting, pinning and stopping the processes of a run. Each is stopped by its own id, whatever happens."""

import contextlib
import ctypes
import json
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass

READY_SECONDS = 15
STOP_SECONDS = 10
LOAD_TIMEOUT = 60
INTERNAL = re.compile(r"(http://127\.0\.0\.1:\d+)/debug/tree")
ADDRESS = re.compile(r"(?:ws://|listening on )127\.0\.0\.1:(\d+)")
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """A run that could not be completed; the message says why."""


@dataclass(frozen=True)
class Running:
    pid: int
    port: int
    printed: str  # by the time it listened

    def counter(self, sample):
        """What Fairlead's /metrics says under this name, labels included."""
        base = INTERNAL.search(self.printed)
        if not base:
            raise BenchError("the server prints no address of /metrics, which this scenario needs")
        try:
            with urllib.request.urlopen(f"{base.group(1)}/metrics", timeout=STOP_SECONDS) as answer:
                lines = answer.read().decode().splitlines()
        except OSError as error:
            raise BenchError(f"{base.group(1)}/metrics: {error}") from error
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{sample} ")), 0.0)


def _in_child(core):
    """What a child does before it becomes the program: its core, its descriptors, and to end when the driver dies."""

    def prepare():
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if core is not None:
            os.sched_setaffinity(0, {core})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return prepare


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command_of(template, mode, threads):
    """The words of a command, and its port when the template asks to be told one."""
    port = free_port() if "{port}" in template else None
    words = template.replace("{port}", str(port)).replace("{mode}", mode).replace("{threads}", str(threads))
    return shlex.split(words), port


@contextlib.contextmanager
def server(template, mode, threads, core):
    """Runs a server and gives it once it listens. Its output goes to a file: a pipe might fill up."""
    words, port = command_of(template, mode, threads)
    with tempfile.TemporaryFile("w+b") as output:
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       start_new_session=True, preexec_fn=_in_child(core))
        except OSError as error:
            raise BenchError(f"cannot start {words[0]}: {error.strerror}") from error
        try:
            yield Running(process.pid, _wait_until_ready(process, port, output), _read(output))
            if process.poll() is not None:
                raise BenchError(f"{words[0]} ended by itself with {process.returncode}:\n{_tail(output)}")
        except BenchError as error:
            raise BenchError(f"{error}\n--- the last lines of {words[0]}:\n{_tail(output)}") from error
        finally:
            _stop(process)


def _wait_until_ready(process, port, output):
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"the server ended at once with {process.returncode}")
        if port is None:
            found = ADDRESS.search(_read(output))
            if found:
                return int(found.group(1))
        else:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return port
        time.sleep(0.02)
    raise BenchError(f"the server did not say where it listens (ws://127.0.0.1:PORT/...) within {READY_SECONDS} s")


def _read(output):
    # pread leaves the position alone, which the server's own writes share
    return os.pread(output.fileno(), 1 << 16, 0).decode(errors="replace")


def _tail(output, lines=12):
    size = os.fstat(output.fileno()).st_size
    text = os.pread(output.fileno(), 1 << 14, max(0, size - (1 << 14))).decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def _stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def run_load(program, arguments, pid, port, path, core):
    """Runs the load generator against a server and gives its report."""
    words = [program, *arguments, "--pid", str(pid), "--port", str(port), "--path", path,
             "--timeout", str(LOAD_TIMEOUT)]
    try:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, start_new_session=True, preexec_fn=_in_child(core))
    except OSError as error:
        raise BenchError(f"cannot start {program}: {error.strerror}") from error
    try:
        out, err = process.communicate(timeout=LOAD_TIMEOUT + 15)
    except subprocess.TimeoutExpired as error:
        raise BenchError("the load generator did not end in time") from error
    finally:
        _stop(process)
    try:  # a report with faults in it comes with exit code 1, and is still a report
        return json.loads(out)
    except ValueError:
        raise BenchError(err.strip() or f"the load generator ended with {process.returncode}") from None
