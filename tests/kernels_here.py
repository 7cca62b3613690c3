"""What the kernels that the tests run with have."""

from __future__ import annotations

import pytest

import mpscnn

needs_fma = pytest.mark.skipif(
    mpscnn.build_config()["instruction_set"] == "baseline",
    reason="baseline: processors without FMAs have none",
)
