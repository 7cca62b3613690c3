"""Test the table of unsupported features: the engine refuses the values of each row and supports other values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_structure import smallest
from unsupported_cases import CASES, Case, Layer

import mpscnn

#: The rows for the Metal engine. Rows for "any" engine are tested with the CPU's.
ON_METAL = [case for case in CASES if case.engine == "metal"]


def run(layer: Layer) -> None:
    program = layer.network().compile(device="metal", **layer.options())
    shapes = layer.given or [shape for shape in layer.shapes if None not in shape]
    inputs = {
        name: np.ones((1, *shape), np.float32) for name, shape in zip(program.inputs, shapes, strict=True)
    }
    result = program.session(check_finite=layer.check_finite).run(inputs)
    assert isinstance(result, np.ndarray)
    assert np.isfinite(result).all()


@pytest.mark.parametrize("case", ON_METAL, ids=str)
def test_a_row_is_refused_and_its_neighbour_runs(case: Case) -> None:
    with pytest.raises(mpscnn.UnsupportedError) as raised:
        run(case.refused)
    for part in ("on device 'metal'", case.row()["field"], case.row()["allowed"], f"got {case.value}"):
        assert part in str(raised.value)
    run(case.allowed)


@pytest.mark.parametrize("operation", [entry["name"] for entry in mpscnn.operations()])
def test_metal_runs_every_operation(operation: str) -> None:
    shapes, attributes = smallest(operation)
    run(Layer(operation, list(shapes), attributes))


def others(parameter: dict[str, Any]) -> Iterator[Any]:
    """Yield values that differ from the parameter's default. Some are invalid."""
    default = parameter["default"]
    if "allowed" in parameter:
        yield from (name for name in parameter["allowed"] if name != default)
    elif parameter["type"] == "boolean":
        yield not default
    elif parameter["type"] == "integer":
        yield from (default + change for change in (-1, 1, 2))
    elif parameter["type"] == "number":
        yield default / 2 if abs(default) > 1e30 else default + 0.5


PARAMETERS = [
    (entry["name"], parameter) for entry in mpscnn.operations() for parameter in entry["parameters"]
]


@pytest.mark.parametrize(
    ("operation", "parameter"), PARAMETERS, ids=[f"{name} {field['name']}" for name, field in PARAMETERS]
)
def test_a_parameter_is_computed_or_refused_but_never_ignored(
    operation: str, parameter: dict[str, Any], full: bool
) -> None:
    """Each value of each parameter is supported or in the table, also for parameters that are added later.

    The default tier tries two values of each parameter.
    """
    shapes, attributes = smallest(operation)
    for value in itertools.islice(others(parameter), None if full else 2):
        try:
            net = Layer(operation, list(shapes), attributes | {parameter["name"]: value}).network()
            sessions = [net.compile(device=device).session() for device in ("cpu", "metal")]
        except (mpscnn.ParameterError, mpscnn.ShapeError, mpscnn.UnsupportedError):
            continue
        inputs = {
            f"x{i}": np.random.default_rng(i).normal(size=(2, *shape)).astype(np.float32)
            for i, shape in enumerate(shapes)
        }
        on_cpu, on_metal = (session.run(inputs) for session in sessions)
        np.testing.assert_allclose(on_metal, on_cpu, rtol=1e-5, atol=1e-5)
