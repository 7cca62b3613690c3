"""`from mpscnn import name` raises an error with the attribute's hint. Other lookups see a missing attribute."""

from __future__ import annotations

import builtins
import doctest
import importlib
import inspect
import json
import pickle
import pkgutil
import pydoc
import rlcompleter
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

import mpscnn
from mpscnn import kernels, nodes
from mpscnn._private.hints import ROWS, twin_of

APPLE = json.loads((Path(__file__).parents[3] / "docs/apple_classes.json").read_text())


#: Words of other frameworks with a lead, not an attribute to which they are forwarded.
LEADS = [
    word
    for places, words, twin in ROWS
    for word in words.split()
    if "mpscnn" in places.split() and " " in twin and not word.startswith("-")
]


def hinted_names(module: ModuleType) -> list[str]:
    """Return the names whose error has a hint: other frameworks' and Apple's."""
    guessed = {
        *LEADS,
        *(name for group in APPLE.values() for name in group),
        *nodes.names(),
        *nodes.__all__,
        *(f"MPS{name}" for name in kernels.__all__),
        *(f"{apple}{name}" for name in mpscnn.__all__ for apple in ("MPS", "MTL")),
    }
    return sorted(name for name in guessed if not hasattr(module, name) and hint_of(module, name))


def hint_of(module: ModuleType, name: str) -> str:
    with pytest.raises(AttributeError) as said:
        getattr(module, name)
    start = f"module {module.__name__!r} has no attribute {name!r}"
    assert str(said.value).startswith(start)
    return str(said.value).removeprefix(start)


@pytest.mark.ci
@pytest.mark.parametrize("module", [mpscnn, kernels, nodes], ids=lambda module: module.__name__)
def test_both_forms_give_the_same_hint(module: ModuleType) -> None:
    names = hinted_names(module)
    assert len(names) > 50
    assert {*LEADS} <= {*names} or module is not mpscnn
    for name in names:
        with pytest.raises(ImportError) as refused:
            exec(f"from {module.__name__} import {name}")
        assert (
            str(refused.value)
            == f"cannot import name {name!r} from {module.__name__!r}{hint_of(module, name)}"
        )
        assert (type(refused.value), refused.value.name) == (ImportError, module.__name__)
        assert refused.value.path == module.__file__


@pytest.mark.parametrize(
    "code",
    [
        "from mpscnn import load, TensorBoard, Network",
        "from mpscnn import TensorBoard as Optimizer",
        "def f():\n    from mpscnn import TensorBoard\nf()",
        "class C:\n    from mpscnn import TensorBoard",
        "[exec('from mpscnn import TensorBoard') for _ in range(1)]",
        "from mpscnn import ("
        + ", ".join(f"load as load_{index}" for index in range(400))
        + ", TensorBoard)",
    ],
)
@pytest.mark.parametrize("traced", [False, True])
def test_all_forms_of_the_statement(code: str, traced: bool) -> None:
    before = sys.gettrace()
    if traced:  # debuggers and coverage tools set a trace function
        sys.settrace(lambda *_: None)
    try:
        with pytest.raises(ImportError, match=r"'mpscnn'; Trainer\.fit\(callbacks=\.\.\.\) takes "):
            exec(code)
    finally:
        sys.settrace(before)


def test_names_without_a_hint_get_pythons_error() -> None:
    for name in ("_private_name", "__no_such_name__"):
        with pytest.raises(
            ImportError, match=rf"cannot import name '{name}' from 'mpscnn' \(.*__init__.py\)"
        ):
            exec(f"from mpscnn import {name}")


def test_other_questions_see_a_missing_attribute() -> None:
    asked: Any = mpscnn
    assert not hasattr(asked, "TensorBoard")
    assert getattr(asked, "TensorBoard", 3) == 3
    assert "TensorBoard" not in dir(asked)
    assert vars(asked).get("TensorBoard") is None
    assert inspect.getattr_static(asked, "TensorBoard", None) is None
    assert builtins.__import__("mpscnn", fromlist=["TensorBoard"]) is mpscnn
    with pytest.raises(AttributeError):
        pkgutil.resolve_name("mpscnn:TensorBoard")
    with pytest.raises(AttributeError), mock.patch("mpscnn.TensorBoard"):
        pass
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mpscnn.TensorBoard")
    with pytest.raises(AttributeError):
        pickle.loads(b"cmpscnn\nTensorBoard\n.")
    with pytest.raises(AttributeError):
        exec("import mpscnn\nmpscnn.TensorBoard")
    assert pickle.loads(pickle.dumps(mpscnn.Network)) is mpscnn.Network


def test_everything_public_can_be_imported_by_name() -> None:
    for name in dir(mpscnn):
        found: dict[str, Any] = {}
        exec(f"from mpscnn import {name}", found)
        assert found[name] is getattr(mpscnn, name)
    found = {}
    exec("from mpscnn import *", found)
    assert found.keys() - {"__builtins__"} == {*mpscnn.__all__}


def modules() -> Iterator[str]:
    folder = Path(mpscnn.__file__).parent
    for path in [*folder.iterdir(), *(folder / "kernels").iterdir(), *(folder / "nodes").iterdir()]:
        name = path.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
        if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").is_file()):
            yield name


@pytest.mark.parametrize("first", ["", "import mpscnn.kernels, mpscnn.nodes\n"])
def test_modules_can_be_imported_by_name(first: str) -> None:
    """A module that is not imported yet is a missing attribute at first."""
    lines = []
    for module in modules():
        package, _, name = f"mpscnn.{module}".rpartition(".")
        lines.append(f"from {package} import {name} as found\n")
    assert len(lines) > 30
    code = first + "import sys\n" + "".join(lines)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_module_in_the_middle_of_its_import_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks into sys.modules for a module that is not yet an attribute of its package."""
    half = ModuleType("mpscnn.kernels.Convolutio")
    monkeypatch.setitem(sys.modules, half.__name__, half)
    assert hint_of(kernels, "Convolutio")
    found: dict[str, Any] = {}
    exec("from mpscnn.kernels import Convolutio", found)
    assert found["Convolutio"] is half


def test_tools_that_look_into_modules(capsys: pytest.CaptureFixture[str]) -> None:
    assert {name for name, _ in inspect.getmembers(mpscnn)} >= {*mpscnn.__all__}
    assert "class Network" in pydoc.render_doc(mpscnn.Network)
    assert "mpscnn" in pydoc.render_doc(mpscnn)
    found = rlcompleter.Completer({"mpscnn": mpscnn}).attr_matches("mpscnn.RmsP")
    assert [name.rstrip("(") for name in found] == ["mpscnn.RmsProp"]
    example = ">>> from mpscnn import Adam\n>>> from mpscnn import TensorBoard\nTraceback (most recent call last):\n"
    lead = twin_of("mpscnn", "TensorBoard")
    example += f"ImportError: cannot import name 'TensorBoard' from 'mpscnn'; {lead}\n"
    test = doctest.DocTestParser().get_doctest(example, {}, "example", None, None)
    assert doctest.DocTestRunner().run(test) == (0, 2)
    assert len(doctest.DocTestFinder().find(mpscnn)) > 0
