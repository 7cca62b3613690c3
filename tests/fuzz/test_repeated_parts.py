"""Read files that repeat one element of their format: twice the elements cost twice the work."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from work import lines_run

import mpscnn
from mpscnn import converters
from mpscnn.errors import Error

pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("h5py", reason="needs h5py")
pytest.importorskip("flatbuffers", reason="needs flatbuffers")
KINDS = (
    "HDF5", "Keras", "ONNX", "Core ML", "Compiled Core ML", "TensorFlow", "TensorFlow Lite", "TensorFlow.js", "Caffe",
    "PyTorch", "Core AI", "Photo",
)  # fmt: skip
#: The suffixes of photos.
_PHOTOS = (".png", ".jpg", ".webp", ".gif", ".tif")
#: The most work for a file of twice as many elements.
_GROWTH = 2.2
#: The size in bytes of the largest files.
_LARGE = 100_000


@pytest.fixture(autouse=True)
def _modules_of_this_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.syspath_prepend(Path(__file__).parent.parent)


def parts(kind: str) -> dict[str, Any]:
    """Return the repeated parts of a format."""
    if kind == "Core AI":
        pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
    listed = importlib.import_module("repeated_parts").PARTS
    found = {name: part for name, part in listed.items() if name.startswith(f"{kind}: ")}
    assert found
    assert all(name.partition(": ")[0] in KINDS for name in listed)
    return found


def written(path: Path, content: bytes | dict[str, bytes]) -> int:
    """Write a file, or the files of a folder. Return their size."""
    files = (
        {path: content} if isinstance(content, bytes) else {path / name: one for name, one in content.items()}
    )
    for place, one in files.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one)
    return sum(map(len, files.values()))


def read(path: Path) -> None:
    if path.suffix in _PHOTOS:
        mpscnn.open_photo(path.read_bytes())
        return
    if (path / "model.json").exists():
        path /= "model.json"
    paths = [path, path.with_suffix(".caffemodel")] if path.suffix == ".prototxt" else [path]
    for other in paths[1:]:
        other.write_bytes(
            importlib.import_module("converters.caffe_writer").weights({"w": [np.ones((1, 1, 1, 1))]})
        )
    converters.read_network(paths)


def read_or_refuse(path: Path) -> None:
    with contextlib.suppress(Error):
        read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_elements_cost_twice_the_work(kind: str, tmp_path: Path) -> None:
    """Count the lines of Python that run, which a loaded machine does not change. That takes seconds for ONNX."""
    findings = []
    for number, (name, part) in enumerate(parts(kind).items()):
        path = tmp_path / f"{number}{part.suffix}"
        work: list[int] = []
        for count in (part.count, 2 * part.count):
            written(path, part.make(count))
            if not work:
                read_or_refuse(path)  # imports modules and fills caches
            work.append(lines_run(lambda path=path: read_or_refuse(path)))
        if work[1] > _GROWTH * work[0]:
            findings.append(f"{name}: {work[0]} lines for {part.count} elements, {work[1]} for twice as many")
    assert not findings, "\n".join(findings)


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_small_files_of_repeated_parts_cost_little(kind: str, tmp_path: Path) -> None:
    from small_costs import measure

    findings = []
    for number, (name, part) in enumerate(parts(kind).items()):
        path = tmp_path / f"{number}{part.suffix}"
        count, size = part.count, written(path, part.make(part.count))
        while size < 0.9 * _LARGE and count < part.largest:
            count = min(int(count * min(2.0, max(1.05, 0.97 * _LARGE / size))), part.largest)
            size = written(path, part.make(count))
        outcome = measure(read, path)
        if outcome.finding:
            findings.append(f"{name} ({size} bytes): {outcome.finding}")
    assert not findings, "\n".join(findings)
