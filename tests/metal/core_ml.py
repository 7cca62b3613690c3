"""Compute models of the emulated Core ML with mpscnn's own reader.

    python core_ml.py MODEL FOLDER

This is the program for CORE_ML_EMULATION_RUNNER in processes that no test can call (core_ml/core_ml_emulation.h).
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpscnn.comparison.coreml_engine import _has_halves
from mpscnn.converters import read_network
from mpscnn.converters.reading.coreml.file import read_coreml

Arrays = dict[str, NDArray[np.float32]]


class Tensor(ctypes.Structure):
    """core_ml_emulation_tensor."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("rank", ctypes.c_int),
        ("shape", ctypes.c_int64 * 8),
        ("data", ctypes.POINTER(ctypes.c_float)),
    )


_GIVE = ctypes.CFUNCTYPE(None, ctypes.POINTER(Tensor), ctypes.c_void_p)
_RUNNER = ctypes.CFUNCTYPE(
    ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(Tensor), ctypes.c_int, _GIVE, ctypes.c_void_p
)


class ReadModel:
    """A model that mpscnn has read. The network may have other names of inputs and outputs than the model."""

    def __init__(self, model: str) -> None:
        message = read_coreml(Path(model)).model
        self._inputs, self._outputs = (
            [str(feature.name) for feature in features]
            for features in (message.description.input, message.description.output)
        )
        precision = "float16" if _has_halves(message) else "float32"
        self._program = read_network([model]).compile(device="cpu", precision=precision)

    def compute(self, given: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """Return the outputs by name."""
        assert set(given) == set(self._inputs), f"the inputs are {sorted(given)}"
        found = self._program.run([_channels(given[name], (0, 2, 3, 1)) for name in self._inputs])
        arrays = found.values() if isinstance(found, dict) else [found]
        return {
            name: _channels(np.float32(array), (0, 3, 1, 2))
            for name, array in zip(self._outputs, arrays, strict=True)
        }


def _channels(array: NDArray[np.float32], axes: tuple[int, ...]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array.transpose(axes) if array.ndim == 4 else array)


@contextlib.contextmanager
def reader_as_core_ml() -> Iterator[list[str]]:
    """Let the emulated Core ML compute by mpscnn's reader. Yields the models of all predictions."""
    library = ctypes.CDLL("libmetal_emulation.so")
    used: list[str] = []
    models: dict[str, ReadModel] = {}
    errors: list[ctypes.Array[ctypes.c_char]] = []

    def run(model: bytes, inputs: ctypes._Pointer[Tensor], count: int, give: object, results: int) -> int:
        try:
            used.append(model.decode())
            given = {}
            for tensor in inputs[:count]:
                shape = tuple(tensor.shape[: tensor.rank])
                given[tensor.name.decode()] = np.ctypeslib.as_array(tensor.data, shape).copy()
            if used[-1] not in models:
                models[used[-1]] = ReadModel(used[-1])
            for name, array in models[used[-1]].compute(given).items():
                numbers = array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
                output = Tensor(name.encode(), array.ndim, (ctypes.c_int64 * 8)(*array.shape), numbers)
                give(ctypes.byref(output), results)  # type: ignore[operator]
        except Exception as error:  # the emulation reports it as an error of Core ML
            errors.append(ctypes.create_string_buffer(f"{type(error).__name__}: {error}".encode()))
            return ctypes.addressof(errors[-1])
        return 0

    runner = _RUNNER(run)
    library.core_ml_emulation_set_runner(runner)
    try:
        yield used
    finally:
        library.core_ml_emulation_set_runner(None)


def main() -> None:
    """Read the inputs in a folder, and write the outputs there."""
    model, folder = sys.argv[1], Path(sys.argv[2])
    numbers = np.fromfile(folder / "inputs.bin", np.float32)
    given: Arrays = {}
    for line in (folder / "inputs.txt").read_text("utf-8").splitlines():
        name, *extents = line.split()
        shape = tuple(map(int, extents))
        size = int(np.prod(shape))
        given[name], numbers = numbers[:size].reshape(shape), numbers[size:]
    found = ReadModel(model).compute(given)
    lines = [" ".join((name, *map(str, array.shape))) for name, array in found.items()]
    (folder / "outputs.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    np.concatenate([array.reshape(-1) for array in found.values()]).tofile(folder / "outputs.bin")


if __name__ == "__main__":
    main()
