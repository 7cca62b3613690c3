"""Written Core AI assets are verified by Apple's package, and read back to the same networks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import results
from command_line import call
from converters.tflite_export.test_tflite_read_back import detector
from converters.written_layers import LAYERS, conv, network_of
from numpy.typing import NDArray

import mpscnn
from mpscnn import Model, Network
from mpscnn.converters import export_coreai, read_network
from mpscnn.converters.reading.coreai.asset import open_asset
from mpscnn.converters.reading.coreai.program import read_program

pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
#: Layers that Core AI cannot express, or whose outputs have other axes when they are read, because an output of four
#: axes is an image.
NOT_THE_SAME = {"transpose, cyclic"}
#: The default tier's layers: one of each family of operators. The full tier writes all.
FEW = (
    "convolution, explicit padding", "transposed, groups", "average pooling, ceil mode", "slice, backward", "nearest",
    "bilinear, asymmetric",
)  # fmt: skip


def assert_same(network: Network, path: Path, dtype: str | None = None, tolerance: float = 1e-5) -> Network:
    """Write and read a network, and compare the results."""
    export_coreai(network, path, dtype=dtype)
    made = read_network(path)
    generator = np.random.default_rng(5)
    inputs = [
        generator.uniform(-3, 3, [1, *(extent or 1 for extent in one.shape[1:])]).astype(np.float32)
        for one in network.inputs
    ]
    for found, right in zip(results(made, *inputs), results(network, *inputs), strict=True):
        assert found.shape == right.shape
        scale = max(1.0, float(np.nanmax(np.abs(right))))
        np.testing.assert_allclose(found, right, rtol=0, atol=tolerance * scale)
    return made


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(name, marks=() if name in FEW else pytest.mark.full)
        for name in sorted(set(LAYERS) - NOT_THE_SAME)
    ],
)
def test_layers(layer: str, tmp_path: Path) -> None:
    assert_same(network_of(LAYERS[layer]), tmp_path / "one.aimodel")


def test_bundled_model(tmp_path: Path) -> None:
    """The bits are the same, and so are names of layers, labels, preprocessing and information."""
    model = mpscnn.load()
    path = tmp_path / "one.aimodel"
    model.save(path, dtype="float32")
    made = mpscnn.load(path)
    photo = mpscnn.samples.photo("cat")
    assert made.predict(photo).probabilities.tobytes() == model.predict(photo).probabilities.tobytes()
    assert made.labels == model.labels
    assert made.network.layer_names() == model.network.layer_names()
    assert made.network.preprocess == model.network.preprocess


@pytest.mark.parametrize("kind", ["lstm", "gru", "gru before"])
def test_recurrent_layers(kind: str, tmp_path: Path) -> None:
    """Core AI has no recurrent layers, so each step is written."""
    network = Network(input=(5, 2, 4))
    if kind == "lstm":
        made = network.lstm(network.input, 3, reverse=True)
    else:
        made = network.gru(network.input, 3, reset_after=kind == "gru")
    network.output(network.relu(made.steps))
    network.initialize_weights(0)
    assert_same(network, tmp_path / "one.aimodel")
    long = Network(input=(600, 1, 4))
    long.output(long.gru(long.input, 3).steps)
    long.initialize_weights(0)
    with pytest.raises(mpscnn.UnsupportedError, match="of 600 steps; at most 512 are written"):
        export_coreai(long, tmp_path / "long.aimodel")


@pytest.mark.parametrize("transposed", [False, True])
def test_normalizations_become_weights(transposed: bool, tmp_path: Path) -> None:
    """A convolution includes the normalization after it, with the weights that mpscnn computes with: the same bits."""
    network = Network(input=(6, 5, 4))
    window = network.conv2d_transpose if transposed else network.conv2d
    x = window(network.input, 6, 3, groups=2, name="window")
    network.output(network.relu(network.batch_norm(x, name="norm")))
    network.initialize_weights(0)
    generator = np.random.default_rng(1)
    low = {"mean": -1.0, "variance": 0.1, "gamma": -1.0, "beta": -1.0}
    network.set_weights(
        {f"norm.{role}": generator.uniform(one, 2, 6).astype(np.float32) for role, one in low.items()}
    )
    made = assert_same(network, tmp_path / "one.aimodel", tolerance=0.0)
    assert [node["operation"] for node in made.to_dict()["nodes"]].count("batch_normalization") == 0


def test_types_of_weights(tmp_path: Path) -> None:
    network = network_of(conv(kernel=5))
    sizes = {}
    for dtype, tolerance in (("float32", 0.0), ("float16", 0.005), ("uint8", 0.05)):
        path = tmp_path / f"{dtype}.aimodel"
        assert_same(network, path, dtype, tolerance)
        sizes[dtype] = (path / "main.mlirb").stat().st_size
    assert sizes["uint8"] < sizes["float16"] < sizes["float32"]
    integers = read_network(tmp_path / "uint8.aimodel")
    (weight,) = (spec for spec in integers.weight_specs() if spec["role"] == "weight")
    assert weight["dtype"] == "uint8"


def test_equal_networks_give_equal_programs(tmp_path: Path) -> None:
    """The program depends on the network alone, and says nothing of this machine."""
    network = network_of(conv())
    contents = []
    for name in ("one", "two"):
        export_coreai(network, tmp_path / f"{name}.aimodel")
        contents.append((tmp_path / f"{name}.aimodel" / "main.mlirb").read_bytes())
    assert contents[0] == contents[1]
    assert str(Path(mpscnn.__file__).parent).encode() not in contents[0]


def test_refusals(tmp_path: Path) -> None:
    free = Network(input=(None, None, 3))
    free.output(free.relu(free.input))
    with pytest.raises(mpscnn.UnsupportedError, match="one size"):
        export_coreai(free, tmp_path / "one.aimodel")
    export_coreai(free, tmp_path / "one.aimodel", size=(4, 5))
    assert read_network(tmp_path / "one.aimodel").input.shape == (None, 4, 5, 3)
    with pytest.raises(mpscnn.ParameterError, match=r"ends in \.aimodel"):
        export_coreai(free, tmp_path / "one.mlmodel", size=(4, 5))


ORDERS = {"rgb": ([127.5] * 3, [1 / 127.5] * 3), "bgr": ([1.0, 2.5, 3.0], [0.5, 0.25, 2.0])}


@pytest.mark.parametrize("order", sorted(ORDERS))
def test_image_input(order: str, tmp_path: Path) -> None:
    """The program takes the pixels of a photo, and has its preprocessing: without the description, too."""
    network = Network(input=(5, 4, 3))
    network.output(network.relu(network.conv2d(network.input, 2, 3)))
    network.initialize_weights(0)
    mean, scale = ORDERS[order]
    network.preprocess = {"mean": mean, "scale": scale, "order": order, "fit": "center_crop"}
    path = tmp_path / "one.aimodel"
    export_coreai(network, path, image=True)
    made = read_network(path)
    assert [node["operation"] for node in made.to_dict()["nodes"]] == ["convolution"]
    photo = np.random.default_rng(2).integers(0, 256, (7, 9, 3), np.uint8)
    assert made.preprocess is not None
    found, right = (mpscnn.preprocess(photo, (5, 4), one) for one in (made.preprocess, network.preprocess))
    np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-5)
    description = path / "metadata.json"
    description.write_text(description.read_text("utf-8").replace("mpscnn.preprocess", "other"), "utf-8")
    without = read_network(path).preprocess
    assert isinstance(without, dict)
    assert isinstance(made.preprocess, dict)
    assert made.preprocess["fit"] == "center_crop"
    assert without == {key: made.preprocess[key] for key in without}


@pytest.mark.parametrize("name", ["a²", "²", "é", "ﬁ", "🙂", 'a "b"', "1/x", "if", "image__scaled__"])
def test_names_of_image_inputs(name: str, tmp_path: Path) -> None:
    """Core AI takes names of Python's parameters only. The operations of the preprocessing have the input's name."""
    network = Network(input={name: (4, 4, 3)})
    network.output(network.relu(network.input))
    network.preprocess = {"mean": [1.0, 2.0, 3.0], "scale": [0.5, 0.25, 2.0]}
    export_coreai(network, tmp_path / "one.aimodel", image=True)
    made = read_network(tmp_path / "one.aimodel")
    assert isinstance(made.preprocess, dict)
    assert made.preprocess["mean"] == [1.0, 2.0, 3.0]
    assert made.preprocess["scale"] == [0.5, 0.25, 2.0]
    assert len(made.to_dict()["nodes"]) == 1


@pytest.mark.parametrize("name", ["é", "日本", 'a "b"', "a\\b", "\\5C", "a\nb"])
def test_names_of_layers(name: str, tmp_path: Path) -> None:
    network = Network(input=(4, 4, 3))
    network.output(network.softmax(network.conv2d(network.input, 2, 3, name=name), name="y"))
    network.initialize_weights(0)
    export_coreai(network, tmp_path / "one.aimodel")
    assert name in read_network(tmp_path / "one.aimodel").layer_names()


@pytest.mark.parametrize(
    ("image", "what"), [(True, "photo of 4 x 5 pixels, BGRA"), (False, "array 1 x 3 x 5 x 4 of float32")]
)
def test_info_shows_what_an_app_passes(
    image: bool, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = Network(input=(5, 4, 3))
    network.output(network.relu(network.input, name="result"))
    network.preprocess = "tensorflow"
    export_coreai(network, tmp_path / "one.aimodel", image=image)
    assert call("info", str(tmp_path / "one.aimodel")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"app function: 'main' app input: 'image' ({what}) app output: 'result'" in shown


def test_operations_of_an_image_input(tmp_path: Path) -> None:
    """An interpreter of the program's own operations gives the numbers that mpscnn prepares."""
    network = Network(input=(2, 3, 3))
    network.output(network.relu(network.input))
    network.preprocess = {"mean": [10.0, 20.0, 30.0], "scale": [1.0, 0.5, 0.25]}
    export_coreai(network, tmp_path / "one.aimodel", image=True)
    program = read_program(open_asset(tmp_path / "one.aimodel"))
    photo = np.random.default_rng(3).integers(0, 256, (2, 3, 3), np.uint8)
    pixels = np.concatenate([photo[..., ::-1], np.full((2, 3, 1), 255, np.uint8)], axis=2)  # BGRA
    found = interpreted(program["main"].operations, pixels)
    right = (photo - np.array([10, 20, 30], np.float32)) * np.array([1, 0.5, 0.25], np.float32)
    np.testing.assert_array_equal(found, np.maximum(right, 0).transpose(2, 0, 1)[None])


