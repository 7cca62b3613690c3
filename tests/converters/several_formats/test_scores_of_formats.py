"""A classifier of each format has the scores of its end: logits, a softmax, a sigmoid, or what the file calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.caffe_writer import image as caffe_image
from converters.caffe_writer import layer as caffe_layer
from converters.caffe_writer import write as write_caffe
from converters.coreml_writer import Program, add, array, saved, settings
from converters.coreml_writer import model as coreml_model
from converters.keras_writer import functional, write_h5, write_keras
from converters.keras_writer import image as keras_image
from converters.keras_writer import layer as keras_layer
from converters.onnx_files import model as onnx_model
from converters.onnx_files import node, nodes_of
from converters.onnx_files import read as read_onnx
from converters.tensorflow_writer import Graph, Type, save_model, save_web_graph
from converters.tflite_writer import (
    CODES,
    Operator,
    Tensor,
    constant,
    quantized,
    write_metadata,
    write_tflite,
)
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.converters.finishing.photo_settings import choose_settings

Array = NDArray[Any]
Made = Callable[[Path, str], "Path | Sequence[Path] | mpscnn.Network"]
"""A function that writes a classifier with an end: a name of `ENDS`. It returns the files or the network."""

LABELS = ["red", "green", "blue"]
LOGITS = np.array([3.0, 1.2, -0.2])
SOFTMAX, SIGMOID = np.exp(LOGITS) / np.exp(LOGITS).sum(), 1 / (1 + np.exp(-LOGITS))
#: The photo's pixel becomes the input 6, 2.4, 0.4, from which a dense layer computes the logits.
PHOTO = np.full((1, 1, 3), (60, 24, 4), np.uint8)
PREPROCESS = {"scale": [0.1] * 3}
WEIGHT = np.diag([0.5, 0.5, 0.5]).astype(np.float32)
BIAS = np.array([0.0, 0.0, -0.4], np.float32)

#: The ends of classifiers, with their scores and what these are. "sigmoid, reshaped" has reshapes after the sigmoid.
ENDS: dict[str, tuple[str, Array]] = {
    "logits": ("softmax", SOFTMAX),
    "softmax": ("softmax", SOFTMAX),
    "sigmoid": ("sigmoid", SIGMOID),
    "sigmoid, reshaped": ("sigmoid", SIGMOID),
}


def functions(end: str) -> list[str]:
    """Return the steps of an end: "softmax", "sigmoid", and "reshape", which adds an axis and removes it again."""
    return [] if end == "logits" else ["sigmoid", "reshape"] if "reshaped" in end else [end]


# ---- ONNX and PyTorch ----------------------------------------------------------------------------------------------


def onnx_nodes(end: str) -> list[Any]:
    names = {"softmax": "Softmax", "sigmoid": "Sigmoid"}
    nodes, y = (
        [node("Flatten", ["x"], "flat"), node("Gemm", ["flat", "w", "b"], "logits", transB=1)],
        "logits",
    )
    for step in functions(end):
        if step == "reshape":
            nodes += [
                node("Reshape", [y, "wide"], "apart"),
                node("Reshape", ["apart", "narrow"], f"{y}/again"),
            ]
            y = f"{y}/again"
        else:
            nodes.append(node(names[step], [y], step))
            y = step
    return [*nodes, node("Identity", [y], "y")]


def of_onnx(folder: Path, end: str) -> Path:
    import onnx

    constants = {"w": WEIGHT, "b": BIAS, "wide": np.array([-1, 3, 1]), "narrow": np.array([-1, 3])}
    onnx.save(onnx_model(onnx_nodes(end), {"x": ["n", 3, 1, 1]}, constants), folder / "net.onnx")
    return folder / "net.onnx"


def of_onnx_halves(folder: Path, end: str) -> Path:
    """The network computes in float16, between casts."""
    import onnx

    constants = {"w": WEIGHT.astype(np.float16), "b": BIAS.astype(np.float16)}
    constants |= {"wide": np.array([-1, 3, 1]), "narrow": np.array([-1, 3])}
    inner = onnx_nodes(end)
    inner[0].input[0], inner[-1].output[0] = "half", "half y"
    nodes = [node("Cast", ["x"], "half", to=10), *inner, node("Cast", ["half y"], "y", to=1)]
    onnx.save(onnx_model(nodes, {"x": ["n", 3, 1, 1]}, constants), folder / "net.onnx")
    return folder / "net.onnx"


def of_torch(_: Path, end: str) -> mpscnn.Network:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    dense = torch.nn.Linear(3, 3)
    dense.load_state_dict({"weight": torch.tensor(WEIGHT), "bias": torch.tensor(BIAS)})
    steps = {
        "softmax": [torch.nn.Softmax(1)],
        "sigmoid": [torch.nn.Sigmoid()],
        "reshape": [torch.nn.Unflatten(1, (3, 1)), torch.nn.Flatten()],
    }
    module = torch.nn.Sequential(
        torch.nn.Flatten(), dense, *(one for step in functions(end) for one in steps[step])
    )
    return mpscnn.from_torch(module.eval(), torch.zeros(1, 3, 1, 1))


# ---- TensorFlow Lite and TensorFlow --------------------------------------------------------------------------------


def tflite(end: str, dtype: str = "float32", metadata: bytes | None = None) -> bytes:
    """Return a file. That of integers has the scale 0.1 for its input, and that of LiteRT's kernels for its end."""
    lowest = {"uint8": 0, "int8": -128}.get(dtype, 0)
    is_integer = dtype != "float32"

    def tensor(name: str, shape: tuple[int, ...], scale: float, zero: int) -> Tensor:
        made = Tensor(name, shape, dtype)
        return quantized(made, [scale], [lowest + zero]) if is_integer else made

    weight, bias = constant("w", WEIGHT), constant("b", BIAS)
    if is_integer:
        steps = np.rint(WEIGHT / 0.005).astype(np.int64) + (128 if dtype == "uint8" else 0)
        weight = quantized(constant("w", steps, dtype), [0.005], [128 if dtype == "uint8" else 0])
        bias = quantized(constant("b", np.rint(BIAS / 0.0005), "int32"), [0.0005], [0])
    tensors = [tensor("x", (1, 1, 1, 3), 0.1, 0), weight, bias]
    tensors += [constant(name, shape, "int32") for name, shape in (("flat", [1, 3]), ("wide", [1, 3, 1]))]
    tensors += [tensor("v", (1, 3), 0.1, 0), tensor("logits", (1, 3), 0.03, 100)]
    operators = [
        Operator(CODES["RESHAPE"], [0, 3], [5]),
        Operator(CODES["FULLY_CONNECTED"], [5, 1, 2], [6], 8),
    ]
    for step in functions(end):
        own = len(tensors)
        if step == "reshape":
            tensors += [tensor("apart", (1, 3, 1), 1 / 256, 0), tensor("again", (1, 3), 1 / 256, 0)]
            operators += [
                Operator(CODES["RESHAPE"], [own - 1, 4], [own]),
                Operator(CODES["RESHAPE"], [own, 3], [own + 1]),
            ]
        else:
            tensors.append(tensor(step, (1, 3), 1 / 256, 0))
            softmax = Operator(CODES["SOFTMAX"], [own - 1], [own], 9, [(0, "Float32", 1.0)])
            operators.append(softmax if step == "softmax" else Operator(CODES["LOGISTIC"], [own - 1], [own]))
    return write_tflite(tensors, operators, [0], [len(tensors) - 1], metadata=metadata)


