"""Compare Caffe networks with arithmetic that is written out here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from converters.caffe_writer import Blobs, image, layer, write
from numpy.typing import NDArray
from reference.convolution import channels_first

import mpscnn
from mpscnn import converters
from mpscnn.converters.opening.wire.encode import encode_fields

pytest.importorskip("onnx", reason="onnx is not installed")
Array = NDArray[Any]


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0.0, 1.0, shape).astype(np.float32)


def ran(network: mpscnn.Network, x: Array) -> Array:
    """Return the result for images with the channels first, as in Caffe."""
    ours = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
    found = computed(network, np.ascontiguousarray(ours))
    return found.transpose(0, 3, 1, 2) if found.ndim == 4 else found


def result(folder: Path, text: str, x: Array, blobs: Blobs | None = None, **options: Any) -> Array:
    return ran(converters.read_network(write(folder, text, blobs, **options)), x)


def refusal(paths: list[Path]) -> str:
    with pytest.raises(mpscnn.Error) as refused:
        converters.read_network(paths)
    return str(refused.value)


def windows(x: Array, kernel: int, stride: int, counts: tuple[int, int]) -> Array:
    """Return the windows (n, c, rows, columns, kernel, kernel) of an image that is large enough."""
    rows = [x[:, :, i * stride : i * stride + kernel] for i in range(counts[0])]
    columns = [[row[..., j * stride : j * stride + kernel] for j in range(counts[1])] for row in rows]
    return np.stack([np.stack(line, axis=2) for line in columns], axis=2)


def pooled(folder: Path, x: Array, parameters: str) -> Array:
    return result(
        folder, image(*x.shape) + layer("Pooling", "y", "data", f"pooling_param {{ {parameters} }}"), x
    )


# ---- Poolings and convolutions -------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["pool: 1", "pool: AVE", 'pool: "AVE"'])
@pytest.mark.parametrize("rounding", ["ceil_mode: false", "round_mode: FLOOR", "round_mode: 1"])
def test_spellings_of_poolings(tmp_path: Path, words: str, rounding: str) -> None:
    """Enumerations may be words or numbers, and some versions of Caffe have another name for the rounding."""
    x = random(1, 2, 6, 6)
    expected = windows(x, 3, 2, (2, 2)).mean((-2, -1))
    found = pooled(tmp_path, x, f"{words} kernel_size: 3 stride: 2 {rounding}")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_texts_that_look_like_numbers_of_enumerations(tmp_path: Path) -> None:
    x = random(1, 2, 6, 6)
    text = image(*x.shape) + "# pool: 1\n" + layer("ReLU", "pool: 1", "data")
    np.testing.assert_array_equal(result(tmp_path, text, x), np.maximum(x, 0))


@pytest.mark.parametrize(
    ("parameters", "shape", "stride", "dilation", "groups"),
    [
        ("num_output: 6 kernel_size: 3 stride: 2", (6, 4, 3, 3), 2, 1, 1),
        ("num_output: 6 kernel_h: 3 kernel_w: 2 group: 2", (6, 2, 3, 2), 1, 1, 2),
        ("num_output: 4 kernel_size: 3 group: 4 dilation: 2", (4, 1, 3, 3), 1, 2, 4),
    ],
)
def test_convolutions(
    tmp_path: Path, parameters: str, shape: tuple[int, ...], stride: int, dilation: int, groups: int
) -> None:
    x, kernel, bias = random(2, 4, 9, 8), random(*shape, seed=1), random(shape[0], seed=2)
    text = image(*x.shape) + layer("Convolution", "y", "data", f"convolution_param {{ {parameters} }}")
    steps = {"stride_y": stride, "stride_x": stride, "dilation_y": dilation, "dilation_x": dilation}
    expected = channels_first(x, kernel, groups=groups, **steps) + bias.reshape(1, -1, 1, 1)
    np.testing.assert_allclose(
        result(tmp_path, text, x, {"y": [kernel, bias]}), expected, rtol=1e-4, atol=1e-5
    )


# ---- Normalizations -----------------------------------------------------------------------------------------


def test_batch_norm_in_place_and_scale(tmp_path: Path) -> None:
    """The file has the statistics times a factor. Both layers change the blob in place."""
    x = random(2, 3, 4, 5)
    mean, variance, factor = random(3, seed=1), np.abs(random(3, seed=2)), np.array([4.0])
    gamma, beta = random(3, seed=3), random(3, seed=4)
    text = image(*x.shape) + layer("BatchNorm", "norm", "data", "batch_norm_param { eps: 0.5 }", "data")
    text += layer("Scale", "scale", "data", "scale_param { bias_term: true }", "data")
    text += layer("ReLU", "y", "data", "relu_param { negative_slope: 0.1 }", "data")
    network = converters.read_network(
        write(tmp_path, text, {"norm": [mean, variance, factor], "scale": [gamma, beta]})
    )
    assert len(network.layer_names()) <= 3  # Scale has become part of the normalization
    one = (x - mean[:, None, None] / 4) / np.sqrt(variance[:, None, None] / 4 + 0.5)
    expected = one * gamma[:, None, None] + beta[:, None, None]
    np.testing.assert_allclose(
        ran(network, x), np.where(expected > 0, expected, 0.1 * expected), rtol=1e-4, atol=1e-5
    )


def test_a_batch_norm_that_others_read(tmp_path: Path) -> None:
    """If other layers read the batch normalization too, Scale becomes part of it only for Scale's own readers."""
    x = random(2, 3, 4, 5)
    mean, variance, gamma = random(3, seed=1), np.abs(random(3, seed=2)), random(3, seed=3)
    text = image(*x.shape) + layer("BatchNorm", "norm", "data", "batch_norm_param { eps: 0.5 }")
    text += layer("Scale", "scale", "norm") + layer("ReLU", "relu", "norm")
    text += layer("Eltwise", "y", "scale relu")
    found = result(tmp_path, text, x, {"norm": [mean, variance, np.ones(1)], "scale": [gamma]})
    one = (x - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 0.5)
    expected = one * gamma[:, None, None] + np.maximum(one, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_batch_norm_with_factors_of_its_own_is_refused(tmp_path: Path) -> None:
    """Some versions of Caffe store factors as two more blobs."""
    blobs = {"y": [np.zeros(3), np.ones(3), np.ones(1), np.ones(3), np.zeros(3)]}
    assert "Scale layer" in refusal(
        write(tmp_path, image(1, 3, 4, 4) + layer("BatchNorm", "y", "data"), blobs)
    )


def test_scale_by_another_blob(tmp_path: Path) -> None:
    x = random(2, 3, 4, 5)
    text = image(*x.shape) + layer(
        "Pooling", "mean", "data", "pooling_param { pool: AVE global_pooling: true }"
    )
    text += layer("Flatten", "flat", "mean") + layer("Scale", "y", "data flat", "scale_param { axis: 0 }")
    expected = x * x.mean((2, 3), keepdims=True)
    np.testing.assert_allclose(result(tmp_path, text, x), expected, rtol=1e-4, atol=1e-5)


# ---- Functions, joining, moving -----------------------------------------------------------------------------


def test_prelu_of_features(tmp_path: Path) -> None:
    x, kernel, slopes = random(2, 3, 2, 2), random(5, 12, seed=1), random(5, seed=2)
    text = image(*x.shape) + layer(
        "InnerProduct", "dense", "data", "inner_product_param { num_output: 5 bias_term: false }"
    )
    text += layer("PReLU", "y", "dense", "", "dense")
    found = result(tmp_path, text, x, {"dense": [kernel], "y": [slopes]})
    expected = x.reshape(2, -1) @ kernel.T
    np.testing.assert_allclose(
        found, np.where(expected > 0, expected, expected * slopes), rtol=1e-4, atol=1e-5
    )


def test_elementwise(tmp_path: Path) -> None:
    x = random(1, 4, 3, 3)
    text = image(*x.shape) + layer("Slice", "parts", "data", "slice_param { slice_point: 2 }", "a b")
    text += layer("Eltwise", "sum", "a b", "eltwise_param { operation: SUM coeff: 2 coeff: -1 }")
    text += layer("Eltwise", "product", "a b a", "eltwise_param { operation: PROD }")
    text += layer("Eltwise", "most", "a b", "eltwise_param { operation: MAX }")
    text += layer("Concat", "y", "sum product most", "concat_param { axis: 1 }")
    a, b = x[:, :2], x[:, 2:]
    expected = np.concatenate([2 * a - b, a * b * a, np.maximum(a, b)], axis=1)
    np.testing.assert_allclose(result(tmp_path, text, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("old", [False, True])
def test_dense_layers_take_channels_first(tmp_path: Path, old: bool) -> None:
    """Dense layers read images with the channels first, also in Caffe's first format (`old`)."""
    x, kernel, bias = random(2, 3, 4, 5), random(7, 60, seed=1), random(7, seed=2)
    parameters = "inner_product_param { num_output: 7 }"
    text = image(*x.shape) + layer("InnerProduct", "y", "data", parameters)
    if old:
        text = 'input: "data" ' + " ".join(f"input_dim: {extent}" for extent in x.shape) + "\n"
        text += f'layers {{ name: "y" type: INNER_PRODUCT bottom: "data" top: "y" {parameters} }}'
    found = result(tmp_path, text, x, {"y": [kernel, bias]}, old=old)
    np.testing.assert_allclose(found, x.reshape(2, -1) @ kernel.T + bias, rtol=1e-4, atol=1e-4)


def test_crop(tmp_path: Path) -> None:
    x = random(1, 2, 6, 6)
    text = image(*x.shape) + layer("Pooling", "small", "data", "pooling_param { kernel_size: 2 stride: 2 }")
    text += layer("Crop", "y", "data small", "crop_param { axis: 2 offset: 1 offset: 2 }")
    network = converters.read_network(write(tmp_path, text), outputs=["y"])
    np.testing.assert_array_equal(ran(network, x), x[:, :, 1:4, 2:5])


def test_layers_of_training_are_left_out(tmp_path: Path) -> None:
    x = random(1, 3, 2, 2)
    noise = layer("Power", "noise", "data", "include { phase: TRAIN } power_param { scale: 7 }", "data")
    kept = layer("Power", "y", "data", "exclude { phase: TRAIN } power_param { scale: 3 }")
    np.testing.assert_allclose(result(tmp_path, image(*x.shape) + noise + kept, x), 3 * x, rtol=1e-6)


@pytest.mark.parametrize(
    ("rule", "runs"),
    [
        ("include { phase: TEST }", True),
        ("include { phase: TEST not_stage: 'deploy' }", True),
        ("include { phase: TEST stage: 'deploy' }", False),
        ("include { phase: TEST stage: 'deploy' } include { not_stage: 'deploy' }", True),
        ("include { stage: 'train' }", False),
        ("include { min_level: 1 }", False),
        ("include { min_level: -1 max_level: 0 }", True),
        ("include { max_level: -1 }", False),
        ("exclude { stage: 'deploy' }", True),
        ("exclude { phase: TEST stage: 'deploy' }", True),
        ("exclude { not_stage: 'deploy' }", False),
        ("exclude { phase: TEST min_level: 1 }", True),
    ],
)
def test_rules_are_those_of_inference_without_stages(tmp_path: Path, rule: str, runs: bool) -> None:
    """As in Caffe, the state has the phase TEST, the level 0 and no stages unless the caller states others."""
    x = random(1, 3, 2, 2)
    text = layer("Power", "y", "data", "power_param { scale: 3 }")
    text += layer("Power", "twice", "y", f"{rule} power_param {{ scale: 2 }}", "y")
    np.testing.assert_allclose(result(tmp_path, image(*x.shape) + text, x), (6 if runs else 3) * x, rtol=1e-6)


@pytest.mark.parametrize("old", [False, True])
def test_losses_are_softmax_without_labels(tmp_path: Path, old: bool) -> None:
    x = random(1, 3, 2, 2)
    text = image(*x.shape) + layer("SoftmaxWithLoss", "y", "data label")
    if old:
        text = 'input: "data" ' + " ".join(f"input_dim: {extent}" for extent in x.shape)
        text += ' layers { name: "y" type: SOFTMAX_LOSS bottom: "data" bottom: "label" top: "y" }'
    expected = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    np.testing.assert_allclose(result(tmp_path, text, x), expected, rtol=1e-4)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    x = random(1, 3, 2, 2)
    np.testing.assert_array_equal(
        result(tmp_path, "\ufeff" + image(*x.shape) + layer("ReLU", "y", "data"), x), np.maximum(x, 0)
    )


# ---- Detection and photos -----------------------------------------------------------------------------------


def test_detection(tmp_path: Path) -> None:
    """PriorBox orders the anchors of a pixel: the smallest, the mean of smallest and largest, then the ratios."""
    text = image(1, 3, 8, 12) + layer("Pooling", "map", "data", "pooling_param { kernel_size: 4 stride: 4 }")
    parameters = (
        "prior_box_param { min_size: 4 max_size: 9 aspect_ratio: 4 clip: false variance: 0.1 variance: 0.1 "
    )
    text += layer("PriorBox", "priors", "map data", parameters + "variance: 0.2 variance: 0.2 }")
    kernels = {"loc": random(16, 3, 1, 1), "conf": random(12, 3, 1, 1, seed=1)}
    for name in kernels:
        text += layer(
            "Convolution",
            name,
            "map",
            f"convolution_param {{ num_output: {len(kernels[name])} kernel_size: 1 bias_term: false }}",
        )
        order = "permute_param { order: 0 order: 2 order: 3 order: 1 }"
        text += layer("Permute", f"{name}_last", name, order) + layer(
            "Flatten", f"{name}_flat", f"{name}_last"
        )
    text += layer("Reshape", "classes", "conf_flat", "reshape_param { shape { dim: 0 dim: -1 dim: 3 } }")
    text += layer("Softmax", "probable", "classes", "softmax_param { axis: 2 }")
    text += layer("Flatten", "scores_flat", "probable")
    output = (
        "num_classes: 3 nms_param { nms_threshold: 0.4 top_k: 50 } code_type: CENTER_SIZE keep_top_k: 20 "
    )
    text += layer(
        "DetectionOutput",
        "found",
        "loc_flat scores_flat priors",
        f"detection_output_param {{ {output} confidence_threshold: 0.2 }}",
    )
    network = converters.read_network(write(tmp_path, text, {k: [v] for k, v in kernels.items()}))
    assert [output.shape for output in network.outputs] == [(None, 24, 4), (None, 24, 3)]
    head = network.detection
    assert head is not None
    detector = head.detector((8, 12))
    settings = detector.settings
    assert settings["suppression"]["iou_threshold"] == pytest.approx(0.4)
    assert settings["suppression"]["max_detections"] == 20
    assert settings["scores"]["background"]
    outputs = [settings[head]["output"] for head in ("boxes", "scores")]
    assert outputs == [output.name for output in network.outputs]
    expected = []
    for row in range(2):
        for column in range(3):
            for width, height in ((4, 4), (6, 6), (8, 2), (2, 8)):
                expected.append(((column + 0.5) / 3, (row + 0.5) / 2, width / 12, height / 8))
    np.testing.assert_allclose(detector.anchors, expected, rtol=1e-5)
    x = random(1, 3, 8, 12, seed=2)
    heads = (
        network.compile(device="cpu", precision="float32")
        .session()
        .run(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    )
    assert isinstance(heads, dict)
    maximum = x.reshape(1, 3, 2, 4, 3, 4).max((3, 5)).transpose(0, 2, 3, 1)
    boxes = (maximum @ kernels["loc"][:, :, 0, 0].T).reshape(1, 24, 4)
    np.testing.assert_allclose(heads[network.outputs[0].name], boxes, rtol=1e-4, atol=1e-5)
    logits = (maximum @ kernels["conf"][:, :, 0, 0].T).reshape(1, 24, 3)
    scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(heads[network.outputs[1].name], scores, rtol=1e-4, atol=1e-5)
    changing = text.replace("nms_threshold: 0.4", "nms_threshold: 0.4 eta: 0.9")
    assert "eta" in refusal(write(tmp_path, changing, {k: [v] for k, v in kernels.items()}))


def test_photos(tmp_path: Path) -> None:
    """Means in the file have the order BGR. If the file has no preprocessing, a note says so."""
    text = image(1, 3, 4, 4) + layer("ReLU", "y", "data")
    network = converters.read_network(write(tmp_path, text))
    assert network.preprocess is None
    assert any("--preprocess caffe" in note for note in network.notes)
    said = converters.convert_files(
        write(tmp_path, text), tmp_path / "said.safetensors", preprocess="torch", dtype="float32"
    )
    assert said.notes == [
        "weights of layers that it does not have are left out: 'nothing'"
    ]  # as `write` says
    means = "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5"
    said = text.replace("input_param", f"transform_param {{ {means} }} input_param")
    network = converters.read_network(write(tmp_path, said))
    assert network.preprocess == {"order": "bgr", "mean": [123.0, 117.0, 104.0], "scale": [0.5] * 3}


def test_ultraface(shared: Path) -> None:
    """The Caffe file finds the same boxes as the TensorFlow Lite file of the same network."""
    directory = shared / "models/ultraface"
    files = ("slim-320.caffemodel", "version-slim-320_without_postprocessing.tflite")
    networks = [converters.read_network([directory / file]) for file in files]
    preprocess = {"mean": [127.0, 127.0, 127.0], "scale": [1 / 128.0] * 3}
    x = mpscnn.preprocess(shared / "images/face.jpg", (240, 320), preprocess)
    heads = [
        {value.shape[-1]: value for value in network.compile(precision="float32").session().run(x).values()}
        for network in networks
    ]
    detector = mpscnn.models.ultraface_head().detector((240, 320))
    boxes = [detector.decode(head[4][0]) for head in heads]
    np.testing.assert_allclose(boxes[0], boxes[1], atol=1e-3)
    np.testing.assert_allclose(heads[0][2], heads[1][2], atol=1e-3)


@pytest.mark.parametrize(("kind", "stored"), [(0, "<f8"), (1, "<f4"), (2, "<f2"), (None, "<f4")])
def test_weights_that_are_stored_as_bytes(tmp_path: Path, kind: int | None, stored: str) -> None:
    """NVIDIA's Caffe, and OpenCV's shrinkCaffeModel for half floats, write bytes and the number of their type."""
    weight = np.arange(12, dtype=np.float32).reshape(4, 3, 1, 1) / 8
    blob: dict[int, Any] = {7: encode_fields({1: list(weight.shape)}), 12: weight.astype(stored).tobytes()}
    blob |= {} if kind is None else {10: kind}
    made = layer(
        "Convolution", "c", "data", "convolution_param { num_output: 4 kernel_size: 1 bias_term: false }"
    )
    paths = write(tmp_path, image(1, 3, 2, 2) + made)
    paths[1].write_bytes(
        encode_fields({100: [encode_fields({1: "c", 2: "Convolution", 7: [encode_fields(blob)]})]})
    )
    x = random(1, 2, 2, 3)
    found = computed(converters.read_network(paths), x)
    np.testing.assert_allclose(found, x @ weight.reshape(4, 3).T, rtol=1e-5, atol=1e-6)


def test_weights_that_are_stored_as_integers_are_refused(tmp_path: Path) -> None:
    blob = encode_fields({7: encode_fields({1: [1]}), 10: 3, 12: b"\0\0\0\0"})
    paths = write(tmp_path, image(1, 3, 2, 2) + layer("Scale", "c", "data"))
    paths[1].write_bytes(encode_fields({100: [encode_fields({1: "c", 7: [blob]})]}))
    with pytest.raises(mpscnn.UnsupportedError, match="layer 'c': its weights are integers"):
        converters.read_network(paths)
