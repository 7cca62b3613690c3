"""Test layers that `mpscnn.quantize` keeps in float32 among integers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from quantized_networks import (
    SHAPE,
    classifier,
    drawn_weights,
    noise,
    uneven,
)

import mpscnn
from mpscnn.graph.integer_layers import Scale


def mixed() -> mpscnn.Network:
    """Return a network in which layers without integers are next to all kinds of integer layers."""
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
    """The reference is the float32 network with tensors rounded to their integers in the test."""
    network, image = mixed(), noise(1)[0]
    quantized, report = mpscnn.quantize(network, noise(12), keep_float32=FLOATS)
    assert report.kept == tuple(FLOATS)
    assert "with 4 layers in float32" in report.verdict()
    stated = {
        entry["name"]: Scale(entry["quantization"]["scale"], entry["quantization"]["zero_point"])
        for group in ("inputs", "nodes")
        for entry in quantized.to_dict()[group]
    }
    # Compare layer by layer. Each layer reads the whole network's tensors.
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
        alone.set_weights(
            {key: x for key, x in quantized.weights.items() if key.startswith(f"{name}.")}, layout="OHWI"
        )
        right = np.asarray(alone.compile(device="cpu", precision="float32").session(threads=1).run(given))
        if kept:
            np.testing.assert_array_equal(found[name], right, err_msg=name)
        else:
            steps = np.abs(found[name] - stated[name].rounded(right)) / stated[name].scale
            assert steps.max() < 1.01, name


def test_kept_layers_in_files_threads_and_batches(tmp_path: Path) -> None:
    network, images = mixed(), np.concatenate(noise(5))
    quantized, _ = mpscnn.quantize(network, noise(12), keep_float32=FLOATS)
    right = outputs(quantized, images, "int8")
    path = tmp_path / "mixed.safetensors"
    quantized.save(path)
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


def test_saved_floats_stay_where_no_weights_are_integers(tmp_path: Path) -> None:
    network = mpscnn.Network(SHAPE, name="kept")
    x = network.activation(network.conv2d(network.input, 8, 3, name="stem"), "tanh")
    network.output(network.average_pool2d(x, 2, name="means"))
    network.initialize_weights(1)
    quantized, _ = mpscnn.quantize(network, noise(3), keep_float32=["stem"])
    quantized.save(path := tmp_path / "kept.safetensors")
    again = mpscnn.load(path, device="cpu").network
    np.testing.assert_array_equal(again.weights["stem.weight"], network.weights["stem.weight"])
    right, found = (
        net.compile(device="cpu", precision="int8").session().run(noise(1)[0]) for net in (quantized, again)
    )
    np.testing.assert_array_equal(found, right)


def test_everything_in_float32() -> None:
    network = classifier()
    quantized, report = mpscnn.quantize(network, noise(2), keep_float32=network.layer_names()[1:])
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
    _, better = mpscnn.quantize(network, images, keep_float32=[worst])
    assert better.kept == (worst,)
    assert better.error < report.error


def test_what_cannot_be_kept() -> None:
    with pytest.raises(mpscnn.ParameterError, match="no layer 'swish'; did you mean 'swished'"):
        mpscnn.quantize(mixed(), noise(1), keep_float32=["swish"])
    with pytest.raises(mpscnn.ParameterError, match="'image' is an input, not a layer"):
        mpscnn.quantize(mixed(), noise(1), keep_float32=["image"])
    # Inputs of integer layers must have a scale.
    quantized, _ = mpscnn.quantize(classifier(), noise(1))
    structure = quantized.to_dict()
    for node in structure["nodes"]:
        if node["name"] == "project":
            node["keep_float32"] = True
            del node["quantization"]
    broken = quantized.restructured(structure, {name: name for name in quantized.layer_names()})
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"layer 'sum' .* tensors in int8 .* got a tensor without"
    ):
        broken.compile(device="cpu", precision="int8")
