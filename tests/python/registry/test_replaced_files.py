"""Test replacing files and folders: links and pipes are kept, and a failure loses nothing."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from command_line import colour_network
from PIL import Image

import mpscnn
from mpscnn._private.files import replace_folder
from mpscnn.apps.cli import picture_folder
from mpscnn.apps.cli.picture_folder import PictureFolder
from mpscnn.converters import export_coreml, export_onnx
from mpscnn.models import deep_mnist, export_deep_mnist

WRITERS = {"model.safetensors": mpscnn.Network.save, "model.onnx": export_onnx}


@pytest.fixture(params=WRITERS)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of a file to write."""
    if request.param == "model.onnx":
        pytest.importorskip("onnx", reason="needs onnx")
    return str(request.param)


def test_of_a_link_the_file_that_it_names_is_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far" / name, tmp_path / name
    file.write_bytes(b"old")
    link.symlink_to(Path("far", name))
    WRITERS[name](colour_network(), link)
    assert link.is_symlink()
    assert len(file.read_bytes()) > 100
    assert list((tmp_path / "far").iterdir()) == [file]


def test_a_link_to_nothing_says_where_the_file_goes(name: str, tmp_path: Path) -> None:
    link = tmp_path / name
    link.symlink_to("new")
    WRITERS[name](colour_network(), link)
    assert link.is_symlink()
    assert (tmp_path / "new").stat().st_size > 100


