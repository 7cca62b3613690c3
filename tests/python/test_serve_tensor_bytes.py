"""What tensors and answers of `mpscnn serve` take: counted before they are made, bounded, held until taken."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from serving import Service, serving

import mpscnn

pytest.importorskip("fastapi", reason="FastAPI is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")

from mpscnn.serve.computation import Computation
from mpscnn.serve.failures import RefusedError
from mpscnn.serve.gate import Gate
from mpscnn.serve.held_bytes import HeldBytes, NoRoomError
from mpscnn.serve.hosting import Compiled, host
from mpscnn.serve.tensor_bytes import tensor_bytes
from mpscnn.serve.tensor_inputs import input_arrays
from mpscnn.serve.tensors import JSON_NUMBER, InferRequest, Value, answer_bytes

NO_LIMIT = 10**12


# ---- Shares ----


def test_shares_are_held_until_the_last_keeper_gives_them_back() -> None:
    held = HeldBytes(100, "arrays")
    with held.share() as one, held.share() as other:
        one.add(60)
        other.add(40)
        with pytest.raises(NoRoomError, match="arrays of other requests take 100 of 100 bytes"):
            other.add(1)
        one.reduce_to(70)
        assert held.count == 100
        one.reduce_to(50)
        other.keep()
    assert (held.count, other.count, one.count) == (40, 40, 0)
    other.add(5)
    other.give_back()
    assert held.count == 0


def test_shares_are_counted_in_all_threads() -> None:
    held = HeldBytes(NO_LIMIT, "arrays")
    with held.share() as kept, ThreadPoolExecutor(4) as pool:

        def add(_: int) -> None:
            with held.share() as share:
                share.add(3)

        list(pool.map(add, range(2_000)))
        kept.add(1)
        assert held.count == 1


def test_what_is_given_up_keeps_its_share_until_it_has_ended(compiled: Compiled) -> None:
    held = HeldBytes(100, "arrays")
    begun, go_on = threading.Event(), threading.Event()

    class Hosted:
        def __init__(self) -> None:
            self.compiled = compiled

    async def give_up() -> None:
        loop, gate = asyncio.get_running_loop(), Gate(1, 1)

        def submit(_: Compiled) -> Any:
            share.add(10)
            begun.set()
            go_on.wait()
            share.add(20)

        with ThreadPoolExecutor(1) as pool:
            with held.share() as share, held.share() as other:
                other.add(7)
                computing = Computation(loop, gate, pool, Hosted(), submit, None)  # type: ignore[arg-type]
                waiting = Computation(loop, gate, pool, Hosted(), submit, None)  # type: ignore[arg-type]
                computing.begin_or_wait()
                waiting.begin_or_wait()
                assert await loop.run_in_executor(None, begun.wait, 60)
                waiting.give_up([other])
                computing.give_up([share])
            assert held.count == 10
            go_on.set()
            while gate.inside:
                await asyncio.sleep(0.001)
        assert held.count == 0

    asyncio.run(give_up())


# ---- What a request's tensors take ----


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A detector with two outputs, and a network whose output has 256 times its input's numbers."""
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


def asked(value: Value, outputs: dict[str, bool] | None = None, *, binary: bool = False) -> InferRequest:
    return InferRequest(None, {"image": value}, outputs, binary, None)


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
    outputs = {list(program.outputs)[1]: binary} if some else None
    wanted = asked(value, outputs, binary=binary)
    counted = tensor_bytes(compiled, wanted, NO_LIMIT)
    arrays = input_arrays(compiled, wanted.inputs, NO_LIMIT)
    found = program.session().run(arrays)
    chosen = found if outputs is None else {name: found[name] for name in outputs}
    halves = value.dtype == np.float16
    made = arrays.size * (2 if halves else 4) + sum(array.nbytes for array in found.values())
    if binary:
        content, length = answer_bytes({"id": "x"}, chosen, wanted)
        assert length is not None
        assert counted == made + len(content) - length
    else:
        numbers = sum(array.size for array in chosen.values())
        assert counted == made + JSON_NUMBER * numbers
        content, _ = answer_bytes({"id": "x"}, chosen, wanted)
        assert len(content) < 8 * numbers + JSON_NUMBER * numbers


def test_no_number_takes_more_in_json() -> None:
    bits = np.random.default_rng(5).integers(0, 2**32, 100_000, np.uint32)
    numbers = bits.view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    extremes = np.array([-1.1754943508222875e-38, -1e-45, 3.4028235e38, 1.0], np.float32)
    numbers = np.concatenate([numbers, extremes])
    content, _ = answer_bytes({"id": "x"}, {"y": numbers}, asked(np.zeros(1)))
    (output,) = json.loads(content)["outputs"]
    np.testing.assert_array_equal(np.array(output["data"], np.float32), numbers)
    text = content[content.index(b'"data":[') + 8 : content.rindex(b"]}]}")]
    assert max(map(len, text.split(b","))) == JSON_NUMBER - 1


