"""Test tensors of `mpscnn serve`: decoding from JSON and bytes, their size before decoding, and their memory."""

from __future__ import annotations

import http.client
import io
import json
import math
import random
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from PIL import Image
from serving import Answer, Service, require_packages, serving, until

import mpscnn
from mpscnn import _core

pytest.importorskip("fastapi", reason="fastapi is not installed")

from mpscnn.apps.serve.failures import RefusedError
from mpscnn.apps.serve.hosting import Compiled, host
from mpscnn.apps.serve.limits import MemoryBudget
from mpscnn.apps.serve.photos import PhotoMemory
from mpscnn.apps.serve.responses import JSON_NUMBER, encode_outputs
from mpscnn.apps.serve.tensor_inputs import input_arrays, tensor_bytes
from mpscnn.apps.serve.tensors import TYPES, InferRequest, parse_request

require_packages()
NO_LIMIT = 10**12


def photo_memory() -> PhotoMemory:
    return PhotoMemory(MemoryBudget(NO_LIMIT, "photos").share(), threading.Lock(), math.inf)


def parsed(
    shape: Any, datatype: str, data: Any = None, rest: bytes | None = None, **more: Any
) -> InferRequest:
    """Return a request with one input, in JSON if there are no bytes."""
    tensor = {"name": "image", "shape": shape, "datatype": datatype}
    tensor |= {"data": data} if rest is None else {"parameters": {"binary_data_size": len(rest)}}
    text = json.dumps({"inputs": [tensor], **more}).encode()
    return parse_request(bytearray(text + (rest or b"")), len(text), ["image"])


# ---- Decoding ----


@pytest.mark.parametrize("datatype", TYPES)
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), (40_000,), (2, 3, 1, 5), (70, 90, 3), (1,) * 8])
@pytest.mark.parametrize("nested", [False, True])
def test_numbers_in_json_are_those_that_were_sent(
    datatype: str, shape: tuple[int, ...], nested: bool
) -> None:
    random = np.random.default_rng(sum(shape))
    given = random.integers(0, 256, shape) / (1 if datatype == "UINT8" else 100)
    given = given.astype(TYPES[datatype])
    data = (given if nested else given.reshape(-1)).tolist()
    made = parsed(shape, datatype, data).inputs["image"].array()
    assert made.dtype == given.dtype
    np.testing.assert_array_equal(made, given)
    np.testing.assert_array_equal(
        parsed(shape, datatype, rest=given.tobytes()).inputs["image"].array(), given
    )


SPACED = b'{ "inputs" :\n[{"shape":[2,\t2],"datatype":"FP32","name":"image","data":[ [ 1 ,-2.5e1],\r\n[0, 1E2 ] ]}]}'


def test_spaces_do_not_matter() -> None:
    text = bytearray(SPACED)
    made = parse_request(text, len(text), ["image"]).inputs["image"].array()
    np.testing.assert_array_equal(made, np.array([[1, -25], [0, 100]], np.float32))


@pytest.mark.parametrize(
    ("shape", "datatype", "data"),
    [
        ((1,), "FP32", []),
        ((1, 1), "FP32", [[]]),
        ((2, 2), "FP32", [[1, 2, 3], [4]]),
        ((2, 2), "FP32", [[1, 2], 3, 4]),
        ((2, 2), "FP32", [[[1], [2]], [[3], [4]]]),
        ((4,), "FP32", [[1, 2], [3, 4]]),
        ((2**62, 2**62), "FP32", [1]),
        ((2,), "FP32", [1, [2]]),
        ((2,), "FP32", [1, {}]),
        ((2,), "FP32", [1, "2"]),
        ((2,), "FP32", [1, None]),
        ((2,), "FP32", [1, True]),
        ((2,), "FP32", [1, 1e39]),
        ((2,), "FP16", [1, 65_520]),
        ((2,), "FP64", [1, 10**309]),
        ((2,), "UINT8", [1, 256]),
        ((2,), "UINT8", [1, -1]),
        ((2,), "UINT8", [1, 0.5]),
    ],
)
def test_other_lists_are_refused(shape: Any, datatype: str, data: Any) -> None:
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match="data"):
        parsed(shape, datatype, data).inputs["image"].array()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_elements_are_those_that_were_sent(count: int) -> None:
    texts = ["", 'a "quoted" \\ text', "é\u20ac\U0001f600", "x" * 100_000, "\u0000"][:count] or ["only"]
    contents = [text.encode() for text in texts]
    assert list(parsed([len(texts)], "BYTES", texts).inputs["image"].files()) == contents
    rest = b"".join(len(content).to_bytes(4, "little") + content for content in contents)
    assert list(parsed([len(texts)], "BYTES", rest=rest).inputs["image"].files()) == contents
    for wrong in (len(texts) - 1 or 7, len(texts) + 1):
        for given in ({"data": texts}, {"rest": rest}):
            with pytest.raises(mpscnn.ShapeError):
                list(parsed([wrong], "BYTES", **given).inputs["image"].files())


