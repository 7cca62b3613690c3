"""Networks of every operation give the same results here and, exported, in LiteRT."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import results
from converters.written_layers import LAYERS, VECTORS, fill, network_of, network_of_case
from exact_engines import litert_results

import mpscnn
from mpscnn import Network, _core
from mpscnn.converters.reading.tflite.file import read_tflite
from mpscnn.converters.writing.tflite.export import WRITERS, to_tflite

pytest.importorskip("ai_edge_litert")

BATCH = 2
#: Operators that LiteRT's reference kernels lack, or compute with another window than its other kernels.
WITHOUT_REFERENCE = {"BROADCAST_TO", "CEIL", "ELU", "LOCAL_RESPONSE_NORMALIZATION", "ROUND"}

CASES: list[dict[str, Any]] = [case for case in json.loads(_core.cases()) if "training" not in case["tags"]]


def refusal(case: Mapping[str, Any]) -> str | None:
    """Return the message of a case that TensorFlow Lite cannot express; None if it can."""
    attributes = case["attributes"]
    if case["operation"] == "dropout":
        return "dropout with random numbers" if attributes.get("training") else None
    if case["operation"] == "resize" and attributes.get("kind") == "lanczos":
        return "no Lanczos filter"
    if case["operation"] == "resize" and attributes.get("edge") == "zero":
        return "resize has no offset"
    kinds = {attributes.get("kind"), (case.get("activation") or {}).get("kind")}
    return "no error function" if "erf" in kinds else None


def kinds_of(content: bytes, folder: Path) -> list[str]:
    path = folder / "kinds.tflite"
    path.write_bytes(content)
    return [operator.kind for operator in read_tflite(path).operators]


def inputs_of(network: Network, size: tuple[int, int] | None = None, batch: int = BATCH) -> list[Any]:
    generator = np.random.default_rng(11)
    made = []
    for tensor in network.inputs:
        spatial = iter(size or ())
        shape = [batch, *(next(spatial) if extent is None else extent for extent in tensor.shape[1:])]
        made.append(generator.uniform(-3.0, 3.0, shape).astype(np.float32))
    return made


def assert_same(
    network: Network, folder: Path, *, size: tuple[int, int] | None = None, tolerance: float = 1e-5
) -> None:
    """Run a random batch in both engines. Differences are relative to the largest output."""
    content = to_tflite(network, size=size)
    inputs = inputs_of(network, size)
    lacks = WITHOUT_REFERENCE.intersection(kinds_of(content, folder))
    found = litert_results(
        content, *inputs, fast_because="the reference kernels lack an operator" if lacks else ""
    )
    for result, right in zip(found, results(network, *inputs), strict=True):
        assert result.shape == right.shape
        scale = max(1.0, float(np.nanmax(np.abs(right))))
        np.testing.assert_allclose(result, right, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_case(case: Mapping[str, Any], tmp_path: Path) -> None:
    network, message = network_of_case(case), refusal(case)
    if message is None:
        assert_same(network, tmp_path)
        return
    with pytest.raises(mpscnn.UnsupportedError, match=rf"layer '.*': TensorFlow Lite.* {message}"):
        network.save(tmp_path / "refused.tflite")
    assert not (tmp_path / "refused.tflite").exists()


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer(layer: str, tmp_path: Path) -> None:
    assert_same(network_of(LAYERS[layer]), tmp_path)


@pytest.mark.parametrize("layer", VECTORS)
def test_every_layer_of_vectors(layer: str, tmp_path: Path) -> None:
    assert_same(network_of(VECTORS[layer], (12,)), tmp_path)


def test_every_operation_is_written_or_refused() -> None:
    names = {operation["name"] for operation in mpscnn.operations()}
    assert set(WRITERS) == names
    assert {case["operation"] for case in CASES} | {"dropout"} == names


@pytest.mark.parametrize(
    "build", [mpscnn.models.mobilenet_v1, mpscnn.models.mobilenet_v2, mpscnn.models.mobilenet_v3_small]
)
def test_classifiers(build: Callable[..., Network], tmp_path: Path) -> None:
    network = build(input_size=(64, 64), classes=20)
    network.initialize_weights(seed=3)
    assert_same(network, tmp_path)


def test_free_size_and_several_outputs(tmp_path: Path) -> None:
    network = Network(input={"left": (None, None, 3), "right": (None, None, 3)}, name="two")
    left, right = network.inputs
    total = network.output(network.add(left, right, name="total"))
    network.output(network.global_max_pool2d(total, name="largest"))
    network.output(left)
    assert_same(network, tmp_path, size=(5, 8))
    with pytest.raises(mpscnn.ShapeError, match="free extents"):
        to_tflite(network)


def test_halves(tmp_path: Path) -> None:
    """Weights of float16 are those that numpy rounds, and a DEQUANTIZE makes them float32."""
    network = network_of(LAYERS["convolution"])
    content = to_tflite(network, dtype="float16")
    assert kinds_of(content, tmp_path).count("DEQUANTIZE") == 1
    x = inputs_of(network)[0]
    rounded = network.copy()
    weight = network.weights["conv2d_1.weight"].astype(np.float16).astype(np.float32)
    rounded.load_weights({**network.weights, "conv2d_1.weight": weight}, layout="OHWI")
    (found,), (right,) = litert_results(content, x), results(rounded, x)
    np.testing.assert_allclose(found, right, atol=1e-5 * np.abs(right).max())
    network.load_weights({**network.weights, "conv2d_1.weight": weight * 1e6}, layout="OHWI")
    with pytest.raises(mpscnn.WeightsError, match=r"conv2d_1/weight: has numbers beyond .* float16"):
        to_tflite(network, dtype="float16")


def test_errors(tmp_path: Path) -> None:
    network = Network(input=(7, 9, 6))
    network.output(network.conv2d(network.input, 2, 3, name="conv"))
    with pytest.raises(mpscnn.WeightsError, match="layer 'conv': weight is missing"):
        to_tflite(network)
    fill(network)
    with pytest.raises(mpscnn.ParameterError, match=r"dtype must be .* got 'int4'"):
        to_tflite(network, dtype="int4")
    with pytest.raises(mpscnn.WeightsError, match=r"missing/one\.tflite: cannot be written"):
        network.save(tmp_path / "missing" / "one.tflite")
