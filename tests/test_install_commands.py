"""Test that all pages, notebooks and messages install mpscnn by the same name, of which there is one constant."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from mpscnn._private import installation
from mpscnn._private.installation import DISTRIBUTION, install_command

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs" / "generate"))

from install_commands import COMMAND, pages, rewritten  # noqa: E402


def test_all_pages_install_by_the_name_of_the_constant() -> None:
    """`python docs/generate/install_commands.py` rewrites the pages."""
    texts = {page: page.read_text("utf-8") for page in pages() if page.is_file()}
    assert [page.name for page, text in texts.items() if rewritten(text, DISTRIBUTION) != text] == []
    assert sum(len(COMMAND.findall(text)) for text in texts.values()) > 25
    assert [page.name for page, text in texts.items() if re.search(r"[\"']mpscnn\[[a-z,]+\]", text)] == []


def test_a_release_changes_the_constant_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "Install it with `pip install '.[cli,serve]'`, or: uvx --from \".[cli]\" mpscnn doctor"
    released = (
        "Install it with `pip install 'mpscnn[cli,serve]'`, or: uvx --from \"mpscnn[cli]\" mpscnn doctor"
    )
    assert rewritten(page, "mpscnn") == released
    assert rewritten(released, ".") == page
    monkeypatch.setattr(installation, "DISTRIBUTION", "mpscnn")
    assert install_command("cli", "serve") == "pip install 'mpscnn[cli,serve]'"
    monkeypatch.setattr(installation, "DISTRIBUTION", ".")
    assert install_command("cli") == "pip install '.[cli]' in the folder of its sources"


def test_messages_ask_the_constant() -> None:
    """No module writes the name of the package next to an extra."""
    named = re.compile(r"pip install [^\n]*mpscnn\[")
    code = {path: path.read_text("utf-8") for path in (ROOT / "python").rglob("*.py")}
    assert [path.name for path, text in code.items() if named.search(text)] == []


def test_the_readme_says_first_what_has_never_run_on_a_mac() -> None:
    first = " ".join((ROOT / "README.md").read_text("utf-8").split("\n\n")[1].split()[:30])
    assert "Neither its CPU engine nor its Metal engine has run on a Mac" in first, first
