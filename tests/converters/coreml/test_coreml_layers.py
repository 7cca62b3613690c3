"""Compare layers of Core ML's neural networks with numpy. Each kind that is read has a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from converters.coreml_writer import Fill, add, array, image, model, numbers, one_layer, saved, settings
from converters.operator_cases import Layer, forms, instance_norm, statistics, windows
from numpy.typing import NDArray

from mpscnn import converters
from mpscnn.converters.opening.unsupported import UnsupportedLayersError
from mpscnn.converters.reading.coreml.neural.indexing import INDEXING
from mpscnn.converters.reading.coreml.neural.layer import setting_name
from mpscnn.converters.reading.coreml.neural.layers import REFUSED, ROWS
from mpscnn.converters.reading.coreml.schema import LAYERS
from mpscnn.converters.values.rows import schema_of
from mpscnn.errors import UnsupportedError, WeightsError


class Case(NamedTuple):
    """A layer: its parameters, a function with its meaning, and the shapes of its inputs.

    `positive`: all inputs are at least 0.2. `exact`: see `operator_cases.Layer`.
    """

    kind: str
    fill: Fill | None
    expected: Callable[..., Any]
    shapes: Sequence[Sequence[int]] = ((1, 4, 5, 6),)
    positive: bool = False
    exact: bool = True


TABLE = {
    name: Case(form.kind, form.fill, operator.meaning, operator.shapes, operator.positive, form.exact)
    for name, (form, operator) in forms(Layer).items()
}
# `test_coreml_files` has networks with these layers, whose constants other layers read.
ELSEWHERE = {"fillStatic", "loadConstant", "loadConstantND"}
# `test_coreml_positions` and `test_coreml_recurrent` test these.
ELSEWHERE |= set(INDEXING)
ELSEWHERE |= {"biDirectionalLSTM", "gru", "simpleRecurrent", "uniDirectionalLSTM"}


def last(x: NDArray[Any]) -> NDArray[Any]:
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


@pytest.mark.parametrize("name", TABLE)
def test_layers(name: str, tmp_path: Path) -> None:
    compare_layer(TABLE[name], tmp_path)


def compare_layer(case: Case, folder: Path) -> None:
    """Compare a layer's results with those of its case."""
    draw = np.random.default_rng(5)
    inputs = [
        draw.uniform(0.2 if case.positive else -2.0, 2.0, shape).astype(np.float32) for shape in case.shapes
    ]
    if case.kind in ("equal", "notEqual"):
        inputs[0].reshape(-1)[:7] = 0.5
    if case.kind.startswith("logical") or case.kind == "whereBroadcastable":
        inputs = [np.where(draw.random(x.shape) < 0.5, 0, x).astype(np.float32) for x in inputs]
    expected = case.expected(*(x.astype(np.float64) for x in inputs))
    results = expected if isinstance(expected, list) else [expected]
    message = one_layer(case.kind, case.fill, case.shapes, len(results), exact=case.exact)
    network = converters.read_network([saved(message, folder / "one.mlmodel")])
    given = [last(x if case.exact else x[None]) for x in inputs]
    assert [tensor.shape[1:] for tensor in network.inputs] == [x.shape[1:] for x in given]
    session = network.compile(device="cpu").session()
    found = session.run(given[0] if len(given) == 1 else given)
    made = [found] if len(results) == 1 else list(found.values())
    for one, wanted in zip(made, results, strict=True):
        np.testing.assert_allclose(
            one, last(np.asarray(wanted, np.float64)).reshape(one.shape), rtol=2e-5, atol=2e-5
        )


@pytest.mark.parametrize(
    ("amounts", "message"),
    [
        ([0, 0, 0, 3, 0, 0, 0, 0], r"pads \(1, 4, 5, 6\) to"),
        ([0, 0, 5, 6, 0, 0, 0, 0], r"pads \(1, 4, 5, 6\) to"),
        ([0, 0, 0, 0, 0, 0], r"pads \(1, 4, 5, 6\) to"),
    ],
)
def test_sizes_that_contradict_the_input(amounts: list[int], message: str, tmp_path: Path) -> None:
    fill = settings(padAmounts=amounts, padToGivenOutputSizeMode=True)
    path = saved(one_layer("constantPad", fill, [(1, 4, 5, 6)]), tmp_path / "one.mlmodel")
    with pytest.raises(WeightsError, match=message):
        converters.read_network([path])


