"""The OpenAPI description of `mpscnn serve` is well formed and matches the answers."""

from __future__ import annotations

import io
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import photo_models
import pytest
from command_line import save_colour_model
from photo_files import png
from PIL import Image
from serving import Answer, Service, require_packages, serving

require_packages()

from mpscnn.apps.serve import failures  # noqa: E402 - needs the packages

TOKEN = "abc"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "serve.md"
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
OF_ALL = {"400", "403", "408", "421", "431", "503"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_colour_model(tmp_path_factory.mktemp("served") / "colours.safetensors")


@pytest.fixture(scope="module")
def service(model: Path) -> Iterator[Service]:
    limits = ("--max-bytes", "100000", "--max-pixels", "10000", "--max-tensor-bytes", "10000")
    with serving(model, "--device", "cpu", "--token", TOKEN, *limits) as running:
        yield running


def ask(
    service: Service, path: str, body: bytes | None = None, method: str | None = None, **fields: str
) -> Answer:
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        **{name.replace("_", "-"): text for name, text in fields.items()},
    }
    return service.request(path, body, headers, method)


@pytest.fixture(scope="module")
def schema(service: Service) -> dict[str, Any]:
    described: dict[str, Any] = ask(service, "/openapi.json").json
    return described


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            yield path, method, about