def of_tflite(dtype: str) -> Made:
    def made(folder: Path, end: str) -> Path:
        (folder / "net.tflite").write_bytes(tflite(end, dtype))
        return folder / "net.tflite"

    return made


def graph_of(end: str) -> tuple[Graph, str]:
    """Return TensorFlow's graph, and the name of its result."""
    graph = Graph()
    flat = graph.node("Reshape", graph.placeholder(-1, 1, 1, 3, name="x"), graph.constant(np.array([-1, 3])))
    product = graph.node("MatMul", flat, graph.constant(WEIGHT), transpose_a=False, transpose_b=False)
    y = graph.node("BiasAdd", product, graph.constant(BIAS))
    for step in functions(end):
        if step == "reshape":
            for shape in ([-1, 3, 1], [-1, 3]):
                y = graph.node("Reshape", y, graph.constant(np.array(shape)))
        else:
            y = graph.node("Softmax" if step == "softmax" else "Sigmoid", y)
    return graph, y


def of_frozen_graph(folder: Path, end: str) -> Path:
    return graph_of(end)[0].save(folder / "net.pb")


def of_saved_model(folder: Path, end: str) -> Path:
    graph, y = graph_of(end)
    graph.node("VarHandleOp", name="unused", dtype=Type("float32"), shape=(1,))
    return save_model(folder / "net", graph, {"x": "x"}, {"y": y}, {"unused": np.zeros(1, np.float32)})


