"""Compare the binary interface that the C headers declare with that of an earlier revision, by abidiff of libabigail.

    python .ci/compare_abi.py [REVISION]

Without REVISION, the earlier revision is the last tag of a version. If there is none, it is the commit that added the
record of this ABI's number (tests/cpp/abi_N.txt). A compiler lays out the types of both revisions, so this also finds
changes that the text of a declaration does not show, such as another value of a macro. Ends with abidiff's report if a
program that was built with the earlier headers would break. Says "not compared" with the reason if a tool or the
earlier revision is missing here, or the number of the ABI has changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import abi  # noqa: E402

HEADERS = "cpp/include/mpscnn"
COMPILER = os.environ.get("CC", "cc")
#: The bits of abidiff's exit status that mean an error, and those that mean a change of the interface.
FAILED, CHANGED = 1 | 2, 4 | 8


def not_compared(reason: str) -> None:
    """Exit with success, and say why nothing was compared."""
    print(f"not compared: {reason}")
    sys.exit(0)


def git(*arguments: str) -> str:
    """Return what a command of git prints, or an empty string if it fails."""
    answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def earlier_revision() -> str:
    """Return the last tag before this commit, or the commit that began the record of this ABI, or an empty string."""
    record = abi.record_of(abi.abi_version()).relative_to(ROOT)
    began = git("log", "--format=%H", "--diff-filter=A", "--", str(record)).split()
    # The release of a tag is compared with the release before it.
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    return tag or (began[-1] if began else "")


def headers_of(revision: str, folder: Path) -> Path:
    """Write the headers of a revision below `folder`, and return their folder."""
    target = folder / "earlier"
    (target / "mpscnn").mkdir(parents=True)
    for path in git("ls-tree", "--name-only", revision, f"{HEADERS}/").split():
        (target / "mpscnn" / Path(path).name).write_text(git("show", f"{revision}:{path}"), "utf-8")
    return target / "mpscnn"


def declarations_in(headers: Path) -> dict[str, str]:
    """Return what the C headers of a folder declare."""
    lines: dict[str, str] = {}
    for path in headers.glob("*.h"):
        if path.name not in abi.LEFT_OUT:
            lines |= abi.declarations_in(path.read_text("utf-8"))
    return lines


def without_added_fields(before: Path, now: Path, folder: Path) -> Path:
    """Write the headers `now` below `folder`, and return their folder. Structs lack the fields added since `before`.

    Structs that begin with their own size may get fields at their end, which abidiff would report.
    """
    counts = {
        name.removeprefix("struct "): line.count(";") + 1
        for name, line in declarations_in(before).items()
        if name.startswith("struct ") and line.startswith("size_t size")
    }

    def cut(found: re.Match[str]) -> str:
        fields = found[2].split(";")[: counts.get(found[1])]
        return f"typedef struct {found[1]} {{{';'.join(fields)};}}"

    target = folder / "now" / "mpscnn"
    target.mkdir(parents=True)
    for path in now.glob("*.h"):
        text = re.sub(r"/\*.*?\*/", " ", path.read_text("utf-8"), flags=re.DOTALL)
        text = re.sub(r"typedef struct (\w+) \{(.*?)\}", cut, text, flags=re.DOTALL)
        (target / path.name).write_text(text, "utf-8")
    return target


def interface_library(headers: Path, library: Path) -> None:
    """Compile a shared library with all functions that the headers declare. The functions do nothing."""
    names = sorted(path.name for path in headers.glob("*.h") if path.name not in abi.LEFT_OUT)
    includes = [f'#include "{headers / name}"' for name in names]
    bodies = [
        f"{line} {{ __builtin_trap(); }}"
        for name, line in declarations_in(headers).items()
        if name.startswith("function ")
    ]
    source = library.with_suffix(".c")
    source.write_text("\n".join((*includes, *bodies, "")), "utf-8")
    options = ("-std=c11", "-g", "-O0", "-w", "-shared", "-fPIC", f"-I{headers.parent}")
    subprocess.run([COMPILER, *options, "-o", str(library), str(source)], check=True)


def compare(before: Path, now: Path) -> str:
    """Return abidiff's report of the changes that break programs, or an empty string. Both are folders of headers."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        libraries = [str(folder / "before.so"), str(folder / "now.so")]
        for headers, library in zip(
            (before, without_added_fields(before, now, folder)), libraries, strict=True
        ):
            interface_library(headers, Path(library))
        command = ["abidiff", "--no-added-syms", "--no-show-locs", *libraries]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode & FAILED:
            sys.exit(f"abidiff failed: {answer.stdout}{answer.stderr}")
        return answer.stdout if answer.returncode & CHANGED else ""


def main(revision: str = "") -> None:
    """Compare the headers of this tree with those of a revision."""
    for program in ("abidiff", COMPILER, "git"):
        if shutil.which(program) is None:
            not_compared(f"this machine has no {program}")
    revision = revision or earlier_revision()
    if not revision:
        not_compared("git knows neither a tag of a version nor the beginning of the ABI's record")
    with tempfile.TemporaryDirectory() as folder:
        before = headers_of(revision, Path(folder))
        if f"MPSCNN_ABI_VERSION {abi.abi_version()}\n" not in (before / "mpscnn.h").read_text("utf-8"):
            not_compared(f"{revision} has an ABI of another number")
        if report := compare(before, ROOT / HEADERS):
            sys.exit(f"programs that were built with the headers of {revision} would break:\n{report}")
    print(f"programs that were built with the headers of {revision} run with these")


if __name__ == "__main__":
    main(*sys.argv[1:])