def test_it_is_well_formed(schema: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d", schema["openapi"])
    assert {"title", "version"} <= schema["info"].keys()
    assert set(schema["components"]["schemas"]) == {"Failure"}
    identities = [about["operationId"] for _, _, about in operations(schema)]
    assert len(identities) == len(set(identities)) > 15
    for path, method, about in operations(schema):
        assert path.startswith("/")
        assert method in METHODS
        assert about["summary"]
        places = [(parameter["in"], parameter["name"]) for parameter in about["parameters"]]
        assert len(places) == len(set(places))
        assert [name for place, name in places if place == "path"] == re.findall(r"\{(\w+)\}", path)
        for parameter in about["parameters"]:
            assert parameter["in"] in {"path", "query", "header"}
            assert parameter["required"] is (parameter["in"] == "path")
            assert parameter["schema"]["type"] in {"string", "integer", "number"}
        if "requestBody" in about:
            assert method == "post"
            assert about["requestBody"]["content"]
        for status, answer in about["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert answer["description"]
            for kind, content in answer.get("content", {}).items():
                assert re.fullmatch(r"[a-z]+/[a-z*-]+", kind)
                assert content["schema"].keys() & {"type", "$ref"}


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    def found(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                yield from found(each)

    references = set(found(schema))
    assert references == {"#/components/schemas/Failure"}
    for reference in references:
        place: Any = schema
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_the_token_is_described_where_it_is_needed(
    service: Service, schema: dict[str, Any], model: Path
) -> None:
    (name,) = schema["components"]["securitySchemes"]
    scheme = schema["components"]["securitySchemes"][name]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, method, about in operations(schema):
        without = service.request(path, b"" if method == "post" else None)
        assert (without.status == 401) is (about["security"] == [{name: []}]), path
        assert (without.status == 401) is ("401" in about["responses"]), path
    with serving(model, "--device", "cpu") as unguarded:
        open_to_all = unguarded.request("/openapi.json").json
    assert "securitySchemes" not in open_to_all["components"]
    for path, _, about in operations(open_to_all):
        assert about["security"] == [], path
        assert "401" not in about["responses"], path


def test_its_failures_are_those_of_the_documentation(schema: dict[str, Any]) -> None:
    table = DOCS.read_text("utf-8").partition("## Failures")[2].partition("\n## ")[0]
    documented: dict[str, set[str]] = {}
    for line in table.splitlines():
        if row := re.match(r"\| (\d+) \| (.*?) \|", line):
            documented.setdefault(row[1], set()).update(re.findall(r"`(\w+)`", row[2]))
    described: dict[str, set[str]] = {}
    for _, _, about in operations(schema):
        assert about["responses"].keys() >= OF_ALL
        for status, answer in about["responses"].items():
            if status != "200":
                kinds = answer["description"].partition(":")[0].split(", ")
                described.setdefault(status, set()).update(kinds)
    assert documented.pop("499") == {"ClientGone"}  # nobody receives it
    assert described == documented


def test_the_documentation_has_all_kinds_of_failures_of_the_code() -> None:
    text = DOCS.read_text("utf-8").partition("## Failures")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([A-Z]\w+)`", text))
    code = "".join(file.read_text("utf-8") for file in Path(failures.__file__).parent.glob("*.py"))
    kinds = set(re.findall(r'(?:RefusedError\([^"()]*|_busy\(\s*"\w+",\s*)"([A-Z]\w+)"', code))
    assert len(kinds) > 12
    kinds |= {named.__name__ for named, _ in failures._STATUS} - {"TooManyPixelsError"}
    assert documented - {"Error", "MethodNotAllowed"} == kinds | {"MemoryError"}


def test_only_some_answers_with_503_say_when_to_ask_again(schema: dict[str, Any]) -> None:
    for _, _, about in operations(schema):
        header = about["responses"]["503"]["headers"]["Retry-After"]
        assert header["required"] is False
        assert "QueueFull and MemoryBudgetExceeded only" in header["description"]


def test_only_the_addresses_of_the_interface_are_answered(service: Service, schema: dict[str, Any]) -> None:
    for path, method, _ in operations(schema):
        for end in ("/", "%0A", "%00"):
            address = path.format(name="colours", version=1) + end
            answer = ask(service, address, b"" if method == "post" else None)
            assert answer.status == 404, address
            assert "NotFound" in (answer.json["error"], answer.json.get("kind")), address
            assert "location" not in answer.headers
            assert "there is no such path" in answer.body.decode()


def test_what_no_operation_reads_is_refused(service: Service, schema: dict[str, Any]) -> None:
    """Unknown and repeated options of the query, headers of this service that mean nothing there, and bodies."""

    def refused(path: str, method: str, message: str, body: bytes = b"", **headers: str) -> None:
        address = path.format(name="colours", version=1)
        answer = ask(service, address, body if method == "post" or body else None, method.upper(), **headers)
        assert answer.status == 400, address
        assert "ParameterError" in (answer.json["error"], answer.json.get("kind")), address
        assert message in answer.body.decode(), answer.body

    for path, method, about in operations(schema):
        places = {(each["in"], each["name"].lower()) for each in about["parameters"]}
        refused(f"{path}?tpo=1", method, "there is no option 'tpo'")
        for name in [name for place, name in places if place == "query"]:
            refused(f"{path}?{name}=1&{name}=2", method, f"the option {name} is there twice")
        for header in ("Mpscnn-Options", "Inference-Header-Content-Length"):
            if ("header", header.lower()) not in places:
                refused(path, method, f"the header {header.lower()} has no meaning for", **{header: "1"})
        if "requestBody" not in about:
            refused(path, method, "takes no body: options are in the query", b"{}")


FORM = "multipart/form-data"
JSON = "application/json"
PART = '--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'


@pytest.fixture
def service_of_all_tasks(model: Path, tmp_path: Path) -> Iterator[Service]:
    files = [tmp_path / f"{task}.safetensors" for task in ("detection", "segmentation")]
    for file in files:
        file.write_bytes(photo_models.load(tmp_path, file.stem)._core.content())
    with serving(model, *files, "--device", "cpu", "--token", TOKEN) as running:
        yield running


def test_what_no_operation_reads_in_a_body_is_refused(
    service_of_all_tasks: Service, schema: dict[str, Any]
) -> None:
    """Unknown and repeated fields of forms, second files, and unknown and repeated keys of JSON at every depth."""
    service, walked = service_of_all_tasks, set()
    for path, _, about in operations(schema):
        address = path.format(name="colours", version=1)
        kinds = about.get("requestBody", {"content": {}})["content"]
        if FORM in kinds:
            walked.add(path)
            for form, message in forms(kinds[FORM]["schema"]["properties"]):
                answer = ask(service, address, form, Content_Type=f"{FORM}; boundary=b")
                assert answer.status == 400, (path, message, answer.body)
                assert message in answer.json["message"], path
        if JSON in kinds:
            walked.add(path)
            text = json.dumps(WHOLE[path.rpartition("/")[2]])
            assert ask(service, address, text.encode(), Content_Type=JSON).status == 200, path
            for wrong in with_more(text):
                answer = ask(service, address, wrong.encode(), Content_Type=JSON)
                assert answer.status in (400, 422), (path, wrong)
    assert walked == {path for path, _, about in operations(schema) if "requestBody" in about}


def forms(known: dict[str, Any]) -> Iterator[tuple[bytes, str]]:
    """Yield forms with something that is not read, and a part of the message."""
    file = PART % ("photo", '; filename="a"', "x")
    yield (file + file + "--b--").encode(), "the form has more than one file"
    for name in ("tpo", "file", ""):
        yield (file + PART % (name, "", "1") + "--b--").encode(), f"there is no option {name!r}"
    for name in known.keys() - {"photo"}:
        yield (file + 2 * (PART % (name, "", "1")) + "--b--").encode(), f"the option {name} is there twice"


IMAGE = b64encode(png(8, 8, data=8 * bytes(25))).decode()
#: Bodies with all keys that may be together.
WHOLE: dict[str, Any] = {
    **{task: {"image": IMAGE} for task in ("classify", "detect", "segment")},
    "options": {"device": "cpu"},
    "infer": {
        "id": "a",
        "parameters": {"binary_data_output": False, "timeout": 60_000_000},
        "inputs": [
            {
                "name": "image",
                "shape": [1, 8, 8, 3],
                "datatype": "FP32",
                "parameters": {},
                "data": [0.5] * 192,
            }
        ],
        "outputs": [{"name": "softmax", "parameters": {"binary_data": False}}],
    },
}


def with_more(text: str) -> Iterator[str]:
    """Yield JSON texts in which one of the objects has an unknown key, or its first key twice."""
    for found in re.finditer(r'\{("\w+": )?', text):
        before, after = text[: found.start() + 1], text[found.start() + 1 :]
        if found[1] is None:
            yield f'{before}"tpo": 1{after}'
        else:
            yield f'{before}"tpo": 1, {after}'
            yield f"{before}{found[1]}null, {after}"


def png(side: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (255, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def tensor(**changes: Any) -> bytes:
    fields = {"name": "image", "shape": [1, 8, 8, 3], "datatype": "FP32", "data": [0.5] * 192, **changes}
    return json.dumps({"inputs": [fields]}).encode()


INFER = "/v2/models/{name}/infer"
REQUESTS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("/v1/classify", "", 200, {"body": png(8)}),
    ("/v1/classify", "?top=0", 400, {"body": png(8)}),
    ("/v1/classify", "?model=x", 404, {"body": png(8)}),
    ("/v1/classify", "", 406, {"body": png(8), "Accept": "text/html"}),
    ("/v1/classify", "", 413, {"body": bytes(100_001)}),
    ("/v1/classify", "", 413, {"body": png(101)}),
    ("/v1/classify", "", 415, {"body": png(8), "Content_Encoding": "gzip"}),
    ("/v1/detect", "?model=colours", 422, {"body": png(8)}),
    (INFER, "", 200, {"body": tensor()}),
    (INFER, "", 400, {"body": b"{"}),
    (INFER, "", 413, {"body": tensor(datatype="UINT8", shape=[64, 1, 1, 3], data=[1] * 192)}),
    (INFER, "", 415, {"body": tensor(), "Content_Encoding": "gzip"}),
    (INFER, "", 422, {"body": tensor(datatype="INT8", data=[1] * 192)}),
    ("/v2/models/{name}/versions/{version}/infer", "", 200, {"body": tensor()}),
    ("/v2/models/{name}/versions/{version}", "", 200, {}),
    ("/v2/models/{name}/ready", "", 200, {}),
    ("/v1/models/{name}", "", 200, {}),
    ("/v1/models/{name}", "", 403, {"Origin": "http://evil.example"}),
    ("/v1/models/{name}", "", 421, {"Host": "evil.example"}),
    ("/v1/models/{name}", "", 431, {"X": 70_000 * "x"}),
    ("/v1/models/{name}/profile", "?runs=0", 400, {}),
    ("/v1/models/{name}/profile", "?runs=1", 200, {}),
    ("/v1/models/{name}/profile", "", 504, {"X_Request_Timeout": "1e-9"}),
    ("/v1/models/{name}/options", "", 200, {"body": b"{}"}),
    ("/v1/models/{name}/options", "", 400, {"body": b'{"precision": "x"}'}),
    ("/v1/models/{name}/options", "", 413, {"body": bytes(10_001)}),
    ("/metrics", "", 200, {}),
    ("/v2", "", 200, {}),
]


@pytest.mark.parametrize(("path", "query", "status", "given"), REQUESTS)
def test_what_is_answered_is_described(
    service: Service, schema: dict[str, Any], path: str, query: str, status: int, given: dict[str, Any]
) -> None:
    answer = ask(service, path.format(name="colours", version=1) + query, **given)
    assert answer.status == status, answer.body
    described = schema["paths"][path]["post" if "body" in given else "get"]["responses"][str(status)]
    assert answer.headers["content-type"].partition(";")[0] in described["content"]
    if status != 200:
        failure = schema["components"]["schemas"]["Failure"]
        assert set(failure["required"]) <= answer.json.keys() <= failure["properties"].keys()
        kind = answer.json["kind" if path.startswith("/v2") else "error"]
        assert kind in described["description"].partition(":")[0].split(", ")


@pytest.mark.parametrize("path", [INFER, "/v2/models/{name}/ready", "/v1/models/{name}"])
def test_unknown_models_are_described(service: Service, schema: dict[str, Any], path: str) -> None:
    for name in ("x", "colours/x", "colours%2Fx", "..%2f..%2fetc"):
        answer = ask(service, path.format(name=name), tensor() if path == INFER else None)
        assert answer.status == 404, name
    assert all("404" in about["responses"] for about in schema["paths"][path].values())


def test_errors_of_the_protocol_have_its_form_whoever_refuses(service: Service) -> None:
    for headers, status, kind in (
        ({}, 401, "Unauthorized"),
        ({"Host": "evil.example"}, 421, "UnknownHost"),
        ({"Origin": "http://evil.example"}, 403, "ForeignOrigin"),
    ):
        answer = service.request("/v2/models/colours", headers=headers)
        assert (answer.status, answer.json["kind"]) == (status, kind)
        assert answer.json.keys() == {"error", "kind"}
