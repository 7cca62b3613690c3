"""Judge what mpscnn reads: random ONNX graphs, models of Keras, and the samples of torch's own tests of operators."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from converters.free_size_graphs import CHANNELS, RandomGraph
from exact_engines import onnx_in_float64, onnxruntime_session
from generators.ways import Wrong, compare, told

import mpscnn
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.reader import converted

_LENGTH = 7
#: Height and width of random graphs, and the sizes that each is run with.
SIZES: dict[str, tuple[tuple[int | str, int | str], tuple[tuple[int, int], ...]]] = {
    "free": (("h", "w"), ((7, 9), (8, 5))),
    "named": (("s", "s"), ((5, 5), (7, 7))),
    "fixed": ((5, 5), ((5, 5),)),
    "channels": ((CHANNELS, CHANNELS), ((CHANNELS, CHANNELS),)),
}


def onnx_graph(seed: int, length: int, kind: str) -> None:
    """Compare a random graph with onnxruntime without optimisation."""
    size, runs = SIZES[kind]
    made = RandomGraph(np.random.default_rng(seed), length, size).model()
    read = converted(file_from_model(made, "m"), ReadOptions("m"))
    session = read.network.compile(device="cpu", precision="float32").session(threads=1)
    there = onnxruntime_session(made)
    for height, width in runs:
        x = np.random.default_rng(seed).uniform(-2, 2, (2, CHANNELS, height, width)).astype(np.float32)
        found = session.run(np.ascontiguousarray(read.inputs[0].arranged(x)))
        restored = read.outputs[0].restored(found)
        exact = functools.partial(onnx_in_float64, made, x)
        compare(f"{height} x {width}", [restored], there.run(None, {"x": x}), exact)


def onnx_of_sizes(kind: str) -> Callable[[int, Path], None]:
    """Return the way for graphs whose sizes are free, have one name, or are fixed.

    A graph of fewer steps has the same first steps, so a failure is reported for the shortest graph that fails.
    """

    def way(seed: int, _: Path) -> None:
        try:
            onnx_graph(seed, _LENGTH, kind)
        except mpscnn.UnsupportedError:
            raise
        except Exception:
            for length in range(1, _LENGTH):
                try:
                    onnx_graph(seed, length, kind)
                except Exception as error:  # any error of the shorter graph is the finding
                    raise Wrong(f"with {length} steps: {type(error).__name__}: {error}") from error
            raise

    return way


def keras_model(seed: int, folder: Path) -> None:
    """Compare a random model of Keras with Keras itself, on torch."""
    from oracles.test_keras_random import differs, random_model

    draw = np.random.default_rng(seed)
    model = random_model(draw)
    x = draw.uniform(-2, 2, (3, *model.input_shape[1:])).astype(np.float32)
    if (error := differs(model, folder / "m.keras", x)) > max(1e-4, 2 * _change(model, x)):
        raise Wrong(f"differs by {error:.3g} of the largest magnitude")


def _change(model: Any, x: np.ndarray) -> float:
    """Return by how much rounding changes a model's results: a normalization can magnify a small difference."""
    other = x * np.random.default_rng(0).choice([1, 1 + 2.0**-22], x.shape).astype(np.float32)
    first, second = (model(one, training=False).detach().numpy() for one in (x, other))
    return float(np.abs(first - second).max() / max(np.abs(first).max(), 1e-3))


# ---- Operators of torch ----------------------------------------------------------------------------------------------


@functools.cache
def _operators() -> Sequence[Any]:
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    return [one for one in op_db if one.supports_dtype(torch.float32, "cpu")]


def _sample(seed: int) -> tuple[str, Callable[[Any], Any], Any] | None:
    """Return a sample of torch's own tests: the operator, a function of one tensor, and the tensor."""
    import torch

    operators = _operators()
    info = operators[seed % len(operators)]
    torch.manual_seed(0)
    samples = info.sample_inputs("cpu", torch.float32)
    sample = next(itertools.islice(samples, seed // len(operators), None), None)
    if sample is None or not isinstance(sample.input, torch.Tensor) or sample.input.numel() == 0:
        return None
    name = f"{info.name}{'.' if info.variant_test_name else ''}{info.variant_test_name}"
    return name, lambda x: info.op(x, *sample.args, **sample.kwargs), sample.input.detach()


def _results(found: Any) -> list[np.ndarray]:
    import torch
    from torch.utils import _pytree as pytree

    leaves = [one.detach() for one in pytree.tree_leaves(found) if hasattr(one, "detach")]
    dense = [one.to_dense() if one.layout != torch.strided else one for one in leaves]
    # NumPy has no type for these.
    wider = {torch.bfloat16: torch.float32, torch.complex32: torch.complex64}
    return [one.to(wider.get(one.dtype, one.dtype)).resolve_conj().resolve_neg().numpy() for one in dense]


def operator_by_from_torch(seed: int, _: Path) -> None:
    """Convert an operator, which compares its results with torch's."""
    if (found := _sample(seed)) is None:
        return
    name, function, x = found
    try:
        mpscnn.from_torch(function, x)
    except mpscnn.UnsupportedError as error:
        if "does not compute what" in str(error):
            raise Wrong(f"{name} {tuple(x.shape)}: {error}") from error
        raise
    except Exception as error:
        raise Wrong(f"{name} {tuple(x.shape)}: {type(error).__name__}: {error}") from error


def operator_by_compile(seed: int, _: Path) -> None:
    """Compile an operator by the backend "mpscnn", also if it is alone, and compare its results with torch's."""
    import torch

    from mpscnn.torch_backend import backend, partition

    if (found := _sample(seed)) is None:
        return
    name, function, x = found
    torch._dynamo.reset()
    least, partition.MIN_NODES = partition.MIN_NODES, 1
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            expected = function(x.clone())
        compiled = torch.compile(function, backend=backend)
        with torch.no_grad():
            torch.manual_seed(0)
            made = compiled(x.clone())
            torch.manual_seed(0)
            again = function(x.clone())
    except torch._dynamo.exc.BackendCompilerFailed as error:
        raise Wrong(f"{name} {tuple(x.shape)}: {error}") from error
    except Exception:  # torch itself cannot run or compile the sample
        return
    finally:
        partition.MIN_NODES = least
    if all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(_results(expected), _results(again), strict=True)
    ):
        compare(f"{name} {tuple(x.shape)}", _results(made), _results(expected))


Source = Callable[[int, Path], None]
#: The ways in, by name. Each takes a seed and an empty folder.
READ: dict[str, Source] = {
    **{f"onnx-{kind}": onnx_of_sizes(kind) for kind in SIZES},
    "keras": keras_model,
    "from_torch": operator_by_from_torch,
    "torch.compile": operator_by_compile,
}


def finding(source: Source, seed: int, folder: Path) -> str:
    """Return what is wrong with a seed, as `told`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return told(lambda: source(seed, folder))
