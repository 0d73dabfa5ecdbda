"""A simulation that dies names its seed, and with --seed its trace is out by then."""

import re
import subprocess
import sys

program = sys.argv[1]


def run(*arguments):
    # Nobody needs the core files.
    command = ["sh", "-c", 'ulimit -c 0; exec "$0" "$@"', program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def expect(good, what, result):
    if not good:
        sys.exit(f"{what}\n--- exit code {result.returncode}\n{result.stdout}\n---\n{result.stderr}")


for how in "abort", "fault", "throw":
    result = run("--first", "3", "--seeds", "5", "--steps", "80", "--crash-in", "5", "--crash-by", how)
    expect(result.returncode != 0, f"{how}: it should have died", result)
    expect("seed 5 " in result.stderr, f"{how}: the seed is not named", result)
    again = re.search(r"\./dev simulate (.*--seed 5)$", result.stderr, re.MULTILINE)
    expect(again, f"{how}: it does not say how to run it again", result)

    result = run(*again[1].split(), "--crash-in", "5", "--crash-by", how)
    expect(result.returncode != 0, f"{how}: run again, it should have died", result)
    expect("seed 5 " in result.stderr, f"{how}: run again, the seed is not named", result)
    steps = [int(line.split()[0]) for line in result.stdout.splitlines()]
    expect(steps and steps[-1] == 39, f"{how}: the trace does not go to where it died", result)