def of_tensorflow_js(folder: Path, end: str) -> Path:
    return save_web_graph(folder / "model.json", graph_of(end)[0])


# ---- Keras and Caffe -----------------------------------------------------------------------------------------------


def keras_model(end: str, *, attached: bool) -> Any:
    """Return a model. With `attached` the function is the activation of the dense layer."""
    steps = functions(end)
    activation = steps.pop(0) if attached and steps else "linear"
    layers = [
        keras_image(1, 1, 3),
        keras_layer("Flatten", "flat", "image"),
        keras_layer("Dense", "fc", "flat", units=3, activation=activation),
    ]
    for step in steps:
        x = layers[-1]["name"]
        if step == "reshape":
            layers.append(keras_layer("Reshape", "apart", x, target_shape=[3, 1]))
            layers.append(keras_layer("Flatten", "again", "apart"))
        else:
            layers.append(keras_layer("Activation", step, x, activation=step))
    return functional(layers)


def of_hdf5(attached: bool) -> Made:
    def made(folder: Path, end: str) -> Path:
        weights = {"fc": {"fc/kernel": WEIGHT, "fc/bias": BIAS}}
        write_h5(folder / "net.h5", keras_model(end, attached=attached), weights)
        return folder / "net.h5"

    return made


def of_keras(folder: Path, end: str) -> Path:
    weights = {"layers/dense": [WEIGHT, BIAS]}
    write_keras(folder / "net.keras", keras_model(end, attached=True), weights)
    return folder / "net.keras"


def caffe(end: str) -> str:
    text, y = (
        caffe_image(1, 3, 1, 1)
        + caffe_layer("InnerProduct", "fc", "data", "inner_product_param { num_output: 3 }"),
        "fc",
    )
    for step in functions(end):
        if step == "reshape":
            text += caffe_layer("Reshape", "apart", y, "reshape_param { shape { dim: 0 dim: 3 dim: 1 } }")
            text += caffe_layer("Flatten", "again", "apart")
        else:
            text += caffe_layer("Softmax" if step == "softmax" else "Sigmoid", step, y)
        y = {"reshape": "again"}.get(step, step)
    return text


def of_caffe(folder: Path, end: str) -> Sequence[Path]:
    return write_caffe(folder, caffe(end), {"fc": [WEIGHT, BIAS]})


# ---- Core ML -------------------------------------------------------------------------------------------------------


def neural_network(end: str, *, names_probabilities: bool) -> Any:
    message = coreml_model({"x": array((1, 3, 1, 1))}, {} if names_probabilities else {"y": array((1, 3))})
    net = message.neuralNetwork
    if names_probabilities:
        message.description.output.add(name="probabilities").type.dictionaryType.SetInParent()
        message.description.output.add(name="label").type.stringType.SetInParent()
        message.description.predictedFeatureName = "label"
        message.description.predictedProbabilitiesName = "probabilities"
        net = message.neuralNetworkClassifier
        net.labelProbabilityLayerName = "y"
        net.stringClassLabels.vector.extend(LABELS)
    net.arrayInputShapeMapping = 1
    add(net, "flattenTo2D", "x", "flat", settings(axis=1))
    dense = settings(inputChannels=3, outputChannels=3, weights=WEIGHT.reshape(-1), hasBias=True, bias=BIAS)
    add(net, "innerProduct", "flat", "logits", dense)
    y = "logits"
    for step in functions(end):
        if step == "reshape":
            add(net, "expandDims", y, "apart", settings(axes=[2]))
            add(net, "squeeze", "apart", "again", settings(axes=[2]))
        elif step == "softmax":
            add(net, "softmaxND", y, step, settings(axis=-1))
        else:
            add(net, "activation", y, step, lambda layer: layer.sigmoid.SetInParent())
        y = {"reshape": "again"}.get(step, step)
    add(net, "activation", y, "y", settings(linear={"alpha": 1.0}))
    return message


def of_neural_network(names_probabilities: bool) -> Made:
    def made(folder: Path, end: str) -> Path:
        message = neural_network(end, names_probabilities=names_probabilities)
        return saved(message, folder / "net.mlmodel")

    return made


