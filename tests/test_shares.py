"""Compare the lines of code and tests of formats and programs with the table of docs/shares.md and its limit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "shares.md"
LARGEST_SHARE = 1.5
ROWS = re.findall(
    r"^\| ([^|]+) \| (`[^|]+) \| (`[^|]+) \| ([\d,]+) \| ([\d,]+) \|$", PAGE.read_text("utf-8"), re.M
)


def files(places: str) -> Iterator[Path]:
    for place in re.findall(r"`([^`]+)`", places):
        found = list(PROJECT.glob(place))
        assert found, f"{place} of docs/shares.md does not exist"
        for path in found:
            yield from path.rglob("*") if path.is_dir() else [path]


def lines(places: str) -> int:
    sources = {path for path in files(places) if path.is_file() and path.suffix not in {".pyc", ".woff2"}}
    return sum(len(path.read_bytes().splitlines()) for path in sources)


@pytest.mark.parametrize(("part", "code", "tests", "code_lines", "test_lines"), ROWS)
def test_shares(part: str, code: str, tests: str, code_lines: str, test_lines: str) -> None:
    counts = lines(code), lines(tests)
    stated = int(code_lines.replace(",", "")), int(test_lines.replace(",", ""))
    for count, number in zip(counts, stated, strict=True):
        assert abs(count - number) <= max(100, count / 5), (
            f"{part} has {count} lines, and docs/shares.md says {number}"
        )
    assert counts[1] <= LARGEST_SHARE * counts[0], (
        f"the tests of {part} are too long: {counts[1]} lines for {counts[0]}"
    )


def test_every_format_and_program_has_a_row() -> None:
    """A folder is listed if it is one of the places of a row, or is in a folder that is one."""
    listed = {path for row in ROWS for path in files(row[1])}
    for folder in ("python/mpscnn/converters", "python/mpscnn/apps"):
        for path in (PROJECT / folder).glob("*/__init__.py"):
            assert path in listed, f"docs/shares.md has no row for {path.parent.name}"
