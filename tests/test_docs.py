"""Test that examples and programs in the documents run, and that documents name existing files."""

from __future__ import annotations

import ast
import doctest
import importlib
import io
import re
import sys
import warnings
from contextlib import ExitStack, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import require_packages, serving

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
#: The address at which programs in documents expect `mpscnn serve`.
SERVICE = "127.0.0.1:8000"
SOURCE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*\.(?:c|cmake|cpp|h|hpp|md|metal|mm|py|pyi))`")


def test_there_are_pages() -> None:
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_print_what_they_say(page: Path) -> None:
    # Without this, doctest would take the closing fence for output.
    text = page.read_text("utf-8").replace("```\n", "\n")
    test = doctest.DocTestParser().get_doctest(text, {"mpscnn": mpscnn, "np": np}, page.stem, str(page), 0)
    assert test.examples, f"{page.name} has no example"
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=options).run(test, out=report.append)
    assert result.failed == 0, "".join(report)


BLOCKS = [
    pytest.param(block, id=f"{page.stem}{number}")
    for page in sorted((PROJECT / "docs").glob("*.md"))
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL), start=1
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_programs_of_documents_run_as_they_stand(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "import torch" in block:
        pytest.importorskip("torch", reason="PyTorch is not installed")
    if "import torchvision" in block:
        from oracles.torchvision_models import torchvision

        torchvision()
    if "import keras" in block:
        pytest.importorskip("keras", reason="Keras is not installed")
        warnings.simplefilter("ignore")  # Keras warns about its own code
    if "mpscnn.sklearn" in block:
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    if "import mpscnn.onnx_backend" in block:
        pytest.importorskip("onnx", reason="onnx is not installed")
    if '.aimodel"' in block:
        pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
    if "mpscnn.video(" in block:
        pytest.importorskip("av", reason="PyAV is not installed")
    if "mpscnn.ray." in block:
        pytest.importorskip("ray", reason="Ray is not installed: nox -s ray")
        warnings.simplefilter("ignore")  # Ray warns about future changes, and leaves sockets open
    if '"metal"' in block and not mpscnn.is_available("metal"):
        pytest.skip("there is no Metal device")
    if '"coreml' in block:
        if not mpscnn.is_available("coreml"):
            pytest.skip("there is no Core ML")
        pytest.importorskip("coremltools", reason="coremltools is not installed")
    (tmp_path / "examples").symlink_to(PROJECT / "examples")
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        if SERVICE in block:
            require_packages()
            pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
            place = stack.enter_context(serving()).place
            block = block.replace(SERVICE, f"{place[0]}:{place[1]}")
        printed = run_and_collect(block)
    for line, expected in values_in_comments(block).items():
        assert is_printed(expected, printed[line]), f"{block.splitlines()[line - 1]}\nprinted {printed[line]}"
    if "mpscnn.ray." in block:
        sys.modules["ray"].shutdown()


def values_in_comments(block: str) -> dict[int, str]:
    """Return the values in comments after calls of `print`, by the number of the line. "..." stands for any text."""
    found = {}
    for number, line in enumerate(block.splitlines(), start=1):
        if match := re.fullmatch(r"print\(.*\)\s+# (.*)", line):
            with suppress(SyntaxError):
                value = ast.parse(match[1], mode="eval").body
                if not isinstance(value, (ast.Name, ast.Attribute)):  # a word is no value
                    found[number] = match[1]
    return found


def run_and_collect(block: str) -> dict[int, str]:
    """Run a program, and return what each line prints by `print` outside of functions and loops."""
    printed: dict[int, str] = {}
    space: dict[str, Any] = {"__name__": "__main__"}
    for statement in ast.parse(block).body:
        text = io.StringIO()
        with redirect_stdout(text):
            exec(compile(ast.Module([statement], []), "<document>", "exec", dont_inherit=True), space)
        printed[statement.end_lineno or 0] = text.getvalue().strip()
    return printed


def is_printed(expected: str, printed: str) -> bool:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    return doctest.OutputChecker().check_output(f"{expected}\n", f"{printed}\n", options)


def test_values_in_comments_are_compared() -> None:
    block = "x = 3\nprint(x)  # 4\nprint([x, 1])  # [3, ...]\nprint(x)  # the number\nprint(x)  # word"
    assert values_in_comments(block) == {2: "4", 3: "[3, ...]"}
    printed = run_and_collect(block)
    assert (is_printed("4", printed[2]), is_printed("[3, ...]", printed[3])) == (False, True)
    assert sum(len(values_in_comments(str(block.values[0]))) for block in BLOCKS) >= 4


def test_there_are_programs_in_documents() -> None:
    assert len(BLOCKS) > 14


@pytest.mark.parametrize("page", sorted((PROJECT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_sections_of_a_page_have_different_names(page: Path) -> None:
    """A repeated section is a leftover of a merge, and links reach only the first one."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    names = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]


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
        if "NAME" not in name  # "NAME" is a placeholder
    ]
    assert len(named) > 100
    assert not [f"{path}: {name}" for path, name in named if f"/{name}" not in ends]


def test_python_names_in_documents_are_there() -> None:
    documents = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
    found = {
        name: path.relative_to(PROJECT)
        for path in documents
        for name in re.findall(r"(?<![\w./-])mpscnn(?:\.[A-Za-z_]\w*){2,}", path.read_text("utf-8"))
    }
    assert len(found) > 10
    assert not [f"{path}: {name}" for name, path in found.items() if not is_importable(name)]


def is_importable(name: str) -> bool:
    """Return True if a dotted name can be imported. A module that needs a missing third-party package counts, too."""
    value: object = mpscnn
    parts = name.split(".")
    for count, part in enumerate(parts[1:], 2):
        if hasattr(value, part):
            value = getattr(value, part)
            continue
        try:
            value = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError as error:
            return not (error.name or "").startswith("mpscnn")
    return True
