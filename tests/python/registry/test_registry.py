"""Test finding models by name without downloads: bundled, in MPSCNN_MODELS, in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpscnn import converters, registry
from mpscnn._private import literals
from mpscnn.errors import DownloadError, ParameterError, WeightsError
from mpscnn.registry import cache, catalogue, local_files, lookup
from mpscnn.registry.download import Client
from mpscnn.registry.entry import converted_path

BUNDLED_FILE = local_files.PACKAGED / f"{catalogue.BUNDLED_MODEL.name}.safetensors"
PUBLISHED = Path(__file__).resolve().parents[3].parent / "shared" / "models" / "google"


def published_file(name: str, content: bytes) -> registry.PublishedFile:
    digest = hashlib.sha256(content).hexdigest()
    return registry.PublishedFile(name, f"https://models.invalid/{name}", len(content), digest)


def make_entry(*contents: tuple[str, bytes], labels: bytes | None = b"cat\ndog\n") -> registry.Entry:
    return registry.Entry(
        name="tiny_0.5_32",
        aliases=("tiny",),
        input_size=(32, 32),
        classes=2,
        sources=tuple(published_file(*content) for content in contents),
        labels=None if labels is None else published_file("labels.txt", labels),
        preprocess="tensorflow",
        licence="Apache-2.0",
        publisher="models.invalid",
    )


TWO_PARTS = (("tiny_body.tflite", b"body" * 100), ("tiny_head.tflite", b"head" * 10))
ENTRY = make_entry(*TWO_PARTS)
FILES = {**dict(TWO_PARTS), "labels.txt": b"cat\ndog\n"}


class FakeConverter(types.ModuleType):
    """A stand-in for the converters, which writes its arguments to a file and counts the calls."""

    def __init__(self) -> None:
        super().__init__("mpscnn.converters.formats.conversion_cache")
        self.CONVERTER_VERSION = 1
        self.calls = 0
        self.failure: BaseException | None = None

    def convert_files(
        self,
        sources: Sequence[Path],
        output: Path,
        *,
        labels: Path | None,
        preprocess: str,
        name: str,
        dtype: str,
        information: dict[str, str],
    ) -> None:
        self.calls += 1
        given = {
            "sources": [source.name for source in sources],
            "content": "".join(source.read_text() for source in sources),
            "labels": labels.read_text() if labels else None,
            "options": [preprocess, name, dtype],
            "information": information,
        }
        output.write_text(json.dumps(given))
        if self.failure:
            raise self.failure


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch) -> FakeConverter:
    fake = FakeConverter()
    monkeypatch.setitem(sys.modules, "mpscnn.converters.formats.conversion_cache", fake)
    return fake


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "packaged"
    packaged.mkdir()
    monkeypatch.setattr(local_files, "PACKAGED", packaged)
    monkeypatch.setattr(lookup, "CATALOGUE", (*catalogue.CATALOGUE, ENTRY))
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MPSCNN_MODELS", raising=False)


def put(directory: Path, files: dict[str, bytes]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


def put_in_cache(entry: registry.Entry, files: dict[str, bytes]) -> None:
    for file in entry.files:
        put(cache.source_path(file).parent, {file.name: files[file.name]})


def listing(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}


def test_order_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converter: FakeConverter) -> None:
    put_in_cache(ENTRY, FILES)
    cached = registry.find("tiny")
    assert cached.parent == tmp_path / "cache" / "models"

    first, second = put(tmp_path / "a", {}), put(tmp_path / "b", {"tiny_0.5_32.safetensors": b"b"})
    monkeypatch.setenv("MPSCNN_MODELS", os.pathsep.join(["", str(first), str(second)]))
    assert registry.find("tiny") == second / "tiny_0.5_32.safetensors"

    put(first, {"tiny.safetensors": b"a"})
    assert registry.find("tiny_0.5_32") == first / "tiny.safetensors"

    put(tmp_path / "packaged", {"tiny_0.5_32.safetensors": b"bundled"})
    assert registry.find("tiny") == tmp_path / "packaged" / "tiny_0.5_32.safetensors"
    assert converter.calls == 1


def test_name_outside_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ["flowers_0.5", "tiny", ".hidden", "has space"]
    mine = put(tmp_path / "mine", {f"{name}.safetensors": b"x" for name in files})
    (mine / "folder.safetensors").mkdir()
    monkeypatch.setenv("MPSCNN_MODELS", str(mine))
    assert registry.find("flowers_0.5") == mine / "flowers_0.5.safetensors"
    assert registry.names() == [*(entry.name for entry in registry.models()), "flowers_0.5"]


def test_empty_element_is_not_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(put(tmp_path / "here", {"flowers.safetensors": b"x"}))
    monkeypatch.setenv("MPSCNN_MODELS", os.pathsep)
    with pytest.raises(ParameterError, match="unknown model 'flowers'"):
        registry.find("flowers")


def test_publisher_files_in_models_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converter: FakeConverter
) -> None:
    body = put(tmp_path / "a", {"tiny_body.tflite": FILES["tiny_body.tflite"]})
    rest = put(tmp_path / "b", {name: FILES[name] for name in ("tiny_head.tflite", "labels.txt")})
    monkeypatch.setenv("MPSCNN_MODELS", os.pathsep.join([str(body), str(rest)]))
    assert json.loads(registry.find("tiny").read_text()) == {
        "sources": ["tiny_body.tflite", "tiny_head.tflite"],
        "content": "body" * 100 + "head" * 10,
        "labels": "cat\ndog\n",
        "options": ["tensorflow", "tiny_0.5_32", "uint8"],
        "information": {"license": ENTRY.licence, "source": ENTRY.publisher},
    }


@pytest.mark.parametrize("wrong", [b"body" * 99, b"bodY" + b"body" * 99])
@pytest.mark.parametrize("place", ["models", "cache"])
def test_other_file_under_the_published_name(
    wrong: bytes, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converter: FakeConverter
) -> None:
    put_in_cache(ENTRY, FILES)
    if place == "models":
        registry.find("tiny")  # a cached conversion must not hide that the file has changed
        monkeypatch.setenv("MPSCNN_MODELS", str(put(tmp_path / "mine", {"tiny_body.tflite": wrong})))
        path = tmp_path / "mine" / "tiny_body.tflite"
    else:
        path = cache.source_path(ENTRY.sources[0])
        path.write_bytes(wrong)
    with pytest.raises(WeightsError, match=re.escape(f"{path} is not the published tiny_body.tflite")):
        registry.find("tiny")


def test_failed_download_names_every_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converter: FakeConverter
) -> None:
    class Offline(Client):
        def download(self, file: registry.PublishedFile, destination: Path) -> None:
            raise DownloadError(f"cannot download {file.url}")

    monkeypatch.setenv("MPSCNN_MODELS", str(put(tmp_path / "mine", {"labels.txt": FILES["labels.txt"]})))
    with pytest.raises(DownloadError) as caught:
        lookup.prepare(ENTRY, client=Offline())
    assert str(caught.value).startswith("cannot download https://models.invalid/tiny_body.tflite\n")
    assert "get tiny_head.tflite (40 bytes" in str(caught.value)
    assert "get labels.txt" not in str(caught.value)


def test_damaged_and_older_conversions_are_made_again(converter: FakeConverter) -> None:
    put_in_cache(ENTRY, FILES)
    found = registry.find("tiny")
    whole = found.read_bytes()
    found.write_bytes(whole.replace(b"dog", b"dig"))
    with pytest.warns(RuntimeWarning, match=f"{re.escape(str(found))}: is damaged"):
        assert registry.find("tiny") == found
    assert found.read_bytes() == whole
    assert registry.find("tiny") == found
    assert converter.calls == 2
    converter.CONVERTER_VERSION = 2  # what an older version of the converter made stays unused
    assert registry.find("tiny") != found
    assert converter.calls == 3


def test_cache_key_holds_all_that_decides_the_contents() -> None:
    paths = {
        converted_path(entry, version).name
        for entry in (
            ENTRY,
            make_entry(TWO_PARTS[0], ("tiny_head.tflite", b"new")),
            make_entry(*TWO_PARTS, labels=b"dog\ncat\n"),
            make_entry(*TWO_PARTS, labels=None),
            replace(ENTRY, preprocess="torch"),
            replace(ENTRY, dtype="float16"),
        )
        for version in (1, 2)
    }
    assert len(paths) == 12
    assert ENTRY.sources[0].sha256[:16] in converted_path(ENTRY, 1).name


def test_finished_conversion_needs_no_writing(tmp_path: Path, converter: FakeConverter) -> None:
    put_in_cache(ENTRY, FILES)
    path = registry.find("tiny")
    for lock in (tmp_path / "cache").rglob("*.lock"):
        lock.unlink()
    before = listing(tmp_path / "cache")
    assert registry.find("tiny", download=False) == path
    assert listing(tmp_path / "cache") == before


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), WeightsError("bad"), OSError(28, "No space left")])
def test_failed_conversion_leaves_nothing(
    failure: BaseException, tmp_path: Path, converter: FakeConverter
) -> None:
    put_in_cache(ENTRY, FILES)
    converter.failure = failure
    expected = DownloadError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected):
        registry.find("tiny")
    assert [path for path in listing(tmp_path / "cache" / "models") if path.suffix != ".lock"] == []

    converter.failure = None
    assert registry.find("tiny").is_file()


def test_no_download_wanted(tmp_path: Path, converter: FakeConverter) -> None:
    with pytest.raises(DownloadError) as caught:
        registry.find("tiny", download=False)
    for file in ENTRY.files:
        assert f"{file.name} ({file.size} bytes, sha256 {file.sha256})" in str(caught.value)
        assert str(cache.source_path(file)) in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_cache_below_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converter: FakeConverter
) -> None:
    put(tmp_path, {"file": b""})
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        DownloadError, match=r"cannot write .*Set MPSCNN_CACHE to a directory that can be written"
    ):
        registry.find("tiny")


def test_directory_that_cannot_be_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_MODELS", str(tmp_path / ("x" * 300)))
    with pytest.raises(
        WeightsError, match=r"cannot look for .*tiny_0\.5_32\.safetensors: File name too long"
    ):
        registry.find("tiny")


def test_location_follows_find(tmp_path: Path, converter: FakeConverter) -> None:
    assert ENTRY.location() is None
    put_in_cache(ENTRY, FILES)
    assert ENTRY.location() == cache.source_path(ENTRY.sources[0])
    cache.source_path(ENTRY.sources[1]).rename(tmp_path / "away")
    assert ENTRY.location() is None
    (tmp_path / "away").rename(cache.source_path(ENTRY.sources[1]))
    found = registry.find("tiny")
    assert ENTRY.location() == found


def test_bundled_model(tmp_path: Path) -> None:
    bundled = catalogue.BUNDLED_MODEL
    assert registry.models()[0] == bundled
    assert (bundled.location(), bundled.size) == (None, None)
    with pytest.raises(WeightsError, match="this installation of mpscnn is incomplete"):
        registry.find("cifar10_mobilenet_v2")
    put(tmp_path / "packaged", {"cifar10_mobilenet_v2.safetensors": b"12345"})
    assert registry.find("cifar10_mobilenet_v2", download=False) == bundled.location()
    assert bundled.size == 5


def metadata(path: Path) -> dict[str, Any]:
    """Return the JSON values in the metadata of a model file (docs/model_format.md)."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    texts = json.loads(content[8 : 8 + length])["__metadata__"]
    return {key: json.loads(text) for key, text in texts.items()}


