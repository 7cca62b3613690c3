"""`mpscnn.quantize` and `mpscnn quantize`."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from command_line import LABELS, call, colour_network, save_colour_model, save_photo
from numpy.typing import NDArray

import mpscnn
from mpscnn.quantization.calibration import calibrate
from mpscnn.quantization.equalization import equalized
from mpscnn.quantization.integers import with_integers
from mpscnn.quantization.preparation import prepare
from mpscnn.quantization.ranges import Histogram, Scale, best_scale
from mpscnn.quantization.weights import integer_weights

SHAPE = (12, 12, 3)


def noise(count: int, *shape: int, seed: int = 0) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, (1, *(shape or SHAPE))).astype(np.float32) for _ in range(count)]


def drawn_weights(network: mpscnn.Network, seed: int = 1) -> mpscnn.Network:
    """No weight is neutral."""
    network.initialize_weights(seed)
    random = np.random.default_rng(seed)
    neutral = {
        name: values for name, values in network.weights.items() if not name.endswith((".weight", ".slope"))
    }
    network.set_weights(
        {
            name: (values + random.uniform(0.0, 0.5, values.shape)).astype(np.float32)
            for name, values in neutral.items()
        }
    )
    return network


def classifier() -> mpscnn.Network:
    """Every operation that integers have, but resizes and concatenations; what is folded; dropout."""
    network = mpscnn.Network(SHAPE, name="classifier")
    x = network.conv2d(network.input, 16, 3, padding="same", name="stem")
    x = network.activation(network.batch_norm(x, name="stem_bn"), "relu6", name="stem_relu")
    y = network.depthwise_conv2d(x, 3, padding="same", name="depthwise")
    y = network.batch_norm(y, activation="relu", name="depthwise_bn")
    y = network.conv2d(y, 16, 1, name="project")
    x = network.activation(network.add(x, y, name="sum"), "relu", name="sum_relu")
    x = network.batch_norm(x, name="alone")
    x = network.average_pool2d(x, 2, name="halved")
    x = network.flatten(network.global_average_pool2d(x, name="pooled"), name="flat")
    x = network.dropout(x, name="dropout")
    x = network.dense(x, 10, name="scores")
    network.output(network.softmax(x, name="probabilities"))
    return drawn_weights(network)


def results(
    network: mpscnn.Network, images: list[NDArray[np.float32]], precision: str
) -> NDArray[np.float32]:
    session = network.compile(device="cpu", precision=precision).session(threads=1)  # type: ignore[arg-type]
    return np.concatenate([np.asarray(session.run(image)) for image in images])


def relative_error(found: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


# ---- Networks ---------------------------------------------------------------------------------------------------


def test_prepared_networks_compute_the_same() -> None:
    network = classifier()
    prepared, became = prepare(network)
    names = [node["name"] for node in prepared.to_dict()["nodes"]]
    assert " ".join(names) == "stem depthwise project sum alone halved pooled flat scores probabilities"
    assert (became["stem_relu"], became["stem_bn"], became["dropout"]) == ("stem", "stem", "flat")
    activations = {
        node["name"]: node["activation"]["kind"]
        for node in prepared.to_dict()["nodes"]
        if "activation" in node
    }
    assert activations == {"stem": "relun", "depthwise": "relu", "sum": "relu"}
    images = noise(3)
    np.testing.assert_allclose(
        results(prepared, images, "float32"), results(network, images, "float32"), rtol=2e-4, atol=1e-6
    )


def test_outputs_keep_their_names_and_values_that_others_read_stay() -> None:
    network = mpscnn.Network(SHAPE)
    x = network.conv2d(network.input, 4, 1, name="conv")
    y = network.activation(x, "relu", name="relu")
    z = network.batch_norm(network.conv2d(y, 4, 1, name="second"), name="normalized")
    network.output(network.add(x, z, name="sum"))
    network.output(z)
    drawn_weights(network)
    prepared, _ = prepare(network)
    assert [node["name"] for node in prepared.to_dict()["nodes"]] == [
        "conv",
        "relu",
        "normalized",
        "sum",
    ]
    assert [tensor.name for tensor in prepared.outputs] == ["sum", "normalized"]
    network = mpscnn.Network(SHAPE)
    x = network.conv2d(network.input, 4, 1, name="conv")
    network.output(network.activation(network.batch_norm(x, name="bn"), "relu6", name="result"))
    drawn_weights(network)
    quantized, _ = mpscnn.quantize(network, noise(3))
    assert [node["name"] for node in quantized.to_dict()["nodes"]] == ["result"]
    assert list(quantized.compile(device="cpu", precision="int8").outputs) == ["result"]


def test_a_classifier(tmp_path: Path) -> None:
    network = classifier()
    before, structure = network.weights, network.to_dict()
    images, tests = noise(24), noise(10, seed=1)
    right = results(network, tests, "float32")
    classes = right.argmax(axis=1).tolist()
    classes[0] = (classes[0] + 1) % 10
    quantized, report = mpscnn.quantize(network, images, test_images=tests, test_classes=classes)
    assert network.to_dict() == structure
    assert all(np.array_equal(values, before[name]) for name, values in network.weights.items())

    found = results(quantized, tests, "int8")
    assert (report.name, report.calibration_images, report.images) == ("classifier", 24, 10)
    assert report.compared == "images"
    assert report.accuracy_before == 0.9
    assert report.agreement == np.mean(found.argmax(axis=1) == right.argmax(axis=1))
    assert report.accuracy == np.mean(found.argmax(axis=1) == classes)
    assert report.error == pytest.approx(relative_error(found, right), rel=1e-4)
    assert report.error < 0.05
    assert [layer.name for layer in report.layers] == [node["name"] for node in quantized.to_dict()["nodes"]]
    for layer in report.layers:
        assert 0.0 <= layer.own_error < 0.05
        assert layer.lowest <= 0.0 < layer.highest
    worst = report.worst(3)
    assert [layer.own_error for layer in worst] == sorted(layer.own_error for layer in report.layers)[:-4:-1]
    assert worst[0].name in repr(report)
    assert json.loads(json.dumps(report.to_dict()))["images"] == 10

    saved = tmp_path / "small.safetensors"
    quantized.save(saved, dtype="uint8")
    again = mpscnn.load(saved, device="cpu", precision="int8").network
    np.testing.assert_array_equal(results(again, tests, "int8"), found)
    weights = 16 + sum(values.size for name, values in before.items() if name.endswith(".weight"))
    stored = {name: values for name, values in _tensors(saved).items() if name.endswith(".weight")}
    assert sum(stored.values()) == weights


def _tensors(path: Path) -> dict[str, int]:
    """The bytes of each."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    ends = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    return {name: end - begin for name, (begin, end) in ends.items()}


