"""Who may include whom: the layers of the design, checked line by line.

    check.py ROOT                 prints every breach as file:line: text -- rule; exit 1 if there is one
    check.py ROOT --expect FILE   the check's own test: exit 0 only if it finds exactly what FILE lists
"""

import argparse
import pathlib
import re
import sys

FOLDERS = ("protocol", "net", "actors", "service", "tests", "bench", "examples", "cmake")

STANDARD = set(
    """algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes
    climits clocale cmath codecvt compare complex concepts condition_variable coroutine csetjmp csignal cstdarg
    cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque exception execution filesystem format
    forward_list fstream functional future initializer_list iomanip ios iosfwd iostream istream iterator latch
    limits list locale map memory memory_resource mutex new numbers numeric optional ostream queue random ranges
    ratio regex scoped_allocator semaphore set shared_mutex source_location span sstream stack stdexcept stop_token
    streambuf string string_view strstream syncstream system_error thread tuple type_traits typeindex typeinfo
    unordered_map unordered_set utility valarray variant vector version""".split()
)
THREADS = {
    "thread", "mutex", "shared_mutex", "condition_variable", "future", "stop_token", "semaphore", "latch", "barrier",
}  # fmt: skip


def starts(*prefixes):
    return lambda path: path.startswith(prefixes)


def other_than(*prefixes):
    """One of our folders, but none of these."""
    ours = tuple(f + "/" for f in FOLDERS if f + "/" not in prefixes)
    return lambda path: path.startswith(ours)


def installed(*allowed):
    """Neither the standard library nor any of `allowed`."""
    return lambda path: path not in STANDARD and not path.startswith(allowed)


# folder -> (what an include must not be, the rule it breaks). The longest folder that fits a file decides.
INCLUDES = {
    "include/fairlead": [
        (starts("boost/"), "public headers show no Boost type"),
        (starts("caf/", "fairlead/caf/"), "only include/fairlead/caf/ shows CAF types"),
        (other_than(), "public headers include no internal header"),
        (installed("boost/", "caf/", "fairlead/", *(f + "/" for f in FOLDERS)),
         "public headers need the standard library alone"),
    ],
    "include/fairlead/caf": [
        (starts("boost/"), "public headers show no Boost type"),
        (other_than(), "public headers include no internal header"),
    ],
    "protocol": [
        (lambda path: path in THREADS, "protocol has no threads"),
        (starts("fairlead/server.hpp", "fairlead/caf/"), "protocol is below the server and knows nothing of it"),
        (installed("protocol/", "fairlead/"),
         "protocol includes the standard library, itself and the public vocabulary alone"),
    ],
    "net": [
        (starts("caf/", "fairlead/caf/"), "net never includes CAF"),
        (other_than("net/", "protocol/"), "net may include protocol alone"),
    ],
    "actors": [
        (starts("boost/asio", "boost/beast"), "actors never include Asio or Beast"),
        (other_than("actors/", "protocol/"), "actors may include protocol alone"),
    ],
    "service": [
        (other_than("service/", "actors/", "net/", "protocol/"), "service includes the modules alone"),
    ],
    "examples": [
        (starts("boost/asio", "boost/beast"), "an embedder needs no Asio or Beast"),
        (other_than("examples/"), "examples include public headers alone"),
    ],
}  # fmt: skip

# folder -> (what its code must not say, the rule it breaks)
CODE = {
    "protocol": [(re.compile(r"::\s*now\s*\("), "protocol reads no clock: time is an argument")],
}

COMMENT_OR_LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def blank(text, keep_literals):
    """The text without comments (and literals), every line still where it was."""

    def without(match):
        found = match.group()
        if found[0] in "\"'" and keep_literals:
            return found
        return "\n" * found.count("\n") if found[0] == "/" else found[0] * 2

    return COMMENT_OR_LITERAL.sub(without, text)


def breaches(root, file):
    name = file.relative_to(root).as_posix()
    folder = max((f for f in INCLUDES if name.startswith(f + "/")), key=len)
    text = file.read_text(encoding="utf-8")
    for number, line in enumerate(blank(text, keep_literals=True).splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        path = found.group(2)
        rules = [rule for broken, rule in INCLUDES[folder] if broken(path)]
        if found.group(1) == '"' and not path.startswith(tuple(f + "/" for f in FOLDERS)):
            rules.append("our headers are included by their path from the root")
        for rule in rules:
            yield f"{name}:{number}: {line.strip()} -- {rule}"
    for number, line in enumerate(blank(text, keep_literals=False).splitlines(), 1):
        for pattern, rule in CODE.get(folder, []):
            if pattern.search(line):
                yield f"{name}:{number}: {line.strip()} -- {rule}"


def main():
    options = argparse.ArgumentParser(description="checks who may include whom")
    options.add_argument("root", type=pathlib.Path)
    options.add_argument("--expect", type=pathlib.Path)
    options = options.parse_args()

    files = sorted(
        file
        for folder in INCLUDES
        if "/caf" not in folder  # it lies in include/fairlead
        for file in (options.root / folder).rglob("*")
        if file.suffix in {".hpp", ".cpp", ".ipp", ".h"}
    )
    found = [breach for file in files for breach in breaches(options.root, file)]
    if not options.expect:
        print(*found, f"{len(files)} files, {len(found)} breaches of the layers", sep="\n")
        return 1 if found or not files else 0

    expected = options.expect.read_text(encoding="utf-8").splitlines()
    missed = [line for line in expected if line not in found]
    invented = [line for line in found if line not in expected]
    for what, lines in ("not found", missed), ("not expected", invented):
        for line in lines:
            print(f"{what}: {line}")
    return 1 if missed or invented or not expected else 0


if __name__ == "__main__":
    sys.exit(main())