def of_program(names_probabilities: bool) -> Made:
    def made(folder: Path, end: str) -> Path:
        program = Program({"x": (1, 3, 1, 1)})
        program.add("reshape", "flat", x="%x", shape=np.array([1, 3]))
        program.add("linear", "logits", x="%flat", weight=WEIGHT, bias=BIAS)
        y = "logits"
        for step in functions(end):
            if step == "reshape":
                program.add("expand_dims", "apart", x=f"%{y}", axes=np.array([2]))
                program.add("squeeze", "again", x="%apart", axes=np.array([2]))
            elif step == "softmax":
                program.add("softmax", step, x=f"%{y}", axis=-1)
            else:
                program.add("sigmoid", step, x=f"%{y}")
            y = {"reshape": "again"}.get(step, step)
        program.add("identity", "y", x=f"%{y}")
        if names_probabilities:
            program.classify("y", LABELS)
        return program.saved(folder / "net.mlpackage")

    return made


# ---- The walk ------------------------------------------------------------------------------------------------------

FORMATS: dict[str, Made] = {
    "ONNX": of_onnx,
    "ONNX of halves": of_onnx_halves,
    "PyTorch": of_torch,
    "TensorFlow Lite": of_tflite("float32"),
    "TensorFlow Lite of uint8": of_tflite("uint8"),
    "TensorFlow Lite of int8": of_tflite("int8"),
    "frozen graph": of_frozen_graph,
    "SavedModel": of_saved_model,
    "TensorFlow.js": of_tensorflow_js,
    "Keras HDF5": of_hdf5(attached=False),
    "Keras HDF5, attached": of_hdf5(attached=True),
    "Keras file": of_keras,
    "Caffe": of_caffe,
    "Core ML neural network": of_neural_network(names_probabilities=False),
    "Core ML neural classifier": of_neural_network(names_probabilities=True),
    "Core ML program": of_program(names_probabilities=False),
    "Core ML program, classifier": of_program(names_probabilities=True),
}
CALLED_PROBABILITIES = ("Core ML neural classifier", "Core ML program, classifier")
ROUGH = ("ONNX of halves", "TensorFlow Lite of uint8", "TensorFlow Lite of int8")


def network_of(made: Path | Sequence[Path] | mpscnn.Network) -> mpscnn.Network:
    network = made if isinstance(made, mpscnn.Network) else converters.read_network(made)
    network.preprocess = PREPROCESS
    return network


def scores_of(model: mpscnn.Model) -> tuple[Array, str]:
    """Return the scores in the order of the classes, and what they are."""
    result = model.predict(PHOTO)
    return result.probabilities, result.scores_are