def test_resizes_concatenations_and_layers_of_their_own_scale() -> None:
    network = mpscnn.Network(SHAPE)
    x = network.conv2d(network.input, 8, 3, activation="relu", padding="same", name="conv")
    small = network.average_pool2d(x, 2, name="small")
    large = network.resize(small, (12, 12), name="large")
    y = network.conv2d(x, 4, 3, strides=1, padding="same", groups=4, name="groups")
    network.output(network.concat([large, y, network.activation(y, "relu6", name="limited")], name="all"))
    drawn_weights(network)
    images = noise(6)
    quantized, report = mpscnn.quantize(network, images)
    assert report.compared == "pixels"
    stated = {node["name"]: node["quantization"] for node in quantized.to_dict()["nodes"]}
    assert stated["conv"] == stated["small"] == stated["large"]
    assert len({stated[name]["scale"] for name in ("conv", "groups", "limited")}) == 3
    assert relative_error(results(quantized, images, "int8"), results(network, images, "float32")) < 0.03


def test_one_image_and_photos(tmp_path: Path) -> None:
    network = colour_network()
    network.preprocess = "unit"
    photo = save_photo(tmp_path / "red.png", "red")
    quantized, report = mpscnn.quantize(network, [photo])
    assert (report.images, report.agreement) == (1, 1.0)
    for_photos = mpscnn.quantize(network, [str(photo)])[0]
    assert for_photos.to_dict() == quantized.to_dict()
    assert quantized.preprocess == "unit"
    model = save_colour_model(tmp_path / "colours.safetensors")
    again, _ = mpscnn.quantize(mpscnn.load(model, device="cpu"), [photo])
    assert again.labels == list(LABELS)


# ---- Layers kept in float32 --------------------------------------------------------------------------------------