def test_texts_with_backslashes_are_counted_exactly() -> None:
    chosen = random.Random(2)
    for _ in range(2_000):
        texts = [
            "".join(chosen.choices('\\\\"\nau\u20ac,[]', k=chosen.randrange(12)))
            for _ in range(chosen.randrange(1, 5))
        ]
        contents = [text.encode() for text in texts]
        assert list(parsed([len(texts)], "BYTES", texts).inputs["image"].files()) == contents
        for wrong in {max(len(texts) - 1, 1), len(texts) + 1} - {len(texts)}:
            with pytest.raises(mpscnn.ShapeError):
                list(parsed([wrong], "BYTES", texts).inputs["image"].files())


def test_backslashes_do_not_hide_texts() -> None:
    """A text of millions of backslashes must not allow millions of other texts."""
    content = b'["' + b"\\\\" * 2_800_000 + b'"' + b',"ab"' * 2_800_000 + b"]"
    text = bytearray(b'{"inputs":[{"name":"image","shape":[2],"datatype":"BYTES","data":%s}]}' % content)
    given = parse_request(text, len(text), ["image"]).inputs["image"]
    tracemalloc.start()
    try:
        with pytest.raises(mpscnn.ShapeError, match="must be 2 texts; there are more"):
            list(given.files())
        assert tracemalloc.get_traced_memory()[1] < 3 * len(text)
    finally:
        tracemalloc.stop()


HOSTILE = {
    "lists": b"[" + b",".join([b"[" * 100 + b"]" * 100] * 10_000) + b"]",
    "empty lists": b"[" + b"[]," * 700_000 + b"[]]",
    "numbers": b"[" + b"0," * 1_000_000 + b"0]",
    "texts": b"[" + b'"",' * 700_000 + b'""]',
    "objects": b"[" + b"{}," * 700_000 + b"{}]",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("datatype", ["FP32", "UINT8", "BYTES"])
@pytest.mark.parametrize("place", ["inputs", "data", "shape", "outputs", "parameters", "other"])
def test_millions_of_values_become_no_objects(kind: str, datatype: str, place: str) -> None:
    fields = {"name": b'"image"', "datatype": f'"{datatype}"'.encode(), "shape": b"[3]", "data": b"[1,2,3]"}
    fields |= {place: HOSTILE[kind]} if place in ("data", "shape") else {}
    tensor = b"{" + b",".join(b'"%s":%s' % (name.encode(), text) for name, text in fields.items()) + b"}"
    members = {"inputs": b"[" + tensor + b"]"}
    members |= {place: HOSTILE[kind]} if place not in fields else {}
    text = b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in members.items()) + b"}"
    body = bytearray(text)
    tracemalloc.start()
    try:
        given = parse_request(body, len(body), ["image"]).inputs["image"]
        _ = list(given.files()) if datatype == "BYTES" else given.array()
    except mpscnn.Error:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # Python's lists, numbers and texts would take 20 to 60 times as much as the text.
    assert peak < len(body) / 4


@pytest.mark.parametrize("datatype", TYPES)
def test_numbers_take_the_memory_of_their_array(datatype: str) -> None:
    count = 500_000
    body = b'{"inputs":[{"name":"image","datatype":"%s","shape":[%d],"data":[%s0]}]}' % (
        datatype.encode(),
        count,
        b"0," * (count - 1),
    )
    given = bytearray(body)
    tracemalloc.start()
    try:
        made = parse_request(given, len(given), ["image"]).inputs["image"].array()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.nbytes <= peak < made.nbytes + 50_000


