"""Test mpscnn.onnx_backend, which implements onnx.backend.base, with models and arrays as users have them."""

from __future__ import annotations

from typing import Any

import google.protobuf.message
import numpy as np
import pytest
from converters.onnx_files import model, node, onnx
from numpy.typing import NDArray

import mpscnn
from mpscnn import ParameterError, UnsupportedError, WeightsError, onnx_backend


def floats(*shape: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def typed(given: Any, kind: int = onnx.TensorProto.FLOAT) -> Any:
    """Set the types of the model's outputs."""
    for info in given.graph.output:
        info.type.tensor_type.elem_type = kind
    return given


CONVOLUTION = typed(
    model([node("Conv", ["x", "w"], strides=[2, 2])], {"x": ["n", 2, 7, 6]}, {"w": floats(3, 2, 3, 3)})
)


def expected(x: NDArray[Any], model: Any = CONVOLUTION) -> Any:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x})


@pytest.mark.parametrize("images", [1, 3])
def test_one_program_computes_any_batch(images: int) -> None:
    prepared = onnx_backend.prepare(CONVOLUTION)
    x = floats(images, 2, 7, 6)
    for given in ([x], {"x": x}, x):
        (result,) = prepared.run(given)
        np.testing.assert_allclose(result, expected(x)[0], rtol=1e-5, atol=1e-5)
    assert len(prepared._programs._kept) == 1


def test_results_have_names_types_and_the_order_of_axes_of_the_model() -> None:
    given = model(
        [node("ArgMax", ["x"], axis=1), node("Relu", ["x"], "z")], {"x": [2, 3, 4, 5]}, outputs=("y", "z")
    )
    x = floats(2, 3, 4, 5)
    results = onnx_backend.run_model(typed_as(given, onnx.TensorProto.INT64, onnx.TensorProto.FLOAT), [x])
    assert results._fields == ("y", "z")  # type: ignore[attr-defined]
    assert results[0].dtype == np.int64
    np.testing.assert_array_equal(results[0], x.argmax(1)[:, None])
    np.testing.assert_array_equal(results[1], np.maximum(x, 0))


def typed_as(given: Any, *kinds: int) -> Any:
    for info, kind in zip(given.graph.output, kinds, strict=True):
        info.type.tensor_type.elem_type = kind
    return given


def test_inputs_that_are_needed_as_constants_are_bound_for_each_of_their_values() -> None:
    given = typed(model([node("Conv", ["x", "w"])], {"x": [1, 2, 5, 5], "w": [3, 2, 3, 3]}))
    prepared = onnx_backend.prepare(given)
    x = floats(1, 2, 5, 5)
    for seed in (2, 3, 2):
        w = floats(3, 2, 3, 3, seed=seed)
        (result,) = prepared.run([x, w])
        from onnx.reference import ReferenceEvaluator

        (answer,) = ReferenceEvaluator(given).run(None, {"x": x, "w": w})
        np.testing.assert_allclose(result, answer, rtol=1e-5, atol=1e-5)
    assert len(prepared._programs._kept) == 2


def test_a_bound_array_that_changes_later_changes_no_program() -> None:
    types = {"shape": onnx.TensorProto.INT64}
    given = typed(model([node("Reshape", ["x", "shape"])], {"x": [2, 6], "shape": [2]}, types=types))
    prepared, shape = onnx_backend.prepare(given), np.array([2, 6])
    assert prepared.run([floats(2, 6), shape])[0].shape == (2, 6)
    shape[:] = 3, 4
    assert prepared.run([floats(2, 6), shape])[0].shape == (3, 4)


@pytest.mark.parametrize(
    ("kind", "shape", "attributes", "result"),
    [
        ("Transpose", (2, 3, 4), {}, lambda x: x.T),
        ("Flatten", (2, 3, 4), {"axis": 0}, lambda x: x.reshape(1, -1)),
        ("Softmax", (3, 4), {"axis": 0}, lambda x: np.exp(x) / np.exp(x).sum(0)),
        ("ReduceSum", (3, 4), {"keepdims": 0}, lambda x: x.sum()),
        ("Relu", (5,), {}, lambda x: np.maximum(x, 0)),
        ("Abs", (), {}, abs),
    ],
)
def test_a_first_axis_need_not_be_a_batch(
    kind: str, shape: tuple[int, ...], attributes: Any, result: Any
) -> None:
    x = floats(*shape)
    (found,) = onnx_backend.run_node(onnx.helper.make_node(kind, ["x"], ["y"], **attributes), [np.asarray(x)])
    answer = np.asarray(result(x), np.float32)
    assert found.shape == answer.shape
    np.testing.assert_allclose(found, answer, rtol=1e-5, atol=1e-6)


def test_constants_of_such_a_model_are_whole() -> None:
    table = floats(3, 4, seed=8)
    given = typed(
        model([node("Add", ["x", "t"], "s"), node("Transpose", ["s"])], {"x": [3, 4]}, {"t": table})
    )
    x = floats(3, 4)
    np.testing.assert_allclose(onnx_backend.run_model(given, [x])[0], (x + table).T, rtol=1e-6)


def test_products_of_matrices_need_no_batch() -> None:
    a, b = floats(2, 3), floats(3, 4, seed=2)
    (found,) = onnx_backend.run_node(onnx.helper.make_node("MatMul", ["a", "b"], ["y"]), [a, b])
    np.testing.assert_allclose(found, a @ b, rtol=1e-5, atol=1e-6)


def test_half_floats_are_computed_and_given_back() -> None:
    x = floats(2, 3).astype(np.float16)
    (found,) = onnx_backend.run_node(onnx.helper.make_node("Relu", ["x"], ["y"]), [x])
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, np.maximum(x, 0))


