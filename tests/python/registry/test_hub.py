"""Names of the Hugging Face hub, with a server of this machine in its place. All tests need huggingface_hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from agreement import results
from command_line import call
from serving import require_packages, serving

import mpscnn
from mpscnn import Network
from mpscnn.registry.hub import find_on_hub, is_hub_name, model_name

constants = pytest.importorskip("huggingface_hub.constants", reason="huggingface_hub is not installed")
COMMIT, OLDER = "c0ffee" * 6 + "1234", "0ddba11" * 5 + "12345"


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does for a repository of models."""

    repositories: dict[str, dict[str, dict[str, bytes]]]  # by name and commit
    asked: list[str]
    token: str | None = None  # the only one that is let in; None: all are
    commit: str | None = None  # the one that it states; None: the true one
    headers_of_files: Mapping[str, str] = {}  # those that differ from the true ones

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(path)
        if self.token is not None and self.headers["Authorization"] != f"Bearer {self.token}":
            return self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        parts = path.removeprefix("/api/models").strip("/").split("/")
        name, revision = "/".join(parts[:2]), parts[3] if len(parts) > 3 else "main"
        commits = self.repositories.get(name)
        if commits is None:
            return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        commit = {"main": COMMIT, "v1": OLDER}.get(revision, revision)
        if commit not in commits:
            return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        files = commits[commit]
        if path.startswith("/api/"):
            found = {
                "id": name,
                "sha": self.commit or commit,
                "siblings": [
                    {
                        "rfilename": one,
                        "size": len(data),
                        "lfs": {
                            "sha256": hashlib.sha256(data).hexdigest(),
                            "size": len(data),
                            "pointerSize": 1,
                        },
                    }
                    for one, data in files.items()
                ],
            }
            return self.answer(200, json.dumps(found).encode(), {"Content-Type": "application/json"})
        data = files["/".join(parts[4:])]
        tag = hashlib.sha256(data).hexdigest()
        return self.answer(200, data, {"ETag": f'"{tag}"', "X-Repo-Commit": commit, **self.headers_of_files})

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@contextmanager
def hub(repositories: dict[str, dict[str, dict[str, bytes]]]) -> Iterator[Any]:
    kind = type("Handler", (Handler,), {"repositories": repositories, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
            yield kind
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def network(seed: int) -> Network:
    made = Network(input=(4, 4, 3))
    made.output(made.softmax(made.dense(made.flatten(made.input), 5, name="scores")))
    made.initialize_weights(seed)
    return made


def content(folder: Path, seed: int = 0) -> bytes:
    path = folder / f"{seed}.tflite"
    network(seed).save(path)
    return path.read_bytes()


def test_names() -> None:
    for text in ("hf://owner/name", "hf:/owner/name@v1/a.onnx", "timm/resnet18.a1_in1k", "timm/x@v1"):
        assert is_hub_name(text)
    no_names = ("timm/.", "timm/..", "timm/..@v1", "timm/../x")
    for text in ("owner/name", "timm/model.safetensors", "timm/a/b", "resnet18", "models/timm/x", *no_names):
        assert not is_hub_name(text)
    with pytest.raises(mpscnn.WeightsError, match="A model of the Hugging Face hub is hf://owner/name"):
        mpscnn.load("owner/name")
    for text in ("hf://name", "hf://owner/name@", "hf://owner/name/../x.onnx", "hf://"):
        with pytest.raises(mpscnn.ParameterError, match=r"expected hf://OWNER/NAME\[@REVISION\]\[/FILE\]"):
            find_on_hub(text)
    for part in (".", ".."):
        for text in (
            f"{part}/{part}",
            f"{part}/name",
            f"owner/{part}",
            f"owner/{part}@v1",
            f"owner/{part}/a.onnx",
        ):
            with pytest.raises(mpscnn.ParameterError, match=r"expected hf://OWNER/NAME"):
                find_on_hub(f"hf://{text}")
        for revision in (part, f"a%2F{part}", f"{part}%2Fa", "%2Fa", "a%2F"):
            with pytest.raises(mpscnn.ParameterError, match="is no name of a branch, tag or commit"):
                find_on_hub(f"hf://owner/name@{revision}/a.onnx")
    assert is_hub_name("timm/...a")
    assert model_name("hf://.owner/..name") == "..name"


def test_files_and_revisions(tmp_path: Path) -> None:
    """The record has the commit and the hash. What is in the cache is found without the hub, too."""
    new, old = content(tmp_path, 1), content(tmp_path, 2)
    repository = {COMMIT: {"a.tflite": new, "README.md": b"text"}, OLDER: {"a.tflite": old, "b.tflite": new}}
    x = np.random.default_rng(0).uniform(-1, 1, (1, 4, 4, 3)).astype(np.float32)
    with hub({"owner/name": repository}) as server:
        for text, seed, data, commit in (
            ("hf://owner/name", 1, new, COMMIT),
            ("hf://owner/name@v1/a.tflite", 2, old, OLDER),
            (f"hf://owner/name@{OLDER}/a.tflite", 2, old, OLDER),
        ):
            model = mpscnn.load(text)
            np.testing.assert_allclose(results(model.network, x)[0], results(network(seed), x)[0], atol=1e-6)
            digest = hashlib.sha256(data).hexdigest()
            assert model.information["source"] == f"hf://owner/name@{commit}/a.tflite (SHA-256 {digest})"
        with pytest.raises(mpscnn.ParameterError, match=r"name the file.*a\.tflite, b\.tflite"):
            mpscnn.load("hf://owner/name@v1")
        assert not any("README" in path for path in server.asked)
        output = tmp_path / "made.safetensors"
        assert call("convert", "hf://owner/name", str(output), "--no-check") == 0
        digest = hashlib.sha256(new).hexdigest()
        record = f"hf://owner/name@{COMMIT}/a.tflite (SHA-256 {digest})"
        assert mpscnn.load(output).information["source"] == record
        assert mpscnn.compare(str(output), "hf://owner/name@mpscnn").equal
        assert call("info", "hf://owner/name@v1/a.tflite") == 0
    again = mpscnn.load("hf://owner/name")  # nobody answers now
    assert COMMIT in again.information["source"]
    with pytest.raises(mpscnn.DownloadError, match="does not answer"):
        mpscnn.load("hf://owner/other")


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite", ".mlpackage", ".mlmodel"])
def test_converted_files_say_where_they_are_from(tmp_path: Path, suffix: str) -> None:
    if suffix.startswith(".ml"):
        pytest.importorskip("coremltools", reason="coremltools is not installed")
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="onnx is not installed")
    data, output = content(tmp_path), tmp_path / f"made{suffix}"
    with hub({"owner/name": {COMMIT: {"a.tflite": data}}}):
        assert call("convert", "hf://owner/name", str(output), "--no-check") == 0
    digest = hashlib.sha256(data).hexdigest()
    record = f"hf://owner/name@{COMMIT}/a.tflite (SHA-256 {digest})"
    if suffix == ".safetensors":
        assert mpscnn.load(output).information["source"] == record
        return
    if not suffix.startswith(".ml"):
        text = output.read_bytes().decode("latin-1")
        stated, _ = json.JSONDecoder().raw_decode(text, text.index('{"source"'))
        assert stated == {"source": record}
        return
    import coremltools

    metadata = coremltools.models.MLModel(str(output), skip_model_load=True).get_spec().description.metadata
    assert record in str(metadata)


def test_a_token_is_sent_and_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private repository does not exist without the token. Nothing but the hub gets it."""
    with hub({"owner/name": {COMMIT: {"a.tflite": content(tmp_path)}}}) as server:
        server.token = "hf_secret"
        monkeypatch.setenv("HF_TOKEN", "hf_other")
        with pytest.raises(mpscnn.DownloadError, match="or it is private: log in with `hf auth login`"):
            mpscnn.load("hf://owner/name")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        model = mpscnn.load("hf://owner/name")
    assert "secret" not in str(model.information)


def test_offline_mode_loads_what_the_cache_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({"owner/name": {COMMIT: {"a.tflite": content(tmp_path)}}}) as server:
        first = mpscnn.load("hf://owner/name")
        asked = len(server.asked)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        again = mpscnn.load("hf://owner/name")
        assert again.information == first.information
        with pytest.raises(mpscnn.DownloadError, match="its cache on this machine lacks the file"):
            mpscnn.load("hf://owner/other")
        assert len(server.asked) == asked


def test_the_service_names_models_like_their_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service is a process of its own, which takes about a second."""
    require_packages()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    one, two = content(tmp_path, 1), content(tmp_path, 2)
    repositories = {
        "owner/x.v1_in1k": {COMMIT: {"model.tflite": one}},
        "timm/x.v2": {OLDER: {"model.tflite": two}},
    }
    x = np.random.default_rng(0).uniform(-1, 1, (1, 4, 4, 3)).astype(np.float32)
    with (
        hub(repositories),
        serving("hf://owner/x.v1_in1k", "timm/x.v2@v1", "hf://timm/x.v2@v1/model.tflite") as service,
    ):
        names = [model["name"] for model in service.request("/v1/models").json["models"]]
        assert names == ["x.v1_in1k", "x.v2", "x.v2-model"]
        inputs = [{"name": "image", "shape": [*x.shape], "datatype": "FP32", "data": x.ravel().tolist()}]
        body = json.dumps({"inputs": inputs}).encode()
        for name, seed in (("x.v1_in1k", 1), ("x.v2", 2)):
            answer = service.request(f"/v2/models/{name}/infer", body).json
            (found,) = answer["outputs"]
            np.testing.assert_allclose(found["data"], results(network(seed), x)[0].ravel(), atol=1e-6)


def test_refusals(tmp_path: Path) -> None:
    data = content(tmp_path)
    repositories = {
        "a/pickles": {COMMIT: {"pytorch_model.bin": b"x", "model.pth": b"x"}},
        "a/nothing": {COMMIT: {"notes.txt": b"x"}},
        "a/one": {COMMIT: {"one.tflite": data, "weights.pt": b"x"}},
    }
    with hub(repositories):
        for text, kind, message in (
            ("hf://a/pickles", mpscnn.UnsupportedError, "pytorch_model.bin is a pickle"),
            ("hf://a/one/weights.pt", mpscnn.UnsupportedError, "weights.pt is a pickle"),
            ("hf://a/nothing", mpscnn.ParameterError, "no model that mpscnn reads"),
            ("hf://a/one/two.tflite", mpscnn.ParameterError, "its models are one.tflite"),
            ("hf://a/missing", mpscnn.DownloadError, "no repository a/missing"),
            ("timm/missing.x", mpscnn.DownloadError, "no repository timm/missing.x"),
            ("hf://a/one@v9", mpscnn.DownloadError, "no revision v9"),
        ):
            with pytest.raises(kind, match=message):
                mpscnn.load(text)


def test_folders_are_copied(tmp_path: Path) -> None:
    """The cache of huggingface_hub has links in place of files, which readers of folders refuse."""
    files = {"m.aimodel/main.mlirb": b"a program", "m.aimodel/metadata.json": b"{}", "../x.aimodel/y": b""}
    with hub({"a/folder": {COMMIT: files}}):
        found = find_on_hub("hf://a/folder/m.aimodel")
        assert found.path.name == "m.aimodel"
        assert sorted(path.name for path in found.path.iterdir()) == ["main.mlirb", "metadata.json"]
        assert not any(path.is_symlink() for path in found.path.iterdir())
        assert find_on_hub("hf://a/folder") == found


def test_other_content_than_the_hub_states(tmp_path: Path) -> None:
    data = content(tmp_path)
    with hub({"a/one": {COMMIT: {"one.tflite": data}}}):
        path = find_on_hub("hf://a/one").path.resolve()
        path.write_bytes(data[:-1] + b"x")
        with pytest.raises(mpscnn.DownloadError, match="and the hub states"):
            mpscnn.load("hf://a/one")


@pytest.mark.ci
def test_files_of_timm(tmp_path: Path) -> None:
    """The names of classes and the preprocessing of photos are those of timm's config.json. timm takes seconds."""
    timm = pytest.importorskip("timm", reason="timm is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.manual_seed(0)
    labels = [f"class {number}" for number in range(7)]
    repositories = {}
    for name in ("mobilenetv3_small_050", "hgnet_tiny"):
        module = timm.create_model(name, num_classes=7).eval()
        folder = tmp_path / name
        timm.models.save_for_hf(module, folder, model_config={"label_names": labels}, safe_serialization=True)
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".bin"}
        repositories[f"timm/{name}.x"] = {COMMIT: files}
        if name.startswith("mobilenet"):
            x = torch.randn(1, 3, 224, 224)
            right = module(x).detach().numpy()
    with hub(repositories):
        model = mpscnn.load("timm/mobilenetv3_small_050.x")
        assert model.labels == labels
        assert model.preprocess is not None
        (found,) = results(model.network, np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1)))
        np.testing.assert_allclose(found, right, atol=1e-5)
        with pytest.raises(mpscnn.UnsupportedError, match=r"timm knows its network hgnet_tiny.*from_torch"):
            mpscnn.load("timm/hgnet_tiny.x")