def test_answers_have_their_outputs_in_order() -> None:
    first, second = np.arange(20_000, dtype=np.float32).reshape(2, 100, 100), np.full((3, 1), 0.5, np.float16)
    for as_bytes in ({"a": True, "b": False}, {"a": False, "b": True}, {"a": True, "b": True}):
        content, length = answer_bytes({"id": "x"}, {"a": first, "b": second}, asked(first, as_bytes))
        assert length is not None
        head = json.loads(content[:length])
        rest = content[length:]
        assert head["id"] == "x"
        assert [(entry["name"], entry["shape"]) for entry in head["outputs"]] == [
            ("a", [2, 100, 100]),
            ("b", [3, 1]),
        ]
        for entry, array in zip(head["outputs"], (first, second), strict=True):
            if as_bytes[entry["name"]]:
                size = entry["parameters"]["binary_data_size"]
                assert rest[:size] == array.tobytes()
                rest = rest[size:]
            else:
                np.testing.assert_array_equal(np.array(entry["data"]).reshape(array.shape), array)
        assert rest == b""


def test_more_than_the_limit_is_refused(compiled: Compiled) -> None:
    for binary in (False, True):
        wanted = asked(np.zeros((40, 1, 1, 3), np.uint8), binary=binary)  # of 120 bytes
        needed = tensor_bytes(compiled, wanted, NO_LIMIT)
        assert needed > 40 * 16 * 24 * 3 * 4
        assert tensor_bytes(compiled, wanted, needed) == needed
        with pytest.raises(
            RefusedError, match=f"would take {needed:,} bytes: inputs 184,320, outputs"
        ) as refused:
            tensor_bytes(compiled, wanted, needed - 1)
        assert refused.value.status == 413
        assert ("ask for binary data" in refused.value.message) is not binary


# ---- Of a service ----

HEADER_LENGTH = "Inference-Header-Content-Length"
MOST = 8_000_000
SIDE = 32
OUTPUT = (16 * SIDE) ** 2 * 3 * 4  # bytes
COUNTED = OUTPUT // 256 + 2 * OUTPUT


@pytest.fixture(scope="module")
def service(files: tuple[Path, Path]) -> Iterator[Service]:
    with serving(*files, "--device", "cpu", "--max-tensor-bytes", str(MOST)) as running:
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


def asked_of(service: Service, model: str, body: tuple[bytes, str]) -> Any:
    return service.request(f"/v2/models/{model}/infer", body[0], {HEADER_LENGTH: body[1]})


def held(service: Service) -> float:
    return service.metric("mpscnn_held_tensor_bytes")


def test_small_inputs_cannot_become_large_ones(service: Service) -> None:
    def ask(count: int) -> Any:
        return asked_of(service, "boxes", infer("image", "UINT8", [count, 1, 1, 1], bytes(count)))

    assert ask(100).status == 200
    answer = ask(2_000)  # which are nine megabytes for the network
    assert (answer.status, answer.json["kind"]) == (413, "TooManyTensorBytes")
    assert f"inputs {2_000 * 16 * 24 * 3 * 4:,}, outputs" in answer.json["error"]
    assert held(service) == 0


def test_outputs_are_counted(service: Service) -> None:
    (name,) = service.request("/v2/models/large").json["inputs"]
    for side, binary, status in ((SIDE, True, 200), (SIDE + 8, True, 413), (SIDE, False, 413)):
        shape = [1, side, side, 3]
        body = infer(name["name"], "FP32", shape, bytes(4 * math.prod(shape)), binary)
        answer = asked_of(service, "large", body)
        assert answer.status == status, answer.body[:300]
    assert held(service) == 0


def test_answers_are_held_until_they_are_taken(service: Service) -> None:
    (name,) = service.request("/v2/models/large").json["inputs"]
    shape = [1, SIDE, SIDE, 3]
    body, length = infer(name["name"], "FP32", shape, bytes(4 * math.prod(shape)))
    head = (
        f"POST /v2/models/large/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"{HEADER_LENGTH}: {length}\r\n\r\n"
    )
    room = (4 * MOST - COUNTED) // OUTPUT + 1  # requests whose answers leave none for another one
    with ExitStack() as stack:
        slow = []
        for number in range(room):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.settimeout(30)
            connection.connect(service.place)
            connection.sendall(head.encode() + body)
            slow.append(connection)
            until(lambda: OUTPUT <= held(service) / (number + 1) < OUTPUT + 1_000)  # noqa: B023
        refused = asked_of(service, "large", (body, length))
        assert (refused.status, refused.json["kind"]) == (503, "TooManyBytesHeld")
        assert "tensors and answers of other requests take" in refused.json["error"]
        assert int(refused.headers["retry-after"]) >= 1
        for connection in slow:
            response = http.client.HTTPResponse(connection)
            with closing(response):
                response.begin()
                assert response.status == 200
                assert len(response.read()) > OUTPUT
        until(lambda: held(service) == 0)
        assert asked_of(service, "large", (body, length)).status == 200


def until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_annotated_photos_are_answers_too(service: Service) -> None:
    import io

    from PIL import Image

    stream = io.BytesIO()
    pixels = np.random.default_rng(2).integers(0, 256, (2_000, 2_000, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    refused = service.request("/v1/detect", stream.getvalue(), {"Accept": "image/png"})
    assert (refused.status, refused.json["error"]) == (413, "TooManyTensorBytes")
    assert f"{MOST:,} are allowed (--max-tensor-bytes)" in refused.json["message"]
    assert service.request("/v1/detect", stream.getvalue()).status == 200
    until(lambda: held(service) == 0)
