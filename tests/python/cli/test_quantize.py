"""Test `mpscnn.quantize`."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import LABELS, colour_network, save_colour_model, save_photo
from numpy.typing import NDArray
from quantized_networks import (
    SHAPE,
    classifier,
    drawn_weights,
    noise,
    relative_error,
    results,
)

import mpscnn
from mpscnn.graph import slicing
from mpscnn.quantization.preparation import _Preparation, prepare

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
    quantized.save(saved)
    again = mpscnn.load(saved, device="cpu", precision="int8").network
    np.testing.assert_array_equal(results(again, tests, "int8"), found)
    again.save(tmp_path / "again.safetensors", dtype="uint8")
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    weights = 16 + sum(values.size for name, values in before.items() if name.endswith(".weight"))
    stored = {name: values for name, values in _tensors(saved).items() if name.endswith(".weight")}
    assert sum(stored.values()) == weights


def _tensors(path: Path) -> dict[str, int]:
    """Return the number of bytes of each tensor."""
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


def test_moves_have_the_integers_of_what_they_move() -> None:
    """The network is like a unit of ShuffleNet: shuffled halves of channels, transposed axes, and a constant."""
    network = mpscnn.Network(SHAPE)
    x = network.conv2d(network.input, 8, 3, padding="same", activation="relu", name="conv")
    left = network.slice(x, channels=slice(0, 4), name="left")
    right = network.conv2d(network.slice(x, channels=slice(4, 8), name="right"), 4, 1, name="changed")
    x = network.channel_shuffle(network.concat([left, right], name="joined"), 2, name="shuffled")
    x = network.transpose(x, (2, 1, 3), name="turned")
    x = network.add(x, network.constant(network.input, (1, 1, 8), name="offset"), name="moved")
    network.output(x)
    drawn_weights(network)
    network.set_weights({"offset.value": np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(1, 1, 8)})
    images = noise(6)
    quantized, report = mpscnn.quantize(network, images)
    assert report.kept == ()
    stated = {node["name"]: node["quantization"] for node in quantized.to_dict()["nodes"]}
    assert stated["conv"] == stated["left"] == stated["right"]
    assert stated["joined"] == stated["shuffled"] == stated["turned"]
    assert relative_error(results(quantized, images, "int8"), results(network, images, "float32")) < 0.02


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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_array_is_a_list_of_its_images(dtype: Any) -> None:
    network, images = classifier(), np.concatenate(noise(4)).astype(dtype)
    expected, report = mpscnn.quantize(network, list(images[:, None]))
    found, again = mpscnn.quantize(network, images, test_images=images)
    assert (report.images, again.images) == (4, 4)
    assert found.to_dict() == expected.to_dict()


# ---- Activations, resizes, inputs -----------------------------------------------------------------------------


def test_activations_that_integers_have_become_layers() -> None:
    """The network is like MobileNetV3: hard swish after a convolution and a normalization, and a hard sigmoid gate."""
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
    _, kept = mpscnn.quantize(network, images, keep_float32=["stem"])
    assert kept.kept == ("stem",)


@pytest.mark.parametrize("kind", ["gelu", "mish", "elu", "softplus"])
def test_other_activations_become_tables(kind: str) -> None:
    network = mpscnn.Network(SHAPE)
    x = network.conv2d(network.input, 8, 3, padding="same", activation=kind, name="conv")
    network.output(network.dense(network.flatten(x, name="flat"), 5, name="scores"))
    drawn_weights(network)
    images = noise(16)
    quantized, report = mpscnn.quantize(network, images)
    assert [node["name"] for node in quantized.to_dict()["nodes"]] == [
        "conv/linear",
        "conv",
        "flat",
        "scores",
    ]
    assert (report.kept, report.refused) == ((), {})
    assert report.error < 0.02


def test_what_integers_do_not_have_stays_in_float32() -> None:
    """Layers without an integer version stay in float32, or only their activation. The report names all."""
    network = mpscnn.Network(SHAPE, name="some")
    x = network.conv2d(network.input, 8, 3, padding="same", activation="relu", name="first")
    x = network.conv2d(x, 8, 1, activation="prelu", name="sloped")
    x = network.l2_norm_pool2d(x, 3, strides=1, padding="same", name="norms")
    x = network.batch_norm(network.conv2d(x, 8, 1, name="last"), activation="floor", name="normal")
    network.output(network.dense(network.flatten(x, name="flat"), 5, name="scores"))
    drawn_weights(network)
    images = noise(16)
    quantized, report = mpscnn.quantize(network, images)
    assert list(report.refused) == ["sloped", "norms", "normal"]
    assert "layer 'norms' (pooling)" in report.refused["norms"]
    assert report.kept == ("sloped", "norms", "normal")
    assert "with 3 layers in float32" in report.verdict()
    assert report.verdict().endswith("; integers do not have sloped, norms, normal")
    names = {node["name"]: node["operation"] for node in quantized.to_dict()["nodes"]}
    assert names["sloped/linear"] == "convolution"
    assert {spec["layer"] for spec in quantized.weight_specs() if spec["role"] == "slope"} == {"sloped"}
    assert quantized.graph.get_weight("sloped/linear", "weight")[0].dtype == np.uint8
    assert report.error < 0.25  # a step of floor is 1
    none = mpscnn.Network(SHAPE, name="none")
    none.output(none.l2_norm_pool2d(none.input, 3, name="norms"))
    with pytest.raises(mpscnn.UnsupportedError, match=r"network 'none'.*layer 'norms'"):
        mpscnn.quantize(none, images)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("scale", [2, 1.5, (0.5, 3)])
def test_resizes_by_a_scale_are_those_to_a_size(method: Any, scale: Any) -> None:
    def resized(**how: Any) -> mpscnn.Network:
        network = mpscnn.Network((6, 4, 3))
        network.output(
            network.resize(network.conv2d(network.input, 4, 1, name="conv"), method=method, name="to", **how)
        )
        network.initialize_weights(1)
        return mpscnn.quantize(network, [images])[0]

    images = np.random.default_rng(0).uniform(-1, 1, (4, 6, 4, 3)).astype(np.float32)
    vertical, horizontal = scale if isinstance(scale, tuple) else (scale, scale)
    by_scale, by_size = resized(scale=scale), resized(size=(int(6 * vertical), int(4 * horizontal)))
    assert not by_scale.to_dict()["nodes"][-1].get("keep_float32", False)
    found, right = (
        network.compile(device="cpu", precision="int8").session().run(images)
        for network in (by_scale, by_size)
    )
    np.testing.assert_array_equal(found, right)


def test_several_inputs() -> None:
    """Images may be mappings or sequences by input, batches, and of several sizes."""
    network = mpscnn.Network({"photo": SHAPE, "place": (1, 1, 4)})
    photo, place = network.inputs
    x = network.conv2d(photo, 4, 3, padding="same", activation="relu", name="conv")
    x = network.multiply(x, network.conv2d(place, 4, 1, activation="sigmoid", name="gate"), name="gated")
    network.output(network.flatten(network.global_average_pool2d(x, name="means"), name="flat"))
    drawn_weights(network)
    photos, places = noise(12), noise(12, 1, 1, 4, seed=1)
    quantized, report = mpscnn.quantize(network, list(zip(photos, places, strict=True)))
    assert (report.images, report.compared) == (12, "images")
    assert report.error < 0.05
    joined = {"place": np.concatenate(places), "photo": np.concatenate(photos)}
    assert mpscnn.quantize(network, [joined])[0].to_dict() == quantized.to_dict()
    stated = {entry["name"]: entry["quantization"] for entry in quantized.to_dict()["inputs"]}
    assert stated["photo"] != stated["place"]
    with pytest.raises(mpscnn.ParameterError, match="has 2 inputs, so images are mappings by their names"):
        mpscnn.quantize(network, photos)
    with pytest.raises(
        mpscnn.ParameterError, match=r"arrays for inputs 'photo'; network .* has 'photo', 'place'"
    ):
        mpscnn.quantize(network, [{"photo": photos[0]}])
    with pytest.raises(mpscnn.ShapeError, match="as many images for each input are needed"):
        mpscnn.quantize(network, [{"photo": joined["photo"], "place": places[0]}])


# ---- Extreme numbers and errors -------------------------------------------------------------------------------


def test_numbers_of_any_size() -> None:
    """Weights may be below float32's normal range, or so large that their squares overflow float32."""
    random = np.random.default_rng(0)
    for size in (1e-42, 1e22):
        network = mpscnn.Network((4, 4, 3))
        network.output(network.conv2d(network.input, 2, 1, name="conv"))
        network.set_weights({"conv.weight": random.uniform(-size, size, (2, 1, 1, 3))})
        quantized, report = mpscnn.quantize(network, noise(2, 4, 4, 3))
        assert np.isfinite(report.layers[0].own_error)
        result = quantized.compile(device="cpu", precision="int8").session().run(noise(1, 4, 4, 3)[0])
        assert np.isfinite(result).all()
        assert (report.error < 0.05) == (size > 1.0)


