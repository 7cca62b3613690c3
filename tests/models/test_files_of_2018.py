"""Compare quantised files of 2018 with LiteRT. Their convolutions' only activation is the range of the integers."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from converters import litert_parts
from exact_engines import litert_results
from numpy.typing import NDArray
from tiers import with_full

import mpscnn
from mpscnn import converters, registry
from mpscnn.registry import lookup
from mpscnn.registry.download import Client

FOLDER = "models/tflite_support"
CLASSIFIER, DETECTOR = "mobilenet_v1_0.25_224_quant", "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29"
PRECISIONS = with_full(["float32", "int8"], ["float16", "bfloat16"])
#: Rounding may change an object's score by this number. The class of a photo is compared only if the probability of its
#: best class exceeds that of the second class by more than this number.
MARGIN = 0.05
#: For objects with smaller scores, rounding decides which of two neighbouring anchors is kept.
SURE = 0.6


@pytest.fixture(params=PRECISIONS)
def precision(request: pytest.FixtureRequest) -> str:
    if request.param == "bfloat16" and "no_bfloat16" in mpscnn.devices()[0]:
        pytest.skip(f"bfloat16: {mpscnn.devices()[0]['no_bfloat16']}")
    return str(request.param)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set one cache for all tests of a process, so that files are converted only once."""
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path_factory.getbasetemp() / "files_of_2018"))


def photos(shared: Path) -> list[Path]:
    found = [path for path in sorted((shared / "images").iterdir()) if path.suffix in (".bmp", ".jpg")]
    return [path for path in found if "mask" not in path.name]


def test_classes(shared: Path, precision: str) -> None:
    path = shared / FOLDER / f"{CLASSIFIER}.tflite"
    model = mpscnn.load(path, device="cpu", precision=precision)
    compared = 0
    allowed = 0.0 if precision == "int8" else 0.06
    for photo in photos(shared):
        probabilities = litert_parts.classify([path], photo)
        first, second = np.argsort(-probabilities)[:2]
        if probabilities[first] - probabilities[second] > MARGIN:
            compared += 1
            found = model.predict(photo, top=1).predictions[0]
            assert found.index == first, photo.name
            assert found.probability == pytest.approx(probabilities[first], abs=allowed, rel=0.0)
    assert compared >= 7


def litert_objects(path: Path, photo: Path) -> list[tuple[int, float, NDArray[np.float64]]]:
    """Return class, score and edges (left, top, right, bottom) of objects. Edges are fractions of the photo's size."""
    results = litert_results(path, litert_parts.pixels(photo, (300, 300)))
    boxes, classes, scores, _ = (result[0] for result in results)
    order = [1, 0, 3, 2]
    return [
        (int(number), float(score), box[order].astype(np.float64))
        for box, number, score in zip(boxes, classes, scores, strict=True)
    ]


@pytest.mark.ci
def test_boxes(shared: Path, precision: str) -> None:
    path = shared / FOLDER / f"{DETECTOR}.tflite"
    model = mpscnn.load(path, device="cpu", precision=precision)
    compared = 0
    for photo in photos(shared):
        found = model.detect(photo)
        width, height = found.photo_size
        shares = found.boxes.astype(np.float64) / [width, height, width, height]
        for number, score, box in litert_objects(path, photo):
            if score < SURE:
                continue
            compared += 1
            distances = np.abs(shares - np.clip(box, 0.0, 1.0)).max(axis=1)
            distances[found.indices != number] = np.inf
            nearest = int(distances.argmin())
            assert distances[nearest] <= 0.02, f"{photo.name}: {distances[nearest]}"
            assert found.scores[nearest] == pytest.approx(score, abs=MARGIN)
    assert compared >= 10


@pytest.mark.parametrize("name", [CLASSIFIER, DETECTOR])
def test_limits_cost_no_step(shared: Path, name: str) -> None:
    """Test that limits by the range of the integers need no layers and no steps of the plan."""
    network = converters.read_network([shared / FOLDER / f"{name}.tflite"])
    structure = network.to_dict()
    kinds = [node["attributes"]["kind"] for node in structure["nodes"] if node["operation"] == "neuron"]
    assert kinds == ["sigmoid"] * (name == DETECTOR)
    for node in structure["nodes"]:
        node.pop("activation", None)
    plain = network.restructured(structure)
    steps = [
        len(one.compile(device="cpu", precision="float32").explain(threads=1).steps)
        for one in (network, plain)
    ]
    assert steps[0] == steps[1]


def test_the_detector_of_the_registry_is_this_file(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The detector is downloaded by its name from a local server. Its boxes are those of LiteRT."""
    folder = shared / FOLDER
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{served.server_port}/"
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path))
    monkeypatch.delenv("MPSCNN_MODELS", raising=False)
    (entry,) = (entry for entry in registry.models() if entry.name == "ssd_mobilenet_v1_coco")
    (file,) = entry.sources
    commit = "dd3362ea685bb7ab1f7268c81ec567d3b720ae57"
    assert file.url.startswith(f"https://raw.githubusercontent.com/tensorflow/tflite-support/{commit}/")
    local = replace(entry, sources=(replace(file, url=root + file.name),))
    try:
        path = lookup.prepare(local, client=Client(allowed=lambda url: url.startswith(root)))
    finally:
        served.shutdown()
        served.server_close()
    assert registry.find("ssd_mobilenet_v1_coco", download=False) == path
    model = mpscnn.load("ssd_mobilenet_v1_coco", device="cpu", precision="int8")
    assert model.labels is not None
    assert len(model.labels) == entry.classes
    animals = {"cat_720p.jpg": "cat", "parrot.jpg": "bird", "pets.jpg": "dog"}
    for name, label in animals.items():
        photo = shared / "images" / name
        found = model.predict(photo, score_threshold=SURE)
        assert label in [one.label for one in found]
        width, height = found.photo_size
        expected = [one for one in litert_objects(folder / file.name, photo) if one[1] >= SURE]
        assert [one.label for one in found] == [model.labels[number] for number, _, _ in expected]
        np.testing.assert_allclose(found.scores, [score for _, score, _ in expected], atol=1e-6)
        edges = np.array([box for _, _, box in expected]) * (width, height, width, height)
        np.testing.assert_allclose(found.boxes, edges, atol=1e-3 * max(width, height))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