@pytest.mark.parametrize("name", ["a.onnx", "a.tflite"])
@pytest.mark.parametrize("commit", ["../../../outside", "/outside", "..", "main", "C0FFEE" * 7])
def test_a_commit_that_is_none_names_no_folder(name: str, commit: str, tmp_path: Path) -> None:
    with hub({"owner/name": {COMMIT: {name: b"data"}}}) as server:
        server.commit = commit
        with pytest.raises(mpscnn.DownloadError, match="hf://owner/name: the hub states the commit"):
            find_on_hub("hf://owner/name")
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("name", ["..\\..\\a.onnx", "C:\\a.onnx", "a\0.onnx", "a" * 5_000 + ".onnx"])
def test_names_that_no_file_can_have(name: str) -> None:
    with hub({"owner/name": {COMMIT: {name: b"data"}}}), pytest.raises(mpscnn.DownloadError) as caught:
        find_on_hub("hf://owner/name")
    assert str(caught.value).startswith("hf://owner/name: ")


@pytest.mark.parametrize(
    "headers", [{"X-Repo-Commit": "../../outside"}, {"Location": "file:///etc/passwd"}], ids=str
)
def test_headers_that_lead_elsewhere(headers: dict[str, str], tmp_path: Path) -> None:
    with hub({"owner/name": {COMMIT: {"a.tflite": b"data"}}}) as server:
        server.headers_of_files = headers
        with pytest.raises(mpscnn.DownloadError, match="hf://owner/name: the hub cannot be read: "):
            find_on_hub("hf://owner/name")
    assert not list(tmp_path.rglob("outside"))