def test_a_mean_of_the_image_has_integers_of_its_own() -> None:
    """Means have a smaller range than their inputs, so they get their own scale. Other poolings keep the input's."""
    network = mpscnn.Network((8, 8, 3), name="means")
    x = network.average_pool2d(network.conv2d(network.input, 6, 3, name="conv"), 2, name="small")
    network.output(network.dense(network.flatten(network.global_average_pool2d(x, name="mean")), 4))
    network.initialize_weights(1)
    quantized, _ = mpscnn.quantize(network, noise(16, 8, 8, 3))
    scales = {node["name"]: node["quantization"]["scale"] for node in quantized.to_dict()["nodes"]}
    assert scales["small"] == scales["conv"]
    assert scales["mean"] < 0.7 * scales["small"]


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
    with pytest.raises(mpscnn.ParameterError, match="the images are not all finite"):
        mpscnn.quantize(network, noise(1), test_images=[np.full((1, *SHAPE), np.inf, np.float32)])
    for options in ({"equalize": "false"}, {"correct_bias": 1}):
        with pytest.raises(mpscnn.ParameterError, match="must be True or False"):
            mpscnn.quantize(network, noise(1), **options)  # type: ignore[arg-type]
    for images in (5.5, None, [np.array(["a"])]):
        with pytest.raises(mpscnn.ParameterError, match="must be"):
            mpscnn.quantize(network, images)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="2 classes for 1 images"):
        mpscnn.quantize(network, noise(1), test_classes=[1, 2])
    for wrong in (-1, 1000):
        with pytest.raises(
            mpscnn.ParameterError, match=f"class {wrong} in test_classes; network .* has classes 0 to"
        ):
            mpscnn.quantize(network, noise(1), test_classes=[wrong])
    with pytest.raises(mpscnn.ParameterError, match="test_classes must be whole numbers"):
        mpscnn.quantize(network, noise(1), test_classes=["cat"])  # type: ignore[list-item]
    with pytest.raises(mpscnn.ParameterError, match="expected a Network or a Model, got str"):
        mpscnn.quantize("mobilenet_v2", noise(1))  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="keep_float32 must be a sequence of names, got 'conv'"):
        mpscnn.quantize(network, noise(1), keep_float32="conv")
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


