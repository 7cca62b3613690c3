"""TensorFlow Lite files with integers and truth values without a scale give LiteRT's results, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.quantized_files import judged
from converters.quantized_ranges import CASES, FLOAT_CASES, file_of
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.tflite.file import read_tflite

ALL = CASES | FLOAT_CASES
KINDS = [kind for kind, case in ALL.items() if case.weights is None]
#: Operators that are refused, because LiteRT rounds their results or lets them overflow.
REFUSED = {"ADD", "ADD_N", "MAXIMUM", "MEAN", "MINIMUM", "MUL", "REDUCE_PROD", "SQUARED_DIFFERENCE", "SUB"}


def answers(path: Path, kind: str, dtype: str, inputs: list[NDArray[Any]]) -> list[NDArray[Any]] | None:
    """Return LiteRT's results by the first version of the operator that supports the type; None if none does."""
    for version in range(1, 6):
        path.write_bytes(file_of(kind, dtype, (1.0, 0), (1.0, 0), version=version))
        try:
            found = judged(path, *inputs)
        except (RuntimeError, ValueError):
            continue
        return [found[index] for index in read_tflite(path).outputs]
    return None


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool"])
@pytest.mark.parametrize("kind", KINDS)
def test_results_are_those_of_litert_or_refused(tmp_path: Path, kind: str, dtype: str) -> None:
    draw = np.random.default_rng(1)
    inputs = [draw.integers(-99, 100, shape).astype(dtype) for shape in ALL[kind].inputs]
    path = tmp_path / "one.tflite"
    wanted = answers(path, kind, dtype, inputs)
    if kind in REFUSED or (kind, dtype) == ("SUM", "bool"):
        with pytest.raises(mpscnn.UnsupportedError, match=f"computes with {dtype} numbers"):
            converters.read_network([path])
    elif wanted is not None:
        network = converters.read_network([path])
        found = network.compile(device="cpu").session().run([x.astype(np.float32) for x in inputs])
        listed = list(found.values()) if isinstance(found, dict) else [np.asarray(found)]
        for ours, theirs in zip(listed, wanted, strict=True):
            np.testing.assert_array_equal(ours, theirs.astype(np.float32))
