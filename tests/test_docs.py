"""The examples of docs/ops run and print what they say."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

import mpscnn

PROJECT = Path(__file__).resolve().parent.parent
PAGES = sorted((PROJECT / "docs" / "ops").glob("*.md"))
FOLDERS = (
    ".ci",
    ".github",
    "benchmarks",
    "cmake",
    "cpp",
    "docs",
    "examples",
    "python",
    "shaders",
    "tests",
    "training",
)
SOURCE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*\.(?:c|cmake|cpp|h|hpp|md|metal|mm|py|pyi))`")


def test_there_are_pages() -> None:
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_print_what_they_say(page: Path) -> None:
    # The closing fence would be taken for output.
    text = page.read_text("utf-8").replace("```\n", "\n")
    test = doctest.DocTestParser().get_doctest(text, {"mpscnn": mpscnn, "np": np}, page.stem, str(page), 0)
    assert test.examples, f"{page.name} has no example"
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=options).run(test, out=report.append)
    assert result.failed == 0, "".join(report)


def test_files_that_documents_name_are_there() -> None:
    top = [path for path in PROJECT.iterdir() if path.is_file()]
    files = [*top, *(path for folder in FOLDERS for path in (PROJECT / folder).rglob("*"))]
    known = {"/" + path.relative_to(PROJECT).as_posix() for path in files}
    ends = {name[start:] for name in known for start, sign in enumerate(name) if sign == "/"}
    named = [
        (path.relative_to(PROJECT), name)
        for path in files
        if path.suffix == ".md" and path.name != "CHANGELOG.md"
        for name in SOURCE.findall(path.read_text("utf-8"))
        if "NAME" not in name  # which stands for any
    ]
    assert len(named) > 100
    assert not [f"{path}: {name}" for path, name in named if f"/{name}" not in ends]
