"""README.md's embedding example does what it says, for who copies it as it stands: CMake block and C++ block."""

import argparse
import asyncio
import pathlib
import shutil
import signal
import subprocess
import sys

import websockets

from markdown import blocks


def run(*command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"exit {done.returncode} from {' '.join(map(str, command))}\n{done.stdout}")


def build(options):
    text = options.readme.read_text(encoding="utf-8")
    (_, cmake), (_, cpp) = blocks(text, "cmake")[0], blocks(text, "cpp")[0]
    assert '"127.0.0.1:9000"' in cpp, "the example listens on a port that this test replaces"
    source = options.work / "source"
    shutil.rmtree(options.work, ignore_errors=True)
    source.mkdir(parents=True)
    (source / "CMakeLists.txt").write_text(cmake, encoding="utf-8")
    (source / "main.cpp").write_text(cpp.replace("127.0.0.1:9000", "127.0.0.1:0"), encoding="utf-8")

    prefix = options.work / "prefix"
    run(options.cmake, "--install", options.build, "--prefix", prefix)
    defines = [f"-D{define}" for define in options.define]
    run(options.cmake, "-S", source, "-B", options.work / "build", *defines, f"-DCMAKE_PREFIX_PATH={prefix}")
    run(options.cmake, "--build", options.work / "build")
    return options.work / "build" / "app"


async def talk(url):
    async with websockets.connect(url) as ann, websockets.connect(url) as bob:
        await ann.send("hello")
        assert await bob.recv() == "hello", "everyone else gets it"
        assert await ann.recv() == "passed on", "the sender gets the answer and not its own message"
        await bob.send("hello back")
        assert await ann.recv() == "hello back"
        return ann, bob


async def shut_down(url, app):
    async with websockets.connect(url) as client:
        await client.send("still there")
        assert await client.recv() == "passed on"  # so it is open: one that never was is not said to have ended
        app.send_signal(signal.SIGTERM)
        try:
            await client.recv()
        except websockets.ConnectionClosed:
            pass
        assert client.close_code == 1001, client.close_code


def main():
    options = argparse.ArgumentParser()
    for name in "readme", "build", "work":
        options.add_argument(f"--{name}", type=pathlib.Path, required=True)
    options.add_argument("--cmake", required=True)
    options.add_argument("--define", action="append", default=[])
    program = build(options := options.parse_args())

    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as app:
        try:
            url = app.stdout.readline().strip()
            asyncio.run(asyncio.wait_for(talk(url), 30))
            asyncio.run(asyncio.wait_for(shut_down(url, app), 30))
            said, _ = app.communicate(timeout=30)
            assert app.returncode == 0, app.returncode
            assert "ended: 1000" in said and "ended: 1001" in said, said
        finally:
            if app.poll() is None:
                app.kill()


main()
