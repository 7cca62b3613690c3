"""Compare torchvision's and timm's networks as Core ML models of coremltools with torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from numpy.typing import NDArray
from oracles.test_coreml import images, saved
from oracles.test_timm import timm
from oracles.torchvision_models import asked, photo, randomized, torchvision
from PIL import Image
from reference import detection

import mpscnn
from mpscnn import converters

torch = pytest.importorskip("torch", reason="torch is not installed")
optimization = pytest.importorskip("torch.fx.experimental.optimization", reason="torch is not installed")
coremltools = pytest.importorskip("coremltools", reason="coremltools is not installed")

pytestmark = [
    pytest.mark.full,
    # coremltools removes its temporary folders only when the process ends.
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

#: The allowed difference from torch's results, relative to the largest result.
TOLERANCE = 1e-4
KINDS = {"neural network": "iOS14", "program": "iOS16"}
#: The networks, with the side of their square images.
TORCHVISION = {
    **dict.fromkeys(("mobilenet_v2", "mobilenet_v3_small", "resnet18", "squeezenet1_1", "mnasnet0_5"), 96),
    **dict.fromkeys(("shufflenet_v2_x1_0", "efficientnet_b0", "regnet_y_400mf", "densenet121"), 96),
    "convnext_tiny": 64,
    "inception_v3": 107,
}
TIMM = {
    **dict.fromkeys(("mobilenetv4_conv_small", "ghostnet_100", "repvgg_a0", "mixnet_s"), 96),
    **dict.fromkeys(("mobilevit_xxs", "edgenext_xx_small"), 96),
    "fastvit_t8": 128,
    "tf_efficientnet_b0": 97,
    "vit_tiny_patch16_224": 224,
    "levit_128s": 224,
}
SEGMENTERS = {"lraspp_mobilenet_v3_large": 96, "deeplabv3_mobilenet_v3_large": 96}
SIZES = {**TORCHVISION, **TIMM, **SEGMENTERS}
# In these networks coremltools 9 uses arrays of one element as numbers, which numpy does not allow from 2.4 on.
ARRAYS_AS_NUMBERS = {
    *("shufflenet_v2_x1_0", "tf_efficientnet_b0", "mobilevit_xxs", "edgenext_xx_small"),
    "vit_tiny_patch16_224",
}


class Segmenter(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A segmenter of torchvision with only its main output."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return self.inner(x)["out"]


def built(name: str) -> Any:
    """Return a network with random weights and statistics."""
    if name in TIMM:
        return randomized(timm().create_model(name, pretrained=False, num_classes=21))
    models = torchvision().models
    if name in SEGMENTERS:
        build = getattr(models.segmentation, name)
        return randomized(Segmenter(build(weights=None, weights_backbone=None, num_classes=7)))
    settings = {"init_weights": True, "aux_logits": False} if name == "inception_v3" else {}
    return randomized(models.get_model(name, weights=None, num_classes=21, **settings))


def assert_same_answers(path: Path, module: Any, size: int) -> None:
    """Assert that the file's network computes what the module does, for a photo of random numbers."""
    x = photo((size, size), batch=1)
    expected = images(asked(module, x).numpy())
    found = computed(converters.read_network([path]), x)
    assert found.shape == expected.shape
    assert np.std(expected) > 1e-2 * np.abs(expected).max()
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SIZES)
def test_networks(name: str, kind: str, tmp_path: Path) -> None:
    if name in ARRAYS_AS_NUMBERS and np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        pytest.skip("coremltools 9 converts it with numpy below 2.4 only")
    module, size = built(name), SIZES[name]
    path = saved(module, torch.zeros(1, 3, size, size), tmp_path, KINDS[kind])
    assert_same_answers(path, module, size)


# ---- Compressed weights --------------------------------------------------------------------------------------------

SMALLEST = 2048  # coremltools compresses only weights with more elements


