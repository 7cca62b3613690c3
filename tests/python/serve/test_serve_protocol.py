"""Test the Open Inference Protocol with Triton's client, and by hand with requests that no client sends."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from numpy.typing import NDArray
from PIL import Image
from serving import Answer, Service, require_packages, serving

import mpscnn

require_packages()

SHAPE = (2, 16, 24, 3)
HEADER_LENGTH = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mpscnn.Model:
    """Return a model with two outputs."""
    return photo_models.load(tmp_path_factory.mktemp("models"), "detection")


def _two_inputs(path: Path) -> None:
    network = mpscnn.Network({"a": (None, None, 3), "b": (None, None, 3)}, name="sum")
    network.output(network.add(*network.inputs, name="sum"))
    network.save(path)


@pytest.fixture(scope="module")
def service(model: mpscnn.Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("served")
    path, sums = directory / "boxes.safetensors", directory / "sums.safetensors"
    path.write_bytes(model._core.content())
    _two_inputs(sums)
    with serving(path, sums, "--device", "cpu", "--max-pixels", "5000") as running:
        yield running


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return np.random.default_rng(3).random(SHAPE, np.float32)


@pytest.fixture
def triton(service: Service) -> Iterator[Any]:
    http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    host, port = service.place
    client = http.InferenceServerClient(f"{host}:{port}")
    yield client
    client.close()


def test_triton_sees_health_and_metadata(triton: Any, model: mpscnn.Model) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("boxes")
    assert triton.is_model_ready("boxes", "1")
    assert not triton.is_model_ready("boxes", "2")
    assert not triton.is_model_ready("nothing")
    about = triton.get_server_metadata()
    assert (about["name"], about["version"]) == ("mpscnn", mpscnn.__version__)
    metadata = triton.get_model_metadata("boxes")
    assert metadata["inputs"] == [
        {"name": next(iter(model.program.inputs)), "datatype": "FP32", "shape": [-1, 16, 24, 3]}
    ]
    assert {output["name"] for output in metadata["outputs"]} == set(model.program.outputs)
    assert triton.get_model_metadata("sums")["inputs"][1]["shape"] == [-1, -1, -1, 3]


@pytest.mark.parametrize(
    ("kind", "binary_in", "binary_out"),
    [
        *(("FP32", binary_in, binary_out) for binary_in in (False, True) for binary_out in (False, True)),
        ("FP16", True, True),  # Triton's client sends FP16 only as bytes
        ("FP64", False, False),
        ("FP64", True, True),
    ],
)
def test_triton_gets_the_numbers_of_a_session(
    triton: Any,
    model: mpscnn.Model,
    images: NDArray[np.float32],
    kind: str,
    binary_in: bool,
    binary_out: bool,
) -> None:
    import tritonclient.http as http

    given = images.astype({"FP32": np.float32, "FP16": np.float16, "FP64": np.float64}[kind])
    tensor = http.InferInput("image", list(given.shape), kind)
    tensor.set_data_from_numpy(given, binary_data=binary_in)
    names = list(model.program.outputs)
    outputs = [http.InferRequestedOutput(name, binary_data=binary_out) for name in reversed(names)]
    answer = triton.infer("boxes", [tensor], outputs=outputs, request_id="7", timeout=20_000_000)
    response = answer.get_response()
    assert (response["model_name"], response["model_version"], response["id"]) == ("boxes", "1", "7")
    assert [output["name"] for output in response["outputs"]] == [output.name() for output in outputs]
    expected = model.program.session().run(given)
    for name in names:
        np.testing.assert_array_equal(answer.as_numpy(name), expected[name])


def test_triton_gets_all_outputs_if_it_names_none(
    triton: Any, model: mpscnn.Model, images: NDArray[np.float32]
) -> None:
    import tritonclient.http as http

    tensor = http.InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    answer = triton.infer("boxes", [tensor])
    expected = model.program.session().run(images)
    for name, value in expected.items():
        np.testing.assert_array_equal(answer.as_numpy(name), value)


def test_several_inputs_of_a_free_size(triton: Any) -> None:
    import tritonclient.http as http

    random = np.random.default_rng(0)
    arrays = {name: random.random((1, 5, 7, 3), np.float32) for name in ("b", "a")}
    tensors = []
    for name, array in arrays.items():
        tensors.append(http.InferInput(name, list(array.shape), "FP32"))
        tensors[-1].set_data_from_numpy(array, binary_data=name == "b")
    answer = triton.infer("sums", tensors)
    np.testing.assert_array_equal(answer.as_numpy("sum"), arrays["a"] + arrays["b"])


def test_pixels_and_image_files_are_prepared_as_photos(triton: Any, model: mpscnn.Model) -> None:
    import tritonclient.http as http

    pixels = np.random.default_rng(2).integers(0, 256, (2, 30, 20, 3)).astype(np.uint8)
    settings = model.preprocess
    assert settings is not None
    inputs = np.concatenate([mpscnn.preprocess(photo, (16, 24), settings) for photo in pixels])
    expected = model.program.session().run(inputs)
    files = []
    for photo in pixels:
        stream = io.BytesIO()
        Image.fromarray(photo).save(stream, "PNG")
        files.append(stream.getvalue())
    for kind, given in (("UINT8", pixels), ("BYTES", np.array(files, dtype=np.object_))):
        tensor = http.InferInput("image", list(given.shape), kind)
        tensor.set_data_from_numpy(given)
        answer = triton.infer("boxes", [tensor])
        for name, value in expected.items():
            np.testing.assert_array_equal(answer.as_numpy(name), value)


def test_triton_is_told_what_is_wrong(triton: Any, images: NDArray[np.float32]) -> None:
    import tritonclient.http as http

    tensor = http.InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    with pytest.raises(http.InferenceServerException, match="there is no model 'boxe'"):
        triton.infer("boxe", [tensor])
    with pytest.raises(http.InferenceServerException, match="classification extension"):
        triton.infer("boxes", [tensor], outputs=[http.InferRequestedOutput("scores", class_count=1)])
    with pytest.raises(http.InferenceServerException, match="there is no output 'score'"):
        triton.infer("boxes", [tensor], outputs=[http.InferRequestedOutput("score")])


def infer(service: Service, request: Any, rest: bytes = b"", length: str | None = None) -> Answer:
    """Send a request made by hand. `rest` are the bytes after the JSON.

    `length` is what the header states as the length of the JSON; None: the right length, or without `rest` no header.
    """
    text = request if isinstance(request, bytes) else json.dumps(request).encode()
    headers = {"Content-Type": "application/octet-stream"}
    if rest or length is not None:
        headers[HEADER_LENGTH] = str(len(text)) if length is None else length
    return service.request("/v2/models/sums/infer", text + rest, headers)


def tensor(name: str = "a", shape: Any = (1, 1, 1, 3), datatype: Any = "FP32", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, **more}


ONE = tensor(data=[1, 2, 3])
TWO = tensor("b", data=[[[[0.5, 0.25, 4]]]])
GOOD = {"inputs": [ONE, TWO]}
IN_BYTES = tensor("b", parameters={"binary_data_size": 12})


def test_plain_json(service: Service) -> None:
    answer = infer(service, GOOD)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "model_name": "sums",
        "model_version": "1",
        "outputs": [{"name": "sum", "datatype": "FP32", "shape": [1, 1, 1, 3], "data": [1.5, 2.25, 7.0]}],
    }
    versioned = service.request("/v2/models/sums/versions/1/infer", json.dumps(GOOD).encode())
    assert versioned.json == answer.json


def test_bytes_behind_the_json(service: Service) -> None:
    rest = np.array([0.5, 0.25, 4], np.float32).tobytes()
    asked = {"inputs": [ONE, IN_BYTES], "parameters": {"binary_data_output": True}}
    answer = infer(service, asked, rest)
    assert answer.status == 200, answer.body
    head = json.loads(answer.body[: int(answer.headers[HEADER_LENGTH.lower()])])
    assert head["outputs"][0]["parameters"] == {"binary_data_size": 12}
    sums = np.frombuffer(answer.body[-12:], np.float32)
    np.testing.assert_array_equal(sums, np.array([1.5, 2.25, 7], np.float32))


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff\xfe{}", 400, "for a, b must be an object"),
        (b'{"inputs":[{"data":' + 100_000 * b"[", 400, "not JSON"),
        (b'{"inputs": NaN}', 400, "not JSON"),
        (b"[]", 400, "for a, b must be an object"),
        ({}, 400, "lacks 'inputs'"),
        ({"inputs": []}, 400, "inputs are a, b, got none"),
        ({"inputs": [3, 3]}, 400, "an input must be an object"),
        ({"inputs": [{"name": 3}, TWO]}, 400, "name must be a text, got 3"),
        ({"inputs": [ONE, ONE]}, 400, "input 'a' is there twice"),
        ({"inputs": [ONE, tensor("c", data=[1, 2, 3])]}, 400, "inputs are a, b, got a, c"),
        ({"inputs": [ONE, TWO, tensor("c", data=[1, 2, 3])]}, 400, "inputs are a, b; the request has more"),
        ({"inputs": [tensor(), TWO]}, 400, "data must be a list"),
        ({"inputs": [tensor(shape=None), TWO]}, 400, "shape must be a list, got None"),
        ({"inputs": [tensor(shape=[1] * 9), TWO]}, 400, "shape must be a list"),
        ({"inputs": [tensor(shape=[1, -1]), TWO]}, 400, "from 1 on"),
        ({"inputs": [tensor(shape=[1, 0]), TWO]}, 400, "from 1 on"),
        ({"inputs": [tensor(shape=[True]), TWO]}, 400, "whole numbers, from 1 on"),
        ({"inputs": [tensor(shape=[1.5]), TWO]}, 400, "whole numbers, from 1 on"),
        ({"inputs": [tensor(shape=[2**60, 2**60], data=[1]), TWO]}, 413, "would take"),
        ({"inputs": [tensor(shape=8 * [10**30], data=[1]), TWO]}, 400, "from 1 on, up to"),
        ({"inputs": [tensor("\ud800", data=[1, 2, 3]), TWO]}, 400, "not JSON"),
        ({"inputs": [tensor(datatype="FP8"), TWO]}, 400, "datatype must be one of"),
        ({"inputs": [tensor(datatype=["FP32"]), TWO]}, 400, "datatype must be a text"),
        ({"inputs": [tensor(data=[1, 2]), TWO]}, 400, "has 3 elements"),
        ({"inputs": [tensor(data=[[1], [2, 3]]), TWO]}, 400, "flat or nested"),
        ({"inputs": [tensor(data=["1", "2", "3"]), TWO]}, 400, "must be FP32 numbers"),
        ({"inputs": [tensor(data=[1e39, 1, 1]), TWO]}, 400, "does not have the number '1e+39'"),
        ({"inputs": [tensor(data={"0": 1}), TWO]}, 400, "data must be a list"),
        (
            {"inputs": [tensor(datatype="UINT8", shape=[1, 1, 1, 3], data=[256, 1, 1]), TWO]},
            422,
            "how photos become its input",
        ),
        (
            {"inputs": [tensor(datatype="BYTES", shape=[1], data=[3]), TWO]},
            422,
            "how photos become its input",
        ),
        (
            {"inputs": [tensor(datatype="BYTES", shape=[1], data=["\ud800"]), TWO]},
            422,
            "how photos become its input",
        ),
        ({"inputs": [tensor(datatype="INT32", data=[1, 1, 1]), TWO]}, 422, "numbers are FP32"),
        ({"inputs": [tensor(datatype="UINT8", data=[1, 1, 1]), TWO]}, 422, "how photos become its input"),
        ({"inputs": [tensor(datatype="UINT8", shape=[3], data=[1, 1, 1]), TWO]}, 400, "pixels must be"),
        ({"inputs": [tensor(shape=[1, 1, 3], data=[1, 1, 1]), TWO]}, 400, ""),
        ({**GOOD, "id": 5}, 400, "id must be a text, got 5"),
        ({**GOOD, "parameters": 5}, 400, "parameters must be an object, got 5"),
        ({**GOOD, "parameters": {"timeout": "soon"}}, 400, "timeout must be"),
        ({**GOOD, "parameters": {"timeout": False}}, 400, "timeout must be"),
        ({**GOOD, "parameters": {"binary_data_output": "yes"}}, 400, "binary_data_output must be true or"),
        ({**GOOD, "parameters": {"binary_data_output": None}}, 400, "binary_data_output must be true or"),
        ({**GOOD, "parameters": {"timeout": 10**400}}, 400, "microseconds, up to 18,446"),
        ({**GOOD, "parameters": {"priority": 3}}, 422, "'priority'"),
        ({"inputs": [tensor(parameters={"shared_memory_region": "x"}), TWO]}, 422, "shared memory"),
        ({**GOOD, "outputs": [{"name": "nothing"}]}, 400, "there is no output 'nothing'"),
        ({**GOOD, "outputs": [{"name": "sum", "parameters": {"binary_data": 1}}]}, 400, "true or false"),
        ({**GOOD, "outputs": "sum"}, 400, "outputs must be a list, got 'sum'"),
        ({**GOOD, "output": []}, 400, "the unknown key 'output'; did you mean"),
        ({"inputs": [tensor(dtype="FP32", data=[1, 2, 3]), TWO]}, 400, "the unknown key 'dtype'"),
        ({"inputs": [tensor(data=[1, 2, 3], parameters={"size": 1}), TWO]}, 422, "no parameter 'size'"),
        ({**GOOD, "outputs": [{"name": "sum", "binary": True}]}, 400, "the unknown key 'binary'"),
        ({**GOOD, "outputs": [{"name": "sum", "parameters": {"bin": 1}}]}, 422, "no parameter 'bin'"),
        ({**GOOD, "outputs": [{"name": "sum"}, {"name": "sum"}]}, 400, "output 'sum' is there twice"),
        (b'{"inputs": [], "inputs": []}', 400, "has the key 'inputs' twice"),
        (b'{"inputs": [{"name": "a", "name": "b"}]}', 400, "has the key 'name' twice"),
        (b'{"inputs": [], "parameters": {"timeout": 1, "timeout": 2}}', 400, "has a key twice"),
        (b'{"id": "\\ud800", "inputs": []}', 400, "not JSON"),
    ],
)
def test_hostile_json_is_refused(service: Service, request_: Any, status: int, message: str) -> None:
    answer = infer(service, request_)
    assert answer.status == status, answer.body
    assert message in answer.json["error"]


@pytest.mark.parametrize(
    ("length", "rest", "size", "message"),
    [
        ("0", b"", 12, "must be from 1 to"),
        ("-1", b"", 12, "must be from 1 to"),
        ("99999999", b"", 12, "must be from 1 to"),
        (40 * "9", b"", 12, "must be from 1 to"),
        ("x", b"", 12, "must be from 1 to"),
        (None, bytes(11), 12, "from 0 to the 11 bytes"),
        (None, bytes(13), 12, "1 bytes after the inputs"),
        (None, bytes(8), 8, "has 12 bytes, not 8"),
        (None, bytes(12), 8, "4 bytes after the inputs"),
        (None, bytes(12), -4, "from 0 to the 12 bytes"),
        (None, bytes(12), True, "from 0 to the 12 bytes"),
        (None, bytes(12), "12", "from 0 to the 12 bytes"),
        (None, bytes(12), 1e300, "from 0 to the 12 bytes"),
    ],
)
def test_hostile_sizes_are_refused(
    service: Service, length: str | None, rest: bytes, size: Any, message: str
) -> None:
    asked = {"inputs": [ONE, {**IN_BYTES, "parameters": {"binary_data_size": size}}]}
    answer = infer(service, asked, rest, length)
    assert answer.status == 400, answer.body
    assert message in answer.json["error"]


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height)).save(stream, "PNG")
    return stream.getvalue()


def element(content: bytes) -> bytes:
    return len(content).to_bytes(4, "little") + content


PNG = element(png(4, 4))


@pytest.mark.parametrize(
    ("content", "count", "message"),
    [
        (b"\xff\xff\xff\xff", 1, "longer than the bytes"),
        (b"\x01\x00", 1, "longer than the bytes"),
        (b"", 1, "expected 1 elements"),
        (bytes(8), 1, "is empty"),
        (PNG, 2, "expected 2 elements, there are 1"),
        (PNG + PNG, 1, "expected 1 elements, there are more"),
        (bytes(4), 1, "is empty"),
        (b"\x03\x00\x00\x00abc", 1, "is not an image"),
    ],
)
def test_hostile_elements_are_refused(service: Service, content: bytes, count: int, message: str) -> None:
    described = tensor(
        "image", shape=[count], datatype="BYTES", parameters={"binary_data_size": len(content)}
    )
    text = json.dumps({"inputs": [described]}).encode()
    answer = service.request("/v2/models/boxes/infer", text + content, {HEADER_LENGTH: str(len(text))})
    assert answer.status == 400, answer.body
    assert message in answer.json["error"]


def infer_photos(service: Service, shape: list[int], datatype: str, content: bytes) -> Answer:
    described = tensor("image", shape, datatype, parameters={"binary_data_size": len(content)})
    text = json.dumps({"inputs": [described]}).encode()
    return service.request("/v2/models/boxes/infer", text + content, {HEADER_LENGTH: str(len(text))})


def infer_files(service: Service, *files: bytes) -> Answer:
    return infer_photos(service, [len(files)], "BYTES", b"".join(map(element, files)))


# The service allows 5,000 pixels, and the photos of 100 x 50 pixels have exactly as many.
def test_photos_in_tensors_have_the_limit_of_a_photo_together(service: Service) -> None:
    assert infer_files(service, png(100, 50)).status == 200
    answer = infer_files(service, png(100, 51))
    assert answer.status == 413, answer.body
    assert "0.005 million" in answer.json["error"]
    assert infer_files(service, png(50, 50), png(100, 25)).status == 200
    answer = infer_files(service, png(50, 50), png(100, 25), png(1, 1))
    assert answer.status == 413, answer.body
    assert "photo 3 of 3" in answer.json["error"]
    assert "5,000 of the 5,000 pixels" in answer.json["error"]


def test_pixels_in_tensors_have_it_too(service: Service) -> None:
    assert infer_photos(service, [2, 50, 50, 1], "UINT8", bytes(5_000)).status == 200
    answer = infer_photos(service, [2, 50, 51, 1], "UINT8", bytes(5_100))
    assert answer.status == 413, answer.body
    assert "2 x 50 x 51 pixels are more than the 5,000 allowed" in answer.json["error"]


def test_numbers_that_json_lacks_need_bytes(service: Service) -> None:
    rest = np.array([np.inf, 1, 1], np.float32).tobytes()
    answer = infer(service, {"inputs": [ONE, IN_BYTES]}, rest)
    assert answer.status == 422
    assert "ask for binary data" in answer.json["error"]
    asked = {"inputs": [ONE, IN_BYTES], "outputs": [{"name": "sum", "parameters": {"binary_data": True}}]}
    assert np.isinf(np.frombuffer(infer(service, asked, rest).body[-12:], np.float32)[0])


def test_unknown_versions_and_paths(service: Service) -> None:
    for path in ("/v2/models/sums/versions/2", "/v2/models/sums/versions/2/ready", "/v2/models/x", "/v2/x"):
        answer = service.request(path)
        assert answer.status == 404
        assert answer.json["error"]
