"""Test mpscnn.onnxruntime: programs written for onnxruntime run with it, and get the same names and numbers."""

from __future__ import annotations

import queue
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, node, onnx
from exact_engines import onnxruntime_results, onnxruntime_session
from numpy.typing import NDArray

import mpscnn
from mpscnn import ParameterError, UnsupportedError, WeightsError
from mpscnn import onnxruntime as ours

WEIGHTS = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two outputs whose batch and size are free."""
    made = model(
        [
            node("Conv", ["x", "w"], "features", pads=[1, 1, 1, 1]),
            node("GlobalAveragePool", ["features"], "pooled"),
            node("Flatten", ["pooled"], "embedding"),
        ],
        {"x": ["batch", 3, "height", "width"]},
        {"w": WEIGHTS},
        outputs=["embedding", "features"],
    )
    for info in made.graph.output:
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    made.metadata_props.add(key="labels", value="a,b")
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    onnx.save(made, path)
    return path


def images(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(2).random((count, 3, 8, 6), np.float32)


def embedder(path: Path) -> Any:
    """A class as libraries for faces have it: it asks the session for everything about the file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=onnxruntime.get_available_providers())
    first = session.get_inputs()[0]
    name, shape = first.name, first.shape
    outputs = [output.name for output in session.get_outputs()]
    assert (name, shape[1], [type(extent) for extent in shape]) == ("x", 3, [str, int, str, str])
    return session.run(outputs[:1], {name: images(2)})[0]