@pytest.mark.skipif(not BUNDLED_FILE.is_file(), reason=f"{BUNDLED_FILE} is not here")
def test_catalogue_describes_the_bundled_file() -> None:
    values = metadata(BUNDLED_FILE)
    bundled = catalogue.BUNDLED_MODEL
    assert values["mpscnn.graph"]["inputs"][0]["shape"][1:] == [*bundled.input_size, 3]
    assert len(values["mpscnn.labels"]) == bundled.classes


def test_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_MODELS", str(tmp_path / "mine"))
    with pytest.raises(ParameterError) as caught:
        registry.find("mobilnet_v2")
    message = str(caught.value)
    assert message.startswith("unknown model 'mobilnet_v2'. Did you mean mobilenet_v2")
    assert "`mpscnn models`" in message
    assert str(tmp_path / "mine") in message
    assert "Did you mean" not in message_for("zzzzzz")


def message_for(name: str) -> str:
    with pytest.raises(ParameterError) as caught:
        registry.find(name)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "./tiny", "a/tiny", "/tiny", "x.safetensors", "tiny\0", "tiñy", "x" * 101, ".tiny", "ñ"],
)
def test_not_a_name(name: str) -> None:
    assert "is not a model name" in message_for(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mobilenet_v2", False),
        ("mobilenet_v1_0.75_192", False),
        ("x.safetensors", True),
        ("x.h5", True),
        ("x_0.5.tflite", True),
        ("./x", True),
        ("models/x", True),
    ],
)
def test_is_path(text: str, expected: bool) -> None:
    assert registry.is_path(text) is expected


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "~/.cache/mpscnn"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/mpscnn"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/mpscnn"),
        ("linux", {"XDG_CACHE_HOME": "/x", "MPSCNN_CACHE": "/y"}, "/y"),
        ("linux", {"MPSCNN_CACHE": "~/y"}, "~/y"),
        ("linux", {"MPSCNN_CACHE": ""}, "~/.cache/mpscnn"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "~/Library/Caches/mpscnn"),
    ],
)
def test_cache_directory(
    platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", "/home/someone")
    for variable in ("XDG_CACHE_HOME", "MPSCNN_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert cache.cache_directory() == Path(expected.replace("~", "/home/someone"))


def test_catalogue_is_consistent() -> None:
    names = [name for entry in catalogue.CATALOGUE for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    assert [name for name in names if registry.is_path(name)] == []
    assert registry.names()[: len(catalogue.CATALOGUE)] == [entry.name for entry in catalogue.CATALOGUE]
    for file in (file for entry in catalogue.CATALOGUE for file in entry.files):
        # URLs name a commit, because a branch may change.
        assert re.fullmatch(r"https://\S+/[0-9a-f]{40}/(\S+/)?" + re.escape(file.name), file.url)
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"{PUBLISHED} with the published files is not here")
def test_catalogue_describes_the_published_files() -> None:
    for entry in catalogue.CATALOGUE:
        for file in entry.files:
            (path,) = PUBLISHED.parent.glob(f"*/{file.name}")
            assert cache.difference(path, file) is None
        if entry.labels:
            labels = converters.read_labels(PUBLISHED / entry.labels.name)
            assert len(labels) == entry.classes
            assert labels[0] == "background"


def test_local_lookup_imports_no_networking(tmp_path: Path) -> None:
    put(tmp_path / "mine", {"flowers.safetensors": b""})
    script = (
        "import sys; from mpscnn import registry; registry.find('flowers'); registry.names(); "
        "print(sorted({'urllib.request', 'http.client', 'ssl', 'rich'} & set(sys.modules)))"
    )
    environment = {**os.environ, "MPSCNN_MODELS": str(tmp_path / "mine")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_names_that_type_checkers_know_are_in_the_catalogue() -> None:
    known = {entry.name for entry in catalogue.CATALOGUE}
    for names in (literals.ClassifierName, literals.DetectorName, literals.SegmenterName):
        assert set(typing.get_args(names)) <= known
