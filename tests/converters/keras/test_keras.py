"""Compare Keras files of both generations with arithmetic written out here. tests/oracles compares with Keras."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from converters.keras_writer import functional, image, layer, write_h5, write_keras
from exact_engines import litert_results
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters


def random(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0.0, 1.0, shape).astype(np.float32)


def converted(tmp_path: Path, model: Any, weights: Any, **options: Any) -> mpscnn.Network:
    path = tmp_path / "model.h5"
    write_h5(path, model, weights, **options)
    return converters.read_network([path])


def refusal(tmp_path: Path, *layers: dict[str, Any]) -> str:
    with pytest.raises(mpscnn.UnsupportedError) as refused:
        converted(tmp_path, functional([image(4, 4, 3), *layers]), {})
    return str(refused.value)


def test_names_and_weights_of_keras_2(tmp_path: Path) -> None:
    kernel, offset = random(1, 1, 3, 2), random(2)
    depthwise = random(1, 1, 2, 1)
    model = functional(
        [
            image(4, 4, 3),
            layer("Conv2D", "conv", "image", filters=2, kernel_size=[1, 1], activation="relu"),
            layer("DepthwiseConv2D", "depthwise", "conv", kernel_size=[1, 1], use_bias=False),
        ]
    )
    weights = {
        "conv": {"conv/kernel": kernel, "conv/bias": offset},
        "depthwise": {"depthwise/depthwise_kernel": depthwise},
    }
    network = converted(tmp_path, model, weights)
    assert network.layer_names() == ["image", "conv", "depthwise"]
    x = random(1, 4, 4, 3)
    expected = np.maximum(x @ kernel[0, 0] + offset, 0) * depthwise[0, 0, :, 0]
    np.testing.assert_allclose(computed(network, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("version", "slope"), [("2.15.0", 0.2), ("3.0.0", 1 / 6)])
def test_hard_sigmoid_changed_with_keras_3(tmp_path: Path, version: str, slope: float) -> None:
    model = functional([image(1, 5, 1), layer("Activation", "y", "image", activation="hard_sigmoid")])
    x = np.array([-4, -1, 0, 2, 3]).reshape(1, 1, 5, 1)
    found = computed(converted(tmp_path, model, {}, version=version), x)
    np.testing.assert_allclose(found, np.clip(slope * x + 0.5, 0, 1), rtol=1e-6)


def test_models_within_models_of_keras_2(tmp_path: Path) -> None:
    """Calls of a model are counted from 1. In its list of weights, the trained ones of all layers come first."""
    inner = functional(
        [
            image(4, 4, 2, name="inner_input"),
            layer("Conv2D", "conv", "inner_input", filters=2, kernel_size=[1, 1]),
            layer("BatchNormalization", "norm", "conv", axis=[3], epsilon=0.5),
            layer("Conv2D", "last", "norm", filters=2, kernel_size=[1, 1], use_bias=False),
        ],
        inputs=("inner_input",),
    )
    nested = {"class_name": "Functional", "name": "inner", "config": inner["config"]}
    nested["inbound_nodes"] = [[["image", 0, 0, {}]], [["inner", 1, 0, {}]]]
    model = functional([image(4, 4, 2), nested], ("inner", 2, 0))
    arrays = {
        "conv/kernel": random(1, 1, 2, 2),
        "conv/bias": random(2, seed=1),
        "norm/gamma": random(2, seed=2),
        "norm/beta": random(2, seed=3),
        "last/kernel": random(1, 1, 2, 2, seed=4),
        "norm/moving_mean": random(2, seed=5),
        "norm/moving_variance": np.abs(random(2, seed=6)),
    }
    network = converted(tmp_path, model, {"inner": arrays})
    assert network.layer_names()[1:4] == ["inner/conv", "inner/norm", "inner/last"]
    y = x = random(1, 4, 4, 2, seed=7)
    for _ in range(2):
        y = y @ arrays["conv/kernel"][0, 0] + arrays["conv/bias"]
        y = (y - arrays["norm/moving_mean"]) / np.sqrt(arrays["norm/moving_variance"] + 0.5)
        y = (y * arrays["norm/gamma"] + arrays["norm/beta"]) @ arrays["last/kernel"][0, 0]
    np.testing.assert_allclose(computed(network, x), y, rtol=1e-4, atol=1e-5)


def test_a_result_that_is_listed_twice(tmp_path: Path) -> None:
    kernel = random(1, 1, 3, 2)
    model = functional(
        [
            image(4, 4, 3),
            layer("Conv2D", "conv", "image", filters=2, kernel_size=[1, 1], use_bias=False),
            layer("ReLU", "relu", "conv"),
        ],
        "conv",
        "relu",
        "conv",
        "image",
        "image",
    )
    network = converted(tmp_path, model, {"conv": {"conv/kernel": kernel}})
    x = random(1, 4, 4, 3, seed=1)
    conv = x @ kernel[0, 0]
    found = network.compile(device="cpu", precision="float32").session().run(x)
    assert isinstance(found, dict)
    for own, expected in zip(found.values(), [conv, np.maximum(conv, 0), conv, x, x], strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)


def test_functions_of_tensorflow(tmp_path: Path) -> None:
    """Test x * hard_sigmoid(x) as MobileNetV3 of Keras 2 writes it."""
    plus = layer("TFOpLambda", "plus", "image", function="__operators__.add")
    plus["inbound_nodes"] = [[["image", 0, 0, {"y": 3.0, "name": None}]]]
    times = layer("TFOpLambda", "times", "relu", function="math.multiply")
    times["inbound_nodes"] = [[["relu", 0, 0, {"y": 0.5, "name": None}]]]
    model = functional(
        [
            image(1, 4, 1),
            plus,
            layer("ReLU", "relu", "plus", max_value=6.0),
            times,
            layer("Multiply", "y", "image", "times"),
        ]
    )
    x = np.array([-4.0, -1, 1, 5]).reshape(1, 1, 4, 1)
    found = computed(converted(tmp_path, model, {}), x)
    np.testing.assert_allclose(found, x * np.clip(x + 3, 0, 6) * 0.5, rtol=1e-6)


TENSORFLOW: dict[str, tuple[dict[str, Any], Any]] = {
    "clip_by_value": ({"clip_value_min": -0.5, "clip_value_max": 0.25}, lambda x: x.clip(-0.5, 0.25)),
    "expand_dims": ({"axis": 1}, lambda x: x[:, None]),
    "math.reduce_mean": ({"axis": [1, 2], "keepdims": False}, lambda x: x.mean(axis=(1, 2))),
    "math.reduce_sum": ({"axis": -1, "keepdims": True}, lambda x: x.sum(axis=-1, keepdims=True)),
    "math.square": ({}, np.square),
    "nn.softmax": ({"axis": -1}, lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)),
    "reshape": ({"shape": [-1, 4, 15]}, lambda x: x.reshape(-1, 4, 15)),
    "tile": ({"multiples": [1, 1, 2, 1]}, lambda x: np.tile(x, (1, 1, 2, 1))),
    "transpose": ({"perm": [0, 3, 1, 2]}, lambda x: x.transpose(0, 3, 1, 2)),
}


IGNORED: dict[str, dict[str, Any]] = {
    "nn.silu": {"beta": 2.0},
    "math.reduce_sum": {"axis": 1, "keep_dims": True},
    "split": {"num_or_size_splits": 2, "num": 2},
    "linalg.matmul": {"transpose_b": True},
    "nn.softmax": {"unheard": "of"},
}


@pytest.mark.parametrize("name", list(IGNORED))
def test_arguments_of_tensorflow_that_nothing_reads_are_refused(tmp_path: Path, name: str) -> None:
    made = layer("TFOpLambda", "y", "image", function=name)
    *_, argument = IGNORED[name]
    made["inbound_nodes"] = [[["image", 0, 0, IGNORED[name]]]]
    with pytest.raises(
        mpscnn.UnsupportedError,
        match=f"'{name}' is not supported with the argument '{argument}'|its '{argument}' is .* not known",
    ):
        converted(tmp_path, functional([image(4, 5, 3), made]), {})
    made["inbound_nodes"] = [[["image", 0, 0, {"beta": 1.0, "name": None, "num": None}]]]
    if name == "nn.silu":
        assert converted(tmp_path, functional([image(4, 5, 3), made]), {}).outputs[0].shape == (None, 4, 5, 3)


@pytest.mark.parametrize("name", list(TENSORFLOW))
def test_functions_of_tensorflow_that_change_axes(tmp_path: Path, name: str) -> None:
    keywords, expected = TENSORFLOW[name]
    made = layer("TFOpLambda", "y", "image", function=name)
    made["inbound_nodes"] = [[["image", 0, 0, {**keywords, "name": None}]]]
    x = random(3, 4, 5, 3)
    network = converted(tmp_path, functional([image(4, 5, 3), made]), {})
    np.testing.assert_allclose(computed(network, x), expected(x), rtol=1e-5, atol=1e-6)


def test_sequential_without_an_input_layer(tmp_path: Path) -> None:
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "use_bias": False}}
    dense["config"]["batch_input_shape"] = [None, 3]
    kernel = random(3, 2)
    model = {"class_name": "Sequential", "config": {"name": "model", "layers": [dense]}}
    network = converted(tmp_path, model, {"dense": {"dense/kernel": kernel}})
    x = random(4, 3)
    np.testing.assert_allclose(computed(network, x), x @ kernel, rtol=1e-5)


def test_scaled_samples_are_a_photos(tmp_path: Path) -> None:
    """A network that begins by scaling 0..255 gets photos without preprocessing."""
    scaled = [image(4, 4, 3), layer("Rescaling", "scale", "image", scale=1 / 127.5, offset=-1.0)]
    assert converted(tmp_path, functional(scaled), {}).preprocess == "none"
    doubled = [image(4, 4, 3), layer("Rescaling", "scale", "image", scale=2.0)]
    assert converted(tmp_path, functional(doubled), {}).preprocess is None


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_archives_of_keras_2(tmp_path: Path, seed: int, count: int) -> None:
    """Keras 2.12 and 2.13 list layers with weights both as "layer_with_weights-N" and as "layer-N"; 2.14 does not."""
    rng = np.random.default_rng(seed)
    layers, counts, stored, kernels = [], {"dense": -1, "batch_normalization": -1, "re_lu": -1}, {}, []
    stem = "_layer_checkpoint_dependencies"
    for number in range(12):
        kind = rng.choice(["Dense", "ReLU", "BatchNormalization"])
        name = {"Dense": "dense", "ReLU": "re_lu", "BatchNormalization": "batch_normalization"}[kind]
        counts[name] += 1
        group = f"{stem}/{name}" + (f"_{counts[name]}" if counts[name] else "")
        config: dict[str, Any] = {"name": f"layer{number}"}
        if kind == "Dense":
            arrays = [random(3, 3, seed=number), random(3, seed=number + 50)]
            config["units"] = 3
        elif kind == "BatchNormalization":
            arrays = [abs(random(3, seed=number + k)) + 0.5 for k in range(4)]
            config["epsilon"] = 0.01
        else:
            arrays = []
        if arrays:
            stored[group] = arrays
            counts[name] += count - 1
        kernels.append((kind, arrays))
        layers.append({"class_name": str(kind), "module": "keras.layers", "config": config})
    inputs = {"class_name": "InputLayer", "module": "keras.layers", "config": {"name": "x"}}
    inputs["config"]["batch_input_shape"] = [None, 3]
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [inputs, *layers]}}
    path = tmp_path / "model.keras"
    write_keras(path, model, stored, stem=stem, version="2.13.1")
    y = x = random(4, 3)
    for kind, arrays in kernels:
        if kind == "Dense":
            y = y @ arrays[0] + arrays[1]
        elif kind == "BatchNormalization":
            gamma, beta, mean, variance = arrays
            y = (y - mean) / np.sqrt(variance + 0.01) * gamma + beta
        else:
            y = np.maximum(y, 0)
    np.testing.assert_allclose(computed(converters.read_network([path]), x), y, rtol=2e-4, atol=2e-4)


def test_models_within_archives_of_keras_2(tmp_path: Path) -> None:
    """Test models within models. Keras 2 stores their weights in groups that it names after an attribute."""
    stem = "_layer_checkpoint_dependencies"
    inner = functional([image(4, name="in"), layer("Dense", "a", "in", units=4)], inputs=("in",))
    other = functional([image(4, name="in"), layer("Dense", "b", "in", units=4)], inputs=("in",))
    model = functional(
        [
            image(4),
            {**layer("Functional", "first", "image"), "config": inner["config"]},
            {**layer("Functional", "second", ("first", 1, 0)), "config": other["config"]},
        ],
        ("second", 1, 0),
    )
    arrays = [[random(4, 4, seed=n), random(4, seed=n + 9)] for n in range(2)]
    stored = {f"{stem}/functional/{stem}/dense": arrays[0], f"{stem}/functional_2/{stem}/dense": arrays[1]}
    path = tmp_path / "model.keras"
    write_keras(path, model, stored, stem=stem, version="2.13.1")
    x = random(5, 4)
    expected = (x @ arrays[0][0] + arrays[0][1]) @ arrays[1][0] + arrays[1][1]
    np.testing.assert_allclose(computed(converters.read_network([path]), x), expected, rtol=1e-4, atol=1e-5)


# ---- Networks that cannot be converted ---------------------------------------------------------------------


def test_all_layers_that_cannot_be_converted_are_named(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        layer("SimpleRNN", "memory", "image"),
        layer("Dropout", "kept", "memory"),
        layer("MyLayer", "own", "kept"),
        layer("Dot", "product", "own", "own"),
    )
    assert "3 layers cannot be converted" in message or "2 layers cannot be converted" in message
    assert "layer 'memory' (SimpleRNN): recurrent layers of this kind are not supported" in message
    assert "layer 'own' (MyLayer): mpscnn has no such layer yet" in message


def test_code_is_never_executed(tmp_path: Path) -> None:
    """A Lambda layer contains marshalled bytecode, which must not be decoded."""
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA" * 4, "defaults": None}}
    message = refusal(tmp_path, layer("Lambda", "custom", "image", function=code))
    assert "layer 'custom' (Lambda): holds code of Python, which is never executed" in message


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("Conv2D", {"filters": 2, "data_format": "channels_first"}, "is 'channels_first'; supported is"),
        ("Flatten", {"data_format": "channels_first"}, "is 'channels_first'; supported is channels_last"),
        ("ReLU", {"unheard_of": 3}, "its 'unheard_of' is 3, which is not known; supported are max_value"),
        ("Reshape", {"target_shape": [-1], "order": "F"}, "its 'order' is 'F', which is not known"),
        ("MaxPooling2D", {"pool_mode": "min"}, "its 'pool_mode' is 'min', which is not known"),
        ("ReLU", {"threshold": 1.0}, "threshold"),
        ("Activation", {"activation": "sparsemax"}, "'sparsemax' is not supported"),
        ("Softmax", {"axis": [0, 2]}, "compares images of the batch"),
        ("LayerNormalization", {"axis": [0], "scale": False, "center": False}, "along its batch"),
        ("UnitNormalization", {"axis": [1, 2]}, "supported is one"),
        ("CenterCrop", {"height": 9, "width": 2}, "supported are images of a fixed size"),
        ("AdaptiveMaxPooling2D", {"output_size": [3, 2]}, "of different sizes"),
        ("ReversibleEmbedding", {}, "lookups of words"),
        ("UpSampling2D", {"interpolation": "bicubic"}, "is 'bicubic'; supported are nearest and bilinear"),
        ("TFOpLambda", {"function": "linalg.inv"}, "TensorFlow's function 'linalg.inv'"),
    ],
)
def test_refused(tmp_path: Path, kind: str, settings: dict[str, Any], reason: str) -> None:
    message = refusal(tmp_path, layer(kind, "refused", "image", **settings))
    assert message.startswith(f"{tmp_path / 'model.h5'}: layer 'refused' ({kind})")
    assert reason in message


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_steps_as_the_first_axis_are_refused(tmp_path: Path, kind: str) -> None:
    gates = {"LSTM": 4, "GRU": 3}[kind]
    made = layer(kind, "y", "image", units=2, time_major=True, use_bias=False)
    weights = {"y": {"kernel": random(3, 2 * gates), "recurrent_kernel": random(2, 2 * gates)}}
    with pytest.raises(mpscnn.UnsupportedError, match="steps as the first axis"):
        converted(tmp_path, functional([image(5, 3), made], "y"), weights)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("stateful", [False, True])
def test_states_that_last_from_run_to_run_are_noted(tmp_path: Path, kind: str, stateful: bool) -> None:
    gates = {"LSTM": 4, "GRU": 3}[kind]
    made = layer(kind, "y", "image", units=2, stateful=stateful, use_bias=False)
    weights = {"y": {"kernel": random(3, 2 * gates), "recurrent_kernel": random(2, 2 * gates)}}
    network = converted(tmp_path, functional([image(5, 3), made], "y"), weights)
    assert network.notes == ["the states of its recurrent layers begin with zeros in each run"] * stateful


def test_models_of_an_authors_class(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=r"'Subclassed'.*export the model as ONNX"):
        converted(tmp_path, {"class_name": "Subclassed", "config": {}}, {})


def test_stopping_at_layers_and_choosing_shapes(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    layers = [image(None, None, 3), layer("ReLU", "first", "image"), layer("Dot", "tail", "first", "image")]
    write_h5(path, functional(layers), {})
    network = converters.read_network([path], outputs=["first"], shapes={"image": [1, 4, 5, 3]})
    assert network.outputs[0].shape == (None, 4, 5, 3)
    with pytest.raises(mpscnn.ParameterError, match=r"there is no layer 'frist'; did you mean 'first'"):
        converters.read_network([path], outputs=["frist"])


# ---- Real files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "other"),
    [("vww_96.h5", "vww_96_float.tflite"), ("pretrainedResnet.h5", "pretrainedResnet.tflite")],
)
def test_published_models(shared: Path, name: str, other: str) -> None:
    """Compare published Keras files with TensorFlow Lite files of the same models, in mpscnn and in LiteRT."""
    directory = shared / "models/mlperf_tiny"
    ours, theirs = (converters.read_network([directory / file]) for file in (name, other))
    x = np.random.default_rng(0).uniform(0, 1, (1, *[extent or 0 for extent in ours.input.shape[1:]]))
    found = computed(ours, x)
    np.testing.assert_allclose(found, computed(theirs, x), rtol=0, atol=1e-4)
    (expected,) = litert_results(directory / other, x.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("axes", [[1], [3], [1, 3], [2, 3], [3, 1], [1, 2], [1, 2, 3]])
@pytest.mark.parametrize("epsilon", [0.0, 0.5])
@pytest.mark.parametrize("parameters", [("beta", "gamma"), ("beta",), ()])
def test_batch_normalization_along_several_axes(
    tmp_path: Path, axes: list[int], epsilon: float, parameters: tuple[str, ...]
) -> None:
    """With several axes, Keras 2 has a weight for each position on them. Other axes of weights have the extent 1."""
    extents = (5, 4, 3)
    shape = [extent if axis in axes else 1 for axis, extent in enumerate(extents, start=1)]
    stored = shape if len(axes) > 1 else [extents[axes[0] - 1]]
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    values = {role: random(*shape, seed=place) for place, role in enumerate(roles)}
    values["moving_variance"] = np.abs(values["moving_variance"]) + np.float32(0.5)
    kept = {role: value for role, value in values.items() if role in parameters or "moving" in role}
    settings = {"axis": axes, "epsilon": epsilon, "scale": "gamma" in kept, "center": "beta" in kept}
    model = functional([image(*extents), layer("BatchNormalization", "norm", "image", **settings)])
    named = {
        f"norm/{role}": value.reshape(stored if len(axes) == 1 else (1, *stored))
        for role, value in kept.items()
    }
    network = converted(tmp_path, model, {"norm": named})
    x = random(2, *extents, seed=9)
    normal = (x - values["moving_mean"]) / np.sqrt(values["moving_variance"].astype(np.float64) + epsilon)
    expected = normal * kept.get("gamma", 1.0) + kept.get("beta", 0.0)
    np.testing.assert_allclose(computed(network, x), expected, rtol=1e-5, atol=1e-5)


def test_batch_normalization_of_positions_that_divides_by_0(tmp_path: Path) -> None:
    settings = {"axis": [1, 2], "epsilon": 0.0, "scale": False, "center": False}
    model = functional([image(2, 2, 3), layer("BatchNormalization", "norm", "image", **settings)])
    weights = {f"norm/moving_{role}": np.zeros((1, 2, 2, 1), np.float32) for role in ("mean", "variance")}
    with pytest.raises(mpscnn.UnsupportedError, match="it divides by 0"):
        converted(tmp_path, model, {"norm": weights})


def test_keras_without_the_package_in_which_it_computes() -> None:
    """The error is one of mpscnn's, and names the variable of Keras. Keras reads it once, so another process does."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    program = (
        "import mpscnn\ntry: mpscnn.from_keras(1)\nexcept mpscnn.UnsupportedError as error: print(error)"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KERAS_BACKEND": "nothing"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be imported" in made.stdout
    assert "KERAS_BACKEND" in made.stdout
