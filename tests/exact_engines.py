"""Open models in other engines, to compare mpscnn's results with theirs.

By default, these functions choose kernels that compute what a file says. The fast kernels of the engines may not: on
x86-64 processors without VNNI, onnxruntime adds pairs of products of integers in 16 bits, which saturate.
`tests/test_rules_of_tests.py` fails if a test opens these engines in another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mpscnn.comparison.onnx_engine import exact_session

Array = NDArray[Any]


def onnxruntime_session(model: Any, *, fast_because: str = "") -> Any:
    """Open a model in onnxruntime, on one thread of the CPU. Skip the test if onnxruntime is not installed.

    Args:
        model: a path, the content of a file, or an `onnx.ModelProto`.
        fast_because: why the test needs layers that onnxruntime fuses and computes in integers. By default none are.
    """
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    content = str(model) if isinstance(model, str | Path) else model
    if not isinstance(content, str | bytes):
        content = content.SerializeToString()
    if not fast_because:
        return exact_session(content, threads=1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def onnxruntime_results(model: Any, inputs: Mapping[str, Array] | Array) -> list[Array]:
    """Return all results of a model in onnxruntime. A single array is the model's first input."""
    session = onnxruntime_session(model)
    feeds = dict(inputs) if isinstance(inputs, Mapping) else {session.get_inputs()[0].name: inputs}
    results: list[Array] = session.run(None, feeds)
    return results


def onnx_in_float64(made: Any, x: Array) -> list[Array]:
    """Return the results of an `onnx.ModelProto` of one input, computed in float64 by onnx' reference evaluator."""
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    from onnx.reference import ReferenceEvaluator

    model = onnx.ModelProto()
    model.CopyFrom(made)
    floats, doubles = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
    graph = model.graph
    for one in graph.initializer:
        if one.data_type == floats:
            values = onnx.numpy_helper.to_array(one).astype(np.float64)
            one.CopyFrom(onnx.numpy_helper.from_array(values, one.name))
    for one in (*graph.input, *graph.output, *graph.value_info):
        if one.type.tensor_type.elem_type == floats:
            one.type.tensor_type.elem_type = doubles
    results: list[Array] = ReferenceEvaluator(model).run(None, {graph.input[0].name: x.astype(np.float64)})
    return results


def litert_interpreter(model: Path | bytes, *, fast_because: str = "", every_tensor: bool = False) -> Any:
    """Open a TensorFlow Lite file in LiteRT, on one thread. Skip the test if LiteRT is not installed.

    Args:
        model: a path, or the content of a file.
        fast_because: why the test needs LiteRT's fast kernels. By default it runs its reference kernels.
        every_tensor: keep the results of all operators, instead of those of the network only.
    """
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    kinds = litert.OpResolverType
    return litert.Interpreter(
        **({"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}),
        experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        if fast_because
        else kinds.BUILTIN_REF,
        experimental_preserve_all_tensors=every_tensor,
        num_threads=1,
    )


def every_litert(path: Path) -> Iterator[tuple[str, Any]]:
    """Open a file of floats in LiteRT with XNNPACK, with its other fast kernels, and with its reference kernels.

    Nothing but the outputs is kept, since keeping all results hides errors of LiteRT's memory.
    """
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    for name in ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF"):
        kernels = getattr(litert.OpResolverType, name)
        try:
            interpreter = litert.Interpreter(str(path), experimental_op_resolver_type=kernels, num_threads=1)
        except ValueError as error:
            if name == "BUILTIN_REF" and "Didn't find op" in str(
                error
            ):  # no reference kernel, such as that of ELU
                continue
            raise
        yield f"LiteRT {name}", interpreter


def every_onnxruntime(path: Path) -> Iterator[tuple[str, Any]]:
    """Open a file of floats in onnxruntime, without and with all optimisations."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    for name in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, name)
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # its warnings about unused weights
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        yield f"onnxruntime {name}", session


def litert_results(model: Path | bytes, *inputs: Array, fast_because: str = "") -> list[Array]:
    """Return all results of a TensorFlow Lite file in LiteRT, with the kernels of `litert_interpreter`."""
    interpreter = litert_interpreter(model, fast_because=fast_because)
    invoke_litert(interpreter, *inputs)
    return [interpreter.get_tensor(described["index"]) for described in interpreter.get_output_details()]


def invoke_litert(interpreter: Any, *inputs: Array) -> None:
    """Run an interpreter of LiteRT with these inputs, whose shapes become those of the file's inputs."""
    described = interpreter.get_input_details()
    for entry, x in zip(described, inputs, strict=True):
        if tuple(entry["shape"]) != x.shape:
            interpreter.resize_tensor_input(entry["index"], x.shape)
    interpreter.allocate_tensors()
    for entry, x in zip(described, inputs, strict=True):
        interpreter.set_tensor(entry["index"], x)
    interpreter.invoke()
