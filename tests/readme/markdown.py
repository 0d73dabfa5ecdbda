"""The code blocks of a Markdown file."""

import re

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text, language=None):
    """(language, code) of each fenced block, in order."""
    return [found for found in FENCE.findall(text) if language in (None, found[0])]


def commands(text):
    """The command lines of all `sh` blocks; one that ends with a backslash goes on in the next line."""
    for _, code in blocks(text, "sh"):
        for line in code.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield line.strip()
