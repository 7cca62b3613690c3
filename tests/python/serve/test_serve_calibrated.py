"""Serve a calibrated classifier: answers have `unfamiliar` and sets, and its features are no output."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import LABELS, colour_network, save_colour_model
from PIL import Image
from serving import Service, require_packages, serving

import mpscnn

require_packages()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model file whose calibration does not know some photos and is unsure about others."""
    draw = np.random.default_rng(0)
    pixels = (draw.uniform(60, 256, (60, 8, 8, 1)) * draw.uniform(0.8, 1, (60, 1, 1, 3))).astype(np.uint8)
    path = tmp_path_factory.mktemp("served") / "calibrated.safetensors"
    model = mpscnn.Model(colour_network(), labels=LABELS, preprocess="unit")
    model.calibrate((pixels, draw.integers(0, 3, 60))).save(path, dtype="float32")
    return path


@pytest.fixture(scope="module")
def service(file: Path) -> Iterator[Service]:
    plain = save_colour_model(file.parent / "plain.safetensors")
    with serving(file, plain, "--device", "cpu") as running:
        yield running


def photo() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 10), (120, 130, 128)).save(stream, "PNG")
    return stream.getvalue()


def test_answers_say_how_unfamiliar_a_photo_is_and_have_its_set(service: Service, file: Path) -> None:
    """This takes a second, since a process starts."""
    expected = mpscnn.load(file).classify(photo())
    answer = service.request("/v1/classify", photo()).json
    assert answer["unfamiliar"] == expected.unfamiliar
    assert len(answer["predictions"]) == 3
    sizes = set()
    for coverage in (0.02, 0.5, 0.9):
        for path, body, headers in asked(coverage):
            answer = service.request(path, body, headers).json
            found = [entry["index"] for entry in answer["predictions"]]
            assert found == [entry.index for entry in expected.set(coverage)]
            assert answer["unfamiliar"] == expected.unfamiliar
            sizes.add(len(found))
    assert len(sizes) > 1
    assert 0 in sizes
    picture = service.request("/v1/classify?coverage=0.02", photo(), {"Accept": "image/png"})
    assert picture.headers["content-type"] == "image/png"  # of an empty set, too
    assert "unfamiliar" not in service.request("/v1/classify?model=plain", photo()).json
    (calibrated, plain) = service.request("/v1/models").json["models"]
    assert calibrated["scores_are"] == plain["scores_are"] == "softmax"


def asked(coverage: float) -> list[tuple[str, bytes, dict[str, str]]]:
    """Return a request with the option in the query, and one with it in a form."""
    form = (
        f'--b\r\nContent-Disposition: form-data; name="coverage"\r\n\r\n{coverage}\r\n'
        '--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    ).encode()
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    return [
        (f"/v1/classify?coverage={coverage}", photo(), {}),
        ("/v1/classify", form + photo() + b"\r\n--b--\r\n", kind),
    ]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("coverage=1", "coverage must be above 0 and below 1"),
        ("coverage=nan", "coverage"),
        ("coverage=most", "coverage: expected number, got 'most'"),
        ("coverage=0.9&top=2", "one of top and coverage"),
        ("coverage=0.9&model=plain", "not calibrated"),
    ],
)
def test_sets_that_there_are_not_are_refused(service: Service, query: str, said: str) -> None:
    answer = service.request(f"/v1/classify?{query}", photo())
    assert answer.status == 400
    assert said in answer.body.decode()


def test_the_features_of_a_calibration_are_no_output(service: Service, file: Path) -> None:
    model = mpscnn.load(file)
    assert model.calibration is not None
    one, other = (service.request(f"/v2/models/{name}").json for name in ("calibrated", "plain"))
    assert one["outputs"] == other["outputs"]
    values = np.random.default_rng(1).random((1, 8, 8, 3), np.float32)
    given: dict[str, Any] = {"name": "input", "shape": [1, 8, 8, 3], "datatype": "FP32"}
    given["name"] = one["inputs"][0]["name"]
    request = {"inputs": [{**given, "data": values.ravel().tolist()}]}
    outputs = [
        service.request(f"/v2/models/{name}/infer", json.dumps(request).encode()).json["outputs"]
        for name in ("calibrated", "plain")
    ]
    assert outputs[0] == outputs[1]
    binary = {"inputs": request["inputs"], "parameters": {"binary_data_output": True}}
    answer = service.request("/v2/models/calibrated/infer", json.dumps(binary).encode())
    assert len(answer.body) - int(answer.headers["inference-header-content-length"]) == 12
    request["outputs"] = [{"name": model.calibration.layer}]
    answer = service.request("/v2/models/calibrated/infer", json.dumps(request).encode())
    assert answer.status == 400
    assert "there is no output" in answer.body.decode()
