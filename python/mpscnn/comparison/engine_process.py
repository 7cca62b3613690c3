"""The part of another engine that runs in a confined process: `serve` answers the requests of `ConfinedEngine`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.comparison.packed import pack, unpack
from mpscnn.comparison.trace import Engine, Trace


def serve(kind: str) -> Callable[[bytes], bytes]:
    """Import an engine, let it compute, and return the function for its requests.

    A request opens a network or runs it. The first computation starts the engine's threads, and imports what it imports
    when it is used.
    """
    make = _ENGINES[kind]
    _warm_up(kind)
    opened: list[Engine] = []

    def answer(request: bytes) -> bytes:
        texts, arrays = unpack(request)
        if texts["run"]:
            return _packed_trace(opened[0].trace(arrays))
        opened[:] = [make(texts["options"], arrays)]
        engine = opened[0]
        facts = {
            "title": engine.title,
            "precision": engine.precision,
            "inputs": engine.inputs,
            "steps": {name: (one.lowest, one.step, one.last) for name, one in engine.steps.items()},
        }
        return pack(facts, [])

    return answer


def run_onnx() -> Callable[[bytes], bytes]:
    """Return a function that runs a model in onnxruntime: it takes the model's bytes and its inputs."""
    from mpscnn.comparison.onnx_engine import exact_session

    _warm_up("onnxruntime")

    def answer(request: bytes) -> bytes:
        _, (model, *inputs) = unpack(request)
        session = exact_session(model.tobytes())
        names = [argument.name for argument in session.get_inputs()]
        return pack({}, session.run(None, dict(zip(names, inputs, strict=True))))

    return answer


def _packed_trace(trace: Trace) -> bytes:
    values = [
        {
            "name": value.name,
            "kind": value.kind,
            "inner": value.inner,
            "aliases": sorted(value.aliases),
            "part": value.part,
        }
        for value in trace.values
    ]
    return pack({"values": values, "outputs": trace.outputs}, [value.array for value in trace.values])


def _onnxruntime(options: dict[str, Any], arrays: list[NDArray[Any]]) -> Engine:
    import onnx

    from mpscnn.comparison.onnx_engine import OnnxEngine

    model = onnx.load_from_string(arrays[0].tobytes())
    shapes = options["shapes"] and {name: tuple(shape) for name, shape in options["shapes"].items()}
    return OnnxEngine(model, options["name"], options["outputs"], shapes)


def _litert(options: dict[str, Any], arrays: list[NDArray[Any]]) -> Engine:
    from mpscnn.comparison.litert_engine import LitertEngine

    return LitertEngine(options["name"], arrays[0].tobytes(), quick=options["quick"], heads=options["heads"])


def _tensorflow(options: dict[str, Any], arrays: list[NDArray[Any]]) -> Engine:
    from mpscnn.comparison.tensorflow_engine import TensorflowEngine

    inputs = {name: tuple(shape) for name, shape in options["inputs"].items()}
    return TensorflowEngine(
        options["name"], arrays[0].tobytes(), inputs, options["places"], options["outputs"]
    )


def _keras(options: dict[str, Any], arrays: list[NDArray[Any]]) -> Engine:
    from mpscnn.comparison.keras_engine import KerasEngine

    return KerasEngine(options["name"], options["config"], options["weights"], arrays)


def _coreai(options: dict[str, Any], _: list[NDArray[Any]]) -> Engine:
    from mpscnn.comparison.coreai_engine import CoreaiEngine

    return CoreaiEngine(**options)


def _coreml(options: dict[str, Any], _: list[NDArray[Any]]) -> Engine:
    from mpscnn.comparison.coreml_engine import CoremlEngine

    return CoremlEngine(options["name"], options)


_ENGINES: dict[str, Callable[[dict[str, Any], list[NDArray[Any]]], Engine]] = {
    "onnxruntime": _onnxruntime,
    "litert": _litert,
    "tensorflow": _tensorflow,
    "keras": _keras,
    "coreai": _coreai,
    "coreml": _coreml,
}


def _warm_up(kind: str) -> None:
    if kind == "keras":
        from mpscnn.comparison.keras_engine import import_keras

        import_keras()
        import keras

        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])(np.zeros((1, 2), np.float32))
    elif kind == "tensorflow":
        from mpscnn.comparison.tensorflow_engine import relu_graph

        relu_graph().run([("x:0", np.zeros(1, np.float32))], ["y:0"])
    elif kind == "onnxruntime":
        from onnx import TensorProto, helper

        from mpscnn.comparison.onnx_engine import exact_session

        x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        exact_session(model.SerializeToString()).run(None, {"x": np.zeros(1, np.float32)})
    elif kind == "coreai":
        from mpscnn.comparison.coreai_engine import import_coreai

        import_coreai()
    elif kind == "coreml":
        import_module("coremltools")
    else:
        import ai_edge_litert.interpreter  # noqa: F401
