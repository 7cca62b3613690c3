"""Core AI itself checks assets, where it runs. Modules replace it here: it runs on macOS 27 only.

The tests of a whole check start processes: some seconds.
"""

from __future__ import annotations

import asyncio
import platform
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call

import mpscnn
from mpscnn import Network
from mpscnn.comparison.conversion_check import check_conversion
from mpscnn.comparison.coreai_engine import CoreaiEngine, import_coreai, missing_coreai
from mpscnn.converters import export_coreai
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError


class Runtime(types.ModuleType):
    """The part of `coreai.runtime` that mpscnn uses. It records the calls, and computes the absolute values."""

    def __init__(self, *, supported: bool = True) -> None:
        super().__init__("coreai.runtime")
        calls: list[Any] = []
        self.calls = calls

        class NDArray:
            def __init__(self, numbers: Any) -> None:
                self.numbers = numbers

            def numpy(self) -> Any:
                return self.numbers

        class SpecializationOptions:
            @staticmethod
            def is_supported() -> bool:
                return supported

            @classmethod
            def cpu_only(cls) -> str:
                return "the CPU"

        class AIModel:
            @classmethod
            async def load(cls, path: str, options: str) -> AIModel:
                calls.append(("load", path, options))
                if "damaged" in path:
                    raise RuntimeError("it is damaged")
                return cls()

            def load_function(self, name: str) -> Any:
                calls.append(("function", name))

                async def run(inputs: dict[str, NDArray]) -> dict[str, NDArray]:
                    calls.append({key: (one.numbers.shape, one.numbers.dtype) for key, one in inputs.items()})
                    return {"y": NDArray(abs(inputs["x"].numbers))}

                return run

        self.NDArray, self.SpecializationOptions, self.AIModel = NDArray, SpecializationOptions, AIModel


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the loop that an engine in this process makes."""
    made = asyncio.new_event_loop()
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: made)
    yield
    made.close()
    asyncio.set_event_loop(None)


def open_engine(monkeypatch: pytest.MonkeyPatch, runtime: Runtime, folder: str = "a.aimodel") -> CoreaiEngine:
    package = types.ModuleType("coreai")
    package.__dict__["runtime"] = runtime
    monkeypatch.setitem(sys.modules, "coreai", package)
    monkeypatch.setitem(sys.modules, "coreai.runtime", runtime)
    import_coreai()
    inputs = {"x": {"extents": [1, 3, 4, 5], "type": "float16"}}
    return CoreaiEngine("a.aimodel", folder, "main", inputs, ["y"], "float16")


@pytest.mark.usefixtures("loop")
def test_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images have their channels first in Core AI, and last in the trace. Inputs get the type that the asset states."""
    runtime = Runtime()
    engine = open_engine(monkeypatch, runtime)
    assert engine.inputs == {"x": (1, 4, 5, 3)}
    x = np.linspace(-1, 1, 60, dtype=np.float32).reshape(1, 4, 5, 3)
    trace = engine.trace([x])
    assert runtime.calls == [
        ("load", "a.aimodel", "the CPU"),
        ("function", "main"),
        {"x": ((1, 3, 4, 5), np.float16)},
    ]
    np.testing.assert_array_equal(trace.values[0].array, abs(x).astype(np.float16))


@pytest.mark.usefixtures("loop")
def test_refusals_of_core_ai(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError, match="does not run on this system"):
        open_engine(monkeypatch, Runtime(supported=False))
    with pytest.raises(WeightsError, match="Core AI cannot read it: it is damaged"):
        open_engine(monkeypatch, Runtime(), "damaged.aimodel")


@pytest.mark.parametrize(
    ("system", "version", "runs"),
    [("Linux", "", False), ("Darwin", "26.4", False), ("Darwin", "27.0.1", True)],
)
def test_systems(system: str, version: str, runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), ""))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    missing = missing_coreai()
    assert (missing is None) == runs
    assert runs or "macOS 27" in str(missing)


def test_words_of_compare(tmp_path: Path) -> None:
    for text, kind, message in (
        ("digits@coreai", ParameterError, r"Core AI runs \.aimodel files"),
        ("a.aimodel@coreai@float16", ParameterError, "in their own precision"),
        (f"{tmp_path}/none.aimodel@coreai", WeightsError, "there is no such file"),
    ):
        with pytest.raises(kind, match=message):
            mpscnn.compare("digits", text)


