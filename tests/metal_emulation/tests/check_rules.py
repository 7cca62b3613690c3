"""Check that the emulation's tests break every rule that it knows.

    python check_rules.py FOLDER BROKEN

FOLDER holds the emulation's sources. BROKEN is the file of broken rules that the emulation wrote, which
METAL_EMULATION_BROKEN_RULES names. The exit status is 1 if a rule was never broken, since then nothing shows that it
works.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
#: Texts that begin like this describe limits of the emulation, not rules of Apple.
LIMIT = "the emulation "
#: A shader's fault, whose text is in shading_language/, and a rule that command buffers keep by retaining objects.
EXEMPT = {"%s", "%s is deallocated while the device works with it"}


def arguments_of(text: str, begin: int) -> str:
    """Return the text between the parenthesis before `begin` and the one that closes it."""
    depth, position = 1, begin
    while depth > 0:
        literal = STRING.match(text, position)
        if literal:
            position = literal.end()
            continue
        depth += (text[position] == "(") - (text[position] == ")")
        position += 1
    return text[begin : position - 1]


def rules_of(text: str) -> Iterator[str]:
    """Yield the formats of all violations that a source reports."""
    joined = re.sub(r'"\s*\n\s*"', "", text)
    for call in re.finditer(r"\b(METAL_EXPECT|violation)\s*\(", joined):
        literal = STRING.search(arguments_of(joined, call.end()))
        if literal:
            yield literal[1].replace('\\"', '"')


def main() -> int:
    """Read the command line, and print the rules that no test broke."""
    folder, broken = Path(sys.argv[1]), set(Path(sys.argv[2]).read_text("utf-8").splitlines())
    sources = (
        path
        for part in ("metal", "mps", "core_video", "core_ml")
        for path in sorted((folder / part).rglob("*.mm"))
    )
    missing = [
        f"{source.relative_to(folder)}: no test breaks {rule!r}"
        for source in sources
        for rule in rules_of(source.read_text("utf-8"))
        if rule not in broken and rule not in EXEMPT and not rule.startswith(LIMIT)
    ]
    print(*missing, sep="\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
