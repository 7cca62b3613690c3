"""Compare docs/coreml.md with the list of networks whose Core ML files change when they are written again."""

from __future__ import annotations

from pathlib import Path

from converters.coreml_rewriting import CHANGED

PAGE = Path(__file__).resolve().parents[3] / "docs" / "coreml.md"


def test_the_page_lists_what_changes_when_it_is_written_again() -> None:
    _, _, rest = PAGE.read_text("utf-8").partition("### Files that change\n")
    section, _, _ = rest.partition("\n#")
    listed = [
        line.removeprefix("- ").removesuffix(".") for line in section.splitlines() if line.startswith("- ")
    ]
    assert listed == list(CHANGED)
