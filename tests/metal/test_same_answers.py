"""The CPU engine and the Metal engine give the same answers in float16, for every layer of real networks.

Single layers: both engines compute each layer from the same float16 inputs, the results of the CPU engine, so that
differences do not add up. Both sums differ from the exact sum by at most tolerance.linear_bound. So results that are
rounded to float16 may differ by twice this bound and one unit in the last place.

Whole networks: a different last bit of a sum may change a rounding, which affects all later layers. The engines must
still differ less from each other than results in float16 differ from those in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from models.test_forge_lenet import lenet
from numpy.typing import NDArray
from tiers import with_full
from tolerance import HALF_EPS, HALF_TINY, SOFTMAX_ULPS, assert_close, linear_bound, ulp_bound

import mpscnn
from mpscnn import converters
from mpscnn.apps.verify import verify
from mpscnn.apps.verify.layers import run
from mpscnn.graph.slicing import separate_layers

pytestmark = pytest.mark.gpu

Arrays = dict[str, NDArray[np.float32]]


def converted(*files: str) -> Callable[[Path], mpscnn.Network]:
    return lambda models: converters.read_network([models / file for file in files])


MODELS: dict[str, Callable[[Path], mpscnn.Network]] = {
    "mobilenet_v1": converted(
        "google/mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
        "google/mobilenet_v1_1.0_224_quant_head_layers.tflite",
    ),
    "mobilenet_v1_0.75_192": converted("google/mobilenet_v1_0.75_192_quant.tflite"),
    "mobilenet_v1_0.25_128": converted("google/mobilenet_v1_0.25_128_quant.tflite"),
    "mobilenet_v2": converted("google/mobilenet_v2_1.0_224_quant.tflite"),
    "deeplab_v3": converted("google/deeplabv3_mnv2_pascal_quant.tflite"),
    "visual_wake_words": converted("mlperf_tiny/vww_96_float.tflite"),
    "cifar10_resnet": converted("mlperf_tiny/pretrainedResnet.tflite"),
    "ultraface": converted("ultraface/version-slim-320_without_postprocessing.tflite"),
    "forge_lenet": lambda models: lenet(models / "forge_lenet"),
}
LARGE = ("mobilenet_v1", "mobilenet_v1_0.75_192", "mobilenet_v2", "deeplab_v3")
NAMES = with_full((name for name in MODELS if name not in LARGE), LARGE)
# Layers that are sums of products. With absolute inputs and weights they compute the sum of magnitudes, for bounds.
SUMS = {"convolution", "fully_connected", "add", "pooling", "resize"}
# Activations with slopes of at most 1, which do not increase differences.
ACTIVATIONS = {"clamp", "relu", "relun"}
MOVES = {entry["name"] for entry in mpscnn.operations() if not entry["rounding_point"]}


def input_of(network: mpscnn.Network) -> Arrays:
    shape = (1, *(extent or 1 for extent in network.input.shape[1:]))
    return {network.input.name: np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)}


def magnitudes(pieces: mpscnn.Network) -> mpscnn.Network:
    """Return the layers of a network that are sums, with absolute weights and without activations."""
    structure = pieces.to_dict()
    structure["nodes"] = [node for node in structure["nodes"] if node["operation"] in SUMS]
    for node in structure["nodes"]:
        assert node.pop("activation", {"kind": "relu"})["kind"] in ACTIVATIONS
    structure["outputs"] = [node["name"] for node in structure["nodes"]]
    result = pieces.restructured(structure, {name: name for name in structure["outputs"]})
    result.load_weights({name: np.abs(values) for name, values in result.weights.items()}, layout="OHWI")
    return result


def bounds(pieces: mpscnn.Network, given: Arrays, results: Arrays) -> Arrays:
    """Return, for each layer, the allowed difference between the results of two engines."""
    sums = run(magnitudes(pieces), {name: np.abs(x) for name, x in given.items()}, "cpu", "float32")
    found: Arrays = {}
    for node in pieces.to_dict()["nodes"]:
        name, operation = node["name"], node["operation"]
        # A neuron of the kind "none" marks a change of quantization and does not change floats.
        if operation in MOVES or node["attributes"].get("kind") == "none":
            found[name] = np.zeros_like(results[name])
            continue
        one_unit = np.abs(results[name]) * HALF_EPS + HALF_TINY
        if operation == "softmax":
            x = given[node["inputs"][0]]
            # The rounding error of x - max becomes a relative error after the exponential.
            spread = np.abs(x - x.max(axis=-1, keepdims=True))
            found[name] = one_unit + 2 * ulp_bound(results[name], SOFTMAX_ULPS + spread)
        else:
            found[name] = one_unit + 2 * linear_bound(sums[name])
    return found


def compare_layers(network: mpscnn.Network) -> None:
    x = input_of(network)
    everything = network.layer_names()[1:]
    program = network.compile(device="cpu", precision="float16", outputs=everything)
    layers = dict(zip(everything, program.session().run(x).values(), strict=True)) | x
    pieces = separate_layers(network)
    given = {f"{name} given": layers[name].astype(np.float16).astype(np.float32) for name in layers}
    given = {name: given[name] for name in (tensor.name for tensor in pieces.inputs)}
    expected, found = (run(pieces, given, device, "float16") for device in ("cpu", "metal"))
    allowed = bounds(pieces, given, expected)
    for name, result in found.items():
        try:
            assert_close(result, expected[name].astype(np.float64), allowed[name])
        except AssertionError as error:
            raise AssertionError(f"layer {name}: {error}") from error


def compare_whole(network: mpscnn.Network) -> None:
    x = input_of(network)
    halves, floats, found = (
        run(network, x, device, precision)
        for device, precision in (("cpu", "float16"), ("cpu", "float32"), ("metal", "float16"))
    )
    for name, result in found.items():
        rounding = np.abs(halves[name] - floats[name]).max() + HALF_EPS * np.abs(halves[name]).max()
        assert np.abs(result - halves[name]).max() <= rounding, f"output {name}"


@pytest.mark.parametrize("name", NAMES)
def test_layers(shared: Path, name: str) -> None:
    compare_layers(MODELS[name](shared / "models"))


@pytest.mark.parametrize("name", NAMES)
def test_whole_networks(shared: Path, name: str) -> None:
    compare_whole(MODELS[name](shared / "models"))


@pytest.mark.parametrize("compare", [compare_layers, compare_whole])
@pytest.mark.parametrize("name", ["default", "digits"])
def test_bundled_networks(name: str, compare: Callable[[mpscnn.Network], None]) -> None:
    compare((mpscnn.load() if name == "default" else mpscnn.load(name)).network)


def test_the_bundled_detector() -> None:
    """Compare the whole network. `verify` compares its layers, because the bounds here have no normalizations."""
    network = mpscnn.load("page_digits").network
    compare_whole(network)
    report = verify("metal", only="network page_digits")
    assert not report.failed, report.summary()
    assert sum(row.cases for row in report.rows) == 2
