"""Numbers that clients write: each numeric parameter of `mpscnn serve` refuses odd texts with status 400."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import photo_models
import pytest
from command_line import save_colour_model
from constant_detector import save_constant_detector
from PIL import Image
from serving import Answer, Service, require_packages, serving

import mpscnn
from mpscnn._private.arguments import number_in, whole_number_in

require_packages()

LONG = "9" * 4_301  # int() raises ValueError for it
ZEROS = "0" * 4_400 + "5"
ODD = {
    "10^20": "1" + "0" * 20,
    "4,301 digits": LONG,
    "4,400 zeros": ZEROS,
    "13 digits, most of them zeros": "0000000019999",
    "Arabic digits": "\u0663",
    "a superscript": "\u00b3",
    "-1": "-1",
    "nothing": "",
    "a space": " 5",
    "an underscore": "1_000",
    "a plus": "+5",
    "more than a C int": "3000000000",
    "nan": "nan",
    "inf": "inf",
    "hexadecimal": "0x10",
}
LARGE = {"10^20", "13 digits, most of them zeros", "more than a C int"}
HEADER_LENGTH = "Inference-Header-Content-Length"

#: The odd texts that are valid for a parameter: they are numbers within its limits.
VALID = {
    "top": {"13 digits, most of them zeros"},  # all classes, if there are fewer
    "max_detections": {"13 digits, most of them zeros"},
    "tiles": {"13 digits, most of them zeros"},  # a photo is smaller than a tile
    "X-Request-Timeout": LARGE,  # the service's own deadline is shorter
}
#: Texts that HTTP headers cannot have: others arrive without the space at their beginning.
NOT_IN_HEADERS = {"Arabic digits", "a space"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("served")
    boxes = directory / "boxes.safetensors"
    boxes.write_bytes(photo_models.load(directory, "detection")._core.content())
    with serving(save_colour_model(directory / "colours.safetensors"), boxes, "--device", "cpu") as running:
        yield running


@pytest.fixture(scope="module")
def photo() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 10), (255, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def infer(of_request: dict[str, Any] | None = None, **changes: Any) -> bytes:
    fields = {"name": "image", "shape": [1, 8, 8, 3], "datatype": "FP32", "data": [0.5] * 192}
    return json.dumps({"inputs": [{**fields, **changes}], "parameters": of_request or {}}).encode()


def ask(service: Service, photo: bytes, name: str, text: str) -> Answer:
    """Send a request whose numeric parameter `name` has this text."""
    if name == "runs":
        return service.request(f"/v1/models/colours/profile?runs={quote(text)}")
    if name in ("top", "coverage"):
        return service.request(f"/v1/classify?{name}={quote(text)}", photo)
    if name == HEADER_LENGTH:
        return service.request("/v2/models/colours/infer", infer(), {name: text})
    if name == "X-Request-Timeout":
        return service.request("/v1/classify", photo, {name: text})
    return service.request(f"/v1/detect?{name}={quote(text)}", photo)


PARAMETERS = (
    "runs", "top", "coverage", "score_threshold", "iou_threshold", "max_detections", "classes", "tiles", "overlap",
    HEADER_LENGTH, "X-Request-Timeout",
)  # fmt: skip


def test_the_list_of_parameters_is_complete(service: Service) -> None:
    numeric = {"classes", "X-Request-Timeout"}  # a text with numbers, and a header of all requests
    for methods in service.request("/openapi.json").json["paths"].values():
        for about in methods.values():
            for parameter in about["parameters"]:
                if parameter["schema"]["type"] in {"integer", "number"}:
                    numeric.add(parameter["name"])
    assert numeric == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_odd_numbers_are_refused(service: Service, photo: bytes, name: str) -> None:
    for about, text in ODD.items():
        if "-" in name and about in NOT_IN_HEADERS:
            continue
        answer = ask(service, photo, name, text)
        expected = 200 if about in VALID.get(name, ()) else 400
        assert answer.status == expected, (about, answer.body[:200])
        if expected == 400:
            assert answer.json.keys() >= {"error"}
            assert len(answer.body) < 500, about


@pytest.mark.parametrize("text", ["1" + "0" * 20, LONG, "-1", "1.5", "1e400", "null", '"5"', "[1]", "true"])
def test_odd_numbers_in_json_are_refused(service: Service, text: str) -> None:
    def sent(body: bytes, path: str = "/v2/models/colours/infer") -> Answer:
        assert b"12345" in body
        return service.request(path, body.replace(b"12345", text.encode()))

    described = [
        infer(shape=[12345]),
        infer(shape=[12345, 8, 8, 3]),
        infer(parameters={"binary_data_size": 12345}).replace(b'"data"', b'"other"'),
    ]
    for body in described:
        assert sent(body).status in (400, 413), body[:100]
    assert sent(infer({"timeout": 12345})).status == (200 if text == "null" else 400)
    # 10^20 would be a number of the input, but FP32 has it, too
    data = sent(infer(data=[12345] * 192)).status
    assert data == (200 if text in ("1" + "0" * 20, "-1", "1.5") else 400)
    assert sent(b'{"threads": 12345}', "/v1/models/colours/options").status == 400


@pytest.mark.parametrize("text", ["3000000000", "1" + "0" * 20])
def test_large_numbers_are_errors_of_parameters(tmp_path: Path, text: str) -> None:
    model = photo_models.load(tmp_path, "detection")
    with pytest.raises(mpscnn.ParameterError, match=r"there is no class|a class must be"):
        model.detect(Image.new("RGB", (8, 8)), classes=[text])
    colours = mpscnn.load(save_colour_model(tmp_path / "colours.safetensors"))
    with pytest.raises(mpscnn.ParameterError, match="top must be a number from 1 to 2147483647"):
        colours.classify(Image.new("RGB", (8, 8)), top=int(text))


def test_a_text_is_a_label_if_all_labels_are_numbers(tmp_path: Path) -> None:
    photo = Image.new("RGB", (32, 16))
    numbered, mixed = (
        mpscnn.load(save_constant_detector(tmp_path / f"{labels[1]}.safetensors", labels=labels))
        for labels in (("10", "0"), ("10", "dog"))
    )
    assert [one.label for one in numbered.detect(photo, classes=["10"])] == ["10"]
    assert [one.label for one in numbered.detect(photo, classes=[0])] == ["10"]
    assert [one.label for one in mixed.detect(photo, classes=["0"])] == ["10"]
    assert (
        list(numbered.detect(photo, classes=["0"])) == []
    )  # the label of class 1, of which there is no object
    with pytest.raises(mpscnn.ParameterError, match="there is no class '1'"):
        numbered.detect(photo, classes=["1"])


def test_texts_of_numbers() -> None:
    assert [whole_number_in(text) for text in ("0", "007", "12", "9" * 19)] == [0, 7, 12, int("9" * 19)]
    for text in ("", "-1", "+1", " 1", "1 ", "1_0", "1.0", "\u0663", "\u00b2", "1\n", "9" * 20, LONG, ZEROS):
        assert whole_number_in(text) is None
    assert [number_in(text) for text in ("0.5", "-1", "1e-3", ".5", "5.", "1E+2", "0" * 25)] == [
        0.5, -1.0, 1e-3, 0.5, 5.0, 100.0, 0.0,
    ]  # fmt: skip
    for number in (0.1, 1 / 3, 1e300, 5e-324, -1.7976931348623157e308):
        assert number_in(repr(number)) == number
    for text in (
        "",
        ".",
        "-",
        "e5",
        "+1",
        " 1",
        "1_0",
        "nan",
        "inf",
        "1e",
        "\u0663",
        "1\n",
        LONG,
        "0." + ZEROS,
    ):
        assert number_in(text) is None