@pytest.mark.parametrize(
    ("kind", "fill", "shapes", "message"),
    [
        (
            "crop",
            settings(offset=[2, 0]),
            ((1, 4, 5, 6), (1, 4, 4, 6)),
            r"crops axes \[2, 3\] of .* to \[6, 6\]",
        ),
        (
            "upsample",
            settings(scalingFactor=[2, 2], mode=7),
            ((1, 4, 5, 6),),
            "its mode is 7, expected 0 to 1",
        ),
        ("innerProduct", settings(int8DynamicQuantize=True), ((1, 4, 5, 6),), "quantised while it runs"),
        ("batchedMatmul", settings(int8DynamicQuantize=True), ((1, 4, 5, 6),), "quantised while it runs"),
        ("batchedMatmul", settings(transposeA=True), ((1, 4, 5, 6),), "one of the matrices is a weight"),
    ],
)
def test_settings_that_are_not_obeyed_are_refused(
    kind: str, fill: Fill, shapes: Sequence[Sequence[int]], message: str, tmp_path: Path
) -> None:
    path = saved(one_layer(kind, fill, shapes), tmp_path / "one.mlmodel")
    with pytest.raises((UnsupportedError, WeightsError), match=message):
        converters.read_network([path])


def test_a_border_that_another_layer_states(tmp_path: Path) -> None:
    """The second input of constantPad has the border. It must be a constant."""
    message = model({"x": array((1, 4, 5, 6))}, {"y": array((1, 6, 5, 7))})
    net = message.neuralNetwork
    net.arrayInputShapeMapping = 1
    amounts = np.array([0, 0, 0, 2, 0, 0, 1, 0])
    add(net, "loadConstantND", "", "amounts", settings(shape=[8], data=amounts))
    add(net, "constantPad", "x amounts", "y", settings(value=0.5))
    network = converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    x = np.random.default_rng(5).normal(size=(1, 4, 5, 6)).astype(np.float32)
    wanted = np.pad(x, ((0, 0), (0, 2), (0, 0), (1, 0)), constant_values=0.5)
    np.testing.assert_allclose(network.compile(device="cpu").session().run(last(x)), last(wanted))
    net.layers[1].input[1] = "x"
    with pytest.raises(UnsupportedLayersError, match=r"its border .* is computed by the network"):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("batch", [1, 3])
def test_sequences_between_reshapes(batch: int, mode: int, tmp_path: Path) -> None:
    """Old files divide channels and move parts of them to rows and columns through the axis of sequences."""
    message = model({"x": array((8, 3, 2))}, {"y": array((4, 6, 2))}, version=1)
    net = message.neuralNetwork
    add(net, "reshape", "x", "parts", settings(targetShape=[2, 4, 3, 2], mode=mode))
    add(net, "permute", "parts", "moved", settings(axis=[1, 2, 0, 3]))
    add(net, "reshape", "moved", "y", settings(targetShape=[4, 6, 2]))
    network = converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    x = np.random.default_rng(5).normal(size=(batch, 8, 3, 2)).astype(np.float32)
    if mode:  # the elements of each image are in the order rows, columns, channels
        rows = x.transpose(0, 2, 3, 1).reshape(batch, 2, 3, 2, 4)
        parts = rows.transpose(0, 1, 4, 2, 3)
    else:
        parts = x.reshape(batch, 2, 4, 3, 2)
    wanted = parts.transpose(0, 2, 3, 1, 4).reshape(batch, 4, 6, 2)
    np.testing.assert_allclose(network.compile(device="cpu").session().run(last(x)), last(wanted))
    net.layers[2].reshape.targetShape[1] = 5
    with pytest.raises(WeightsError, match=r"reshapes .* to \[4, 5, 2\]"):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])