def kept(network: mpscnn.Network, folder: Path) -> Iterator[mpscnn.Model]:
    """Yield models of the network itself, and of each format that is written and read again."""
    yield mpscnn.Model(network, precision="float32")
    for suffix in (".safetensors", ".onnx"):
        network.save(folder / f"kept{suffix}", dtype="float32" if suffix == ".onnx" else None)
        yield mpscnn.load(folder / f"kept{suffix}", preprocess=PREPROCESS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", FORMATS)
def test_scores_of_each_format(tmp_path: Path, name: str, end: str) -> None:
    """The first case of PyTorch takes a second, since it imports PyTorch."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    scores_are, expected = ENDS[end]
    if end == "logits" and name in CALLED_PROBABILITIES:
        scores_are, expected = "as is", LOGITS
    network = network_of(FORMATS[name](tmp_path, end))
    for model in kept(network, tmp_path):
        found, are = scores_of(model)
        assert are == scores_are
        np.testing.assert_allclose(found, expected, atol=0.02 if name in ROUGH else 1e-3)
    if "int8" in name:
        found, are = scores_of(mpscnn.Model(network, precision="int8"))
        assert are == scores_are
        np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_the_choice_decides_in_each_format(tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    network = network_of(FORMATS[name](tmp_path, "logits"))
    for scores, expected in (("softmax", SOFTMAX), ("sigmoid", SIGMOID), ("as is", LOGITS)):
        found, are = scores_of(mpscnn.Model(network, scores=scores))  # type: ignore[arg-type]
        assert are == scores
        np.testing.assert_allclose(found, expected, atol=0.03 if name in ROUGH else 1e-3)


# ---- Files that call their outputs something -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "scores_are"),
    [
        ({"name": "probability"}, "as is"),
        ({"description": "Probabilities of the labels."}, "as is"),
        ({"limits": (0.0, 1.0)}, "as is"),
        ({"limits": (0.0, 255.0)}, "softmax"),
        ({"name": "logits", "description": "Their softmax has the probabilities."}, "softmax"),
        ({}, "softmax"),
    ],
)
def test_metadata_of_tensorflow_lite(tmp_path: Path, said: dict[str, Any], scores_are: str) -> None:
    metadata = write_metadata([0.0], [10.0], **said)
    for end in ("logits", "softmax", "sigmoid"):
        (tmp_path / "net.tflite").write_bytes(tflite(end, metadata=metadata))
        found, are = scores_of(mpscnn.Model(converters.read_network(tmp_path / "net.tflite")))
        own = {"logits": scores_are}.get(end, end)
        assert are == own
        raw = {"logits": LOGITS if scores_are == "as is" else SOFTMAX, "softmax": SOFTMAX, "sigmoid": SIGMOID}
        np.testing.assert_allclose(found, raw[end], atol=1e-3)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_scores_are_refused_where_they_mean_nothing(tmp_path: Path, task: str) -> None:
    """Boxes and label maps have no scores of classes that a choice could change."""
    if task == "detection":
        network = mpscnn.models.ssdlite_mobilenet_v2()
    else:
        network = mpscnn.Network(input=(8, 8, 3), name="maps")
        network.output(network.conv2d(network.input, 3, 1))
    network.initialize_weights()
    network.preprocess = "unit"
    network.save(path := tmp_path / "net.safetensors")
    for choose in (
        lambda: mpscnn.Model(network, scores="sigmoid"),
        lambda: mpscnn.load(path, scores="sigmoid"),
        lambda: choose_settings(network, scores="sigmoid"),
    ):
        with pytest.raises(mpscnn.ParameterError, match=f"are those of classifiers, .* is made for {task}"):
            choose()


def test_losses_of_caffe(tmp_path: Path) -> None:
    text = caffe("logits") + caffe_layer("SigmoidCrossEntropyLoss", "loss", "fc label")
    found, are = scores_of(mpscnn.Model(network_of(write_caffe(tmp_path, text, {"fc": [WEIGHT, BIAS]}))))
    assert are == "sigmoid"
    np.testing.assert_allclose(found, SIGMOID, atol=1e-3)


def test_regressors_of_core_ml_are_taken_as_they_are(tmp_path: Path) -> None:
    message = coreml_model({"x": array((1, 3, 1, 1))}, {})
    message.description.output.add(name="y").type.doubleType.SetInParent()
    message.description.predictedFeatureName = "y"
    net = message.neuralNetworkRegressor
    net.arrayInputShapeMapping = 1
    add(net, "flattenTo2D", "x", "flat", settings(axis=1))
    add(net, "innerProduct", "flat", "y", settings(inputChannels=3, outputChannels=1, weights=WEIGHT[0]))
    network = network_of(saved(message, tmp_path / "net.mlmodel"))
    found, are = scores_of(mpscnn.Model(network))
    assert are == "as is"
    np.testing.assert_allclose(found, LOGITS[:1], rtol=1e-4)


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite"])
@pytest.mark.parametrize("slope", [1 / 6, 0.2, 0.35])
def test_hard_sigmoids_stay_probabilities_in_written_files(tmp_path: Path, suffix: str, slope: float) -> None:
    network = mpscnn.Network((1, 1, 3), name="classifier")
    x = network.dense(network.flatten(network.input), 3, name="dense")
    network.output(network.activation(x, {"kind": "hard_sigmoid", "a": slope, "b": 0.5}, name="gate"))
    network.load_weights({"dense.weight": WEIGHT, "dense.bias": BIAS})
    network.labels, network.preprocess = LABELS, PREPROCESS
    network.save(tmp_path / f"one{suffix}")
    read = mpscnn.load(tmp_path / f"one{suffix}")
    probabilities, scores_are = scores_of(read)
    np.testing.assert_allclose(probabilities, np.clip(slope * LOGITS + 0.5, 0, 1), atol=1e-3)
    assert scores_are == "sigmoid"


_SIGMOIDS_BY_PARTS = {
    "1 / (1 + exp(-x))": [("Neg", "x"), ("Exp", "0"), ("Add", "1", "one"), ("Div", "one", "2")],
    "reciprocal": [("Neg", "x"), ("Exp", "0"), ("Add", "1", "one"), ("Reciprocal", "2")],
    "exp(x) / (1 + exp(x))": [("Exp", "x"), ("Add", "0", "one"), ("Div", "0", "1")],
    "tanh(x / 2) / 2 + 1 / 2": [
        ("Mul", "x", "half"),
        ("Tanh", "0"),
        ("Mul", "1", "half"),
        ("Add", "2", "half"),
    ],
    "(tanh(x / 2) + 1) / 2": [("Mul", "x", "half"), ("Tanh", "0"), ("Add", "1", "one"), ("Mul", "2", "half")],
}


@pytest.mark.parametrize("form", _SIGMOIDS_BY_PARTS)
def test_sigmoids_by_parts_are_sigmoids(tmp_path: Path, form: str) -> None:
    import onnx

    parts = _SIGMOIDS_BY_PARTS[form]
    nodes = onnx_nodes("logits")[:-1]
    for place, (kind, *given) in enumerate(parts):
        operands = ["logits" if name == "x" else name for name in given]
        nodes.append(node(kind, operands, "y" if place == len(parts) - 1 else str(place)))
    constants = {"w": WEIGHT, "b": BIAS, "one": np.float32(1), "half": np.float32(0.5)}
    onnx.save(onnx_model(nodes, {"x": ["n", 3, 1, 1]}, constants), tmp_path / "net.onnx")
    read = mpscnn.load(tmp_path / "net.onnx", preprocess=PREPROCESS)
    probabilities, scores_are = scores_of(read)
    np.testing.assert_allclose(probabilities, SIGMOID, atol=1e-5)
    assert scores_are == "sigmoid"


_SOFTMAXES_BY_PARTS = {
    "exp(x) / sum": "e = Exp(logits); s = ReduceSum(e, axis); y = Div(e, s)",
    "exp(x) * (1 / sum)": "e = Exp(logits); s = ReduceSum(e, axis); r = Reciprocal(s); y = Mul(r, e)",
    "after x - max": "m = ReduceMax<axes=[1]>(logits); c = Sub(logits, m); e = Exp(c); s = ReduceSum(e, axis); "
    "y = Div(e, s)",
    "sum without its axis": "e = Exp(logits); f = ReduceSum<keepdims=0>(e, axis); s = Unsqueeze(f, axis); "
    "y = Div(e, s)",
}


@pytest.mark.parametrize("form", _SOFTMAXES_BY_PARTS)
def test_softmaxes_by_parts_are_softmaxes(tmp_path: Path, form: str) -> None:
    import onnx

    nodes = onnx_nodes("logits")[:-1] + nodes_of(_SOFTMAXES_BY_PARTS[form])
    constants = {"w": WEIGHT, "b": BIAS, "axis": np.array([1])}
    onnx.save(onnx_model(nodes, {"x": ["n", 3, 1, 1]}, constants), tmp_path / "net.onnx")
    read = mpscnn.load(tmp_path / "net.onnx", preprocess=PREPROCESS)
    probabilities, scores_are = scores_of(read)
    np.testing.assert_allclose(probabilities, SOFTMAX, atol=1e-5)
    assert scores_are == "softmax"
    assert [one["operation"] for one in read.network.to_dict()["nodes"]][-1] == "softmax"


@pytest.mark.parametrize("form", _SOFTMAXES_BY_PARTS)
@pytest.mark.parametrize("output", ["e", "s", "twice_s"])
def test_parts_of_a_softmax_that_are_outputs_stay(form: str, output: str) -> None:
    parts = _SOFTMAXES_BY_PARTS[form] + "; twice_s = Add(s, s)"
    constants = {"w": WEIGHT, "b": BIAS, "axis": np.array([1])}
    nodes = onnx_nodes("logits")[:-1] + nodes_of(parts)
    made = read_onnx(onnx_model(nodes, {"x": ["n", 3, 1, 1]}, constants, outputs=["y", output]))
    x = np.array([[[[0.1, 0.2, 0.3]]]], np.float32)
    softmax, found = made.compile(device="cpu").run(x).values()
    exponentials = np.exp(x.reshape(1, 3) @ WEIGHT.T + BIAS)
    np.testing.assert_allclose(softmax, exponentials / exponentials.sum(), rtol=1e-5)
    if "max" in form:
        exponentials /= exponentials.max()
    total = exponentials.sum(keepdims=True)
    np.testing.assert_allclose(
        found, {"e": exponentials, "s": total, "twice_s": 2 * total}[output], rtol=1e-5
    )
