"""Run another engine in a confined process: onnxruntime, LiteRT, TensorFlow, Keras, Core ML or Core AI."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.confined import ConfinedProcess, Limits, is_confinement_waived, run_confined
from mpscnn.comparison.packed import pack, unpack
from mpscnn.comparison.trace import Array, Steps, Trace, Value
from mpscnn.errors import UnsupportedError, WeightsError

#: The limits of a comparison that the user asks for with `mpscnn.compare`.
GENEROUS = Limits(memory=16 << 30, seconds=3600.0, wall=3600.0)
#: The memory and the time of a check, for a file of any size and for each of its bytes.
_FREE_MEMORY, _MEMORY_PER_BYTE = 400 << 20, 1_000
_FREE_SECONDS, _SECONDS_PER_BYTE = 5.0, 2e-5


def limits_of_check(size: int) -> Limits:
    """Return the limits for the check of a file with `size` bytes, as unasked as a check is."""
    seconds = _FREE_SECONDS + _SECONDS_PER_BYTE * size
    return Limits(_FREE_MEMORY + _MEMORY_PER_BYTE * size, seconds, 2.0 * seconds)


def onnxruntime_results(model: bytes, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the results of an ONNX model that mpscnn has written, from onnxruntime in a confined process.

    Raises the errors of `ConfinedProcess`.
    """
    request = pack({}, [np.frombuffer(model, np.uint8), *inputs])
    function = "mpscnn.comparison.engine_process:run_onnx"
    return unpack(run_confined(function, request, limits_of_check(len(request))))[1]


class ConfinedEngine:
    """Another engine with a network, in a confined process of its own.

    Args:
        kind: a name of `engine_process.serve`.
        name: the name of the network's file, for messages.
        options: texts and numbers for the engine.
        arrays: the network for the engine.
        limits: what it may use.
        reads: files or folders that it may read.
        folder: a folder with the network, for an engine that reads files only. It is removed with the engine.

    Raises:
        UnsupportedError: this machine cannot confine the process, or the engine crashes or exceeds the limits.
        WeightsError: the engine cannot read the network.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        options: dict[str, Any],
        arrays: Sequence[NDArray[Any]],
        limits: Limits = GENEROUS,
        reads: Sequence[Path] = (),
        *,
        folder: Path | None = None,
    ) -> None:
        self._name = name
        if folder is not None:
            weakref.finalize(self, shutil.rmtree, folder, True)
        try:
            self._process = ConfinedProcess(
                "mpscnn.comparison.engine_process:serve", limits, [kind], reads, folder=folder
            )
        except UnsupportedError as error:
            raise UnsupportedError(f"{name}: {error}") from error
        facts, _ = self._asked({"run": False, "options": {"name": name, **options}}, arrays)
        try:
            self.title = str(facts["title"]) + (", not confined" if is_confinement_waived() else "")
            self.precision = str(facts["precision"])
            self.inputs = {str(key): tuple(shape) for key, shape in facts["inputs"].items()}
            self.steps = {
                str(key): Steps(tuple(map(float, lowest)), tuple(map(float, step)), int(last))
                for key, (lowest, step, last) in facts["steps"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsError(f"{name}: its engine describes it wrongly: {error}") from error

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return the results of all layers."""
        texts, arrays = self._asked({"run": True}, inputs)
        self._process.close()
        try:
            values = tuple(
                Value(
                    str(value["name"]),
                    str(value["kind"]),
                    np.asarray(array, np.float32),
                    inner=bool(value["inner"]),
                    aliases=frozenset(map(str, value["aliases"])),
                    part=bool(value["part"]),
                )
                for value, array in zip(texts["values"], arrays, strict=True)
            )
            return Trace(values, tuple(map(str, texts["outputs"])))
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{self.title}: it returned damaged results: {error}") from error

    def _asked(
        self, texts: dict[str, Any], arrays: Sequence[NDArray[Any]]
    ) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        try:
            return unpack(self._process.call(pack(texts, arrays)))
        except UnsupportedError as error:
            said = str(error)
            raise (
                error if said.startswith(self._name) else UnsupportedError(f"{self._name}: {said}")
            ) from error
