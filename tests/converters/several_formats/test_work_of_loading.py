"""A file is converted once: its network is built twice at most, and few steps ask the core for its structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, nodes_of, onnx

import mpscnn
from mpscnn import _core

#: Structures: of the network as it was read, for the simplification, for values beyond float16, and four for the cache.
EXPORTS = 7
#: Networks: as it was read, and with activations in the layers before them. The core copies it once for the program.
BUILDS = 2


def test_loading_builds_and_exports_a_network_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = model(
        nodes_of("a = Conv(x, w); b = Relu(a); y = GlobalAveragePool(b)"),
        {"x": ["n", 3, 8, 8]},
        {"w": np.ones((4, 3, 3, 3))},
    )
    onnx.save(made, tmp_path / "net.onnx")
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    counts = {"to_json": 0, "from_json": 0, "__init__": 0}

    def count(name: str) -> None:
        own = getattr(_core.Graph, name)

        def counted(*arguments: Any) -> Any:
            counts[name] += 1
            return own(*arguments)

        monkeypatch.setattr(_core.Graph, name, staticmethod(counted) if name == "from_json" else counted)

    for name in counts:
        count(name)
    mpscnn.load(tmp_path / "net.onnx", device="cpu")
    assert counts["to_json"] <= EXPORTS
    assert counts["from_json"] + counts["__init__"] <= BUILDS