#: The stand-in as a file: it reads the asset, and negates if the test says so.
FILE = """
import os
from pathlib import Path
import numpy as np
def __getattr__(name):  # what the rest of the package imports
    if name.startswith("__"): raise AttributeError(name)
    return object
class NDArray:
    def __init__(self, numbers): self.numbers = numbers
    def numpy(self): return self.numbers
def prepared(photo):
    assert (photo.mode, photo.size) == ("RGBA", (5, 4))
    colours = np.asarray(photo)[..., :3].astype(np.float32)
    return np.moveaxis(((colours - [1, 2, 130]) * [0.5, -2, 1 / 3])[..., ORDER], -1, 0)[None]
class SpecializationOptions:
    @staticmethod
    def is_supported(): return True
    @classmethod
    def cpu_only(cls): return None
class AIModel:
    @classmethod
    async def load(cls, path, options):
        assert (Path(path) / "main.mlirb").read_bytes().startswith(b"ML")
        try:
            os.listdir(Path(path).parent)
        except OSError:
            return cls()
        raise RuntimeError("it reads files of the user")
    def load_function(self, name):
        async def run(inputs):
            (x,) = inputs.values()
            numbers = x.numbers if isinstance(x, NDArray) else prepared(x)
            return {NAME: NDArray(np.maximum(numbers, 0) + ADDED)}
        return run
"""


def mac(monkeypatch: pytest.MonkeyPatch, folder: Path, added: float, order: str = "rgb") -> None:
    """Let a module in another process replace Core AI's runtime, beside the rest of Apple's package."""
    import coreai

    place = folder / "site-packages"
    (place / "coreai").mkdir(parents=True)
    (real,) = coreai.__path__
    (place / "coreai" / "__init__.py").write_text(f"__path__.append({real!r})\n")
    text = FILE.replace("NAME", repr("y")).replace("ADDED", repr(added))
    text = text.replace("ORDER", repr(["rgb".index(colour) for colour in order]))
    (place / "coreai" / "runtime.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "mac_ver", lambda: ("27.0", ("", "", ""), ""))


@pytest.mark.parametrize("added", [0.0, 0.5])
def test_check_of_conversions(added: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that runs Core AI reads the asset and no other file of the user."""
    pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
    network = Network(input=(4, 5, 3))
    network.output(network.relu(network.input, name="y"))
    path = tmp_path / "one.aimodel"
    export_coreai(network, path)
    found, said = check_conversion(network, [path])
    assert found is None
    assert said == "not checked: Core AI predicts on macOS 27 and iOS 27 only"
    mac(monkeypatch, tmp_path / "stand-in", added)
    found, said = check_conversion(network, [path])
    assert found is not None, said
    assert found.equal == (added == 0.0)
    assert said.startswith("checked against one.aimodel (Core AI)")
    assert mpscnn.compare(str(path), f"{path}@coreai").equal == (added == 0.0)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("added", [0.0, 0.5])
def test_check_of_image_inputs(
    added: float, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Core AI gets a photo of bytes, and mpscnn's network the same photo after its preprocessing."""
    pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
    network = Network(input=(4, 5, 3))
    network.output(network.relu(network.input, name="y"))
    network.preprocess = {"mean": [1, 2, 130], "scale": [0.5, -2, 1 / 3], "order": order}
    path = tmp_path / "one.aimodel"
    export_coreai(network, path, image=True)
    mac(monkeypatch, tmp_path / "stand-in", added, order)
    found, said = check_conversion(network, [path])
    assert found is not None, said
    assert found.equal == (added == 0.0)
    assert mpscnn.compare(str(path), f"{path}@coreai").equal == (added == 0.0)


def test_written_assets_say_that_core_ai_did_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
    if missing_coreai() is None:
        pytest.skip("Core AI runs here")
    assert call("convert", "digits", str(tmp_path / "one.aimodel")) == 0
    said = capsys.readouterr()
    assert "Core AI itself: not checked: Core AI predicts on macOS 27" in said.out + said.err