@pytest.mark.parametrize("kind", ["plain", "flipped", "computed", "rows"])
def test_other_operations_among_the_preprocessing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scales after other operations than those that unpack the pixels stay in the network."""

    def prepared(ai: Any, image: Any, name: str, *_: Any) -> Any:
        from coreai.authoring.constant import constant

        with ai.DebugInfo.metadata_only([f"layer:{name}__pixels__"]).activate():
            ends = ((0, 0, 0), (3, 3, 3), (1, 1, 1))
            x = ai.slice_(ai.image_to_tensor(image), *(np.array(one, np.int32) for one in ends))
            if kind != "rows":
                x = ai.transpose(x, np.array([2, 0, 1], np.uint32))
            x = ai.cast(ai.expand_dims(x, np.array([0], np.int32)), np.float32)
            if kind == "flipped":
                x = ai.reverse(x, constant(np.array([1], np.int32)))
            if kind == "computed":
                x = ai.relu(ai.broadcasting_add(x, constant(np.array([[[[-100]]]], np.float32))))
        with ai.DebugInfo.metadata_only([f"layer:{name}__biased__"]).activate():
            return ai.broadcasting_add(x, constant(np.array([[[[9]], [[30]], [[90]]]], np.float32)))

    monkeypatch.setattr("mpscnn.converters.writing.coreai.export.prepared", prepared)
    network = Network(input=(3, 3, 3))
    network.output(network.relu(network.input))
    network.preprocess = {"mean": [1.0, 2.0, 3.0]}
    export_coreai(network, tmp_path / "one.aimodel", image=True)
    photo = np.random.default_rng(3).integers(0, 256, (3, 3, 3), np.uint8)
    pixels = np.concatenate([photo[..., ::-1], np.full((3, 3, 1), 255, np.uint8)], axis=2)  # BGRA
    right = interpreted(read_program(open_asset(tmp_path / "one.aimodel"))["main"].operations, pixels)
    made = read_network(tmp_path / "one.aimodel")
    assert made.preprocess is not None
    (found,) = results(made, mpscnn.preprocess(photo, (3, 3), made.preprocess))
    np.testing.assert_array_equal(found, right.transpose(0, 2, 3, 1))


def interpreted(operations: Any, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Compute the operations of a program whose input is an image, with NumPy."""
    values: dict[int, Any] = {}
    rules: dict[str, Callable[..., Any]] = {
        "image_to_tensor": lambda _: pixels,
        "slice": lambda x, first, last, step: x[tuple(map(slice, first, last, step))],
        "transpose": lambda x, order: x.transpose([int(one) for one in order]),
        "expand_dims": lambda x, axes: np.expand_dims(x, tuple(int(one) for one in axes)),
        "cast": lambda x: x.astype(np.float32),
        "reverse": lambda x, axes: np.flip(x, [int(one) for one in axes]),
        "broadcasting_add": np.add,
        "broadcasting_mul": np.multiply,
        "reshape": lambda x, shape: x.reshape([int(one) for one in shape]),
        "relu": lambda x: np.maximum(x, 0),
    }
    for operation in operations:
        given = [values.get(number) for number in operation.operands]
        if operation.kind == "output":
            return np.asarray(given[0])
        made = operation.stored.array() if operation.stored is not None else rules[operation.kind](*given)
        values[operation.results[0][0]] = made
    raise AssertionError("no output")


