"""Judge written files by the runtimes of their formats: each with and without its optimisation."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exact_engines import every_litert, every_onnxruntime, invoke_litert, onnx_in_float64
from generators.programs import Program, build
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.reader import converted
from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.errors import UnsupportedError

Array = NDArray[Any]
#: The allowed difference, relative to the largest magnitude of a result. Results are at least `_FLOOR` for this: the
#: inputs are of magnitude 1, and a small result is often the difference of numbers of this magnitude.
TOLERANCE = 2e-4
_FLOOR = 1e-2
#: A runtime's result that should be 0 may be its rounding error, divided by the root of a normalization's epsilon.
_FLOOR_OF_RUNTIMES = 1e-1
_ROUNDING_OF_BOTH = 2.0
_IMAGES = 4  # the number of axes of images


class Wrong(Exception):
    """A result differs from that of the format's own runtime."""


class MissingPackageError(Exception):
    """A package that a way needs is not installed."""


def compare(
    where: str,
    found: Sequence[Array],
    expected: Sequence[Array],
    exact: Callable[[], Sequence[Array]] | None = None,
    floor: float = _FLOOR,
) -> None:
    """Raise Wrong if mpscnn's results differ from those of the format's runtime. Not all numbers need be finite.

    Where they do, `exact` computes the same in float64, and decides as from_torch's check does: a result may also be
    near to it, or have at most twice the rounding error of the runtime.
    """
    if len(found) != len(expected):
        raise Wrong(f"{where}: {len(found)} results for {len(expected)}")
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        if one.size != other.size:
            raise Wrong(f"{where}: shape {one.shape} for {other.shape}")
        a, b = one.reshape(-1).astype(np.float64), other.reshape(-1).astype(np.float64)
        known = np.isfinite(b)
        largest = np.abs(b[known]).max(initial=floor)
        if np.allclose(a[known], b[known], rtol=0, atol=TOLERANCE * largest):
            continue
        if exact is None or not _is_rounding(a[known], b[known], exact()[place].reshape(-1)[known], floor):
            raise Wrong(f"{where}: differs by {np.abs(a[known] - b[known]).max():.3g} of {largest:.3g}")


def _is_rounding(ours: Array, theirs: Array, exact: Array, floor: float) -> bool:
    error, other = (np.abs(one - exact).max() for one in (ours, theirs))
    return bool(error <= max(TOLERANCE * np.abs(exact).max(initial=floor), _ROUNDING_OF_BOTH * other))


def example(network: mpscnn.Network, seed: int) -> Array:
    """Return a random input of one image."""
    shape = [extent or 4 for extent in network.input.shape[1:]]
    return np.random.default_rng(seed).normal(0, 1, (1, *shape)).astype(np.float32)


def own_results(network: mpscnn.Network, x: Array) -> list[Array]:
    """Return the network's results on the CPU in float32."""
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(x)
    return list(found.values()) if isinstance(found, dict) else [found]


