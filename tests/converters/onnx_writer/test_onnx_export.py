"""Networks of every operation give the same results here and, exported, in onnxruntime."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import results
from converters.written_layers import LAYERS, VECTORS, conv, fill, network_of, network_of_case
from exact_engines import every_onnxruntime, onnxruntime_session

import mpscnn
from mpscnn import Network, Tensor, _core
from mpscnn.converters.values.layout import TO_NCHW
from mpscnn.converters.writing.onnx import export as onnx_export

pytest.importorskip("onnxruntime")

BATCH = 2


def assert_same(
    network: Network, *, size: tuple[int, int] | None = None, layout: str = "nhwc", tolerance: float = 1e-4
) -> None:
    """Run a random batch in both engines. Differences are relative to the largest output.

    `size` is the height and width of inputs whose extents are free.
    """
    model = onnx_export.to_onnx(network, size=size, layout=layout)
    session = onnxruntime_session(model)
    generator = np.random.default_rng(11)
    feeds, inputs = {}, []
    for tensor, argument in zip(network.inputs, session.get_inputs(), strict=True):
        spatial = iter(size or ())
        shape = [BATCH, *(next(spatial) if extent is None else extent for extent in tensor.shape[1:])]
        x = generator.uniform(-3.0, 3.0, shape).astype(np.float32)
        inputs.append(x)
        feeds[argument.name] = x.transpose(0, 3, 1, 2) if layout == "nchw" and x.ndim == 4 else x
    for result, reference in zip(session.run(None, feeds), results(network, *inputs), strict=True):
        if layout == "nchw" and result.ndim == 4:
            result = result.transpose(0, 2, 3, 1)
        assert result.shape == reference.shape
        scale = max(1.0, float(np.max(np.abs(reference))))
        np.testing.assert_allclose(result, reference, rtol=0, atol=tolerance * scale)


#: The cases of cpp/ops/layer_cases.cpp, one or more for each operation. `written_layers.LAYERS` are layers for
#: which the exporter writes more than one node.
CASES: list[dict[str, Any]] = [
    case for case in json.loads(_core.cases()) if not {"training", "no_onnx"} & {*case["tags"]}
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_case(case: Mapping[str, Any]) -> None:
    network = network_of_case(case)
    assert_same(network)
    if all(len(shape) == 3 for shape in case["inputs"]):
        assert_same(network, layout="nchw")


def test_what_onnx_cannot_express_is_refused() -> None:
    refused = [case for case in json.loads(_core.cases()) if "no_onnx" in case["tags"]]
    assert {case["operation"] for case in refused} == {"dropout", "resize"}
    for case in refused:
        with pytest.raises(mpscnn.UnsupportedError, match="ONNX"):
            onnx_export.to_onnx(network_of_case(case))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer(layer: str) -> None:
    network = network_of(LAYERS[layer])
    assert_same(network)
    assert_same(network, layout="nchw")


@pytest.mark.parametrize("layer", VECTORS)
def test_every_layer_of_vectors(layer: str) -> None:
    assert_same(network_of(VECTORS[layer], (12,)))


def test_every_operation_is_exported_and_tested() -> None:
    names = {operation["name"] for operation in mpscnn.operations()}
    assert set(onnx_export.EXPORTERS) == names
    assert {case["operation"] for case in CASES} | {"dropout"} == names


@pytest.mark.parametrize("build", [mpscnn.models.mobilenet_v1, mpscnn.models.mobilenet_v2])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_mobilenets(build: Callable[..., Network], layout: str) -> None:
    network = build(output="logits", input_size=(96, 128), depth_multiplier=0.5, classes=100)
    network.initialize_weights()
    assert_same(network, layout=layout)


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding": 1, "output_padding": 1}])
def test_padding_of_transposed_convolutions_is_not_a_node_of_its_own(options: dict[str, Any]) -> None:
    network = network_of(lambda net, x: net.conv2d_transpose(x, 4, 3, strides=2, **options))
    nodes = [node.op_type for node in onnx_export.to_onnx(network, layout="nchw").graph.node]
    assert nodes == ["ConvTranspose", "Identity"]


def _crop(operation: str, **attributes: Any) -> Any:
    return pytest.param(operation, attributes, id=" ".join([operation, *map(str, attributes.values())]))


@pytest.mark.parametrize(
    ("operation", "attributes"),
    [
        *(
            _crop("pooling", kind=kind, edge=edge, padding="explicit", pad_top=4, pad_bottom=-9, pad_right=-2)
            for kind in ("average", "max", "l2_norm")
            for edge in ("zero", "clamp")
        ),
        *(
            _crop(kind, output_channels=8, padding="explicit", pad_top=4, pad_bottom=-9, **more)
            for kind, more in (("convolution", {}), ("subpixel_convolution", {"scale": 2, "pad_left": -1}))
        ),
        _crop("padding", top=4, bottom=-9, left=-8, right=9),
        _crop("padding", top=-12, bottom=9, value=2.5),
        _crop("padding", top=-9, bottom=9, values=[2.5, -1.0, 0.0, 4.0, 5.0, 6.0]),
        _crop("padding", left=-2, right=20, top=3, bottom=-8, values=[2.5, -1.0, 0.0, 4.0, 5.0, 6.0]),
        *(
            _crop(operation, kernel_height=2, kernel_width=3, edge=edge, offset_y=offset, offset_x=-offset)
            for operation in ("spatial_normalization", "local_contrast_normalization")
            for edge in ("zero", "clamp")
            for offset in (-12, 12)
        ),
    ],
)
def test_a_crop_may_remove_the_whole_image(operation: str, attributes: dict[str, Any]) -> None:
    """ONNX Runtime crops before it pads, so a crop that reaches into the padding is a node of its own."""
    network = network_of(lambda net, x: net.layer(operation, [x], attributes))
    for layout in ("nhwc", "nchw"):
        assert_same(network, layout=layout)


def test_free_size_and_several_outputs() -> None:
    network = Network(input={"left": (None, None, 3), "right": (None, None, 3)}, name="two")
    left, right = network.inputs
    total = network.output(network.add(left, right, name="total"))
    network.output(network.global_max_pool2d(total, name="largest"))
    network.output(left)
    assert_same(network, size=(5, 8))
    with pytest.raises(mpscnn.ShapeError, match="free extents"):
        onnx_export.to_onnx(network)


def test_quantized_and_half_weights_are_exported_as_they_count(tmp_path: Path) -> None:
    network = network_of(conv())
    for dtype in ("uint8", "float16"):
        network.save(tmp_path / f"{dtype}.safetensors", dtype=dtype)
        assert_same(mpscnn.load(tmp_path / f"{dtype}.safetensors").network)


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "one.onnx"
    network = network_of(conv())
    onnx_export.export(network, path)
    assert path.read_bytes() == onnx_export.to_onnx(network).SerializeToString()
    with pytest.raises(mpscnn.WeightsError, match=r"missing/one\.onnx: cannot be written"):
        onnx_export.export(network, tmp_path / "missing" / "one.onnx")


@pytest.mark.parametrize(
    "attributes", [{"offset_x": 0.5}, {"edge": "zero"}, {"scale_y": 1.3}, {"magnification_y": 2.0}]
)
def test_resizes_that_onnx_lacks_are_refused(attributes: dict[str, Any]) -> None:
    network = network_of(lambda net, x: net.layer("resize", [x], attributes, name="other size"))
    with pytest.raises(mpscnn.UnsupportedError, match="layer 'other size': ONNX' resize has no offset"):
        onnx_export.to_onnx(network)


#: Layers between a transposition and a resize, and layers after the resize. Engines exchange these with transpositions.
BEFORE_RESIZE: dict[str, Callable[[Network, Tensor], Tensor]] = {
    "nothing": lambda _, x: x,
    "transposition": lambda net, x: net.transpose(x, (2, 3, 1)),
    "function and sum": lambda net, x: net.add(net.activation(x, "relu"), x),
    "softmax": lambda net, x: net.softmax(x),
    "nearest resize": lambda net, x: net.upsample(x, 2, method="nearest"),
}
AFTER_RESIZE: dict[str, Callable[[Network, Tensor], Tensor]] = {
    "transposition": lambda net, x: net.transpose(x, (1, 3, 2)),
    "turned back": lambda net, x: net.transpose(x, (3, 1, 2)),
    "normalization": lambda net, x: net.layer_norm(x),
    "end": lambda net, x: net.activation(x, "tanh"),
}


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))), ids=str)
def test_resizes_of_transposed_images(order: tuple[int, ...], tmp_path: Path) -> None:
    """An engine may move a transposition behind a resize, whose axes are then those before the transposition."""
    given = np.random.default_rng(2).normal(0, 1, (BATCH, 3, 4, 5)).astype(np.float32)
    alignments: itertools.cycle[Any] = itertools.cycle(["half_pixel", "corners", "asymmetric"])
    for before, after in itertools.product(BEFORE_RESIZE.values(), AFTER_RESIZE.values()):
        network = Network((3, 4, 5))
        x = before(network, network.transpose(network.input, order))
        x = network.resize(x, (11, 7), alignment=next(alignments))
        network.output(after(network, x))
        network.initialize_weights(seed=1)
        (expected,) = results(network, given)
        onnx_export.export(network, tmp_path / "one.onnx", layout="nchw")
        for _, session in every_onnxruntime(tmp_path / "one.onnx"):
            (found,) = session.run(None, {"image": given.transpose(TO_NCHW)})
            np.testing.assert_allclose(found, expected.transpose(TO_NCHW), rtol=0, atol=1e-4)


def test_other_resizes_are_one_node() -> None:
    """A size is written in two nodes only where a transposition may move behind them."""
    for transposed, count in ((False, 1), (True, 2)):
        network = Network((4, 6, 3))
        x = network.activation(network.input, "relu")
        x = network.transpose(x, (2, 3, 1)) if transposed else network.layer_norm(x)
        network.output(network.layer_norm(network.upsample(x, 2, method="bilinear")))
        network.initialize_weights()
        kinds = [node.op_type for node in onnx_export.to_onnx(network, layout="nchw").graph.node]
        assert kinds.count("Resize") == count


def test_a_lanczos_resize_is_refused() -> None:
    network = network_of(lambda net, x: net.resize(x, (3, 4), method="lanczos", name="smaller"))
    with pytest.raises(mpscnn.UnsupportedError, match="layer 'smaller': ONNX' resize has no Lanczos filter"):
        onnx_export.to_onnx(network)


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(input=(7, 9, 6))
    network.output(network.conv2d(network.input, 2, 3, name="conv"))
    with pytest.raises(mpscnn.WeightsError, match="layer 'conv': weight is missing"):
        onnx_export.to_onnx(network)
    fill(network)
    with pytest.raises(mpscnn.ParameterError, match="layout must be 'nhwc' or 'nchw', got 'chwn'"):
        onnx_export.to_onnx(network, layout="chwn")
    monkeypatch.setattr(onnx_export, "_MAX_FILE", 100)
    with pytest.raises(mpscnn.UnsupportedError, match="at most 2 GB"):
        onnx_export.to_onnx(network)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(mpscnn.UnsupportedError, match=r"needs the package onnx: .*\[convert\]"):
        onnx_export.to_onnx(network)


def test_padding_alike_on_both_sides_stays_so() -> None:
    """Padding stays symmetric, though the last window does not reach its end. Some converters need this."""
    network = mpscnn.Network(input=(8, 8, 3))
    x = network.conv2d(network.input, 4, 3, strides=2, padding=1)
    network.output(network.max_pool2d(x, 3, strides=2, padding=1))
    network.initialize_weights()
    nodes = {node.op_type: node for node in onnx_export.to_onnx(network).graph.node}
    for operator in ("Conv", "MaxPool"):
        (pads,) = (list(one.ints) for one in nodes[operator].attribute if one.name == "pads")
        assert pads == [1, 1, 1, 1]