def test_networks_without_image_input(tmp_path: Path) -> None:
    network = Network(input=(2, 3, 3))
    network.output(network.relu(network.input))
    with pytest.raises(mpscnn.UnsupportedError, match="needs the preprocessing of photos"):
        export_coreai(network, tmp_path / "one.aimodel", image=True)
    gray = Network(input=(2, 3, 1))
    gray.output(gray.relu(gray.input))
    gray.preprocess = {"order": "gray", "scale": 1 / 255}
    with pytest.raises(mpscnn.UnsupportedError, match="three colours"):
        export_coreai(gray, tmp_path / "one.aimodel", image=True)
    network.preprocess = {"scale": [1.0, 0.0, 1.0]}
    with pytest.raises(mpscnn.UnsupportedError, match="no scales of 0"):
        export_coreai(network, tmp_path / "one.aimodel", image=True)
    assert not (tmp_path / "one.aimodel").exists()


@pytest.mark.filterwarnings("always:.*suppression of boxes:RuntimeWarning")
def test_detectors_keep_their_heads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The settings of the suppression are kept. The warning says that the program does not suppress boxes."""
    network = detector()
    path = tmp_path / "one.aimodel"
    source = tmp_path / "one.safetensors"
    Model(network).save(source)
    assert call("convert", str(source), str(path)) == 0
    said = r"one\.aimodel: the suppression of boxes is not part of the file"
    assert re.search(said, capsys.readouterr().err)
    with pytest.warns(RuntimeWarning, match=said):
        Model(network).save(path)
    made = read_network(path)
    assert made.labels == network.labels
    assert made.detection is not None
    assert network.detection is not None
    for part in ("boxes", "scores"):
        assert made.detection.settings[part]["output"] == network.detection.settings[part]["output"]
    assert made.detection.anchors is not None
    assert made.detection.anchors.tobytes() == network.detection.anchors.tobytes()


@pytest.mark.filterwarnings("ignore:.*suppression of boxes:RuntimeWarning")
def test_limits_of_detectors(tmp_path: Path) -> None:
    """The description has the chosen limits, and the network keeps its own."""
    network = detector()
    assert network.detection is not None
    before = network.detection.settings
    path = tmp_path / "one.aimodel"
    limits: dict[str, Any] = {"score_threshold": 0.0625, "iou_threshold": 0.25, "max_detections": 7}
    export_coreai(network, path, **limits)
    made = read_network(path).detection
    assert made is not None
    assert limits.items() <= made.settings["suppression"].items()
    assert network.detection.settings == before
    with pytest.raises(mpscnn.ParameterError, match="is not a detector"):
        export_coreai(network_of(conv()), path, score_threshold=0.5)
    with pytest.raises(mpscnn.ParameterError):
        export_coreai(network, path, score_threshold=-1.0)


@pytest.mark.full
@pytest.mark.parametrize(
    ("suffix", "package"), [(".onnx", "onnx"), (".tflite", "ai_edge_litert"), (".mlpackage", "coremltools")]
)
def test_formats_say_the_same(suffix: str, package: str, tmp_path: Path) -> None:
    """The same network in two formats is equal when mpscnn compares the files."""
    pytest.importorskip(package)
    model = mpscnn.load()
    paths = [tmp_path / f"one{one}" for one in (".aimodel", suffix)]
    for path in paths:
        model.save(path, dtype="float32")
    other = read_network(paths[1])
    found = mpscnn.compare(read_network(paths[0]), other)
    assert found.equal
    assert not found.uncompared


def test_a_value_that_is_put_out_twice_stays_two_outputs(tmp_path: Path) -> None:
    network = Network(input=(3, 4, 2))
    product = network.multiply(network.input, network.input)
    network.output(product)
    network.output(network.reshape(product, (3, 4, 2)))
    export_coreai(network, tmp_path / "m.aimodel")
    read = read_network([tmp_path / "m.aimodel"])
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 2)).astype(np.float32)
    results = list(read.compile(device="cpu").run(x).values())
    assert len(results) == 2
    for result in results:
        np.testing.assert_array_equal(result.reshape(x.shape), x * x)