def test_what_types_a_node_has_may_be_said() -> None:
    made = onnx.helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)
    (found,) = onnx_backend.run_node(made, [floats(2, 3)], outputs_info=[(np.int64, (2,))], opset_version=13)
    assert (found.dtype, found.shape) == (np.int64, (2,))


def test_models_of_old_opsets() -> None:
    old = model([node("Relu", ["x"])], {"x": [1, 4]}, opset=6)
    (found,) = onnx_backend.run_model(typed(old), [np.array([[-1, 2, -3, 4]], np.float32)])
    np.testing.assert_array_equal(found, [[0, 2, 0, 4]])


def test_compatible_is_what_can_be_prepared() -> None:
    assert onnx_backend.is_compatible(CONVOLUTION)
    assert not onnx_backend.is_compatible(typed(model([node("Bernoulli", ["x"])], {"x": [1, 2]})))
    with pytest.raises(UnsupportedError, match="Bernoulli"):
        onnx_backend.prepare(typed(model([node("Bernoulli", ["x"])], {"x": [1, 2]})))


def test_devices() -> None:
    assert onnx_backend.supports_device("CPU")
    assert not onnx_backend.supports_device("CUDA")
    assert onnx_backend.supports_device("METAL") == mpscnn.is_available("metal")
    x = floats(1, 2, 7, 6)
    for device in ("CPU", "CPU:0"):
        assert onnx_backend.supports_device(device)
        np.testing.assert_allclose(
            onnx_backend.run_model(CONVOLUTION, [x], device)[0], expected(x)[0], atol=1e-5
        )
    for device in ("CPU:1", "cpu", "CUDA:0", ""):
        assert not onnx_backend.supports_device(device)
        with pytest.raises(ParameterError, match="device must be 'CPU' or 'METAL'"):
            onnx_backend.prepare(CONVOLUTION, device)


@pytest.mark.parametrize("given", [b"", None, CONVOLUTION.graph])
def test_what_is_no_model_is_refused(given: Any) -> None:
    with pytest.raises(ParameterError, match=r"model must be an onnx\.ModelProto or a path, got"):
        onnx_backend.prepare(given)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"missing\.onnx: cannot be read"):
        onnx_backend.prepare("missing.onnx")


def test_wrong_inputs_are_told() -> None:
    prepared = onnx_backend.prepare(CONVOLUTION)
    with pytest.raises(ParameterError, match="1 inputs, got 2"):
        prepared.run([floats(1, 2, 7, 6), floats(1)])
    with pytest.raises(ParameterError, match="no input 'y'"):
        prepared.run({"y": floats(1, 2, 7, 6)})
    with pytest.raises(ParameterError, match="'x' is missing"):
        prepared.run({})
    with pytest.raises(ParameterError, match="of float32, got float64"):
        prepared.run([floats(1, 2, 7, 6).astype(np.float64)])
    with pytest.raises(ParameterError, match=r"shape \(None, 2, 7, 6\), got \(1, 2, 7, 5\)"):
        prepared.run([floats(1, 2, 7, 5)])
    with pytest.raises(ParameterError, match="there is no option 'thread'"):
        onnx_backend.prepare(CONVOLUTION, thread=2)
    with pytest.raises(ParameterError, match="Relu has 1 inputs, got 2"):
        onnx_backend.run_node(onnx.helper.make_node("Relu", ["x"], ["y"]), [floats(1, 2), floats(1, 2)])


def test_damaged_models_and_those_without_floats_are_told() -> None:
    with pytest.raises(WeightsError, match="damaged"):
        onnx_backend.prepare(onnx.ModelProto())
    types = {"x": onnx.TensorProto.INT64}
    with pytest.raises(WeightsError, match="damaged: model 'small': a name is not UTF-8"):
        onnx_backend.prepare(onnx.load_from_string(small_model().replace(b"Relu", b"Re\xff\xff")))
    with pytest.raises(UnsupportedError, match="no input of floats"):
        onnx_backend.prepare(typed(model([node("Abs", ["x"])], {"x": [2, 2]}, types=types), types["x"]))


def small_model(opset: int = 17) -> bytes:
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["relu"]),
            helper.make_node("Gemm", ["relu", "w", "b"], ["y"], transB=1),
        ],
        "small",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2])],
        [
            helper.make_tensor("w", onnx.TensorProto.FLOAT, [2, 3], range(6)),
            helper.make_tensor("b", onnx.TensorProto.FLOAT, [2], range(2)),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return bytes(made.SerializeToString())


@pytest.mark.parametrize("opset", [5, 17])
def test_any_wrong_byte_of_a_model_is_no_raw_error(opset: int) -> None:
    """onnx's checker, its converter of versions and its inference of shapes have errors of several classes."""
    content = small_model(opset)
    outcomes = set()
    for place, byte in enumerate(content):
        for wrong in {0x00, 0x80, 0xFF, byte ^ 0x01}:
            try:
                given = onnx.load_from_string(content[:place] + bytes([wrong]) + content[place + 1 :])
            except google.protobuf.message.DecodeError:
                continue
            try:
                onnx_backend.prepare(given)
            except mpscnn.Error as error:
                outcomes.add(type(error))
    assert {UnsupportedError, WeightsError} <= outcomes


def test_onnx_infers_types_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's native code may crash, which ends the process that runs it."""

    def crash(*_: Any) -> None:
        pytest.fail("it ran in this process")

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", crash)
    relu = onnx.helper.make_node("Relu", ["x"], ["y"])
    x = np.array([[-1.0, 2.0]], np.float32)
    np.testing.assert_array_equal(onnx_backend.run_node(relu, [x])[0], [[0.0, 2.0]])
