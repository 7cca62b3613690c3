"""Run Core AI's assets with Core AI itself, on a Mac with macOS 27."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import platform
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.confined import Limits
from mpscnn._private.installation import install_command
from mpscnn._private.settings import as_json
from mpscnn.comparison.confined_engine import ConfinedEngine
from mpscnn.comparison.trace import Array, Steps, Trace, Value, channels_first, channels_last
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    from mpscnn.converters.reading.coreai.program import ImageType

_FIRST_MACOS = 27
_IMAGE_RANK = 4
_COLOURS, _LARGEST_SAMPLE = 3, 255
_TYPES = {"f16": "float16", "f32": "float32"}


def missing_coreai() -> str | None:
    """Return why Core AI cannot run an asset here; None if it can, as far as this process knows.

    Core AI says the rest itself, in the process that runs it.
    """
    major = platform.mac_ver()[0].partition(".")[0]
    if platform.system() != "Darwin" or int(major or 0) < _FIRST_MACOS:
        return f"Core AI predicts on macOS {_FIRST_MACOS} and iOS {_FIRST_MACOS} only"
    if importlib.util.find_spec("coreai") is None:
        return f"coreai-core is not installed: {install_command('coreai')}"
    return None


def open_coreai(path: Path, limits: Limits) -> ConfinedEngine:
    """Return Core AI with the function "main" of an asset, or its only one, in a confined process that may read it.

    Raises UnsupportedError for an archive and for a function whose inputs are neither tensors of floats
    nor one image, WeightsError if
    the asset is damaged, and the errors of `ConfinedEngine`.
    """
    from mpscnn.converters.reading.coreai.archive import is_archived
    from mpscnn.converters.reading.coreai.asset import open_asset
    from mpscnn.converters.reading.coreai.program import image_type, read_program, tensor_type
    from mpscnn.converters.reading.coreai.reader import main_graph

    if is_archived(path):
        raise UnsupportedError(f"{path}: Core AI runs an asset, and not the archive of one: unpack it")
    asset = open_asset(path)
    graph = main_graph(read_program(asset), asset.origin, None)
    inputs = {}
    for _, name, text in graph.inputs:
        kind = tensor_type(text)
        if len(graph.inputs) == 1 and (photo := image_type(text)) is not None:
            inputs[name] = _photo_facts(path, photo)
            continue
        if kind is None or kind.element not in _TYPES or None in kind.extents:
            raise UnsupportedError(
                f"{path}: its input {name} is {text[:80]}; Core AI is compared for tensors of floats of one size, "
                "and for one image"
            )
        inputs[name] = {"extents": kind.extents, "type": _TYPES[kind.element]}
    has_halves = any(
        (kind := tensor_type(text)) and kind.element == "f16"
        for operation in graph.operations
        for _, text in operation.results
        if operation.stored is None
    )
    options = {
        "folder": os.path.realpath(path),
        "function": graph.name,
        "inputs": inputs,
        "outputs": list(graph.output_names),
        "precision": "float16" if has_halves else "float32",
    }
    return ConfinedEngine("coreai", path.name, options, [], limits, reads=[path])


def _photo_facts(path: Path, photo: ImageType) -> dict[str, Any]:
    """Return what `CoreaiEngine` must know of an image: extents, the mode in Pillow, and the preprocessing."""
    from mpscnn.converters import read_network

    found = read_network([path]).preprocess
    facts: dict[str, Any] = json.loads(
        _core.describe_preprocess(as_json("preprocess", found or {"mean": 0, "scale": 1}), _COLOURS)
    )
    if 0 in facts["scale"]:
        raise UnsupportedError(
            f"{path}: it multiplies colours by 0, so its results do not show which photo it got"
        )
    return {
        "extents": [1, _COLOURS, photo.height, photo.width],
        "type": "RGB" if photo.pixels == "k24RGB" else "RGBA",
        **{key: facts[key] for key in ("mean", "scale", "order")},
    }


def import_coreai() -> None:
    """Import Core AI, and make the loop in which it runs: a loop has sockets, which a confined process cannot open."""
    from coreai import runtime

    runtime.NDArray(np.zeros(1, np.float32))
    asyncio.set_event_loop(asyncio.new_event_loop())


class CoreaiEngine:
    """A function of an asset, run by Core AI on the CPU. Its trace has only the outputs. Call `import_coreai` before.

    Args:
        name: the name of the asset.
        folder: the asset.
        function: the name of the function.
        inputs: the extents and the type of each input by its name, as the asset states them. An image has the mode
            that Pillow gives it as its type, and the mean, scale and order of its preprocessing.
        outputs: the names of the outputs.
        precision: the type of intermediate results.

    Raises:
        UnsupportedError: this system has no Core AI. WeightsError: Core AI cannot read the asset.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        function: str,
        inputs: Mapping[str, Mapping[str, Any]],
        outputs: Sequence[str],
        precision: str,
    ) -> None:
        from coreai import runtime

        self.title = f"{name} (Core AI)"
        self.precision = precision
        self._runtime, self._stated, self._outputs = runtime, inputs, outputs
        self.inputs: dict[str, tuple[int | None, ...]] = {
            own: _own_shape(one["extents"]) for own, one in inputs.items()
        }
        self.steps = {own: _steps(one) for own, one in inputs.items() if "scale" in one}
        options = runtime.SpecializationOptions
        if not options.is_supported():
            raise UnsupportedError(f"{name}: Core AI says that it does not run on this system")
        try:
            model = _awaited(runtime.AIModel.load(folder, options.cpu_only()))
            self._function = model.load_function(function)
        except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
            raise WeightsError(f"{name}: Core AI cannot read it: {error}") from error

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the function once, and return its outputs."""
        given: dict[str, Any] = {}
        for (name, stated), array in zip(self._stated.items(), inputs, strict=True):
            if name in self.steps:
                given[name] = _photo(self.steps[name].places(array[0]), stated)
                continue
            numbers = channels_first(array).reshape(stated["extents"]).astype(stated["type"])
            given[name] = self._runtime.NDArray(np.ascontiguousarray(numbers))
        try:
            computed = _awaited(self._function(given))
            arrays = [np.asarray(computed[name].numpy(), np.float32) for name in self._outputs]
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            raise WeightsError(f"{self.title}: Core AI cannot run it: {error}") from error
        values = tuple(
            Value(f"output {place}", "", channels_last(array) if array.ndim == _IMAGE_RANK else array)
            for place, array in enumerate(arrays)
        )
        return Trace(values, tuple(value.name for value in values))


def _steps(stated: Mapping[str, Any]) -> Steps:
    """Return the numbers that the preprocessing makes of bytes, in the order of the network's channels."""
    scale, mean = (
        np.broadcast_to(np.asarray(stated[key], np.float64), (_COLOURS,)) for key in ("scale", "mean")
    )
    if stated["order"] == "bgr":  # preprocessing lists them in the order RGB
        scale, mean = scale[::-1], mean[::-1]
    return Steps(tuple(map(float, -mean * scale)), tuple(map(float, scale)), _LARGEST_SAMPLE)


def _photo(samples: NDArray[Any], stated: Mapping[str, Any]) -> Any:
    """Return the photo of Pillow with these samples, (height, width, 3) in the order of the network's channels."""
    from PIL import Image

    colours = samples[..., ::-1] if stated["order"] == "bgr" else samples
    return Image.fromarray(np.ascontiguousarray(colours, np.uint8)).convert(stated["type"])


def _awaited(computation: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.get_event_loop().run_until_complete(computation)


def _own_shape(extents: Sequence[int]) -> tuple[int | None, ...]:
    """Return the shape that mpscnn gives a tensor of an asset: images have their channels last."""
    return (extents[0], *extents[2:], extents[1]) if len(extents) == _IMAGE_RANK else tuple(extents)
