"""Check that the engines that tests compare with compute exactly what files say, also on processors without VNNI."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, node
from exact_engines import litert_interpreter, onnxruntime_results, onnxruntime_session

#: The largest products of bytes. Two of them do not fit 16 bits, where some kernels would add them.
CONSTANTS: dict[str, Any] = {
    "one": np.float32(1.0),
    "zero": np.uint8(0),
    "w": np.full((2, 8, 1, 1), 127, np.int8),
    "none": np.int8(0),
    "step": np.float32(2000.0),
}
NODES = [
    node("QuantizeLinear", ["x", "one", "zero"], "q"),
    node("DequantizeLinear", ["q", "one", "zero"], "a"),
    node("DequantizeLinear", ["w", "one", "none"], "v"),
    node("Conv", ["a", "v"], "r"),
    node("QuantizeLinear", ["r", "step", "zero"], "p"),
    node("DequantizeLinear", ["p", "step", "zero"], "y"),
]


def test_onnxruntime_adds_integers_exactly() -> None:
    made = model(NODES, {"x": [1, 8, 4, 4]}, CONSTANTS, opset=13)
    (found,) = onnxruntime_results(made, np.full((1, 8, 4, 4), 255.0, np.float32))
    np.testing.assert_array_equal(found, np.full((1, 2, 4, 4), round(8 * 255 * 127 / 2000) * 2000.0))


def test_onnxruntime_does_not_change_the_graph() -> None:
    import onnxruntime

    made = model(NODES, {"x": [1, 8, 4, 4]}, CONSTANTS, opset=13)
    options = onnxruntime_session(made).get_session_options()
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert options.intra_op_num_threads == 1
    fast = onnxruntime_session(made, fast_because="this test compares both").get_session_options()
    assert fast.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def test_litert_runs_its_reference_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr(litert, "Interpreter", lambda **options: opened.append(options))
    litert_interpreter(b"")
    litert_interpreter(b"", fast_because="this test compares both")
    kinds = [options["experimental_op_resolver_type"] for options in opened]
    assert kinds == [
        litert.OpResolverType.BUILTIN_REF,
        litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    ]
    assert {options["num_threads"] for options in opened} == {1}
