"""Measure the disk space of an engine: its own files, and those of the packages that it requires.

    python benchmarks/sizes.py [--path DIRECTORY]... [PACKAGE...]

Prints a Markdown table of the packages that are installed, in MB of 1,000,000 bytes; `--path` adds directories with
packages to those of this Python.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from harness import table_head, table_row
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ENGINES = ("mpscnn", "ai-edge-litert", "ncnn", "mnn", "onnxruntime", "openvino", "torch", "tensorflow")


def installed(paths: list[str]) -> dict[str, Distribution]:
    """Return the installed packages by name. If a package is installed twice, the first one is returned."""
    found: dict[str, Distribution] = {}
    for entry in distributions(path=paths):
        found.setdefault(canonicalize_name(entry.metadata["Name"]), entry)
    return found


def size_of(entry: Distribution) -> int:
    """Return the bytes of a package's installed files, without files that Python compiled later."""
    files = (Path(str(file.locate())) for file in entry.files or () if file.suffix != ".pyc")
    return sum(file.stat().st_size for file in files if file.is_file())


def with_requirements(name: str, packages: dict[str, Distribution]) -> tuple[set[str], set[str]]:
    """Return the installed packages among this one and all that it requires (without extras), and the missing ones."""
    taken: set[str] = set()
    missing: set[str] = set()
    wanted = [name]
    while wanted:
        one = canonicalize_name(wanted.pop())
        if one in taken or one in missing:
            continue
        if one not in packages:
            missing.add(one)
            continue
        taken.add(one)
        for requirement in map(Requirement, packages[one].requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    return taken, missing


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", action="append", default=[], help="a directory with packages")
    parser.add_argument("packages", nargs="*", default=ENGINES)
    options = parser.parse_args()
    packages = installed([*options.path, *sys.path])
    rows = []
    for name in map(canonicalize_name, options.packages):
        if name not in packages:
            print(f"{name} is not installed", file=sys.stderr)
            continue
        closure, missing = with_requirements(name, packages)
        whole = sum(size_of(packages[one]) for one in closure)
        requires = [*sorted(closure - {name}), *(f"{one} (not counted)" for one in sorted(missing))]
        rows.append((size_of(packages[name]), name, whole, ", ".join(requires)))
    print(table_head("package", "MB", "MB with what it requires", "requires"))
    for own, name, whole, others in sorted(rows):
        entry = f"{name} {packages[name].version}"
        print(table_row((entry, f"{own / 1e6:.1f}", f"{whole / 1e6:.1f}", others or "nothing")))


if __name__ == "__main__":
    main()
