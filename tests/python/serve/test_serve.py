"""Test `mpscnn serve`: photos, classes, boxes and masks; models, profiles and options; errors."""

from __future__ import annotations

import io
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import photo_models
import pytest
from PIL import Image
from serving import Answer, Service, require_packages, serving

import mpscnn
from mpscnn.runtime.library import available_processors

require_packages()

PATHS = {"classification": "/v1/classify", "detection": "/v1/detect", "segmentation": "/v1/segment"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, mpscnn.Model]:
    directory = tmp_path_factory.mktemp("models")
    return {task: photo_models.load(directory, task) for task in PATHS}


@pytest.fixture(scope="module")
def service(models: dict[str, mpscnn.Model], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("served")
    files = []
    for task, model in models.items():
        files.append(directory / f"{task}.safetensors")
        files[-1].write_bytes(model._core.content())
    limits = ("--max-bytes", "200000", "--max-pixels", "10000")
    with serving(*files, "--device", "cpu", *limits) as running:
        yield running


@pytest.fixture(scope="module")
def photo() -> bytes:
    """Return a photo as a PNG file."""
    return encoded(photo_models.photos(1)[0])


def encoded(pixels: Any, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def found(result: Any) -> dict[str, Any]:
    """Return the part of a result that does not depend on time."""
    return {name: value for name, value in result.to_dict().items() if name != "milliseconds"}


@pytest.mark.parametrize("task", PATHS)
def test_json_is_what_predict_finds(
    service: Service, models: dict[str, mpscnn.Model], photo: bytes, task: str
) -> None:
    answer = service.request(PATHS[task], photo)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    content = answer.json
    assert content.pop("model") == task
    assert 0 < content.pop("milliseconds") < 60_000
    assert 0 <= content.pop("waited_milliseconds") < 60_000
    assert content == json.loads(json.dumps(found(models[task].predict(photo))))


def test_options_of_the_query_are_those_of_the_model(
    service: Service, models: dict[str, mpscnn.Model], photo: bytes
) -> None:
    one = service.request("/v1/classify?top=1&model=classification", photo).json
    assert one["predictions"] == found(models["classification"].classify(photo, top=1))["predictions"]
    options = "score_threshold=0.06&iou_threshold=0.3&max_detections=3&classes=red,1"
    boxes = service.request(f"/v1/detect?{options}", photo).json
    expected = models["detection"].detect(
        photo, score_threshold=0.06, iou_threshold=0.3, max_detections=3, classes=["red", 1]
    )
    assert len(expected) > 0
    assert boxes["detections"] == found(expected)["detections"]


def test_the_service_has_tiles(service: Service, models: dict[str, mpscnn.Model], photo: bytes) -> None:
    for path, task in (("/v1/detect", "detection"), ("/v1/segment", "segmentation")):
        answer = service.request(f"{path}?tiles=20&overlap=0.25", photo)
        assert answer.status == 200, answer.body
        key = "detections" if task == "detection" else "areas"
        expected = found(models[task].predict(photo, tiles=20, overlap=0.25))[key]
        assert answer.json[key] == json.loads(json.dumps(expected))
        refused = service.request(f"{path}?tiles=20&overlap=1", photo)
        assert refused.status == 400
        assert b"overlap must be from 0 to below 1" in refused.body


def picture(answer: Answer) -> Image.Image:
    assert answer.status == 200, answer.body
    return Image.open(io.BytesIO(answer.body))


def test_the_mask_of_a_segmentation_has_class_numbers(
    service: Service, models: dict[str, mpscnn.Model], photo: bytes
) -> None:
    mask = picture(service.request("/v1/segment", photo, {"Accept": "image/png"}))
    assert mask.mode == "P"
    np.testing.assert_array_equal(np.asarray(mask), models["segmentation"].segment(photo).labels)


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_a_png_is_the_annotated_photo(
    service: Service, models: dict[str, mpscnn.Model], photo: bytes, task: str
) -> None:
    drawn = picture(service.request(PATHS[task], photo, {"Accept": "image/png"}))
    expected = models[task].predict(photo).draw(photo)
    np.testing.assert_array_equal(np.asarray(drawn.convert("RGB")), np.asarray(expected.convert("RGB")))


def test_a_jpeg_is_the_annotated_photo(
    service: Service, models: dict[str, mpscnn.Model], photo: bytes
) -> None:
    drawn = picture(service.request("/v1/segment", photo, {"Accept": "text/html, image/jpeg;q=0.9"}))
    assert drawn.format == "JPEG"
    assert drawn.size == models["segmentation"].segment(photo).draw(photo).size


HEAD = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="x.png"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}


def form(photo: bytes, *fields: tuple[str, str]) -> bytes:
    """Return a form with a photo and other fields, the first one before the photo."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields
    ]
    return b"".join([*parts[:1], HEAD, photo, b"\r\n", *parts[1:], b"--b--\r\n"])


@pytest.mark.parametrize("padding", [0, 100_000])  # a long form is parsed in a thread
def test_a_form_brings_its_file(service: Service, photo: bytes, padding: int) -> None:
    sent = service.request("/v1/classify", form(photo) + bytes(padding), FORM)
    assert sent.status == 200, sent.body
    assert sent.json["predictions"] == service.request("/v1/classify", photo).json["predictions"]


def test_the_fields_of_a_form_are_options(service: Service, photo: bytes) -> None:
    options = {"score_threshold": "0.06", "iou_threshold": "0.3", "max_detections": "1", "classes": "red,1"}
    in_query = service.request(f"/v1/detect?{urlencode(options)}", photo).json["detections"]
    assert in_query != service.request("/v1/detect", photo).json["detections"]
    for count in range(len(options) + 1):
        pairs = list(options.items())
        path = f"/v1/detect?{urlencode(pairs[count:])}"
        sent = service.request(path, form(photo, *pairs[:count]), FORM)
        assert sent.status == 200, sent.body
        assert sent.json["detections"] == in_query
    sent = service.request("/v1/classify", form(photo, ("top", "1"), ("model", "classification")), FORM)
    assert len(sent.json["predictions"]) == 1


def test_the_model_of_a_form_is_the_one_that_computes(
    service: Service, models: dict[str, mpscnn.Model], photo: bytes
) -> None:
    sent = service.request("/v1/classify", form(photo, ("model", "detection")), FORM)
    refused(sent, 422, "UnsupportedError", "is for detection")
    sent = service.request("/v1/classify", form(photo, ("model", "clasification")), FORM)
    refused(sent, 404, "UnknownModel", "'classification'")


@pytest.mark.parametrize(
    ("query", "fields", "message"),
    [
        ("", [("tops", "1")], "there is no option 'tops'; did you mean 'top'"),
        ("", [("top", "many")], "top: expected integer, got 'many'"),
        ("", [("top", "1"), ("top", "1")], "the option top is there twice"),
        ("?top=1", [("top", "1")], "the option top is there twice"),
        ("", [("score_threshold", "0.5")], "there is no option 'score_threshold'"),
        ("", [("", "0.5")], "there is no option ''"),
    ],
)
def test_wrong_fields_of_a_form_are_refused(
    service: Service, photo: bytes, query: str, fields: list[tuple[str, str]], message: str
) -> None:
    refused(
        service.request(f"/v1/classify{query}", form(photo, *fields), FORM), 400, "ParameterError", message
    )


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("multipart/form-data", HEAD, "with a boundary"),
        ("multipart/form-data; boundary=" + 71 * "b", HEAD, "with a boundary"),
        ("multipart/mixed; boundary=b", HEAD, "with a boundary"),
        ("multipart/form-data; boundary=c", HEAD, "the form is damaged"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="filename"\r\n\r\nx\r\n--b--\r\n',
            "has no file",
        ),
        ("multipart/form-data; boundary=b", HEAD + b"not a photo\r\n--b--\r\n", "is not an image"),
    ],
)
def test_damaged_forms_are_refused(service: Service, content_type: str, body: bytes, message: str) -> None:
    refused(service.request("/v1/classify", body, {"Content-Type": content_type}), 400, "ImageError", message)


@pytest.mark.parametrize("padding", [0, 100_000])  # a long body is parsed in a thread
@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_json_brings_a_photo_in_base64(service: Service, photo: bytes, head: str, padding: int) -> None:
    body = json.dumps({"image": head + b64encode(photo).decode()}).encode() + b" " * padding
    sent = service.request("/v1/classify?top=2", body, JSON)
    assert sent.status == 200, sent.body
    assert sent.json["predictions"] == service.request("/v1/classify?top=2", photo).json["predictions"]


@pytest.mark.parametrize("padding", [0, 100_000])
@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", "ParameterError", "the body is not JSON"),
        (b'{"image": "QUJD", "top": 1}', "ParameterError", "the unknown key 'top'"),
        (b'{"image": "QU*D"}', "ImageError", "image is not base64: it has the character '*'"),
        (b'{"image": "QUJD"}', "ImageError", "is not an image"),
    ],
)
def test_other_json_is_refused(service: Service, body: bytes, kind: str, message: str, padding: int) -> None:
    refused(service.request("/v1/classify", body + b" " * padding, JSON), 400, kind, message)


def refused(answer: Answer, status: int, kind: str, message: str) -> None:
    assert (answer.status, answer.json["error"]) == (status, kind), answer.body
    assert message in answer.json["message"]


@pytest.mark.parametrize(
    ("path", "status", "kind", "message"),
    [
        ("/v1/classify?top=0", 400, "ParameterError", "top must be"),
        ("/v1/classify?top=many", 400, "ParameterError", "top: expected integer, got 'many'"),
        ("/v1/classify?top=1&top=1", 400, "ParameterError", "the option top is there twice"),
        ("/v1/classify?score_threshold=0.5", 400, "ParameterError", "there is no option 'score_threshold'"),
        ("/v1/detect?score_threshold=2", 400, "ParameterError", "score_threshold must be"),
        ("/v1/detect?classes=blu", 400, "ParameterError", "'blue'"),
        ("/v1/classify?model=clasification", 404, "UnknownModel", "'classification'"),
        ("/v1/classify?model=detection", 422, "UnsupportedError", "is for detection"),
        ("/v1/nothing", 404, "NotFound", "GET /docs describes the interface"),
        ("/v1/models", 405, "MethodNotAllowed", "takes other methods: GET, HEAD"),
        ("/metrics", 405, "MethodNotAllowed", "takes other methods: GET, HEAD"),
    ],
)
def test_wrong_requests_say_why(
    service: Service, photo: bytes, path: str, status: int, kind: str, message: str
) -> None:
    refused(service.request(path, photo), status, kind, message)


@pytest.mark.parametrize(
    "path",
    ["/v2/health/live", "/v2/health/ready", "/v2/models/detection", "/v1/models", "/metrics", "/", "/docs"],
)
def test_heads_are_those_of_get(service: Service, path: str) -> None:
    whole, head = service.request(path), service.request(path, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
    assert service.wait_for("request", path=path, method="HEAD", status=200)


def test_methods_that_are_allowed_are_named(service: Service) -> None:
    for path, method, allowed in (
        ("/v1/models", "POST", "GET, HEAD"),
        ("/v1/classify", "HEAD", "POST"),
        ("/v1/models/detection/options", "HEAD", "POST"),
        ("/v1/models/detection/options", "GET", "POST"),
    ):
        answer = service.request(path, method=method)
        assert (answer.status, answer.headers["allow"]) == (405, allowed), path


def test_no_other_media_type_is_answered(service: Service, photo: bytes) -> None:
    for accept in ("text/html", "application/json;q=0", "image/webp, text/*"):
        answer = service.request("/v1/classify", photo, {"Accept": accept})
        refused(answer, 406, "NotAcceptable", "image/jpeg")


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        (b"", 400, "ImageError", "is empty"),
        (b"GIF89a", 400, "ImageError", "is "),
        (b"\xff\xd8\xff\xe0junk", 400, "ImageError", "is "),
        (encoded(np.zeros((101, 100, 3), np.uint8)), 413, "ImageError", "10,000 pixels (--max-pixels)"),
        (bytes(200_001), 413, "TooManyBytes", "200,000 bytes (--max-bytes)"),
    ],
    ids=["empty", "a head only", "damaged", "pixels", "bytes"],
)
def test_bad_photos_are_refused(service: Service, body: bytes, status: int, kind: str, message: str) -> None:
    refused(service.request("/v1/classify", body), status, kind, message)


def test_pictures_that_jpeg_does_not_have_are_refused(
    models: dict[str, mpscnn.Model], tmp_path: Path
) -> None:
    path = tmp_path / "colours.safetensors"
    path.write_bytes(models["classification"]._core.content())
    wide = encoded(np.zeros((1, 65_535, 3), np.uint8))
    with serving(path, "--device", "cpu") as service:
        answer = service.request("/v1/classify", wide, {"Accept": "image/jpeg"})
        refused(answer, 422, "UnsupportedError", "ask for image/png")
        assert picture(service.request("/v1/classify", wide, {"Accept": "image/png"})).width == 65_535
        long = service.request("/v1/models/" + 60_000 * "x")
        refused(long, 404, "UnknownModel", "served are colours")
        none = service.request("/v1/detect", b"x")
        refused(
            none, 404, "UnknownModel", "no model for detection is served; served are colours (classification)"
        )
        assert len(long.body) < 1_000


def test_bodies_in_chunks_have_the_same_limit(service: Service) -> None:
    import http.client

    connection = http.client.HTTPConnection(*service.place, timeout=60)
    connection.request("POST", "/v1/classify", iter([bytes(100_000)] * 3), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_compressed_bodies_are_refused(service: Service, photo: bytes) -> None:
    answer = service.request("/v1/classify", photo, {"Content-Encoding": "gzip"})
    refused(answer, 415, "UnsupportedCoding", "'gzip': send the body uncompressed")


def test_models_are_described(service: Service, models: dict[str, mpscnn.Model]) -> None:
    listed = service.request("/v1/models").json["models"]
    assert [(entry["name"], entry["task"]) for entry in listed] == [(task, task) for task in PATHS]
    one = service.request("/v1/models/classification").json
    assert one == listed[0]
    program = models["classification"].program
    assert one["labels"] == ["red", "green", "blue"]
    assert [entry["scores_are"] for entry in listed] == [
        "softmax" if task == "classification" else None for task in PATHS
    ]
    assert one["input"] == {"height": 8, "width": 8}
    assert (one["device"], one["precision"]) == (program.device, program.precision)
    assert one["threads"] >= 1
    refused(
        service.request("/v1/models/nothing"), 404, "UnknownModel", "served are classification, detection"
    )


def test_devices_are_those_of_the_package(service: Service) -> None:
    listed = service.request("/v1/devices").json
    assert listed["devices"] == mpscnn.devices()
    assert listed["processors"] >= 1


def test_a_profile_has_every_step(service: Service) -> None:
    profile = service.request("/v1/models/segmentation/profile?runs=3").json
    assert profile["device"] == "cpu"
    assert len(profile["milliseconds"]) == 3
    assert profile["steps"]
    for runs in ("0", "101", "x", "-1", 9 * "9"):
        answer = service.request(f"/v1/models/segmentation/profile?runs={runs}")
        refused(answer, 400, "ParameterError", "1 to 100")


def test_options_compile_the_model_again(
    models: dict[str, mpscnn.Model], photo: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "colours.safetensors"
    path.write_bytes(models["classification"]._core.content())
    with serving(path, "--device", "cpu") as service:
        before = service.request("/v1/classify", photo).json
        assert before["precision"] == "float32"
        wanted = {"device": "cpu", "precision": "float16", "threads": 1}
        changed = service.request("/v1/models/colours/options", json.dumps(wanted).encode())
        assert changed.status == 200, changed.body
        assert (changed.json["precision"], changed.json["threads"]) == ("float16", 1)
        answer = service.request("/v1/classify", photo)
        after = answer.json
        assert json.loads(answer.headers["mpscnn-options"]) == wanted
        half = mpscnn.load(path, device="cpu", precision="float16").classify(photo)
        assert after["precision"] == "float16"
        assert after["predictions"] == found(half)["predictions"]
        for body, status, kind in (
            (b'{"device": "tpu"}', 400, "ParameterError"),
            (b'{"precision": "double"}', 400, "ParameterError"),
            (b'{"threads": 0}', 400, "ParameterError"),
            (b'{"threads": "many"}', 400, "ParameterError"),
            (b'{"device": 3}', 400, "ParameterError"),
            (b'{"speed": 1}', 400, "ParameterError"),
            (b"[]", 400, "ParameterError"),
            (b"{", 400, "ParameterError"),
            (5_000 * b"[", 400, "ParameterError"),
            (bytes(10_001), 413, "TooManyBytes"),
        ):
            refused(service.request("/v1/models/colours/options", body), status, kind, "")
        assert service.request("/v1/models/colours").json["precision"] == "float16"


def test_a_request_gets_no_more_threads_than_cores(
    models: dict[str, mpscnn.Model], photo: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "colours.safetensors"
    path.write_bytes(models["classification"]._core.content())
    cores = available_processors()
    with serving(path, "--device", "cpu") as service:
        for threads in (cores + 1, 1024, 10**30, 0, -1, 1.5, True, "many", None, []):
            body = json.dumps({"threads": threads}).encode()
            answer = service.request("/v1/models/colours/options", body)
            told = f"from 1 to {cores}, the cores of this machine, got {threads!r}"
            refused(answer, 400, "ParameterError", told)
        changed = service.request("/v1/models/colours/options", b'{"threads": %d}' % cores)
        assert (changed.status, changed.json["threads"]) == (200, cores)
        assert service.request("/v1/classify", photo).status == 200


def test_numbers_of_weights_and_sums(models: dict[str, mpscnn.Model], photo: bytes, tmp_path: Path) -> None:
    path = tmp_path / "colours.safetensors"
    path.write_bytes(models["classification"]._core.content())
    with serving(path, "--device", "cpu", "--weights", "int8") as service:
        assert service.request("/v1/models/colours").json["weights"] == "int8"
        expected = mpscnn.load(path, device="cpu", weights="int8").classify(photo)
        assert service.request("/v1/classify", photo).json["predictions"] == found(expected)["predictions"]
        wanted = {"device": "cpu", "precision": "float16", "accumulate_dtype": "float16"}
        changed = service.request("/v1/models/colours/options", json.dumps(wanted).encode()).json
        assert (changed["weights"], changed["accumulate_dtype"]) == ("float16", "float16")
        expected = mpscnn.load(path, device="cpu", precision="float16", accumulate_dtype="float16").classify(
            photo
        )
        assert service.request("/v1/classify", photo).json["predictions"] == found(expected)["predictions"]
        for body in (
            b'{"weights": "int4"}',
            b'{"accumulate_dtype": "float16"}',
            b'{"precision": "bfloat16", "weights": "int8"}',
        ):
            refused(service.request("/v1/models/colours/options", body), 400, "ParameterError", "")


@pytest.mark.parametrize("task", PATHS)
def test_requests_computed_together_get_their_own_answers(
    models: dict[str, mpscnn.Model], tmp_path: Path, task: str
) -> None:
    path = tmp_path / f"{task}.safetensors"
    path.write_bytes(models[task]._core.content())
    photos = [encoded(pixels) for pixels in photo_models.photos(12)]
    with (
        serving(path, "--device", "cpu", "--inflight", "1", "--max-batch", "4") as service,
        ThreadPoolExecutor(12) as clients,
    ):
        answers = list(clients.map(lambda photo: service.request(PATHS[task], photo), photos))
    for answer, photo in zip(answers, photos, strict=True):
        assert answer.status == 200, answer.body
        content = {name: value for name, value in answer.json.items() if not name.endswith("milliseconds")}
        expected = json.loads(json.dumps(found(models[task].predict(photo))))
        assert content == {"model": task, **expected}


def test_the_documentation_lists_all_metrics(service: Service) -> None:
    text = service.request("/metrics").body.decode()
    kinds = dict(re.findall(r"^# TYPE (mpscnn_\w+) (\w+)$", text, re.MULTILINE))
    page = (Path(__file__).parents[3] / "docs" / "serve.md").read_text("utf-8")
    rows = re.findall(r"^\| (`mpscnn_.+?) \| (counter|histogram|gauge) \|", page, re.MULTILINE)
    listed = {name: kind for names, kind in rows for name in re.findall(r"\w+", names)}
    assert listed == {name: kind for name, kind in kinds.items() if not name.endswith("_created")}


def test_metrics_count_requests(service: Service, photo: bytes) -> None:
    name = 'mpscnn_requests_total{model="segmentation",route="/v1/segment",status="200"}'
    service.request("/v1/segment", photo)
    before = service.metric(name)
    service.request("/v1/segment", photo)
    assert service.metric(name) == before + 1
    assert service.metric('mpscnn_request_seconds_count{route="/v1/segment"}') >= before + 1
    assert service.metric('mpscnn_compute_seconds_count{model="segmentation"}') >= before + 1
    assert service.metric("mpscnn_queue_length") == 0


def test_each_request_is_a_line_of_the_log(service: Service, photo: bytes) -> None:
    service.request("/v1/classify?top=1", photo)
    line = service.wait_for("request", path="/v1/classify", status=200)
    assert (line["method"], line["model"], line["client"]) == ("POST", "classification", "127.0.0.1")
    assert line["milliseconds"] > 0


@pytest.mark.parametrize("given", ["a-1.b_2", "no spaces", "x" * 129, None])
def test_the_identity_of_a_request_is_in_its_answer_and_in_the_log(
    service: Service, given: str | None
) -> None:
    answer = service.request("/v1/models", headers={} if given is None else {"X-Request-ID": given})
    identity = answer.headers["x-request-id"]
    assert (identity == given) == (given == "a-1.b_2")
    assert service.wait_for("request", id=identity)["path"] == "/v1/models"


def test_the_reference_loads_nothing(service: Service) -> None:
    answer = service.request("/docs")
    assert answer.status == 200
    assert b"http" not in answer.body
    assert b"/v1/classify" in answer.body
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    schema = service.request("/openapi.json").json
    assert {*PATHS.values(), "/v1/models", "/v1/models/{name}/options", "/metrics"} <= schema["paths"].keys()


def test_the_page_loads_nothing_from_elsewhere(service: Service) -> None:
    answer = service.request("/")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert b"//" not in answer.body
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
