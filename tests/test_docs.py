"""The examples of docs/ops run and print what they say."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

import mpscnn

PAGES = sorted((Path(__file__).resolve().parent.parent / "docs" / "ops").glob("*.md"))


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
