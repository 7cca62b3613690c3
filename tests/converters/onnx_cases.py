"""Random ONNX graphs for tests, and their comparison with ONNX' reference evaluator or with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import TOLERANCE, Array, model, run_there
from hypothesis import given, settings
from hypothesis import strategies as st

from mpscnn.converters.finishing.simplify.simplifier import simplify
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.reader import converted

reference = pytest.importorskip("onnx.reference")


@dataclass
class Case:
    """A graph, and its inputs."""

    nodes: list[Any]
    feeds: dict[str, Array]
    constants: dict[str, Any] = field(default_factory=dict)
    opset: int = 23
    outputs: tuple[str, ...] = ("y",)
    results: tuple[Array, ...] = ()
    """The expected results, where no other engine has the operator on a CPU."""
    on_runtime: bool = False
    """Whether onnxruntime computes the expected results, because the evaluator's are wrong or missing."""
    tolerance: float = TOLERANCE
    """The allowed difference, relative to the largest result."""
    steps: float = 0.0
    """The allowed difference of integers, which halves may round to either side."""


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


def compare_drawn(make: Callable[[Draw], Case], examples: int) -> None:
    """Compare graphs of as many seeds."""

    @settings(max_examples=examples)
    @given(seed=st.integers(0, 2**32 - 1))
    def check(seed: int) -> None:
        compare(make, seed)

    check()


def compare(make: Callable[[Draw], Case], seed: int) -> None:
    case = make(Draw(seed))
    shapes = {name: list(x.shape) for name, x in case.feeds.items()}
    made = model(case.nodes, shapes, case.constants, opset=case.opset, outputs=case.outputs)
    results: Sequence[Any] = case.results
    if case.on_runtime:
        results = run_there(made, case.feeds)
    elif not results:
        with np.errstate(divide="ignore", invalid="ignore"):  # NaN and infinities are valid results
            results = reference.ReferenceEvaluator(made).run(None, case.feeds)
    found = converted(file_from_model(made, "model.onnx"), ReadOptions("model"))
    given = [
        np.ascontiguousarray(layout.arranged(x), np.float32)
        for layout, x in zip(found.inputs, case.feeds.values(), strict=True)
    ]
    program = simplify(found.network).compile(device="cpu", precision="float32")
    run = program.session(threads=1).run(given)
    ours = list(run.values()) if isinstance(run, dict) else [run]
    for layout, own, result in zip(found.outputs, ours, results, strict=True):
        expected = np.asarray(result).astype(np.float32)
        largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=1.0))
        restored = layout.restored(own)
        assert restored.shape == expected.shape
        np.testing.assert_allclose(restored, expected, rtol=0, atol=case.steps or case.tolerance * largest)