def stepped(weights: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """Return the nearest weights that 8-bit integers (with scales for each output) or a table of 16 numbers express."""
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    if kind == "table":
        table = np.linspace(rows.min(), rows.max(), 16)
        return table[np.abs(rows[..., None] - table).argmin(-1)].astype(np.float32).reshape(weights.shape)
    if kind == "symmetric":
        step, low = np.abs(rows).max(1, keepdims=True) / 127, np.zeros(1)
    else:
        low = rows.min(1, keepdims=True)
        step = (rows.max(1, keepdims=True) - low) / 255
    return (low + np.round((rows - low) / step) * step).astype(np.float32).reshape(weights.shape)


def with_torchs_layers(module: Any) -> Any:
    """Replace timm's own kinds of layers, which torch.fx does not fold, by those of torch that compute the same."""
    nn = torch.nn
    for name, part in module.named_children():
        if isinstance(part, nn.BatchNorm2d) and type(part) is not nn.BatchNorm2d:
            norm = nn.BatchNorm2d(part.num_features, part.eps)
            norm.load_state_dict(part.state_dict())
            setattr(module, name, nn.Sequential(norm.eval(), part.drop, part.act))
        elif isinstance(part, nn.Linear):
            part.__class__ = nn.Linear
        else:
            with_torchs_layers(part)
    return module


def with_steps(module: Any, kind: str) -> Any:
    """Fold the module's normalizations into its convolutions, and then make large weights `stepped`."""
    module = optimization.fuse(with_torchs_layers(module))
    for part in module.modules():
        if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)) and part.weight.numel() > SMALLEST:
            part.weight.data = torch.from_numpy(stepped(part.weight.detach().numpy(), kind))
    return module.eval()


def table_of(bits: int, weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the different values of weights, and the position of each weight among them."""
    values, places = np.unique(weights, return_inverse=True)
    assert values.size <= 2**bits
    return np.pad(values, (0, 2**bits - values.size)), places


def compressed_network(path: Path, kind: str) -> Path:
    """Compress the large weights of a neural network. Biases stay as they are."""
    utilities = coremltools.models.neural_network.quantization_utils

    class Weights(utilities.AdvancedQuantizedLayerSelector):  # type: ignore[misc, name-defined]
        def do_quantize(self, layer: Any, weight_param: str = "") -> bool:
            inner = getattr(layer, layer.WhichOneof("layer"))
            large = hasattr(inner, "weights") and len(inner.weights.floatValue) > SMALLEST
            return weight_param != "bias" and large

    settings = {"table": (4, "custom_lut"), "affine": (8, "linear")}[kind]
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    small = utilities.quantize_weights(model, *settings, lut_function=table_of, selector=Weights())
    spec = small.get_spec() if hasattr(small, "get_spec") else small
    path.write_bytes(spec.SerializeToString())
    return path


def compressed_program(path: Path, kind: str) -> Path:
    optimize = coremltools.optimize.coreml
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    if kind == "table":
        made = optimize.OpPalettizerConfig(mode="unique", weight_threshold=SMALLEST)
        small = optimize.palettize_weights(model, optimize.OptimizationConfig(global_config=made))
    else:
        made = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=SMALLEST)
        small = optimize.linear_quantize_weights(model, optimize.OptimizationConfig(global_config=made))
    small.save(str(path))
    return path


@pytest.mark.parametrize(
    ("target", "kind"), [("iOS14", "affine"), ("iOS14", "table"), ("iOS16", "symmetric"), ("iOS16", "table")]
)
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet18", "mnasnet0_5", "mobilenetv4_conv_small"])
def test_compressed_networks(name: str, target: str, kind: str, tmp_path: Path) -> None:
    """With weights that the compression can express exactly, the results are torch's."""
    module, size = with_steps(built(name), kind), SIZES[name]
    path = saved(module, torch.zeros(1, 3, size, size), tmp_path, target)
    whole = sum(part.stat().st_size for part in (path, *path.rglob("*")))
    path = (compressed_network if target == "iOS14" else compressed_program)(path, kind)
    assert sum(part.stat().st_size for part in (path, *path.rglob("*"))) < 0.45 * whole
    assert_same_answers(path, module, size)


# ---- A detector ----------------------------------------------------------------------------------------------------

CLASSES = ["cat", "dog", "bird"]
SUPPRESSION = {"score_threshold": 0.3, "iou_threshold": 0.5, "max_candidates": 0, "method": "hard"}


class Detector(torch.nn.Module):  # type: ignore[misc, name-defined]
    """MobileNet V3 with a box and the probabilities of three classes for each pixel of two maps."""

    def __init__(self) -> None:
        super().__init__()
        features = torchvision().models.mobilenet_v3_small(weights=None).features
        self.parts = torch.nn.ModuleList([features[:9], features[9:]])
        self.heads = torch.nn.ModuleList(torch.nn.Conv2d(c, 4 + len(CLASSES), 1) for c in (48, 576))

    def forward(self, x: Any) -> Any:
        rows = []
        for part, head in zip(self.parts, self.heads, strict=True):
            x = part(x)
            rows.append(head(x).flatten(2).transpose(1, 2))
        found = torch.sigmoid(torch.cat(rows, 1)[0])
        return found[:, :4] * torch.tensor([1.0, 1.0, 0.2, 0.3], dtype=found.dtype), found[:, 4:]


def with_drawn_weights(module: Any, seed: int) -> Any:
    """Return the module for inference with weights drawn by numpy, which are the same for all versions of torch.

    The number of boxes that the suppression keeps depends on them.
    """
    draw = np.random.default_rng(seed)

    def put(tensor: Any, numbers: NDArray[np.float64]) -> None:
        tensor.data = torch.from_numpy(numbers.astype(np.float32))

    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d):
            put(part.weight, draw.normal(0.0, (2 / part.weight[0].numel()) ** 0.5, tuple(part.weight.shape)))
            if part.bias is not None:
                put(part.bias, draw.normal(0.0, 0.2, part.out_channels))
        elif isinstance(part, torch.nn.BatchNorm2d):
            put(part.running_mean, draw.normal(0.0, 0.2, part.num_features))
            put(part.running_var, draw.uniform(0.5, 2.0, part.num_features))
            put(part.weight, draw.uniform(0.5, 1.5, part.num_features))
            put(part.bias, draw.normal(0.0, 0.2, part.num_features))
    return module.eval()


