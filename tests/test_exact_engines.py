"""Check that the engines that tests compare with compute exactly what files say, also on processors without VNNI."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, node, onnx
from exact_engines import litert_interpreter, onnxruntime_results, onnxruntime_session

from mpscnn.comparison import exact_integers

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


def product(kind: str) -> Any:
    """Return a model with an operator that multiplies 255 by 127, eight times. The sum is divided by 2000 for bytes."""
    of_microsoft = ("QGemm", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QAttention")
    domain = "com.microsoft" if kind in of_microsoft else ""
    given, weights, result = ["q", "one", "zero"], ["w", "one", "none"], ["step", "zero"]
    inputs = {
        "QGemm": [*given, *weights, "", *result],
        "MatMulInteger": ["q", "w"],
        "DynamicQuantizeMatMul": ["x", "w", "one"],
        "MatMulIntegerToFloat": ["q", "w", "one", "one", "zero", "none"],
        # The attention of one token is its values.
        "QAttention": ["q", "w", "b", "one", "one", "", "zero", "none"],
    }.get(kind, [*given, *weights, *result])
    attributes = {"num_heads": 1} if kind == "QAttention" else {}
    made = [
        node("QuantizeLinear", ["x", "one", "zero"], "q"),
        node(kind, inputs, "p", domain=domain, **attributes),
    ]
    extents, image = {"QLinearConv": ((2, 8, 1, 1), [1, 8, 4, 4]), "QAttention": ((8, 24), [1, 1, 8])}.get(
        kind, ((8, 2), [1, 8])
    )
    constants = CONSTANTS | {"w": np.full(extents, 127, np.int8), "b": np.zeros(24, np.float32)}
    if kind in ("QLinearConv", "QLinearMatMul", "QGemm"):
        made.append(node("DequantizeLinear", ["p", "step", "zero"], "y"))
    else:
        made.append(node("Cast", ["p"], "y", to=1))
    return model(made, {"x": image}, constants, opset=13)


@pytest.mark.parametrize("kind", exact_integers.OPERATORS)
def test_onnxruntime_adds_products_of_operators_exactly(kind: str) -> None:
    made = product(kind)
    shape = [extent.dim_value for extent in made.graph.input[0].type.tensor_type.shape.dim]
    x = np.full(shape, 255.0, np.float32)
    (found,) = onnxruntime_results(made, x)
    is_rounded = made.graph.node[-1].op_type == "DequantizeLinear"
    total = 8 * 255 * 127
    np.testing.assert_array_equal(
        found, np.full_like(found, round(total / 2000) * 2000.0 if is_rounded else total)
    )


@pytest.mark.parametrize("kind", exact_integers.OPERATORS)
def test_products_of_operators_get_weights_without_signs(kind: str) -> None:
    """On a processor with VNNI, results are exact with any weights."""
    content = exact_integers.opened_exactly(product(kind).SerializeToString())
    changed = onnx.load_from_string(content)
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in changed.graph.initializer}
    (operator,) = (made for made in changed.graph.node if made.op_type == kind)
    weights, zero_point, _ = exact_integers.OPERATORS[kind]
    assert constants[operator.input[weights]].dtype == np.uint8
    assert (constants[operator.input[weights]] == 255).all()
    assert constants[operator.input[zero_point]] == 128


def test_other_weights_stay() -> None:
    """onnxruntime has no products of int8 and uint8 for most operators, and adds those of int8 exactly."""
    constants = CONSTANTS | {"zero": np.int8(0)}
    inputs = ["q", "one", "zero", "w", "one", "none", "step", "zero"]
    made = [node("QuantizeLinear", ["x", "one", "zero"], "q"), node("QLinearConv", inputs, "p")]
    made.append(node("DequantizeLinear", ["p", "step", "zero"], "y"))
    whole = model(made, {"x": [1, 8, 4, 4]}, constants, opset=13)
    (found,) = onnxruntime_results(whole, np.full((1, 8, 4, 4), 127.0, np.float32))
    np.testing.assert_array_equal(found, np.full((1, 2, 4, 4), round(8 * 127 * 127 / 2000) * 2000.0))


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
