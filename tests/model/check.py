"""Checks the model of a connection's two gates with spin: see docs/why-it-is-safe.md.

    check.py                    the model, exhaustively, then its mutants, each of which must be found violating
    check.py --senders 3        a larger one (minutes, gigabytes)
    check.py --pictures         the mutants' traces, as docs/why-it-is-safe.md shows them
    check.py --transitions EXE  whether transitions.pml is what the code's machine does
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SAFETY = HERE.parents[1] / "docs" / "why-it-is-safe.md"
TABLE = HERE / "transitions.pml"
# What is taken away, and what the shortest way to a violation is looked for in.
MUTANTS = {
    "NO_SEAL": ("ONLY_DATA",),
    "NO_CLOSING_STATE": (),
    "REPLY_PASSES_QUEUE": ("ONLY_DATA",),
    "NO_DEADLINE": (),
    "MAILBOX_DROPS": (),
}


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=1200)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Run:
    """One search through the model's states."""

    def __init__(self, folder, defines, shortest):
        self.folder = pathlib.Path(folder)
        self.defines = [f"-D{define}" for define in defines]
        for source in HERE.glob("*.pml"):  # spin writes beside its sources
            shutil.copy(source, self.folder)
        run("spin", *self.defines, "-a", "connection.pml", cwd=self.folder)
        search = ["-DBFS"] if shortest else ["-DCOLLAPSE"]
        # Not optimised: gcc would take a minute over what then runs for seconds.
        run("gcc", "-O0", "-w", "-DSAFETY", "-DVECTORSZ=4096", *search, "-o", "pan", "pan.c", cwd=self.folder)
        # Without the judge, the end of all there is to do is no finding.
        ends = ["-E"] if "ONLY_DATA" in defines else []
        report = run("./pan", "-m1000000", *ends, cwd=self.folder)
        self.states = int(re.search(r"^ *(\d+) states, stored", report, re.M).group(1))
        self.errors = int(re.search(r"errors: (\d+)", report).group(1))
        self.complete = "Search not completed" not in report and "max search depth too small" not in report

    def trace(self):
        told = run("spin", *self.defines, "-t", "connection.pml", cwd=self.folder)
        steps = re.findall(r"^ *([a-z]+: +.*)$", told, re.M)
        return "\n".join(step for step in steps if not step.startswith("spin:"))


def check_table(program):
    printed = run(program, cwd=HERE)
    if printed != TABLE.read_text():
        sys.exit(f"{TABLE.name} is not what the machine does: look at the difference, then {program} > {TABLE}")
    print(f"{printed.count('RULE(') - 1} transitions are the code's")


def check_mutant(name, aims, pictures):
    with tempfile.TemporaryDirectory() as folder:
        found = Run(folder, [name, *aims], shortest=True)
        if found.errors == 0:
            sys.exit(f"{name}: nothing was found in {found.states} states, so the model cannot see what it is for")
        picture = found.trace()
    if pictures:
        print(f"{name}\n{picture}\n")
        return
    if picture not in SAFETY.read_text():
        sys.exit(f"{name}: docs/{SAFETY.name} has another trace than\n{picture}")
    print(f"{name}: found violating after {found.states} states; the picture in docs/{SAFETY.name} is it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--sends", type=int, default=2, help="of each sender [2]")
    parser.add_argument("--backlog", type=int, default=3, help="messages in the mailbox at a time [3]")
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--transitions", metavar="EXE")
    args = parser.parse_args()
    if args.transitions:
        return check_table(args.transitions)
    if not args.pictures:
        with tempfile.TemporaryDirectory() as folder:
            sizes = (f"SENDERS={args.senders}", f"SENDS={args.sends}", f"BACKLOG={args.backlog}")
            whole = Run(folder, sizes, shortest=False)
            if whole.errors:
                sys.exit(f"the model is violated:\n{whole.trace()}")
            if not whole.complete:
                sys.exit("the search was not exhaustive")
        print(f"{', '.join(sizes)}: {whole.states} states, all of them; nothing is violated")
    for name, aims in MUTANTS.items():
        check_mutant(name, aims, args.pictures)


main()
