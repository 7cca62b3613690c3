"""Write torchvision's and timm's networks as Core ML models, and compute the files without mpscnn, beside torch."""

from __future__ import annotations

from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from numpy.typing import NDArray
from oracles.coreml_layers import run_network
from oracles.coreml_programs import run_program, torch
from oracles.test_coreml_networks import Detector, built, with_drawn_weights
from oracles.torchvision_models import asked, photo, torchvision

import mpscnn
from mpscnn import Network, converters

coremltools = pytest.importorskip("coremltools", reason="coremltools is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

#: The allowed difference from torch's results in float32, relative to the largest result.
TOLERANCE = 1e-4
SIDE = 64
NAMES = (
    *("mobilenet_v2", "mobilenet_v3_small", "resnet18", "squeezenet1_1", "shufflenet_v2_x1_0"),
    *("efficientnet_b0", "regnet_y_400mf", "mnasnet0_5", "convnext_tiny", "densenet121"),
    *("ghostnet_100", "mobilenetv4_conv_small", "mixnet_s", "edgenext_xx_small"),
)
KINDS = (".mlpackage", ".mlmodel")
COMPRESSED: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{kind} {dtype}": (kind, {"dtype": dtype}) for kind in KINDS for dtype in ("float16", "uint8")},
    **{f"palette of {bits} bits": (".mlpackage", {"palette": bits}) for bits in (4, 8)},
}


@cache
def module_of(name: str) -> Any:
    return built(name)


@cache
def network_of(name: str) -> Network:
    return mpscnn.from_torch(module_of(name), torch.zeros(1, 3, SIDE, SIDE))


def run(path: Path, x: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return what the network in a file computes of images (1, rows, columns, channels), by name of the result."""
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    if spec.WhichOneof("Type") == "pipeline":
        spec = spec.pipeline.models[0]
    given = {spec.description.input[0].name: np.ascontiguousarray(x.transpose(0, 3, 1, 2))}
    if spec.WhichOneof("Type") == "mlProgram":
        return run_program(spec, model.weights_dir, given)
    return run_network(spec, given)


def result(path: Path, x: NDArray[Any]) -> NDArray[np.float64]:
    """Return the only output of a file's network, with the channels of images at the end."""
    spec = coremltools.utils.load_spec(str(path))
    (output,) = (one.name for one in spec.description.output)
    found = run(path, x)[output]
    return found.transpose(0, 2, 3, 1) if found.ndim == 4 else found


def assert_close(found: NDArray[Any], expected: NDArray[Any], tolerance: float = TOLERANCE) -> None:
    expected = expected.reshape(found.shape)
    assert np.std(expected) > 1e-3 * np.abs(expected).max()
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_networks(name: str, kind: str, tmp_path: Path) -> None:
    assert_written(name, kind, tmp_path)


@pytest.mark.ci
@pytest.mark.parametrize("kind", KINDS)
def test_a_small_network(kind: str, tmp_path: Path) -> None:
    assert_written("squeezenet1_1", kind, tmp_path)


def assert_written(name: str, kind: str, folder: Path) -> None:
    path, x = folder / f"one{kind}", photo((SIDE, SIDE), batch=1)
    converters.export_coreml(network_of(name), path)
    assert_close(result(path, x), asked(module_of(name), x).numpy())


@pytest.mark.full
@pytest.mark.parametrize("choice", COMPRESSED)
@pytest.mark.parametrize("name", NAMES)
def test_compressed_weights(name: str, choice: str, tmp_path: Path) -> None:
    """The weights that coremltools decompresses are those that mpscnn reads, and give the same results.

    The integers of a program are weights of float16. coremltools rounds the product of integer and scale to that, and
    mpscnn does not.
    """
    if "palette" in choice:
        pytest.importorskip("sklearn", reason="palettes need scikit-learn")
    kind, settings = COMPRESSED[choice]
    path, x = tmp_path / f"one{kind}", photo((SIDE, SIDE), batch=1)
    converters.export_coreml(network_of(name), path, **settings)
    tolerance = 4e-3 if choice == ".mlpackage uint8" else TOLERANCE
    assert_close(result(path, x), computed(converters.read_network([path]), x), tolerance)


@pytest.mark.ci
@pytest.mark.parametrize("kind", KINDS)
def test_classifiers_with_a_sigmoid(kind: str, tmp_path: Path) -> None:
    """The file takes the samples of photos, and gives the sigmoid of each logit."""
    network = copy(network_of("squeezenet1_1"))
    network.preprocess = {"mean": [123.0, 117.0, 104.0], "scale": [0.017, 0.018, 0.0171]}
    network.labels, network.scores = [f"kind {number}" for number in range(21)], "sigmoid"
    path = tmp_path / f"one{kind}"
    converters.export_coreml(network, path)
    samples = np.random.default_rng(3).integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.float32)
    x = (samples - np.float32([123.0, 117.0, 104.0])) * np.float32([0.017, 0.018, 0.0171])
    expected = torch.sigmoid(asked(module_of("squeezenet1_1"), x)).numpy()
    found = [value for value in run(path, samples).values() if value.size == expected.size]
    assert_close(found[-1], expected)


