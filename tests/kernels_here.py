"""The abilities of the kernels and devices that the tests use."""

from __future__ import annotations

import json

import pytest

import mpscnn

needs_fma = pytest.mark.skipif(
    mpscnn.build_config()["instruction_set"] == "baseline",
    reason="baseline: processors without FMAs have none",
)


def require_set(name: str) -> None:
    """Skip the test if this build has no kernels for an instruction set. A build for one machine has only the best."""
    if name not in mpscnn.build_config()["instruction_sets"]:
        pytest.skip(f"this build has no kernels for {name}")


def choose_set(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let this test compute with an instruction set. Skip it if the processor or this build lacks the set."""
    monkeypatch.setenv("MPSCNN_CPU", name)
    network = mpscnn.Network(input=(1, 1, 1))
    network.output(network.activation(network.input, "relu"))
    try:
        network.compile(device="cpu")
    except mpscnn.UnsupportedError:
        pytest.skip(f"this processor, or this build, lacks {name}")
    return name


def cpu_precisions() -> list[str]:
    """Return the precisions in which this processor computes. Some have no bfloat16."""
    return next(entry["precisions"] for entry in mpscnn.devices() if entry["name"] == "cpu")


def device_trains(device: str) -> bool:
    """Return True if the device's engine runs operations of training. docs/catalogue.md lists what engines lack."""
    rows = json.loads(mpscnn._core.unsupported_features())
    return device == "cpu" or not any(
        row["engine"] == "metal" and row["operation"] == "any" and "not trained" in row["allowed"]
        for row in rows
    )
