"""The abilities of the kernels and devices that the tests use."""

from __future__ import annotations

import json

import pytest

import mpscnn

needs_fma = pytest.mark.skipif(
    mpscnn.build_config()["instruction_set"] == "baseline",
    reason="baseline: processors without FMAs have none",
)


def device_trains(device: str) -> bool:
    """Return True if the device's engine runs operations of training. docs/catalogue.md lists what engines lack."""
    rows = json.loads(mpscnn._core.unsupported_features())
    return device == "cpu" or not any(
        row["engine"] == "metal" and row["operation"] == "any" and "not trained" in row["allowed"]
        for row in rows
    )