def test_results_are_counted_before_images_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = slicing._MAX_INPUTS
    with pytest.raises(mpscnn.ParameterError, match=f"at most {limit} inputs"):
        mpscnn.Network(input={f"x{number}": (1,) for number in range(limit + 1)})
    monkeypatch.setattr(slicing, "_MAX_INPUTS", 2)
    network = mpscnn.Network(SHAPE, name="long")
    x = network.input
    for _ in range(3):
        x = network.conv2d(x, 2, 1)
    network.output(x)
    network.initialize_weights()
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"'long': its layers read 3 results, .* at most 2; give a"
    ):
        mpscnn.quantize(network, (pytest.fail("was read") for _ in range(1)))


def test_layers_that_merge_are_not_compared_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing a network of many layers is linear: each name is changed once."""
    network = mpscnn.Network(SHAPE)
    x = network.input
    for _ in range(200):
        x = network.relu(network.conv2d(x, 2, 1))
    network.output(x)
    network.initialize_weights()
    names: list[int] = []
    rename = _Preparation._rename

    def counted(preparation: _Preparation, before: str, after: str) -> None:
        names.append(len(preparation._names_of.get(before, [])))
        rename(preparation, before, after)

    monkeypatch.setattr(_Preparation, "_rename", counted)
    _, became = prepare(network)
    assert len(became) == 401
    assert sum(names) == 200


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
    with pytest.raises(mpscnn.WeightsError, match="layer 'bn': folding it gives weights that are not finite"):
        mpscnn.quantize(network, noise(1))


@pytest.mark.ci
def test_the_bundled_model_keeps_its_accuracy(shared: Path) -> None:
    """The accuracy may fall by half a point at most. By default one in twenty of CIFAR-10's test images is used."""
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