def test_a_pipe_stays(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(mpscnn.WeightsError, match="not a regular file"):
        WRITERS[name](colour_network(), tmp_path / name)
    assert (tmp_path / name).is_fifo()
    assert list(tmp_path.iterdir()) == [tmp_path / name]


# ---- A failure loses nothing ---------------------------------------------------------------------------------------


def save_trace(path: Path) -> None:
    session = colour_network().compile(device="cpu").session(threads=1)
    session.profile(np.ones((1, 8, 8, 3), np.float32), runs=1).save_trace(path)


def save_comparison(path: Path) -> None:
    mpscnn.compare(colour_network(), colour_network()).save(path)


def save_picture(path: Path) -> None:
    PictureFolder(path, ["photo.jpg"], [""], overwrite=True).save(
        Image.new("RGB", (90, 90), "red"), "photo.jpg", ""
    )


def save_deep_mnist(path: Path) -> None:
    network = deep_mnist(channels=(2, 2), hidden=3)
    network.initialize_weights()
    export_deep_mnist(network, path)


def save_checkpoint(path: Path) -> None:
    mpscnn.Trainer(colour_network(), optimizer=mpscnn.Adam(1e-2), threads=1).save(path)


#: Functions that write a file or folder, and the package that they need.
EVERY_WRITER: dict[str, tuple[Callable[[Path], object], str]] = {
    "model.safetensors": (lambda path: colour_network().save(path), "mpscnn"),
    "model.onnx": (lambda path: export_onnx(colour_network(), path), "onnx"),
    "model.mlmodel": (lambda path: export_coreml(colour_network(), path), "coremltools"),
    "trace.json": (save_trace, "mpscnn"),
    "comparison.png": (save_comparison, "mpscnn"),
    "picture.tiff": (save_picture, "mpscnn"),
    "run.checkpoint": (save_checkpoint, "mpscnn"),
    "deep_mnist": (save_deep_mnist, "mpscnn"),
}


def content_of(folder: Path) -> dict[str, bytes]:
    """Return all files in a folder and its folders."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def full_disk() -> Iterator[None]:
    """Limit files to 20 bytes. Writing more fails as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("writer", EVERY_WRITER)
def test_a_full_disk_leaves_the_old_file(writer: str, tmp_path: Path) -> None:
    write, package = EVERY_WRITER[writer]
    pytest.importorskip(package, reason=f"needs {package}")
    path = tmp_path / writer
    write(path)
    before = content_of(tmp_path)
    assert before
    with full_disk(), pytest.raises(mpscnn.Error, match=re.escape(writer)):
        write(path)
    assert content_of(tmp_path) == before
    write(path)
    assert content_of(tmp_path).keys() == before.keys()


def test_a_full_disk_leaves_the_old_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """coremltools writes the package, and a full disk shows when its last file is written."""
    pytest.importorskip("coremltools", reason="needs coremltools")
    path = tmp_path / "model.mlpackage"
    export_coreml(colour_network(), path)
    before = content_of(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fail_on_full_disk)
        with pytest.raises(mpscnn.WeightsError, match=r"model\.mlpackage: cannot be written: No space left"):
            export_coreml(colour_network(), path, dtype="float16")
    assert content_of(tmp_path) == before
    export_coreml(colour_network(), path, dtype="float16")
    assert content_of(tmp_path).keys() == before.keys()
    assert content_of(tmp_path) != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.mlpackage"]


def fail_on_full_disk(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_folder(target: Path) -> None:
    with replace_folder(target, mpscnn.WeightsError) as made:
        made.mkdir()
        (made / "file").write_text("new")


@pytest.mark.parametrize("is_late", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("exists", [False, True])
def test_an_interruption_leaves_a_whole_folder(
    exists: bool, step: int, is_late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C may come before or after each of the two renames."""
    target, steps, rename = tmp_path / "model.mlpackage", 0, Path.rename

    def interrupted(path: Path, other: Path) -> Path:
        nonlocal steps
        steps += 1
        if is_late or steps != step:
            rename(path, other)
        if steps == step:
            raise KeyboardInterrupt
        return other

    if exists:
        target.mkdir()
        (target / "file").write_text("old")
    if step == 1 or exists:
        monkeypatch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_folder(target)
    last = step == (2 if exists else 1)
    expected = {"model.mlpackage/file": b"new" if last and is_late else b"old"}
    assert content_of(tmp_path) == (expected if exists or (last and is_late) else {})
    assert len(list(tmp_path.iterdir())) == len(content_of(tmp_path))


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(mpscnn.WeightsError, match="file: cannot be written: Not a directory"):
        write_folder(tmp_path / "file")
    assert content_of(tmp_path) == {"file": b"old"}


#: The number of lines in each file of the library that write directly, and why no file that exists can be lost.
DIRECT = {
    "_private/files.py": (1, "it is the temporary file of replace_atomically"),
    "apps/benchmark/metal_kernels.py": (1, "it is the temporary file of replace_file"),
    "apps/benchmark/ncnn_file.py": (1, "the folder is temporary"),
    "apps/benchmark/peers.py": (1, "the folder is temporary"),
    "apps/benchmark/worker.py": (1, "it is a pipe"),
    "apps/cli/failures.py": (1, "it is no file"),
    "apps/cli/line_file.py": (1, "it is a temporary file"),
    "apps/cli/package.py": (1, "a line is appended"),
    "apps/cli/row_file.py": (1, "rows are appended to the file of an ended command"),
    "apps/verify/worker.py": (1, "it is a pipe"),
    "apps/video/writer.py": (1, "it is a temporary file"),
    "comparison/precision_choice.py": (1, "it is the temporary file of replace_file"),
    "converters/formats/conversion_cache.py": (1, "it is the temporary file of replace_file"),
    "converters/reading/coreai/archive.py": (1, "the folder is temporary"),
    "converters/writing/coreai/export.py": (1, "the folder is that of replace_folder"),
    "converters/reading/coreml/cut.py": (3, "the folder is temporary"),
    "converters/writing/coreml/compiled_program.py": (1, "it is the temporary file of replace_file"),
    "converters/writing/coreml/export.py": (2, "the folder is that of replace_folder"),
    "registry/converted_file.py": (1, "it is the temporary file of replace_file"),
    "training/array_archive.py": (1, "it is a member of the archive that is written"),
    "registry/download.py": (1, "it appends to a temporary file"),
}
DIRECT_WRITE = re.compile(
    r"""\.write_(text|bytes)\(|open\(.*"[wax]b?\+?b?"|(self\.draw|result\.draw|picture)(\(\))?\.save\((path|target)\)"""
)


def test_no_other_code_writes_directly() -> None:
    library = Path(__file__).resolve().parents[3] / "python" / "mpscnn"
    lines = {
        str(path.relative_to(library)): [
            line for line in path.read_text("utf-8").splitlines() if DIRECT_WRITE.search(line)
        ]
        for path in library.rglob("*.py")
    }
    assert {file: len(found) for file, found in lines.items() if found} == {
        file: count for file, (count, _) in DIRECT.items()
    }


def test_many_pictures_of_one_name_are_numbered_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[object] = []
    monkeypatch.setattr(picture_folder, "real_path", lambda path: followed.append(path) or str(path))
    inputs = [str(tmp_path / "photo-found-2.png")]  # an input is not overwritten
    folder = PictureFolder(tmp_path, inputs, ["-found"], overwrite=True)
    picture = Image.new("L", (1, 1))
    names = [folder.save(picture, f"{number}/photo.jpg", "-found").name for number in range(100)]
    assert names[:3] == ["photo-found.png", "photo-found-3.png", "photo-found-4.png"]
    assert len({*names}) == 100
    assert len(followed) < 400


def test_a_long_chain_of_links_is_not_replaced(tmp_path: Path) -> None:
    """Python cannot follow such a chain."""
    for number in range(2_000):
        (tmp_path / f"{number}.safetensors").symlink_to(f"{number + 1}.safetensors")
    with pytest.raises(mpscnn.WeightsError, match=r"0\.safetensors: cannot be written: Too many levels"):
        colour_network().save(tmp_path / "0.safetensors")
