"""Read the functions, structs, enumerations and handlers that the C headers declare, one line for each.

The record of an ABI number keeps these lines, so that tests find changes that break existing programs. This adds new
declarations to the record: python tests/abi.py
"""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
HEADERS = PROJECT / "cpp" / "include" / "mpscnn"
#: metal.h declares its types differently on macOS.
LEFT_OUT = {"metal.h"}

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|.)*$", re.MULTILINE)
_FUNCTION = re.compile(r"MPSCNN_API\s+([^;{]+?);")
_STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\}\s*\w+;", re.DOTALL)
_ENUMERATION = re.compile(r"(?:typedef )?enum (\w+)?\s*\{(.*?)\}", re.DOTALL)
_HANDLER = re.compile(r"typedef (?!struct\b|enum\b)([^;]+\(\*\w+\)[^;]*);")


def abi_version() -> str:
    """Return the ABI number in mpscnn.h."""
    found = re.search(r"^#define MPSCNN_ABI_VERSION (\d+)$", (HEADERS / "mpscnn.h").read_text("utf-8"), re.M)
    assert found is not None
    return found[1]


def record_of(number: str) -> Path:
    """Return the path of the record of an ABI number."""
    return PROJECT / "tests" / "cpp" / f"abi_{number}.txt"


def declarations() -> dict[str, str]:
    """Return the declarations in all headers. A key is the kind and name of a declaration, its value is a line."""
    lines: dict[str, str] = {}
    for header in sorted(HEADERS.glob("*.h")):
        if header.name not in LEFT_OUT:
            lines |= declarations_in(header.read_text("utf-8"))
    return lines


def declarations_in(text: str) -> dict[str, str]:
    """Return the declarations in the text of a header."""
    text = _DIRECTIVE.sub("", _COMMENT.sub(" ", text))
    text = re.sub(r"MPSCNN_UNLESS_SET\((?:[^()]|\([^()]*\))*\)", "", text)
    lines: dict[str, str] = {}
    for declared in _FUNCTION.findall(text):
        flat = _flat(declared)
        name = re.search(r"(\w+)\(", flat)
        assert name is not None, flat
        lines[f"function {name[1]}"] = flat
    for name, body in _STRUCT.findall(text):
        lines[f"struct {name}"] = "; ".join(filter(None, map(_flat, body.split(";"))))
    for name, body in _ENUMERATION.findall(text):
        values = [_flat(value) for value in body.split(",") if value.strip()]
        lines[f"enumeration {name or values[0].split()[0]}"] = ", ".join(values)
    for declared in _HANDLER.findall(text):
        name = re.search(r"\(\*(\w+)\)", declared)
        assert name is not None
        lines[f"handler {name[1]}"] = _flat(declared)
    return lines


def broken(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return messages about changed declarations that break programs which were built before.

    Structs that begin with their size may get more fields at their end, and enumerations more values.
    """
    faults = []
    for name, line in before.items():
        found = now.get(name)
        if found is None:
            faults.append(f"{name} is gone")
            continue
        end = {"enumeration": ", ", "struct": "; "}.get(name.split()[0], "")
        grows = name.startswith("enumeration") or line.startswith("size_t size")
        if found != line and not (grows and found.startswith(line + end)):
            faults.append(f"{name} was: {line}\n  and is: {found}")
    return faults


def read_record(number: str) -> dict[str, str]:
    """Return the declarations in the record of an ABI number."""
    lines = record_of(number).read_text("utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines)


def _flat(text: str) -> str:
    return re.sub(r"(?<![(\s])\s*\*\s*", " *", " ".join(text.split())).replace("* *", "**").strip()


def main() -> None:
    """Write the record of the current ABI number. If a recorded declaration has changed, end with an error."""
    number, now = abi_version(), declarations()
    if record_of(number).exists() and (faults := broken(read_record(number), now)):
        raise SystemExit("this needs a new MPSCNN_ABI_VERSION:\n" + "\n".join(faults))
    text = "".join(f"{name}: {line}\n" for name, line in sorted(now.items()))
    record_of(number).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