def test_other_threads_run_while_numbers_are_read() -> None:
    """Python does not switch threads by itself here, so another thread runs only if the lock is released."""
    text = memoryview(b"[" + b"0.123," * 300_000 + b"0]")
    numbers = np.empty(300_001, np.float32)
    steps, ends = 0, threading.Event()

    def step() -> None:
        nonlocal steps
        while not ends.is_set():
            steps += 1
            time.sleep(0)

    def steps_during(work: Callable[[], object]) -> int:
        before = steps
        work()
        return steps - before

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1_000)
    thread = threading.Thread(target=step)
    thread.start()
    try:
        until(lambda: steps_during(lambda: _core.read_json_numbers(text, numbers)) > 0)
        whole = memoryview(b"[" + bytes(text) + b"]")
        until(lambda: steps_during(lambda: _core.next_json_part(whole, (0, 0, 0, 0, 0))) > 0)
        assert steps_during(lambda: bytes(text).count(b"0")) == 0
    finally:
        sys.setswitchinterval(interval)
        ends.set()
        thread.join()


# ---- Memory for the tensors of a request ----


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Write a detector with two outputs, and a network whose output has 256 times as many numbers as its input."""
    directory = tmp_path_factory.mktemp("served")
    boxes, large = directory / "boxes.safetensors", directory / "large.safetensors"
    boxes.write_bytes(photo_models.load(directory, "detection")._core.content())
    network = mpscnn.Network(input=(None, None, 3), name="large")
    network.output(network.resize(network.input, scale=16, name="larger"))
    network.save(large)
    return boxes, large


@pytest.fixture(scope="module")
def compiled(files: tuple[Path, Path]) -> Compiled:
    return host(files[0], 1, device="cpu").compiled


def wanted(array: Any, *, binary: bool, output: str | None = None) -> InferRequest:
    name = next(name for name, dtype in TYPES.items() if dtype == array.dtype)
    more: dict[str, Any] = {"parameters": {"binary_data_output": binary}}
    if output is not None:
        more["outputs"] = [{"name": output}]
    return parsed(array.shape, name, rest=array.tobytes(), **more)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        np.full((5, 16, 24, 3), 1 / 3, np.float32),
        np.full((5, 16, 24, 3), 1 / 3, np.float16),
        np.full((5, 16, 24, 3), 1 / 3, np.float64),
        np.full((7, 1, 2, 3), 9, np.uint8),
    ],
    ids=lambda value: str(value.dtype),
)
@pytest.mark.parametrize("some", [False, True])
def test_what_is_counted_is_what_is_made(compiled: Compiled, value: Any, binary: bool, some: bool) -> None:
    program = compiled.model.program
    request = wanted(value, binary=binary, output=list(program.outputs)[1] if some else None)
    counted = tensor_bytes(compiled, request, NO_LIMIT)
    arrays = input_arrays(compiled, request.inputs, NO_LIMIT, photo_memory())
    found = program.session().run(arrays)
    chosen = {name: found[name] for name in request.outputs or found}
    made = arrays.size * (2 if value.dtype == np.float16 else 4) + sum(
        array.nbytes for array in found.values()
    )
    content, length = encode_outputs({"id": "x"}, chosen, request)
    if binary:
        assert length is not None
        assert counted == made + len(content) - length
    else:
        numbers = sum(array.size for array in chosen.values())
        assert counted == made + JSON_NUMBER * numbers
        assert len(content) < 8 * numbers + JSON_NUMBER * numbers


def test_no_number_takes_more_in_json() -> None:
    bits = np.random.default_rng(5).integers(0, 2**32, 100_000, np.uint32)
    numbers = bits.view(np.float32)
    extremes = np.array([-1.1754943508222875e-38, -1e-45, 3.4028235e38, 1.0], np.float32)
    numbers = np.concatenate([numbers[np.isfinite(numbers)], extremes])
    content, _ = encode_outputs({"id": "x"}, {"y": numbers}, wanted(numbers[:1], binary=False))
    (output,) = json.loads(content)["outputs"]
    np.testing.assert_array_equal(np.array(output["data"], np.float32), numbers)
    text = content[content.index(b'"data":[') + 8 : content.rindex(b"]}]}")]
    assert max(map(len, text.split(b","))) == JSON_NUMBER - 1


def test_answers_have_their_outputs_in_order() -> None:
    outputs = {
        "a": np.arange(20_000, dtype=np.float32).reshape(2, 100, 100),
        "b": np.full((3, 1), 0.5, np.float16),
    }
    for as_bytes in ({"a": True, "b": False}, {"a": False, "b": True}, {"a": True, "b": True}):
        asked = [{"name": name, "parameters": {"binary_data": given}} for name, given in as_bytes.items()]
        content, length = encode_outputs({"id": "x"}, outputs, parsed([1], "FP32", [1], outputs=asked))
        assert length is not None
        head, rest = json.loads(content[:length]), content[length:]
        assert head["id"] == "x"
        for entry, (name, array) in zip(head["outputs"], outputs.items(), strict=True):
            assert (entry["name"], tuple(entry["shape"])) == (name, array.shape)
            if as_bytes[name]:
                size = entry["parameters"]["binary_data_size"]
                assert rest[:size] == array.tobytes()
                rest = rest[size:]
            else:
                np.testing.assert_array_equal(np.array(entry["data"]).reshape(array.shape), array)
        assert rest == b""


def test_more_than_the_limit_is_refused(compiled: Compiled) -> None:
    for binary in (False, True):
        request = wanted(np.zeros((40, 1, 1, 3), np.uint8), binary=binary)  # 120 bytes
        needed = tensor_bytes(compiled, request, NO_LIMIT)
        assert needed > 40 * 16 * 24 * 3 * 4
        assert tensor_bytes(compiled, request, needed) == needed
        told = f"would take {needed:,} bytes: inputs 184,320, outputs"
        with pytest.raises(RefusedError, match=told) as refused:
            tensor_bytes(compiled, request, needed - 1)
        assert refused.value.status == 413
        assert ("ask for binary data" in refused.value.message) is not binary


def test_one_decoded_photo_is_held_at_a_time(compiled: Compiled) -> None:
    side, count = 1_200, 12  # more than 4 MB each, which Pillow decodes into an array that is counted
    photos = []
    for number in range(count):
        stream = io.BytesIO()
        Image.new("RGB", (side, side), (20 * number, 255 - 20 * number, 7)).save(stream, "PNG")
        photos.append(stream.getvalue())

    def request(contents: list[bytes]) -> InferRequest:
        rest = b"".join(len(content).to_bytes(4, "little") + content for content in contents)
        return parsed([len(contents)], "BYTES", rest=rest)

    alone = [input_arrays(compiled, request([photo]).inputs, side * side, photo_memory()) for photo in photos]
    tracemalloc.start()
    try:
        together = input_arrays(compiled, request(photos).inputs, count * side * side, photo_memory())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(together, np.concatenate(alone))
    # A photo is decoded with one or two copies.
    assert side * side * 3 <= peak < 5 * side * side * 3


# ---- Memory for the tensors of a service ----

HEADER_LENGTH = "Inference-Header-Content-Length"
MAX_BYTES = 8_000_000
SIDE = 32
OUTPUT = (16 * SIDE) ** 2 * 3 * 4  # bytes
COUNTED = OUTPUT // 256 + 2 * OUTPUT


@pytest.fixture(scope="module")
def service(files: tuple[Path, Path]) -> Iterator[Service]:
    with serving(*files, "--device", "cpu", "--max-tensor-bytes", str(MAX_BYTES)) as running:
        yield running


def infer(
    name: str, datatype: str, shape: list[int], content: bytes, binary: bool = True
) -> tuple[bytes, str]:
    tensor = {
        "name": name,
        "shape": shape,
        "datatype": datatype,
        "parameters": {"binary_data_size": len(content)},
    }
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": binary}}).encode()
    return text + content, str(len(text))


def asked_of(service: Service, model: str, body: tuple[bytes, str]) -> Answer:
    return service.request(f"/v2/models/{model}/infer", body[0], {HEADER_LENGTH: body[1]})


def held(service: Service) -> float:
    return service.metric("mpscnn_tensor_bytes")


def test_small_inputs_cannot_become_large_ones(service: Service) -> None:
    def ask(count: int) -> Answer:
        return asked_of(service, "boxes", infer("image", "UINT8", [count, 1, 1, 1], bytes(count)))

    assert ask(100).status == 200
    answer = ask(2_000)  # the network gets nine megabytes
    assert (answer.status, answer.json["kind"]) == (413, "TooManyTensorBytes")
    assert f"inputs {2_000 * 16 * 24 * 3 * 4:,}, outputs" in answer.json["error"]
    until(lambda: held(service) == 0)


def test_outputs_are_counted(service: Service) -> None:
    (name,) = service.request("/v2/models/large").json["inputs"]
    for side, binary, status in ((SIDE, True, 200), (SIDE + 8, True, 413), (SIDE, False, 413)):
        shape = [1, side, side, 3]
        body = infer(name["name"], "FP32", shape, bytes(4 * math.prod(shape)), binary)
        answer = asked_of(service, "large", body)
        assert answer.status == status, answer.body[:300]
    until(lambda: held(service) == 0)


@contextmanager
def asking(service: Service, shape: list[int]) -> Iterator[socket.socket]:
    """Ask for a large answer, and yield the connection without reading the answer."""
    (name,) = service.request("/v2/models/large").json["inputs"]
    body, length = infer(name["name"], "FP32", shape, bytes(4 * math.prod(shape)))
    head = (
        f"POST /v2/models/large/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"{HEADER_LENGTH}: {length}\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(120)
        connection.connect(service.place)
        connection.sendall(head.encode() + body)
        yield connection


def test_answers_are_held_until_they_are_taken(files: tuple[Path, Path]) -> None:
    shape = [1, SIDE, SIDE, 3]
    # the number of answers after which the budget has no room for another one
    room = (4 * MAX_BYTES - COUNTED) // OUTPUT + 1
    patience = "import mpscnn.apps.serve.connection as connection\nconnection._PATIENCE = 600.0"
    arguments = (*files, "--device", "cpu", "--max-tensor-bytes", str(MAX_BYTES))
    with serving(*arguments, patch=patience) as service, ExitStack() as stack:
        (name,) = service.request("/v2/models/large").json["inputs"]
        body = infer(name["name"], "FP32", shape, bytes(4 * math.prod(shape)))
        slow = []
        for number in range(room):
            slow.append(stack.enter_context(asking(service, shape)))
            until(lambda: OUTPUT <= held(service) / (number + 1) < OUTPUT + 1_000)  # noqa: B023
        refused = asked_of(service, "large", body)
        assert (refused.status, refused.json["kind"]) == (503, "MemoryBudgetExceeded")
        assert "tensors and answers of all requests take" in refused.json["error"]
        assert int(refused.headers["retry-after"]) >= 1
        for connection in slow:
            response = http.client.HTTPResponse(connection)
            with closing(response):
                response.begin()
                assert response.status == 200
                assert len(response.read()) > OUTPUT
        until(lambda: held(service) == 0)
        assert asked_of(service, "large", body).status == 200


def test_an_answer_that_nobody_takes_is_given_up(files: tuple[Path, Path]) -> None:
    patience = "import mpscnn.apps.serve.connection as connection\nconnection._PATIENCE = 0.2"
    with serving(*files, "--device", "cpu", patch=patience) as service:
        with asking(service, [1, SIDE, SIDE, 3]) as connection:
            service.wait_for("request", path="/v2/models/large/infer", status=200)
            until(lambda: held(service) == 0)
            received = 0
            with suppress(ConnectionError):
                while part := connection.recv(65_536):
                    received += len(part)
            assert received < OUTPUT
        assert service.request("/v2/health/live").status == 200


def test_annotated_photos_are_answers_too(service: Service) -> None:
    """This takes a second, since the photo has 4,000,000 pixels."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(2).integers(0, 256, (2_000, 2_000, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    refused = service.request("/v1/detect", stream.getvalue(), {"Accept": "image/png"})
    assert (refused.status, refused.json["error"]) == (413, "TooManyTensorBytes")
    assert f"{MAX_BYTES:,} are allowed (--max-tensor-bytes)" in refused.json["message"]
    assert service.request("/v1/detect", stream.getvalue()).status == 200
    until(lambda: held(service) == 0)
