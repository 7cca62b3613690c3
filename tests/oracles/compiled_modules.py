"""Compile modules with the backend "mpscnn" of torch.compile, for comparisons with the modules themselves."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from mpscnn.torch_backend import backend  # noqa: E402

#: The allowed difference from torch's results, relative to the largest result.
TOLERANCE = 1e-5


class Compiled:
    """A module compiled by the backend, and the graphs that were made for it."""

    def __init__(self, module: Any, **options: Any) -> None:
        self.graphs: list[Any] = []

        def keep(graph: Any, inputs: Any) -> Any:
            self.graphs.append(backend(graph, inputs, **options))
            return self.graphs[-1]

        self.run = torch.compile(module, backend=keep)

    def __call__(self, *inputs: Any) -> Any:
        return self.run(*inputs)

    @property
    def left(self) -> list[str]:
        """Return the operators that torch computes itself, such as "cumsum.default"."""
        return sorted(
            {reason.partition(":")[0] for graph in self.graphs for reason in graph.report.left.values()}
        )

    @property
    def networks(self) -> int:
        return sum(len(graph.report.networks) for graph in self.graphs)


def assert_equal(found: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    worst = (found.double() - expected.double()).abs().max() / expected.double().abs().max()
    assert worst <= tolerance, f"relative error {worst:.2g}"