class Upsampled(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A segmenter that enlarges its scores by repeated pixels, which both kinds of models can express."""

    def __init__(self) -> None:
        super().__init__()
        features = torchvision().models.squeezenet1_1(weights=None).features[:5]
        self.layers = torch.nn.Sequential(
            features, torch.nn.Conv2d(128, 7, 1), torch.nn.Upsample(scale_factor=8)
        )

    def forward(self, x: Any) -> Any:
        return self.layers(x)


@pytest.mark.full
@pytest.mark.parametrize("kind", [*KINDS, "bilinear"])
def test_segmenters(kind: str, tmp_path: Path) -> None:
    """The file has the number of the best class of each pixel. Scores that are nearly equal may differ."""
    module = built("lraspp_mobilenet_v3_large") if kind == "bilinear" else with_drawn_weights(Upsampled(), 1)
    network = mpscnn.from_torch(module, torch.zeros(1, 3, SIDE, SIDE))
    network.labels = [f"kind {number}" for number in range(7)]
    path, x = tmp_path / f"one{'.mlpackage' if kind == 'bilinear' else kind}", photo((SIDE, SIDE), batch=1)
    converters.export_coreml(network, path)
    scores = asked(module, x).numpy()[0]
    second, first = np.sort(scores, axis=0)[-2:]
    clear = first - second > TOLERANCE * np.abs(scores).max()
    found = run(path, x)["semanticPredictions"].reshape(clear.shape)
    assert clear.mean() > 0.9
    assert (found == scores.argmax(0))[clear].all()


class Edges(Detector):
    """A detector that gives the edges of boxes and the probabilities of classes, for each image of a batch."""

    def forward(self, x: Any) -> Any:
        rows = []
        for part, head in zip(self.parts, self.heads, strict=True):
            x = part(x)
            rows.append(head(x).flatten(2).transpose(1, 2))
        found = torch.sigmoid(torch.cat(rows, 1))
        return found[..., :4], found[..., 4:]


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_detectors(kind: str, tmp_path: Path) -> None:
    """The network of the pipeline gives centres and sizes, and the scores of the best class of each box."""
    module = with_drawn_weights(Edges(), 6)
    network = mpscnn.from_torch(module, torch.zeros(1, 3, SIDE, SIDE))
    boxes, chances = (tensor.name for tensor in network.outputs)
    network.labels = ["cat", "dog", "bird"]
    network.detection = mpscnn.DetectionHead(
        {
            "version": 1,
            "boxes": {"order": "xy", "output": boxes},
            "scores": {"kind": "probability", "background": False, "output": chances},
            "anchors": {"rule": "none"},
            "suppression": {"per_class": False, "iou_threshold": 0.4, "score_threshold": 0.2},
        }
    )
    path, x = tmp_path / f"one{kind}", photo((SIDE, SIDE), batch=1)
    converters.export_coreml(network, path)
    edges, scores = (one.numpy()[0] for one in asked(module, x))
    found = run(path, x)
    centres, sizes = (edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2]
    assert_close(found["raw_coordinates"], np.concatenate([centres, sizes], 1))
    assert_close(found["raw_confidence"], scores)
