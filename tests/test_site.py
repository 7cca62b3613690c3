"""Test the site: its navigation, the first sentences of pages, and the references to headers and names.

`nox -s docs` builds it.
"""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

import mpscnn

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
INCLUDE = PROJECT / "cpp" / "include" / "mpscnn"
TUTORIALS = sorted((PROJECT / "examples" / "notebooks").glob("*.ipynb"))
PAGES = sorted(path for path in (*DOCS.glob("*.md"), *DOCS.glob("ops/*.md")) if path != DOCS / "README.md")
#: The first sentence of a page, which states what its reader can do.
PROMISE = re.compile(
    r"After (reading this page|this tutorial) you (can|know) |(Look up|Find)\b.* here\b|Find here "
)


@pytest.fixture(scope="module")
def headers() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "site" / "headers.py"))


@pytest.fixture(scope="module")
def python_names() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "site" / "python_names.py"))


def promise_of(markdown: str) -> str:
    """Return the first paragraph after the title."""
    title, *rest = markdown.split("\n")
    assert title.startswith("# "), f"begins with {title!r}"
    return " ".join("\n".join(rest).strip().split("\n\n")[0].split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_begins_with_what_one_can_do(page: Path) -> None:
    assert PROMISE.match(promise_of(page.read_text("utf-8")))


@pytest.mark.parametrize(
    "name",
    [
        *("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "ROADMAP.md", "SECURITY.md"),
        *("tests/README.md", "benchmarks/README.md"),
    ],
)
def test_a_page_of_the_project_begins_with_what_one_can_do(name: str) -> None:
    assert PROMISE.match(promise_of((PROJECT / name).read_text("utf-8")))


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_tutorials_begin_with_what_one_can_do_and_hold_no_results(tutorial: Path) -> None:
    """Those that train on photos take a minute, and hold their results, so that they can be read without it."""
    cells = json.loads(tutorial.read_text("utf-8"))["cells"]
    assert PROMISE.match(promise_of("".join(cells[0]["source"])))
    holding = [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert bool(holding) == (tutorial.stem in ("train_a_detector", "train_a_segmenter"))


def test_generated_pages_begin_with_what_one_can_do(
    headers: dict[str, Any], python_names: dict[str, Any]
) -> None:
    pages = {**headers["pages"](), **python_names["pages"]()}
    assert len(pages) > 20
    assert not [name for name, text in pages.items() if not PROMISE.match(promise_of(text))]


def test_the_navigation_has_every_page(headers: dict[str, Any], python_names: dict[str, Any]) -> None:
    text = (PROJECT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"- (?:[^:\n]+: )?([\w/]+\.md)$", text, re.MULTILINE)
    assert len(listed) == len(set(listed))
    expected = {str(page.relative_to(DOCS)) for page in PAGES}
    expected |= {f"tutorials/{path.stem}.md" for path in TUTORIALS}
    expected |= {f"reference/c/{name.replace('.', '_')}.md" for name in headers["PAGES"]}
    expected |= {f"reference/python/{name}.md" for name in python_names["PAGES"]}
    made = {name for name in listed if name.startswith("project/")} | {"index.md", "reference/commands.md"}
    expected |= made | {"ops/index.md"}
    assert not expected - set(listed), "add these pages to the navigation in mkdocs.yml"
    assert not set(listed) - expected, "mkdocs.yml lists pages that do not exist"


def test_the_python_reference_has_every_public_name_once(python_names: dict[str, Any]) -> None:
    named = [name for _, _, names in python_names["PAGES"].values() for name in names]
    assert len(named) == len(set(named))
    assert not set(mpscnn.__all__) - set(named), "add these names to docs/site/python_names.py"
    assert not set(named) - set(mpscnn.__all__), "docs/site/python_names.py has names that are not public"


def test_the_c_reference_has_every_function(headers: dict[str, Any]) -> None:
    declared, shown = set(), set()
    for name, page in headers["pages"]().items():
        if name.endswith(".h"):
            found = re.findall(
                r"^MPSCNN_API [^;(]*?(mpscnn_\w+)\(", (INCLUDE / name).read_text("utf-8"), re.M
            )
            declared |= {(name, function) for function in found}
            code = "\n".join(re.findall(r"^```cpp\n(.*?)^```$", page, re.M | re.S))
            shown |= {(name, function) for function in re.findall(r"(mpscnn_\w+)\(", code)}
    assert len(declared) > 100
    assert not declared - shown


def test_the_cpp_reference_has_every_class_and_no_body(headers: dict[str, Any]) -> None:
    pages = headers["pages"]()
    for name, page in pages.items():
        if name.endswith(".hpp"):
            source = re.sub(
                r"^namespace detail \{.*?^\} // ", "", (INCLUDE / name).read_text("utf-8"), flags=re.M | re.S
            )
            defined = re.findall(r"^(?:template <.*> )?(?:class|struct) (\w+)\b(?!::)[^;]*?\{", source, re.M)
            assert [one for one in defined if f"\n### {one}\n" not in page] == [], name
            assert "detail::ensure(" not in page, name
            assert "private:" not in page, name
    assert "std::vector<Detection> detect(" in pages["model.hpp"]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("/* Text. */\nMPSCNN_API int f(int a);\n", ["Text.", "int f(int a);"]),
        ("/// Text.\ninline int f(X x = {}) { return g({1}); }\n", ["Text.", "inline int f(X x = {});"]),
        ('/// A.\ninline int f() { return "}{"[0]; }\nint g();\n', ["A.", "inline int f();\nint g();"]),
        (
            "/// A.\nclass C {\npublic:\n    /// B.\n    C() : a_{1} {}\n\nprivate:\n    int a_;\n};\n",
            ["A.", "class C {\n    /// B.\n    C();\n};"],
        ),
        ("inline int C::f() { return 1; }\n", []),
    ],
    ids=["C", "default of a parameter", "braces in a text", "class", "member outside of its class"],
)
def test_declarations_are_shown_without_what_users_do_not_need(
    headers: dict[str, Any], code: str, shown: list[str]
) -> None:
    found = [part for entry in headers["entries"](code) for part in (entry.comment, "\n".join(entry.code))]
    assert found == shown


def test_a_header_without_a_page_is_an_error(headers: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "new.hpp").write_text("/// New.\n#pragma once\n")
    changed = headers["pages"].__globals__
    before = changed["INCLUDE"]
    try:
        changed["INCLUDE"] = tmp_path
        with pytest.raises(ValueError, match=r"new\.hpp"):
            headers["pages"]()
    finally:
        changed["INCLUDE"] = before


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("Text:\n- one\n  more\n- two\n", "Text:\n\n- one\n    more\n- two\n"),
        ("```\nx\n```\n1. one\n   - inner\n", "```\nx\n```\n\n1. one\n    - inner\n"),
        ("1. one\n\n   Text of one.\n2. two\n", "1. one\n\n    Text of one.\n2. two\n"),
        ("Text:\n| a |\n|---|\nText.\n", "Text:\n\n| a |\n|---|\n\nText.\n"),
        ("```\n- x\n| y\n[a][b]\n```\n", "```\n- x\n| y\n[a][b]\n```\n"),
        ("[out][in] and `[out][in]`\n", "[out]\\[in] and `[out][in]`\n"),
        ("- one\n\nText\n  with an indent\n", "- one\n\nText\n  with an indent\n"),
    ],
    ids=["list", "list after code", "paragraph of an item", "table", "code", "brackets", "text after a list"],
)
def test_the_site_shows_what_github_shows(written: str, wanted: str) -> None:
    assert runpy.run_path(str(DOCS / "site" / "dialect.py"))["translate"](written) == wanted


def test_a_tutorial_shows_what_a_command_prints_as_one_text(tmp_path: Path) -> None:
    streams = [{"output_type": "stream", "name": "stdout", "text": [line]} for line in ("one\n", "two\n")]
    value = {"output_type": "execute_result", "data": {"text/plain": ["3"]}}
    cell = {"cell_type": "code", "source": ["!count"], "outputs": [*streams, value, *streams]}
    written = {"cell_type": "code", "source": ["%%writefile a.cpp\n", "int a;"], "outputs": streams[:1]}
    (tmp_path / "count.ipynb").write_text(json.dumps({"cells": [cell, written]}))
    text, pictures = runpy.run_path(str(DOCS / "site" / "notebooks.py"))["page"](tmp_path / "count.ipynb")
    printed = "```text\none\ntwo\n```"
    assert text == (
        f"```sh\ncount\n```\n\n{printed}\n\n```text\n3\n```\n\n{printed}\n\n"
        '```cpp title="a.cpp"\nint a;\n```\n'
    )
    assert not pictures
