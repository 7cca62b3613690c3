"""Parametrise the generic tests with the records of a module. Tests without records are dropped."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from kernels.conftest import queue_of_chosen_device
from operations.record import Layers, Operation
from ops.conftest import chosen_device, emulation_watched

import mpscnn
from mpscnn import _core

__all__ = ["chosen_device", "emulation_watched", "queue_of_chosen_device"]

#: The names of the operations through which networks can be trained.
DIFFERENTIABLE = {entry["name"] for entry in mpscnn.operations() if entry["gradient"]}

#: The table of cases in cpp/ops/layer_cases.cpp, without those of training.
CASES = [case for case in json.loads(_core.cases()) if "training" not in case["tags"]]


def _drawn(operation: Operation) -> Any:
    return {name: (operation, samples) for name, samples in operation.draws.items()}


def _drawn_for_torch(operation: Operation) -> Any:
    draws = operation.draws if operation.torch_draws is None else operation.torch_draws
    return {name: (operation, samples) for name, samples in draws.items()}


def _differentiable(operation: Operation) -> Any:
    if operation.name not in DIFFERENTIABLE:
        return {}
    draws = operation.draws if operation.gradient_draws is None else operation.gradient_draws
    return {name: (operation, samples) for name, samples in draws.items()}


#: The functions that return an operation's records, by the name of the test's argument.
RECORDS: dict[str, Callable[[Operation], dict[str, Any]]] = {
    "drawn": _drawn,
    "known": lambda operation: {name: (operation, sample) for name, sample in operation.known.items()},
    "refused": lambda operation: {
        f"{number} {refusal.message}": (operation, refusal)
        for number, refusal in enumerate(operation.refused)
    },
    "layers": lambda operation: {
        name: layers for name, layers in operation.layers.items() if isinstance(layers, Layers)
    },
    "drawn_layers": lambda operation: {
        name: layers for name, layers in operation.layers.items() if not isinstance(layers, Layers)
    },
    "case": lambda operation: {case["name"]: case for case in CASES if case["operation"] == operation.name},
    "divided": lambda operation: {name: (operation, sample) for name, sample in operation.divided.items()},
    "exported": lambda operation: {
        name: (operation, samples)
        for name, samples in (
            operation.draws if operation.onnx_draws is None else operation.onnx_draws
        ).items()
        if not operation.training
    },
    "oracle": lambda operation: _drawn_for_torch(operation) if operation.torch else {},
    "differentiable": _differentiable,
    "raw_kernel": lambda operation: {name: (operation, kernel) for name, kernel in operation.kernels.items()},
}


def parameters(argument: str, operations: list[Operation]) -> list[Any]:
    return [
        pytest.param(record, id=f"{operation.name}-{name}", marks=_marks(record))
        for operation in operations
        for name, record in RECORDS[argument](operation).items()
    ]


def _marks(record: Any) -> Any:
    return getattr(record[-1] if isinstance(record, tuple) else record, "marks", ())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for argument in RECORDS.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(argument, parameters(argument, metafunc.module.OPERATIONS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop tests without records, which pytest would report as skipped."""
    items[:] = [item for item in items if "NOTSET" not in item.name]