def pipeline(path: Path) -> Any:
    """A class as libraries for pipelines have it: options, named inputs, providers with options, and metadata."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(
        path, sess_options=options, providers=["CPUExecutionProvider"], provider_options=[{}]
    )
    assert session.get_providers()[0] == "CPUExecutionProvider"
    assert session.get_modelmeta().custom_metadata_map == {"labels": "a,b"}
    names = {output.name: index for index, output in enumerate(session.get_outputs())}
    found = session.run(None, {node.name: images(3) for node in session.get_inputs()}, ort.RunOptions())
    return found[names["features"]]


def from_bytes(path: Path) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), None, [("CPUExecutionProvider", {})])
    assert [node.type for node in session.get_inputs()] == ["tensor(float)"]
    return session.run(["features", "embedding"], {"x": images(1)})[1]


def recognizer(path: Path) -> Any:
    """A class as insightface has it: a subclass of the session, which chooses the device later."""
    import onnxruntime

    class Pickable(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, model_path: str, **options: Any) -> None:
            super().__init__(model_path, **options)
            self.model_path = model_path

    onnxruntime.set_default_logger_severity(3)
    assert onnxruntime.__version__
    session = Pickable(str(path), providers=["CPUExecutionProvider"], provider_options=None)
    session.set_providers(["CPUExecutionProvider"])
    session.disable_fallback()
    assert (session.model_path, session.get_providers()) == (str(path), ["CPUExecutionProvider"])
    return session.run([], {"x": images(1).tolist()})[0]


@pytest.mark.parametrize(
    ("program", "count", "output"),
    [(embedder, 2, 0), (pipeline, 3, 1), (from_bytes, 1, 0), (recognizer, 1, 0)],
)
def test_programs_for_onnxruntime_run_unchanged(
    program: Any, count: int, output: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = onnxruntime_results(file, {"x": images(count)})[output]
    monkeypatch.setitem(sys.modules, "onnxruntime", ours)
    found = program(file)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_names_are_those_of_onnxruntime() -> None:
    real = pytest.importorskip("onnxruntime")
    for name in set(ours.__all__) - {"ModelMetadata"}:
        assert hasattr(real, name)
    for mine in (ours.InferenceSession, ours.SessionOptions, ours.GraphOptimizationLevel, ours.ExecutionMode):
        theirs = dir(getattr(real, mine.__name__))
        missing = [name for name in dir(mine) if not name.startswith("_") and name not in theirs]
        assert not [name for name in missing if name not in dir(int)]


def test_free_extents_have_names(file: Path) -> None:
    session = mpscnn.InferenceSession(file)
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert repr(session.get_inputs()[0]).startswith("NodeArg(name='x', type='tensor(float)'")
    assert session.get_overridable_initializers() == []


def test_providers_that_are_absent_are_named(file: Path) -> None:
    with pytest.warns(RuntimeWarning, match="providers that are not available: 'CUDAExecutionProvider'"):
        session = mpscnn.InferenceSession(file, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert session.get_providers() == ["CPUExecutionProvider"]
    with pytest.raises(ParameterError, match="providers must be a list"):
        mpscnn.InferenceSession(file, providers="CPUExecutionProvider")


def test_wrong_calls_are_explained(file: Path, tmp_path: Path) -> None:
    session = mpscnn.InferenceSession(file)
    with pytest.raises(ParameterError, match="there is no output 'embeding'; did you mean 'embedding'"):
        session.run(["embeding"], {"x": images(1)})
    with pytest.raises(ParameterError, match="input 'x' is missing"):
        session.run(None, {})
    with pytest.raises(ParameterError, match="must be a dict of arrays by name, got ndarray"):
        session.run(None, images(1))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="input 'x' is not an array"):
        session.run(None, {"x": [[1.0], [1.0, 2.0]]})  # type: ignore[dict-item]
    with pytest.raises(ParameterError, match=r"input 'x' has the shape .*, got \(2,\)"):
        session.run(None, {"x": [1, 2]})  # type: ignore[dict-item]
    with pytest.raises(ParameterError, match="input 'x' is of float32, got <U1"):
        session.run(None, {"x": ["a"]})  # type: ignore[dict-item]
    with pytest.raises(ParameterError, match="got int"):
        mpscnn.InferenceSession(3)  # type: ignore[arg-type]
    (tmp_path / "a.onnx").write_bytes(b"no model")
    for path in (tmp_path, tmp_path / "a.onnx", tmp_path / "absent.onnx"):
        with pytest.raises(WeightsError, match=r"is a directory|is not an ONNX file|cannot be read"):
            mpscnn.InferenceSession(path)
    options = ours.SessionOptions()
    with pytest.raises(AttributeError, match="did you mean 'intra_op_num_threads'"):
        options.intra_op_threads = 2  # type: ignore[attr-defined]
    options.enable_profiling = True
    with pytest.raises(UnsupportedError, match=r"mpscnn\.profile\(model\)"):
        mpscnn.InferenceSession(file, options)
    other: Any = object()
    with pytest.raises(
        mpscnn.ParameterError, match=r"must be a SessionOptions of mpscnn\.onnxruntime, got object"
    ):
        ours.InferenceSession(b"", sess_options=other)


def bound_results(module: Any, path: Path) -> list[NDArray[np.float32]]:
    """Run with bound inputs and outputs of each kind, and return all results."""
    session = module.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = images(2)
    value = module.OrtValue.ortvalue_from_numpy(x)
    assert (value.shape(), value.data_type(), value.element_type()) == ([2, 3, 8, 6], "tensor(float)", 1)
    assert value.data_ptr() == x.ctypes.data
    into = module.OrtValue.ortvalue_from_shape_and_type([2, 4], np.float32)
    at = np.zeros((2, 4, 8, 6), np.float32)
    binding, results = session.io_binding(), []
    for bind in (
        lambda: binding.bind_cpu_input("x", x),
        lambda: binding.bind_ortvalue_input("x", value),
        lambda: binding.bind_input("x", "cpu", 0, np.float32, x.shape, x.ctypes.data),
    ):
        bind()
        binding.bind_output("features")
        binding.bind_ortvalue_output("embedding", into)
        session.run_with_iobinding(binding)
        results += binding.copy_outputs_to_cpu()
        binding.bind_output("features", "cpu", 0, np.float32, at.shape, at.ctypes.data)
        np.add(x, 1, out=x)  # the binding shares this memory
        session.run_with_iobinding(binding)
        results += [into.numpy().copy(), at.copy(), *(one.numpy().copy() for one in binding.get_outputs())]
        binding.clear_binding_outputs()
    return results + [one.numpy() for one in session.run_with_ort_values(["embedding"], {"x": value})]


def test_bindings_compute_what_onnxruntime_computes(file: Path) -> None:
    import onnxruntime

    expected = bound_results(onnxruntime, file)
    found = bound_results(ours, file)
    assert len(expected) == len(found) == 19
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_all_names_of_onnxruntimes_classes_are_there(file: Path) -> None:
    import onnxruntime

    for name in ("InferenceSession", "IOBinding", "OrtValue"):
        theirs = {one for one in dir(getattr(onnxruntime, name)) if not one.startswith("_")}
        assert theirs - {*dir(getattr(ours, name))} == set()
    session, x = ours.InferenceSession(str(file)), images(2)
    expected = session.run(None, {"x": x})
    found: queue.Queue[Any] = queue.Queue()
    session.run_async(None, {"x": x}, lambda *answer: found.put(answer), "mine")
    results, given, error = found.get(timeout=60)
    assert (given, error) == ("mine", "")
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, wanted)
    session.run_async(None, {"y": x}, lambda *answer: found.put(answer), None)
    assert "'y'" in found.get(timeout=60)[2]
    fetches: list[Any] = []
    value = ours.OrtValue.from_dlpack(x)
    assert value.data_ptr() == x.ctypes.data == np.from_dlpack(value).ctypes.data
    session.run_with_ortvaluevector(None, ["x"], [value], ["embedding"], fetches, [])
    np.testing.assert_array_equal(fetches[0].numpy(), expected[0])
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("embedding")
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(binding.get_outputs_as_ortvaluevector()[0].numpy(), expected[0])
    assert session.create_ortvalue_from_shape_and_type([2], np.float32).shape() == [2]
    assert session.get_input_memory_infos() == ["cpu"]
    assert session.get_output_memory_infos() == ["cpu", "cpu"]
    assert session.get_input_epdevices() == session.get_providers()
    assert (session.get_tuning_results(), session.get_profiling_start_time_ns()) == ([], 0)
    session.set_tuning_results([])
    session.release_captured_graph(0)
    assert ours.OrtValue.ortvalue_from_numpy_with_onnx_type(x, onnx.TensorProto.FLOAT).shape() == [2, 3, 8, 6]
    with pytest.raises(ParameterError, match="element type 1, not 7"):
        ours.OrtValue.ortvalue_from_numpy_with_onnx_type(x, onnx.TensorProto.INT64)
    for refused, told in (
        (session.end_profiling, r"mpscnn\.profile\(model\) measures"),
        (session.get_provider_graph_assignment_info, "all operators run on CPUExecutionProvider"),
        (lambda: session.set_ep_dynamic_options({"a": "b"}), "no options of devices, got 'a'"),
        (value.as_sparse_tensor, "sparse tensors are not supported"),
        (lambda: ours.OrtValue.ort_value_from_sparse_tensor(x), "sparse tensors are not supported"),
    ):
        with pytest.raises(UnsupportedError, match=told):
            refused()


def test_wrong_bindings_are_explained(file: Path) -> None:
    session = ours.InferenceSession(file)
    binding = session.io_binding()
    value = ours.OrtValue.ortvalue_from_shape_and_type((1, 2), "float32")
    wrong: dict[str, Any] = {
        "there is no input 'y'.*inputs are 'x'": lambda: binding.bind_cpu_input("y", images(1)),
        "there is no output 'x'": lambda: binding.bind_output("x"),
        "device 'cpu' 0, got 'cuda' 0": lambda: binding.bind_output("features", "cuda"),
        "no output is bound": lambda: session.run_with_iobinding(binding),
        "element_type must be a NumPy type": lambda: binding.bind_output("features", buffer_ptr=1),
        "buffer_ptr must be an address": lambda: binding.bind_input("x", "cpu", 0, "float32", (1,), 0),
        "shape must be whole numbers": lambda: binding.bind_input("x", "cpu", 0, "float32", (-1,), 1),
        "expected an array, got list": lambda: ours.OrtValue.ortvalue_from_numpy([1]),
        "the memory is of float32 in the shape": lambda: value.update_inplace(np.zeros(2)),
    }
    for message, call in wrong.items():
        with pytest.raises(ParameterError, match=message):
            call()
    with pytest.raises(mpscnn.StateError, match="has no outputs yet"):
        binding.get_outputs()
    binding.bind_cpu_input("x", images(1))
    binding.bind_ortvalue_output("embedding", value)
    with pytest.raises(ParameterError, match=r"output 'embedding': .*\(1, 2\), .*\(1, 4\)"):
        session.run_with_iobinding(binding)


def test_other_calls_lead_to_the_session(file: Path) -> None:
    with pytest.raises(ParameterError, match=r"mpscnn\.InferenceSession reads the bytes"):
        mpscnn.onnx_backend.prepare(file.read_bytes())  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=r"missing\.onnx"):
        mpscnn.onnx_backend.prepare(file.with_name("missing.onnx"))
    prepared = mpscnn.onnx_backend.prepare(str(file))
    expected = mpscnn.InferenceSession(file).run(None, {"x": images(1)})
    np.testing.assert_array_equal(prepared.run([images(1)])[0], expected[0])
    with mpscnn.load().session() as session, pytest.raises(TypeError, match=r"mpscnn\.InferenceSession"):
        session.run(None, {"x": images(1)})  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("OrtDevice", "did you mean .get_device."),
        ("Arena", "it has .*OrtValue"),
        ("quantization", r"mpscnn\.quantize"),
        ("InferenceSesion", "did you mean 'InferenceSession'"),
        ("io_bindin", "did you mean 'io_binding'"),
    ],
)
def test_absent_names_lead_to_what_there_is(file: Path, name: str, hint: str) -> None:
    owner: Any = ours if name[0].isupper() or name == "quantization" else mpscnn.InferenceSession(file)
    with pytest.raises(AttributeError, match=f"{name}.*{hint}"):
        getattr(owner, name)


def test_an_extent_of_minus_one_is_free() -> None:
    """Writers such as paddle2onnx state -1 for a free batch. The session of onnxruntime takes it as free, too."""
    made = model([node("Relu", ["x"])], {"x": [-1, 3, 4, 4]})
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    session, theirs = mpscnn.InferenceSession(made.SerializeToString()), onnxruntime_session(made)
    assert session.get_inputs()[0].shape == theirs.get_inputs()[0].shape == [None, 3, 4, 4]
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], theirs.run(None, {"x": x})[0])


@pytest.mark.parametrize("lacking", ["input", "output"])
def test_inputs_and_outputs_without_a_shape(lacking: str) -> None:
    """onnxruntime runs models that do not state them, which tools that change graphs write."""
    made = model(
        [node("Conv", ["x", "w"], "y", pads=[1, 1, 1, 1])], {"x": [2, 3, 5, 5]}, {"w": WEIGHTS}, outputs=["y"]
    )
    made.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    getattr(made.graph, lacking)[0].type.tensor_type.ClearField("shape")
    stated = made.SerializeToString()
    feeds = {"x": np.random.default_rng(2).normal(size=(2, 3, 5, 5)).astype(np.float32)}
    (right,) = onnxruntime_results(made, feeds)
    (found,) = ours.InferenceSession(stated).run(None, feeds)
    np.testing.assert_allclose(found, right, atol=1e-5)
    assert made.SerializeToString() == stated


def test_outputs_may_be_inputs_and_weights() -> None:
    made = model([node("Relu", ["x"], "y")], {"x": [2, 3]}, {"w": WEIGHTS[0, 0]}, outputs=["w", "y", "x"])
    for info in made.graph.output:
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    given = x.copy()
    session = mpscnn.InferenceSession(made.SerializeToString())
    for _ in range(2):
        results = session.run(None, {"x": given})
        for found, expected in zip(results, (WEIGHTS[0, 0], np.maximum(x, 0), x), strict=True):
            np.testing.assert_array_equal(found, expected)
            found[...] = 7  # results are the caller's: the next call gives the same numbers
    np.testing.assert_array_equal(given, x)


def test_inputs_of_run_async_may_be_written_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera fills one array. `run_async` computes with what it was given."""
    session = mpscnn.InferenceSession(file)
    found: queue.Queue[Any] = queue.Queue()
    feed = {"x": images(2)}
    run, is_written = session.run, threading.Event()
    expected = run(None, feed)
    monkeypatch.setattr(session, "run", lambda *given: is_written.wait(60) and run(*given))
    session.run_async(None, feed, lambda *answer: found.put(answer), None)
    feed["x"][...] = 7
    feed.clear()
    is_written.set()
    results, _, error = found.get(timeout=60)
    assert not error
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_operator_that_onnx_deprecates() -> None:
    """GroupNormalization of opset 18 has a factor for each group. ONNX' checker refuses it, and runtimes compute it."""
    constants = {"s": np.array([0.5, 2.0]), "b": np.array([0.1, -0.3])}
    nodes = [node("GroupNormalization", ["x", "s", "b"], "y", num_groups=2)]
    made = model(nodes, {"x": [2, 4, 3, 3]}, constants, opset=18)
    made.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("y", 1, [2, 4, 3, 3]))
    feeds = {"x": np.random.default_rng(3).normal(size=(2, 4, 3, 3)).astype(np.float32)}
    (right,) = onnxruntime_results(made, feeds)
    (found,) = ours.InferenceSession(made.SerializeToString()).run(None, feeds)
    np.testing.assert_allclose(found, right, atol=1e-5)


@pytest.mark.parametrize("kind", ["Relu", "Concat", "Softmax"])
def test_results_of_too_many_axes_are_refused(kind: str) -> None:
    """A limit of networks is told as something that is not supported, with the shape."""
    nodes = [
        node("Reshape", ["x", "s"], "u"),
        node(kind, ["u"], "y", **({"axis": 1} if kind == "Concat" else {})),
    ]
    made = model(nodes, {"x": [2, 3, 5, 4]}, {"s": np.array([2, 3, 1, 5, 2, 1, 2])})
    feeds = {"x": np.zeros((2, 3, 5, 4), np.float32)}
    with pytest.raises(UnsupportedError, match=r"axes after the batch, which is not supported; up to 5 are"):
        ours.InferenceSession(made.SerializeToString()).run(None, feeds)