@pytest.mark.parametrize("batch", [2, None])
def test_statistics_of_a_batch_are_refused(batch: int | None, tmp_path: Path) -> None:
    """Without instanceNormalization, Core ML computes mean and variance of the whole batch.

    If the file states a batch of one image, each image of a batch of mpscnn is a prediction of Core ML.
    """
    fill = statistics(False, computed=True).fill
    message = one_layer("batchnorm", fill, [(batch or 1, 4, 5, 6)])
    if batch is None:
        ranges = message.description.input[0].type.multiArrayType.shapeRange.sizeRanges
        for lower, upper in ((1, 8), (4, 4), (5, 5), (6, 6)):
            ranges.add(lowerBound=lower, upperBound=upper)
    with pytest.raises(UnsupportedLayersError, match="its mean and variance are those of the whole batch"):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    alone = one_layer("batchnorm", fill, [(1, 4, 5, 6)])
    network = converters.read_network([saved(alone, tmp_path / "one.mlmodel")])
    x = np.random.default_rng(5).normal(size=(3, 5, 6, 4)).astype(np.float32)
    found = network.compile(device="cpu").session().run(x)
    wanted = instance_norm(x.astype(np.float64).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(found, last(wanted), rtol=2e-5, atol=2e-5)


def test_same_padding_of_free_size(tmp_path: Path) -> None:
    """Averages with SAME padding need no fixed size."""
    message = model({"x": image(6, 8, 10)}, {"y": array((1, 3, 4))})
    sizes = message.description.input[0].type.imageType.imageSizeRange
    for side in (sizes.heightRange, sizes.widthRange):
        side.lowerBound, side.upperBound = 4, 32
    fill = settings(type=1, kernelSize=[3, 3], stride=[2, 2], same={"asymmetryMode": 0})
    add(message.neuralNetwork, "pooling", "x", "y", fill)
    network = converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    x = np.random.default_rng(5).uniform(0.0, 1.0, (1, 1, 5, 8))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 1)))
    found = network.compile(device="cpu").session().run(last(x))
    wanted = last(windows(padded, 3, 2, np.mean))
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_each_kind_of_layer_has_a_case() -> None:
    assert {case.kind for case in TABLE.values()} == set(ROWS) - ELSEWHERE
    assert set(ROWS) | set(REFUSED) == set(LAYERS)
    assert not set(ROWS) & set(REFUSED)


def test_signatures_have_all_parameters_of_the_schema() -> None:
    for kind, row in ROWS.items():
        fields = [field.split(":")[0] for field in LAYERS[kind][1].split()]
        if not schema_of(row).passes_on:
            assert {setting_name(one) for one in fields if one != "nothing"} == set(
                schema_of(row).settings
            ), kind


@pytest.mark.parametrize(
    ("kind", "shapes", "place", "name"),
    [
        ("softmax", [(1, 4, 5, 6)], "", "field 77"),
        ("concatND", [(1, 4, 5, 6)], "", "field 77"),
        ("activation", [(1, 4, 5, 6)], "leakyReLU", "field 77"),
        ("resizeBilinear", [(1, 4, 5, 6)], "mode", "field 77"),
        ("uniDirectionalLSTM", [(5, 1, 4, 1, 1)], "params", "field 77"),
    ],
)
def test_parameters_that_are_not_known_are_refused(
    kind: str, shapes: list[tuple[int, ...]], place: str, name: str, tmp_path: Path
) -> None:
    """A later version of Core ML may give a layer a parameter, whose meaning must not be left out."""

    def fill(p: Any) -> None:
        inner = getattr(p, place) if place else p
        inner.SetInParent()
        inner.MergeFromString(bytes([0xE8, 0x04, 0x05]))  # field 77 with the number 5

    message = one_layer(kind, fill, shapes)
    with pytest.raises(UnsupportedError, match=f"its '{name}' is 5, which is not known; "):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_layers_are_named(kind: str, tmp_path: Path) -> None:
    message = one_layer(kind, None, [(1, 4, 5, 6)])
    with pytest.raises(UnsupportedLayersError, match="layer 'y0'") as refused:
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    assert REFUSED[kind] in str(refused.value)
    assert [(one.name, one.kind) for one in refused.value.layers] == [("y0", kind)]


def test_all_refused_layers_are_named_at_once(tmp_path: Path) -> None:
    """The error names what Core ML's reader and then ONNX' reader refuse, but not layers that need their results."""
    message = one_layer("custom", settings(className="Magic"), [(1, 4, 5, 6)])
    net = message.neuralNetwork
    net.layers[0].output[:] = ["made"]
    for kind, reads, makes in (
        ("tanh", "made", "t"),
        ("upperTriangular", "t", "s"),
        ("lowerTriangular", "x0", "k"),
        ("abs", "x0", "y0"),
    ):
        layer = net.layers.add(name=makes, input=[reads], output=[makes])
        getattr(layer, "unary" if kind == "abs" else kind).SetInParent()
    net.layers[-1].unary.type = 6
    with pytest.raises(UnsupportedLayersError) as refused:
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    assert [(one.name, one.kind) for one in refused.value.layers] == [
        ("y0", "custom"),
        ("s", "upperTriangular"),
        ("k", "lowerTriangular"),
    ]
    assert "its class is 'Magic'" in str(refused.value)


def test_numbers_are_weights(tmp_path: Path) -> None:
    """A weight with too few numbers is an error about the file."""
    message = one_layer("bias", settings(shape=[4]), [(1, 4, 5, 6)])
    numbers(message.neuralNetwork.layers[0].bias.bias, np.ones(3))
    with pytest.raises(Exception, match="3 numbers for the shape"):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])
