"""Whether the emulation's tests broke every rule that it knows.

    python check_rules.py FOLDER BROKEN

FOLDER holds the emulation's sources, BROKEN the rules that tests broke, as the emulation wrote them where
METAL_EMULATION_BROKEN_RULES told it to. Ends with 1 if a rule is missing, since nothing shows then that it bites.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
#: What the emulation does not have, in words that begin so, is not a rule of Apple's.
LIMIT = "the emulation "
#: A shader's fault, whose text is in shading_language/; and what a command buffer prevents by keeping what it uses.
EXEMPT = {"%s", "%s is deallocated while the device works with it"}


def arguments_of(text: str, begin: int) -> str:
    """What lies between the parenthesis before `begin` and the one that closes it."""
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
    """The formats of all violations that a source reports."""
    joined = re.sub(r'"\s*\n\s*"', "", text)
    for call in re.finditer(r"\b(METAL_EXPECT|violation)\s*\(", joined):
        literal = STRING.search(arguments_of(joined, call.end()))
        if literal:
            yield literal[1].replace('\\"', '"')


def main() -> int:
    """Reads the command line."""
    folder, broken = Path(sys.argv[1]), set(Path(sys.argv[2]).read_text("utf-8").splitlines())
    sources = (
        path for part in ("metal", "mps", "core_video") for path in sorted((folder / part).rglob("*.mm"))
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
