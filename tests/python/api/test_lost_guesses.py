"""Test calls that users of other packages guess, whose errors led nowhere: each works, or says what to write."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from command_line import call
from guessed_objects import network

import mpscnn
from mpscnn import kernels


def _model() -> Any:
    return mpscnn.Model(network(), device="cpu", preprocess="unit")


def _run(**options: Any) -> Any:
    with _model().session() as session:
        return session.run(np.zeros((1, 4, 4, 1), np.float32), **options)


def _profile() -> Any:
    return _model().profile(np.zeros((1, 4, 4, 1), np.float32), runs=1)


GUESSES: dict[str, tuple[Callable[[], Any], str]] = {
    "mpscnn.custom_layer": (lambda: mpscnn.custom_layer, r"net.custom\(function, x\)"),
    "mpscnn.register_layer": (lambda: mpscnn.register_layer, r"net.custom\(function, x\)"),
    "net.lambda_": (lambda: network().lambda_, r"net.custom\(function, x\)"),
    "net.custom_layer": (lambda: network().custom_layer, r"net.custom\(function, x\)"),
    "mpscnn.from_dlpack": (
        lambda: mpscnn.from_dlpack,
        r"session.run\(x\) computes arrays and tensors as they are",
    ),
    "session.run(extra=)": (lambda: _run(extra=1), r"no argument 'extra': it takes one input"),
    "features": (lambda: _model().features(layers="nosuch"), r"no layer 'nosuch'; layer_names\(\) lists"),
    "kernel(image)": (lambda: kernels.NeuronReLU()(1), r"kernel.encode\(commands, image\)"),
}


@pytest.mark.parametrize("guess", GUESSES)
def test_errors_say_what_to_write(guess: str) -> None:
    use, message = GUESSES[guess]
    with pytest.raises((AttributeError, TypeError, mpscnn.Error), match=message):
        use()


def test_the_layers_of_a_profile_are_its_steps() -> None:
    profile = _profile()
    assert profile.layers == profile.steps


def test_images_take_tensors() -> None:
    image = mpscnn.Image.from_dlpack(np.full((2, 2, 4), 3, np.float32))
    assert image.numpy().max() == 3


def test_tables_are_written_as_csv(tmp_path: Path) -> None:
    profile = _profile()
    for table in (profile, network().describe()):
        text = table.to_csv(tmp_path / "p.csv")
        assert (tmp_path / "p.csv").read_text() == text == table.to_csv()
    with pytest.raises(mpscnn.ParameterError, match=r"none.*p\.csv"):
        profile.to_csv(tmp_path / "none" / "p.csv")


def test_words_of_ultralytics_in_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", f"data={tmp_path}", "epochs=3") == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert "options begin with two hyphens, and paths have no name: --epochs 3" in printed


def test_the_hook_of_pyinstaller_lists_all_modules_that_are_imported_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PyInstaller is replaced by functions that record what the hook asks for."""
    found = entry_points(group="pyinstaller40")
    (directory,) = next(one for one in found if one.value.startswith("mpscnn.")).load()()
    asked: list[tuple[Any, ...]] = []
    hooks = ModuleType("PyInstaller.utils.hooks")
    hooks.collect_submodules = lambda name, **given: asked.append((name, given["filter"]("mpscnn.__main__")))  # type: ignore[attr-defined]
    hooks.collect_data_files = lambda name, excludes: asked.append((name, excludes))  # type: ignore[attr-defined]
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    scope: dict[str, Any] = {}
    exec((Path(directory) / "hook-mpscnn.py").read_text(), scope)
    assert {"hiddenimports", "datas"} <= scope.keys()
    assert [name for name, _ in asked] == ["mpscnn", "mpscnn"]
    assert asked[0][1] is False