def mixed() -> mpscnn.Network:
    """With layers that integers do not have, at borders of all kinds."""
    network = mpscnn.Network(SHAPE, name="mixed")
    x = network.conv2d(network.input, 8, 3, padding="same", activation="relu6", name="stem")
    y = network.conv2d(x, 8, 1, activation="mish", name="swished")
    y = network.l2_norm_pool2d(y, 3, strides=1, padding="same", name="norms")
    x = network.add(x, y, name="sum")
    z = network.slice(x, channels=slice(2, 6), name="part")
    z = network.activation(z, "gelu", name="gelu")
    x = network.concat([x, z], name="all")
    x = network.global_average_pool2d(x, name="pooled")
    x = network.dense(network.flatten(x, name="flat"), 6, name="scores")
    network.output(x)
    network.output(z)
    return drawn_weights(network)


FLOATS = ["swished", "norms", "part", "gelu"]


def outputs(
    network: mpscnn.Network, image: NDArray[np.float32], precision: str
) -> dict[str, NDArray[np.float32]]:
    session = network.compile(device="cpu", precision=precision).session(threads=1)  # type: ignore[arg-type]
    found = session.run(image)
    assert isinstance(found, dict)
    return found


def test_layers_in_float32_among_integers() -> None:
    """Against the same network in float32 whose tensors are rounded to their integers by hand."""
    network, image = mixed(), noise(1)[0]
    quantized, report = mpscnn.quantize(network, noise(12), keep_float=FLOATS)
    assert report.kept == tuple(FLOATS)
    assert "with 4 layers in float32" in report.verdict()
    stated = {
        entry["name"]: Scale(entry["quantization"]["scale"], entry["quantization"]["zero_point"])
        for group in ("inputs", "nodes")
        for entry in quantized.to_dict()[group]
    }
    # Layer by layer, each reading what the whole network gives.
    names = [node["name"] for node in quantized.to_dict()["nodes"]]
    session = quantized.compile(device="cpu", precision="int8", outputs=names).session(threads=1)
    found = session.run(image)
    assert isinstance(found, dict)
    for node in quantized.to_dict()["nodes"]:
        name = node["name"]
        kept = name in FLOATS
        given = []
        for source in node["inputs"]:
            values = image if source == quantized.input.name else found[source]
            given.append(values if kept else stated[source].rounded(values).astype(np.float32))
        alone = mpscnn.Network({f"x{i}": x.shape[1:] for i, x in enumerate(given)})
        alone.output(
            alone.layer(
                node["operation"],
                alone.inputs,
                node["attributes"],
                activation=node.get("activation"),
                name=name,
            )
        )
        alone.set_weights({key: x for key, x in quantized.weights.items() if key.startswith(f"{name}.")})
        right = np.asarray(alone.compile(device="cpu", precision="float32").session(threads=1).run(given))
        if kept:
            np.testing.assert_array_equal(found[name], right, err_msg=name)
        else:
            steps = np.abs(found[name] - stated[name].rounded(right)) / stated[name].scale
            assert steps.max() < 1.01, name


def test_kept_layers_in_files_threads_and_batches(tmp_path: Path) -> None:
    network, images = mixed(), np.concatenate(noise(5))
    quantized, _ = mpscnn.quantize(network, noise(12), keep_float=FLOATS)
    right = outputs(quantized, images, "int8")
    path = tmp_path / "mixed.safetensors"
    quantized.save(path, dtype="uint8")
    again = mpscnn.load(path, device="cpu").network
    np.testing.assert_array_equal(again.weights["swished.weight"], network.weights["swished.weight"])
    for name, values in outputs(again, images, "int8").items():
        np.testing.assert_array_equal(values, right[name])
    program = quantized.compile(device="cpu", precision="int8")
    for threads in (2, 3):
        found = program.session(threads=threads).run(images)
        assert isinstance(found, dict)
        for name, values in found.items():
            np.testing.assert_array_equal(values, right[name])
    alone = outputs(quantized, images[3:4], "int8")
    for name, values in alone.items():
        np.testing.assert_array_equal(values[0], right[name][3])


def test_everything_in_float32() -> None:
    network = classifier()
    quantized, report = mpscnn.quantize(network, noise(2), keep_float=network.layer_names()[1:])
    assert report.error < 1e-5
    assert len(report.kept) == len(report.layers)
    for layer in report.layers:
        assert layer.own_error == 0.0
    network.keep_float32(["depthwise_bn"])
    assert mpscnn.quantize(network, noise(2))[1].kept == ("depthwise",)
    assert "keep_float32" not in json.dumps(classifier().to_dict())
    assert quantized.weights.keys() >= {"stem.weight", "scores.weight"}


