"""Parse the Swift code of the documents with the grammar of tree-sitter. Nothing here compiles or runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
FILES = [*sorted((PROJECT / "docs").glob("*.md")), *sorted(PROJECT.glob("examples/**/*.swift"))]


def sources_of(path: Path) -> list[str]:
    """Return the blocks of Swift in a page, or the content of a file of Swift."""
    text = path.read_text("utf-8")
    if path.suffix == ".swift":
        return [text]
    return re.findall(r"^```swift\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


SOURCES = [
    pytest.param(source, id=f"{path.name} {number}")
    for path in FILES
    for number, source in enumerate(sources_of(path), start=1)
]


def first_error(source: str) -> str | None:
    """Return the line that the grammar does not accept; None if it accepts the whole text."""
    grammar = pytest.importorskip("tree_sitter_swift", reason="tree-sitter-swift is not installed")
    tree_sitter = pytest.importorskip("tree_sitter", reason="tree-sitter is not installed")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    nodes = [parser.parse(source.encode()).root_node]
    for node in nodes:
        if node.is_error or node.is_missing:
            return source.splitlines()[node.start_point[0]]
        nodes += [child for child in node.children if child.has_error]
    return None


def test_the_page_for_apps_has_swift() -> None:
    assert len(sources_of(PROJECT / "docs" / "apps.md")) >= 4


@pytest.mark.parametrize("source", SOURCES)
def test_the_grammar_accepts_the_swift_of_documents(source: str) -> None:
    assert first_error(source) is None


@pytest.mark.parametrize("damage", [("func ", "func func "), ("{", "{{"), ("try ", "try = "), ("->", "- >")])
def test_the_grammar_refuses_damaged_swift(damage: tuple[str, str]) -> None:
    for source in sources_of(PROJECT / "docs" / "apps.md"):
        if damage[0] in source:
            assert first_error(source.replace(*damage, 1)) is not None
