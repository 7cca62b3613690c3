"""Random ONNX graphs for tests, and their comparison with ONNX' reference evaluator or with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import TOLERANCE, Array, model, read, run_here, run_there

reference = pytest.importorskip("onnx.reference")


@dataclass
class Case:
    """A graph, and its inputs."""

    nodes: list[Any]
    feeds: dict[str, Array]
    constants: dict[str, Any] = field(default_factory=dict)
    opset: int = 23
    outputs: tuple[str, ...] = ("y",)
    on_runtime: bool = False
    """Whether onnxruntime computes the expected results, because the evaluator's are wrong or missing."""
    tolerance: float = TOLERANCE
    """The allowed difference, relative to the largest result."""


class Draw:
    """A source of random numbers, which depend on the seed only."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def flag(self) -> bool:
        return bool(self.integer(0, 1))

    def choice(self, *values: Any) -> Any:
        return values[self.integer(0, len(values) - 1)]

    def numbers(self, *shape: int) -> Array:
        return self.random.uniform(-2.0, 2.0, shape).astype(np.float32)

    def shape(self, rank: int) -> tuple[int, ...]:
        return tuple(self.integer(1, 6) for _ in range(rank))


def compare(make: Callable[[Draw], Case], seed: int) -> None:
    case = make(Draw(seed))
    shapes = {name: list(x.shape) for name, x in case.feeds.items()}
    made = model(case.nodes, shapes, case.constants, opset=case.opset, outputs=case.outputs)
    if case.on_runtime:
        results = run_there(made, case.feeds)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):  # NaN and infinities are valid results
            results = reference.ReferenceEvaluator(made).run(None, case.feeds)
    network = read(made)
    for found, result in zip(run_here(network, list(case.feeds.values())), results, strict=True):
        expected = np.asarray(result).astype(np.float32)
        if expected.ndim == 4:
            expected = expected.transpose(0, 2, 3, 1)
        assert found.size == expected.size
        largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=1.0))
        np.testing.assert_allclose(
            found.reshape(expected.shape), expected, rtol=0, atol=case.tolerance * largest
        )