def test_keeping_the_worst_layer_helps() -> None:
    network, images = uneven("relu6"), noise(16)
    _, report = mpscnn.quantize(network, images)
    worst = report.worst(1)[0].name
    _, better = mpscnn.quantize(network, images, keep_float=[worst])
    assert better.kept == (worst,)
    assert better.error < report.error


def test_activations_that_integers_have_become_layers() -> None:
    """As in MobileNetV3: hard swish behind a convolution and behind a normalization, a gate of hard sigmoids."""
    network = mpscnn.Network(SHAPE, name="gated")
    x = network.conv2d(network.input, 8, 3, padding="same", activation="hard_swish", name="stem")
    x = network.conv2d(network.pad(x, 1, name="border"), 8, 3, name="conv")
    x = network.batch_norm(x, activation="hard_swish", name="norm")
    gate = network.global_average_pool2d(x, name="pooled")
    gate = network.conv2d(gate, 8, 1, activation={"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}, name="gate")
    x = network.multiply(x, gate, name="gated")
    x = network.max_pool2d(x, 2, name="largest")
    network.output(network.dense(network.flatten(x, name="flat"), 5, activation="sigmoid", name="scores"))
    drawn_weights(network)
    images = noise(32)
    quantized, report = mpscnn.quantize(network, images)
    assert report.kept == ()
    names = {node["name"]: node["operation"] for node in quantized.to_dict()["nodes"]}
    assert names["stem/linear"] == "convolution"
    assert [names[name] for name in ("stem", "norm", "gate", "scores")] == ["neuron"] * 4
    right, found = results(network, images, "float32"), results(quantized, images, "int8")
    assert np.abs(found - right).max() < 0.06
    _, kept = mpscnn.quantize(network, images, keep_float=["stem"])
    assert kept.kept == ("stem",)


def test_what_cannot_be_kept() -> None:
    with pytest.raises(mpscnn.ParameterError, match="no layer 'swish'; did you mean 'swished'"):
        mpscnn.quantize(mixed(), noise(1), keep_float=["swish"])
    with pytest.raises(mpscnn.UnsupportedError, match="--keep-float norms,part,gelu"):
        mpscnn.quantize(mixed(), noise(1), keep_float=["swished"])
    # What layers of integers read needs integers.
    quantized, _ = mpscnn.quantize(classifier(), noise(1))
    structure = quantized.to_dict()
    for node in structure["nodes"]:
        if node["name"] == "project":
            node["keep_float32"] = True
            del node["quantization"]
    broken = quantized.restructured(structure, {name: name for name in quantized.layer_names()})
    with pytest.raises(mpscnn.UnsupportedError, match=r"layer 'sum' .* a tensor has no quantization"):
        broken.compile(device="cpu", precision="int8")


# ---- Ranges -----------------------------------------------------------------------------------------------------


def histogram(values: NDArray[np.floating]) -> Histogram:
    made = Histogram()
    for part in np.array_split(values.astype(np.float32), 3):
        made.add(part)
    return made


def squared_error(scale: Scale, values: NDArray[np.floating]) -> float:
    return float(np.square(scale.rounded(values) - values).mean())


def test_ranges_have_the_least_error() -> None:
    random = np.random.default_rng(0)
    for values in (
        random.normal(size=50_000),
        np.maximum(random.normal(size=50_000), 0.0),
        random.laplace(size=50_000),
        random.uniform(-3.0, 1.0, 50_000),
        np.append(random.uniform(0.0, 1.0, 50_000), [40.0]),
    ):
        found = best_scale([histogram(values)])
        low, high = min(values.min(), 0.0), values.max()
        error = squared_error(found, values)
        for low_share in np.linspace(0.1, 1.0, 10):
            for high_share in np.linspace(0.1, 1.0, 10):
                scale = (high * high_share - low * low_share) / 255
                other = Scale(scale, int(np.clip(round(-128 - low * low_share / scale), -128, 127)))
                assert error <= squared_error(other, values) * 1.03


def test_ranges_of_few_numbers() -> None:
    assert best_scale([histogram(np.zeros(10))]) == Scale(1.0, 0)
    for constant in (3.7, -1e-20, 1e30):
        values = np.full(10, constant)
        found = best_scale([histogram(values)])
        np.testing.assert_allclose(found.rounded(values), values, rtol=1e-3, atol=1e-17)
        assert found.rounded(np.zeros(1)) == 0.0


def test_histograms_count_everything() -> None:
    made = Histogram()
    parts = [np.array([0.0, 0.5, -1.0]), np.array([4.0, 0.0, 3.0]), np.array([-100.0]), np.array([1e-3])]
    for part in parts:
        made.add(part.astype(np.float32))
    numbers, counts = made.numbers()
    assert (made.lowest, made.highest, made.seen, counts.sum()) == (-100.0, 4.0, 8, 6)
    np.testing.assert_allclose(np.repeat(numbers, counts), [-100, -1, 1e-3, 0.5, 3, 4], atol=0.02)


# ---- Weights ----------------------------------------------------------------------------------------------------

INPUT, RESULT = Scale(0.02, -3), Scale(0.05, 10)


def test_weights_have_a_scale_for_each_output() -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(4, 3, 3, 2)) * np.array([1.0, 1e-3, 30.0, 0.1]).reshape(-1, 1, 1, 1)
    bias = random.normal(size=4)
    made = integer_weights(weight, bias, INPUT, RESULT)
    largest = np.abs(weight).reshape(4, -1).max(axis=1)
    np.testing.assert_allclose(made.scales, largest / 127, rtol=1e-6)
    np.testing.assert_array_less(np.abs(made.numbers() - weight).reshape(4, -1).max(axis=1), largest / 253)
    np.testing.assert_allclose(made.bias * made.bias_scales.astype(float), bias, atol=0.02 * 30 / 127)


def test_outputs_without_weights_keep_their_bias() -> None:
    weight = np.zeros((3, 1, 1, 2))
    weight[2] = 1e-12
    bias = np.array([0.7, 0.0, -5.0])
    made = integer_weights(weight, bias, INPUT, RESULT)
    assert np.all(made.values[:2] == 128)
    np.testing.assert_allclose(made.bias * made.bias_scales.astype(float), bias, rtol=1e-2)
    network = mpscnn.Network((1, 1, 2))
    network.output(network.conv2d(network.input, 3, 1, name="conv"))
    network.set_weights({"conv.weight": weight.astype(np.float32), "conv.bias": bias.astype(np.float32)})
    quantized, _ = mpscnn.quantize(network, noise(4, 1, 1, 2))
    found = results(quantized, noise(1, 1, 1, 2, seed=5), "int8")
    np.testing.assert_allclose(found.ravel(), bias, atol=0.03)


def test_sums_stay_within_32_bits() -> None:
    made = integer_weights(np.ones((1, 1, 1, 80_000)), np.array([1e5]), INPUT, RESULT)
    steps = made.values.astype(np.int64) - 128
    assert 255 * np.abs(steps).sum() + abs(int(made.bias[0])) < 2**31
    np.testing.assert_allclose(made.numbers().sum(), 80_000, rtol=0.01)


# ---- Equalisation and bias correction -----------------------------------------------------------------------


def uneven(activation: str) -> mpscnn.Network:
    """Channels of a depthwise layer's input whose ranges are up to a thousandfold each other's."""
    network = mpscnn.Network(SHAPE)
    x = network.conv2d(network.input, 16, 1, activation=activation, name="expand")
    x = network.depthwise_conv2d(x, 3, padding="same", activation=activation, name="depthwise")
    network.output(network.conv2d(x, 4, 1, name="project"))
    drawn_weights(network)
    factors = np.geomspace(0.03, 30.0, 16).astype(np.float32)
    weights = network.weights
    for name in ("expand.weight", "expand.bias"):
        values = weights[name]
        network.set_weights({name: values * factors.reshape(-1, *[1] * (values.ndim - 1))})
    network.set_weights({"depthwise.weight": weights["depthwise.weight"] / factors.reshape(-1, 1, 1, 1)})
    return network


def test_equalisation_changes_no_bit_and_helps() -> None:
    network, images = uneven("relu"), noise(16)
    other = equalized(network, calibrate(network, images))
    assert other is not None
    np.testing.assert_array_equal(results(other, images, "float32"), results(network, images, "float32"))
    ranges = calibrate(other, images)["expand"].largest
    assert ranges.max() / ranges.min() < 8.0
    errors = {}
    for choice in (False, True, None):
        _, report = mpscnn.quantize(network, images, equalize=choice)
        errors[choice] = report.error
        assert report.equalized is (choice is not False)
    assert errors[None] == errors[True] < 0.5 * errors[False]


def test_limits_that_would_move_along_forbid_equalisation() -> None:
    network, images = uneven("relu6"), noise(4)
    assert equalized(network, calibrate(network, images)) is None
    _, report = mpscnn.quantize(network, images, equalize=True)
    assert not report.equalized


def test_bias_correction_keeps_means() -> None:
    network = mpscnn.Network((6, 6, 64))
    network.output(network.conv2d(network.input, 8, 1, name="conv"))
    drawn_weights(network)
    images = [np.abs(image) for image in noise(16, 6, 6, 64)]
    right = results(network, images, "float32")
    seen = calibrate(network, images)
    off = []
    for correct in (False, True):
        found = results(with_integers(network, seen, correct_bias=correct), images, "int8")
        off.append(np.abs((found - right).mean(axis=(0, 1, 2))).max())
    assert off[1] < 0.5 * off[0]


# ---- What is refused ------------------------------------------------------------------------------------------


def test_refused_layers_are_named_before_photos_are_read() -> None:
    network = mpscnn.Network(SHAPE, name="odd")
    x = network.conv2d(network.input, 4, 3, name="conv")
    x = network.l2_norm_pool2d(x, 2, name="norms")
    x = network.activation(network.conv2d(x, 4, 1, name="second"), "gelu", name="gelu")
    network.output(x)
    network.initialize_weights()
    with pytest.raises(mpscnn.UnsupportedError) as caught:
        mpscnn.quantize(network, ["no such photo.jpg"])
    for name in ("odd", "norms", "gelu"):
        assert repr(name) in str(caught.value)
    assert "'conv'" not in str(caught.value)


def test_what_cannot_be_quantised(tmp_path: Path) -> None:
    network = classifier()
    with pytest.raises(mpscnn.ParameterError, match="no images given"):
        mpscnn.quantize(network, [])
    with pytest.raises(mpscnn.ParameterError, match="test_images: no images given"):
        mpscnn.quantize(network, noise(1), test_images=[])
    with pytest.raises(mpscnn.ShapeError, match=r"\(1, 5, 5, 3\), but the network takes"):
        mpscnn.quantize(network, noise(1, 5, 5, 3))
    with pytest.raises(mpscnn.ParameterError, match="the images are not all finite"):
        mpscnn.quantize(network, [np.full((1, *SHAPE), np.nan, np.float32)])
    with pytest.raises(mpscnn.ParameterError, match="2 classes for 1 images"):
        mpscnn.quantize(network, noise(1), test_classes=[1, 2])
    with pytest.raises(mpscnn.ParameterError, match="expected a Network or a Model, got str"):
        mpscnn.quantize("mobilenet_v2", noise(1))  # type: ignore[arg-type]
    with pytest.raises(mpscnn.UnsupportedError, match="does not say how a photo becomes its input"):
        mpscnn.quantize(network, [save_photo(tmp_path / "red.png", "red")])
    quantized, _ = mpscnn.quantize(network, noise(1))
    with pytest.raises(mpscnn.ParameterError, match="is quantised already"):
        mpscnn.quantize(quantized, noise(1))
    empty = mpscnn.Network(SHAPE)
    empty.output(empty.conv2d(empty.input, 2, 1, name="conv"))
    with pytest.raises(mpscnn.WeightsError, match="layer 'conv': weight is missing"):
        mpscnn.quantize(empty, noise(1))
    with pytest.raises(mpscnn.WeightsError, match="finite"):
        empty.set_weights({"conv.weight": np.full((2, 1, 1, 3), np.nan, np.float32)})
    two = mpscnn.Network({"a": SHAPE, "b": SHAPE})
    two.output(two.add(*two.inputs))
    with pytest.raises(mpscnn.ShapeError, match="has 2 inputs, expected one"):
        mpscnn.quantize(two, noise(1))


def test_results_that_are_not_finite() -> None:
    network = mpscnn.Network((1, 1, 2), name="huge")
    network.output(network.conv2d(network.input, 2, 1, name="beyond"))
    network.set_weights({"beyond.weight": np.full((2, 1, 1, 2), 3e38, np.float32)})
    with pytest.raises(mpscnn.ParameterError, match="the results of layer 'beyond' are not all finite"):
        mpscnn.quantize(network, [np.ones((1, 1, 1, 2), np.float32)])


def test_a_normalization_of_too_small_a_variance() -> None:
    network = mpscnn.Network(SHAPE)
    x = network.conv2d(network.input, 2, 1, name="conv")
    network.output(network.batch_norm(x, epsilon=1e-30, name="bn"))
    network.initialize_weights()
    network.set_weights({"bn.variance": np.zeros(2, np.float32), "bn.gamma": np.full(2, 1e30, np.float32)})
    with pytest.raises(mpscnn.WeightsError, match="layer 'bn': folding it gives weights beyond float32"):
        mpscnn.quantize(network, noise(1))


# ---- The command ------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        save_photo(folder / label / "one.png", label)
    return folder


def test_the_command(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = save_colour_model(tmp_path / "colours.safetensors")
    assert call(monkeypatch, "quantize", str(model), "--images", str(photos)) == 0
    said = capsys.readouterr()
    assert "accuracy 100.00% in float32, 100.00% in int8" in said.out
    assert "3 photos say little" in said.err
    made = tmp_path / "colours_int8.safetensors"
    assert (
        call(monkeypatch, "classify", str(photos / "green"), "--model", str(made), "--precision", "int8") == 0
    )
    assert "green" in capsys.readouterr().out
    loaded = mpscnn.load(made, precision="int8", device="cpu")
    assert loaded.information["license"] == "Apache-2.0"
    assert loaded.labels == list(LABELS)
    arguments = (
        "--images",
        str(photos / "red"),
        "--test",
        str(photos),
        "--output",
        "other.safetensors",
        "--json",
    )
    assert call(monkeypatch, "quantize", str(model), *arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["calibration_images"], report["images"], report["accuracy_before"]) == (1, 3, 1.0)
    assert report["bytes"] == (tmp_path / "other.safetensors").stat().st_size


def test_the_command_fails(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = str(save_colour_model(tmp_path / "colours.safetensors"))

    def error(*arguments: str, code: int = 1) -> str:
        assert call(monkeypatch, "quantize", *arguments) == code
        return capsys.readouterr().err

    (tmp_path / "empty").mkdir()
    assert "there is no photo" in error(model, "--images", "empty", code=2)
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert "damaged.png" in error(model, "--images", str(damaged))
    place = tmp_path / "nowhere" / "out.safetensors"
    assert f"{place}: cannot be written: No such file" in error(
        model, "--images", str(photos), "-o", str(place)
    )
    assert "cannot be written: Is a directory" in error(model, "--images", str(photos), "-o", str(photos))
    assert not (tmp_path / "colours_int8.safetensors").exists()
    assert call(monkeypatch, "quantize", model, "--images", str(photos)) == 0
    capsys.readouterr()
    assert "is quantised already" in error("colours_int8.safetensors", "--images", str(photos), code=2)


def test_the_bundled_model_keeps_its_accuracy(shared: Path) -> None:
    """At most half a point of the CIFAR-10 test images; one in twenty here."""
    model = mpscnn.load("cifar10_mobilenet_v2", device="cpu")
    assert model.labels is not None
    photos: dict[str, list[tuple[NDArray[np.float32], int]]] = {"train": [], "test": []}
    with tarfile.open(shared / "data" / "cifar10" / "cifar10_jpeg.tar.gz") as archive:
        for member in archive:
            split, _, label = member.name.partition("/")
            label, _, name = label.partition("/")
            every = {"train": 500, "test": 20}[split]
            if not member.isfile() or int(name.removesuffix(".jpg")) % every:
                continue
            content = archive.extractfile(member)
            assert content is not None
            photo = io.BytesIO(content.read()).getvalue()
            x = mpscnn.preprocess(photo, (64, 64), model.preprocess or "tensorflow")
            photos[split].append((x, model.labels.index(label)))
    assert [len(photos[split]) for split in ("train", "test")] == [100, 500]
    _, report = mpscnn.quantize(
        model,
        [x for x, _ in photos["train"]],
        test_images=[x for x, _ in photos["test"]],
        test_classes=[label for _, label in photos["test"]],
    )
    assert report.accuracy_before is not None
    assert report.accuracy is not None
    assert report.accuracy_before > 0.9
    assert report.accuracy >= report.accuracy_before - 0.005
    assert report.agreement is not None
    assert report.agreement > 0.98