def litert_runs(path: Path, x: Array) -> Iterator[tuple[str, list[Array]]]:
    """Run a file in LiteRT with XNNPACK, with the other fast kernels, and with the reference kernels."""
    for name, interpreter in every_litert(path):
        invoke_litert(interpreter, x)
        yield name, [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


def onnxruntime_runs(path: Path, x: Array) -> Iterator[tuple[str, list[Array]]]:
    """Run a file in onnxruntime without and with all optimisations."""
    for name, session in every_onnxruntime(path):
        # Images and results of four axes are NCHW in the file, and NHWC here.
        yield name, _channels_last(session.run(None, {session.get_inputs()[0].name: _channels_first(x)}))


def _channels_first(x: Array) -> Array:
    return x.transpose(TO_NCHW) if x.ndim == _IMAGES else x


def _channels_last(results: Sequence[Array]) -> list[Array]:
    return [one.transpose(TO_NHWC) if one.ndim == _IMAGES else one for one in results]


def parse_core_ml(path: Path) -> None:
    """Read a package by coremltools, which checks its types and shapes, and its program."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    import coremltools

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = coremltools.models.MLModel(str(path), skip_model_load=True)
        if model.get_spec().WhichOneof("Type") == "mlProgram":
            from coremltools.converters.mil.frontend.milproto.load import load

            load(
                model.get_spec(),
                specification_version=model.get_spec().specificationVersion,
                file_weights_dir=model.weights_dir,
            )


def _judged(
    program: Program,
    path: Path,
    runs: Callable[[Path, Array], Iterator[tuple[str, list[Array]]]],
    exact: Callable[[Path, Array], Sequence[Array]],
) -> tuple[Array, list[Array]]:
    """Write a network and compare the file's results. Return the example and the network's results."""
    network = build(program)
    network.save(path)
    x = example(network, program.seed)
    own = own_results(network, x)
    for where, theirs in runs(path, x):
        # Neither may be far from float64: the file may be wrong, and the runtime may be, with a file that is right.
        judge = partial(exact, path, x)
        compare(where, own, theirs, judge)
        compare(where, theirs, own, judge, _FLOOR_OF_RUNTIMES)
    return x, own


def tflite(program: Program, folder: Path) -> None:
    """Write TensorFlow Lite, run it with LiteRT's three kinds of kernels, and read it back."""
    path = folder / "m.tflite"
    x, expected = _judged(program, path, litert_runs, partial(_written_in_float64, program))
    compare("read back", own_results(mpscnn.converters.read_network([path]), x), expected)


def _written_in_float64(program: Program, path: Path, x: Array) -> list[Array]:
    """Return the results of a network in float64, which the reference evaluator of ONNX computes."""
    other = path.with_suffix(".onnx")
    build(program).save(other)
    return _onnx_in_float64(other, x)


def onnx(program: Program, folder: Path) -> None:
    """Write ONNX, run it in onnxruntime with and without optimisation, and read it back."""
    import onnx as package

    path = folder / "m.onnx"
    x, expected = _judged(program, path, onnxruntime_runs, _onnx_in_float64)
    # The input of a network that moves its axes first is read as an array, whose axes are those of the file.
    read = converted(file_from_model(package.load(path), "m"), ReadOptions("m"))
    given = read.inputs[0].arranged(_channels_first(x))
    found = own_results(read.network, np.ascontiguousarray(given))
    restored = [layout.restored(one) for layout, one in zip(read.outputs, found, strict=True)]
    compare("read back", _channels_last(restored), expected)


def _onnx_in_float64(path: Path, x: Array) -> list[Array]:
    import onnx as package

    return _channels_last(onnx_in_float64(package.load(path), _channels_first(x)))


def core_ml(program: Program, folder: Path) -> None:
    """Write Core ML, parse it by coremltools, and read it back."""
    network, path = build(program), folder / "m.mlpackage"
    network.save(path)
    parse_core_ml(path)
    x = example(network, program.seed)
    read = mpscnn.converters.read_network([path])
    # The input of a network that moves its axes first is read as an array, whose axes are those of the file.
    is_image = x.ndim != _IMAGES or read.input.shape[1:] == x.shape[1:]
    found = own_results(read, x if is_image else _channels_first(x))
    # Core ML's program is in float16.
    for one, other in zip(found, own_results(network, x), strict=True):
        if one.size != other.size:
            raise Wrong(f"read back: shape {one.shape} for {other.shape}")


Way = Callable[[Program, Path], None]
#: The ways out, by name.
WRITTEN: dict[str, Way] = {"tflite": tflite, "onnx": onnx, "coreml": core_ml}


def finding(way: Way, program: Program, folder: Path) -> str:
    """Return what is wrong with a program by a way, as `told`."""
    return told(partial(way, program, folder))


def told(attempt: Callable[[], object]) -> str:
    """Return what is wrong: "" if an attempt is right, "refused: ..." if mpscnn refuses it.

    Raises MissingPackageError if a package is not installed, so that nothing is judged.
    """
    try:
        attempt()
    except Wrong as error:
        return str(error)
    except UnsupportedError as error:
        if isinstance(error.__cause__, ImportError):
            raise MissingPackageError(str(error)) from error
        return f"refused: {error}"
    except pytest.skip.Exception as error:
        raise MissingPackageError(str(error)) from error
    except Exception as error:  # any other error is a finding
        if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("mpscnn"):
            raise MissingPackageError(str(error)) from error
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return ""