def detector(module: Any, path: Path, target: str, size: int, *, per_class: bool) -> Path:
    """Save a pipeline of the network and a suppression of boxes, which coremltools puts together."""
    image = coremltools.ImageType("photo", shape=(1, 3, size, size), scale=1 / 127.5, bias=[-1.0] * 3)
    outputs = [coremltools.TensorType("boxes"), coremltools.TensorType("chances")]
    part = saved(module, torch.zeros(1, 3, size, size), path, target, inputs=[image], outputs=outputs)
    network = coremltools.models.MLModel(str(part), skip_model_load=True)
    spec = coremltools.proto.Model_pb2.Model(specificationVersion=network.get_spec().specificationVersion)
    spec.description.input.extend(network.get_spec().description.output)
    for name, columns in (("coordinates", 4), ("confidence", len(CLASSES))):
        array = spec.description.output.add(name=name).type.multiArrayType
        array.dataType = coremltools.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT32
        array.shapeRange.sizeRanges.add(lowerBound=0, upperBound=-1)
        array.shapeRange.sizeRanges.add(lowerBound=columns, upperBound=columns)
    held = spec.nonMaximumSuppression
    held.iouThreshold = SUPPRESSION["iou_threshold"]
    held.confidenceThreshold = SUPPRESSION["score_threshold"]
    held.coordinatesInputFeatureName, held.coordinatesOutputFeatureName = "boxes", "coordinates"
    held.confidenceInputFeatureName, held.confidenceOutputFeatureName = "chances", "confidence"
    held.pickTop.perClass = per_class
    held.stringClassLabels.vector.extend(CLASSES)
    suppression = coremltools.models.MLModel(spec, skip_model_load=True)
    made = path / f"detector{part.suffix}"
    coremltools.utils.make_pipeline(network, suppression).save(str(made))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_detectors(kind: str, tmp_path: Path) -> None:
    size = 160
    module = with_drawn_weights(Detector(), 6)
    path = detector(module, tmp_path, KINDS[kind], size, per_class=True)
    pixels = np.random.default_rng(8).integers(0, 256, (size, size, 3), np.uint8)
    boxes, chances = (found.numpy() for found in asked(module, pixels[None] / 127.5 - 1.0))
    # A box counts only for its best class.
    chances = np.where(chances == chances.max(1, keepdims=True), chances, 0.0)
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)
    expected = sorted(
        (score, label, (corners[box] * size).tolist())
        for label, column in zip(CLASSES, chances.T, strict=True)
        for box, score in detection.suppress(corners, column.tolist(), SUPPRESSION, len(boxes))
    )
    found = sorted(
        mpscnn.load(path, device="cpu").predict(Image.fromarray(pixels)), key=lambda one: one.score
    )
    assert len(boxes) > len(expected) > 10
    assert [one.label for one in found] == [label for _, label, _ in expected]
    for one, (score, _, box) in zip(found, expected, strict=True):
        assert abs(one.score - score) < TOLERANCE
        # Boxes are clipped to the photo.
        np.testing.assert_allclose(one.box, np.clip(box, 0, size), atol=TOLERANCE * size)
