"""Test files of other frameworks in `mpscnn.load` and --model: they are converted once and cached by content."""

from __future__ import annotations

import errno
import os
import re
import shlex
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, save_photo
from converters.tflite_writer import Operator, Tensor, constant, write_tflite

import mpscnn
from mpscnn import converters
from mpscnn.converters.formats import conversion_cache
from mpscnn.converters.formats.records import BY_SUFFIX
from mpscnn.models.deep_mnist import deep_mnist, export_deep_mnist


def tflite_file(path: Path, scale: float = 1.0) -> Path:
    """Write a network that multiplies the mean colour by a matrix."""
    weights = scale * np.eye(3, dtype=np.float32)
    tensors = [
        Tensor("image", (1, 4, 5, 3)),
        constant("axes", [1, 2], "int32"),
        Tensor("mean", (1, 3)),
        constant("weights", weights),
        Tensor("scores", (1, 3)),
    ]
    operators = [
        Operator(40, [0, 1], [2], 27),  # MEAN
        Operator(9, [2, 3], [4], 8),  # FULLY_CONNECTED
    ]
    path.write_bytes(write_tflite(tensors, operators, [0], [4]))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    monkeypatch.setenv("MPSCNN_CACHE", str(directory))
    return directory


def kept(cache: Path) -> list[Path]:
    return sorted((cache / "models").glob("*.safetensors"))


@pytest.mark.parametrize("state", ["a file", "full", "full for the core"])
def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, state: str
) -> None:
    path = tflite_file(tmp_path / "colours.tflite")
    monkeypatch.setattr(conversion_cache.tempfile, "tempdir", str(tmp_path))
    conversion_cache._folder_of_process.cache_clear()
    if state == "a file":
        cache.write_text("")
    else:
        save = mpscnn.Network.save

        def fill(self: mpscnn.Network, file: Path, *arguments: Any, **options: Any) -> Any:
            if cache in Path(file).parents:
                reason = os.strerror(errno.ENOSPC)
                if state == "full":
                    raise OSError(errno.ENOSPC, reason)
                raise mpscnn.WeightsError(f"{file}: cannot be written: {reason}")
            return save(self, file, *arguments, **options)

        monkeypatch.setattr(mpscnn.Network, "save", fill)
    with pytest.warns(
        RuntimeWarning, match=r"cannot write .*colours.tflite is converted for this process only"
    ):
        first = mpscnn.load(path)
    assert mpscnn.load(path).labels == first.labels  # a second warning would be an error
    conversion_cache._folder_of_process.cache_clear()


def test_converted_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This takes a second, since another process compares each new file with LiteRT."""
    path = tflite_file(tmp_path / "colours.tflite")
    x = np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 4, 5, 3)
    loaded = mpscnn.load(path)
    assert loaded.name == "colours"
    with loaded.session() as session:
        np.testing.assert_allclose(session.run(x), x.mean(axis=(1, 2)), rtol=1e-5)
    assert len(kept(cache)) == 1

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("converted again")

    with monkeypatch.context() as patch:
        patch.setattr(conversion_cache, "read_network", refuse)
        assert mpscnn.load(str(path)).name == "colours"
        (tmp_path / "copy.tflite").write_bytes(path.read_bytes())
        assert mpscnn.load(tmp_path / "copy.tflite").name == "colours"
        tflite_file(path, scale=2.0)
        with pytest.raises(AssertionError, match="converted again"):
            mpscnn.load(path)
    with mpscnn.load(path).session() as session:
        np.testing.assert_allclose(session.run(x), 2 * x.mean(axis=(1, 2)), rtol=1e-5)
    assert len(kept(cache)) == 2


def test_damaged_results_are_made_again(tmp_path: Path, cache: Path) -> None:
    """A cached file may be cut short, and bits of its header and its weights may flip.

    This takes a second, since the file is converted five times.
    """
    path = tflite_file(tmp_path / "colours.tflite")
    x = np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 4, 5, 3)
    mpscnn.load(path)
    (kept_file,) = kept(cache)
    whole = kept_file.read_bytes()
    for damaged in (b"", whole[:-1], b"\1" + whole[1:], whole[:-1] + bytes([whole[-1] ^ 128])):
        kept_file.write_bytes(damaged)
        with pytest.warns(RuntimeWarning, match="is damaged, so it is made again") as warned:
            model = mpscnn.load(path)
        assert [warning.filename for warning in warned] == [__file__]
        with model.session() as session:
            np.testing.assert_allclose(session.run(x), x.mean(axis=(1, 2)), rtol=1e-5)
        assert kept_file.read_bytes() == whole
    (checksum,) = cache.rglob("*.crc32")
    content = checksum.read_bytes()
    checksum.unlink()
    mpscnn.load(path)  # without a warning, since older versions wrote no checksum
    assert checksum.read_bytes() == content


def test_another_suffix_is_another_format(tmp_path: Path) -> None:
    """The file's suffix determines its reader, even if the cache has a network of the same contents."""
    path = tflite_file(tmp_path / "colours.tflite")
    mpscnn.load(path)
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"is a TensorFlow Lite file; rename it to colours\.tflite"
    ):
        mpscnn.load(path.rename(tmp_path / "colours.h5"))
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"is a TensorFlow Lite file; rename it to colours\.tflite"
    ):
        mpscnn.load((tmp_path / "colours.h5").rename(tmp_path / "colours.onnx"))


def test_damaged_files_leave_nothing(tmp_path: Path, cache: Path) -> None:
    path = tflite_file(tmp_path / "cut.tflite")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(mpscnn.WeightsError, match=r"cut\.tflite"):
        mpscnn.load(path)
    assert [entry for entry in cache.rglob("*") if entry.suffix == ".safetensors"] == []
    with pytest.raises(mpscnn.WeightsError, match=r"missing\.tflite"):
        mpscnn.load(tmp_path / "missing.tflite")


@pytest.mark.parametrize("begin", [b"", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9\x20j\xa8P\x19.", b"\x1c\0\0\0TFL3"])
@pytest.mark.parametrize("suffix", [".pb folder", *BY_SUFFIX])
def test_large_files_that_are_damaged_are_refused_before_they_are_hashed(
    suffix: str, begin: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion_cache, "_digest", lambda *_: pytest.fail("it is hashed"))
    path = tmp_path / f"model{suffix}"
    inner = {
        ".pb folder": "saved_model.pb",
        ".mlpackage": "Data/com.apple.CoreML/model.mlmodel",
        ".mlmodelc": "model.mil",
    }.get(suffix, "")
    file = path / inner
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(begin)
    os.truncate(file, 1 << 40)
    with pytest.raises(mpscnn.Error, match=re.escape(str(path))):
        mpscnn.load(path)


def test_files_that_change_while_they_are_read(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This takes a second, since another process compares each new file with LiteRT."""
    path = tflite_file(tmp_path / "colours.tflite")
    read = conversion_cache.read_network

    def read_and_replace(*arguments: object, **options: object) -> object:
        network = read(*arguments, **options)
        tflite_file(path, 2.0)
        return network

    with monkeypatch.context() as context:
        context.setattr(conversion_cache, "read_network", read_and_replace)
        with pytest.raises(mpscnn.WeightsError, match="changed while it was read: load it again"):
            mpscnn.load(path)
    assert not kept(cache)
    with mpscnn.load(path).session() as session:
        np.testing.assert_allclose(session.run(np.ones((1, 4, 5, 3), np.float32)), [[2, 2, 2]], rtol=1e-5)


def test_neither_cache_nor_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    cache.write_text("")
    monkeypatch.setattr(conversion_cache.tempfile, "tempdir", str(cache))
    conversion_cache._folder_of_process.cache_clear()
    with pytest.raises(mpscnn.DownloadError, match="cannot write a folder for temporary files"):
        mpscnn.load(tflite_file(tmp_path / "colours.tflite"))


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tflite_file(tmp_path / "colours.tflite"))
    assert call("info", path) == 0
    assert "scores" in capsys.readouterr().out
    assert call("benchmark", path, "--runs", "2") == 0
    # The file does not say how a photo becomes the input.
    photo = save_photo(tmp_path / "red.png", "red")
    assert call("classify", "--model", path, str(photo)) == 1
    assert "preprocess" in capsys.readouterr().err


# ---- Files that are not named as their readers want them, and formats that are not read ----------------------------

#: For each file name, the first bytes and the expected error.
OTHERS = {
    "net.bin": (b"\x08\x07\x12\x07pytorch", r"is an ONNX file; rename it to net\.onnx"),
    "net.safetensors": (b"\x1c\0\0\0TFL3", r"is a TensorFlow Lite file; rename it to net\.tflite"),
    "named.safetensors": (b"\x89HDF\r\n\x1a\n", r"is an HDF5 file.*rename it to named\.h5"),
    "net.pth.tar": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", r"torch\.save; rename it to net\.pth"),
    "net.ckpt": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", r"torch\.save; rename it to net\.pth"),
    "net.model": (b"\x08\x01\x12\x05\n\x03abc", r"is a Core ML model; rename it to net\.mlmodel"),
    "net.weights": (b"\x08\x08\x12\x85\x01\xa2\x01", r"is a Core ML model; rename it to net\.mlmodel"),
    "net.param": (b"7767517\n75 83\n", "is a network of ncnn"),
    "net.xml": (b'<?xml version="1.0"?>', "OpenVINO"),
    "net.mnn": (b"\x20\0\0\0\0\0\0\0\0\0", "is a network of MNN"),
    "net.engine": (b"ftrt1234", "is a TensorRT engine"),
    "photo.jpg": (b"\xff\xd8\xff\xe0", "is a photo, not a model"),
    "weights.npy": (b"\x93NUMPY\x01\0", "is an array of NumPy; .*load_weights"),
    "weights.pkl": (b"\x80\x04\x95", "is a pickle"),
    "notes.txt": (b"this is a text of some length", "is not a model file, nor of a format"),
    "text.safetensors": (b"this is a text of some length", "is not a model file: its header is damaged"),
    "empty.safetensors": (b"", r"is empty \(0 bytes\)"),
    # These files have suffixes of supported formats.
    "empty.onnx": (b"", r"is empty \(0 bytes\)"),
    "empty.tflite": (b"", r"is empty \(0 bytes\)"),
    "empty.pth": (b"", r"is empty \(0 bytes\)"),
    "photo.onnx": (b"\xff\xd8\xff\xe0", "is a photo, not a model"),
    "weights.h5": (b"\x93NUMPY\x01\0", "is an array of NumPy; .*load_weights"),
    "lfs.onnx": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:",
        "Git LFS.*`git lfs pull` fetches it",
    ),
    "lfs.safetensors": (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS"),
    "page.tflite": (b"\n<!DOCTYPE html><html>", "is a web page, not the file itself"),
    "net.tflite.gz": (b"\x1f\x8b\x08\0", "is compressed by gzip; `gunzip` it first"),
    "net.caffemodel": (b"\x1f\x8b\x08\0", "is compressed by gzip"),
    "net.keras": (b"\x04\x22\x4d\x18\x64\x40", "is compressed by LZ4; `unlz4` it first"),
    "net.h5": (b"\x28\xb5\x2f\xfd\x04", "is compressed by Zstandard; `unzstd` it first"),
    "net.onnx.xz": (b"\xfd7zXZ\0\0", "is compressed by xz; `unxz` it first"),
    "net.pth": (b"BZh91AY&SY", "is compressed by bzip2; `bunzip2` it first"),
    "net.pb": (b"7z\xbc\xaf\x27\x1c", "is an archive of 7-Zip; unpack it first"),
    "net.mlmodel": (b"Rar!\x1a\x07\1", "is an archive of RAR; unpack it first"),
    "conv1_W.bin": (b"\0\0\x80\x3f", "weights alone.*Network.load_raw_weights"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_formats_are_named_with_what_helps(name: str, tmp_path: Path) -> None:
    content, message = OTHERS[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises((mpscnn.UnsupportedError, mpscnn.WeightsError), match=message) as raised:
        mpscnn.load(path)
    assert "header of" not in str(raised.value)
    if path.suffix != ".safetensors":  # convert treats .safetensors files as PyTorch weights
        with pytest.raises((mpscnn.UnsupportedError, mpscnn.WeightsError), match=message):
            converters.convert_files([path], tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("archive/data.pkl", r"a file of torch\.save; rename it to net\.pth"),
        ("model.weights.h5", r"a Keras file; rename it to net\.keras"),
        ("conv.npy", "an archive of NumPy arrays"),
        ("model.onnx", "a zip archive; give the model file in it"),
        ("net/archive_format", r"a program of torch\.export; in Python: mpscnn\.from_torch\("),
    ],
)
def test_archives_are_named_by_what_they_hold(member: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, b"")
    with pytest.raises(mpscnn.UnsupportedError, match=message):
        mpscnn.load(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(mpscnn.UnsupportedError, match="a damaged zip archive"):
        mpscnn.load(path)


def test_the_state_of_a_training_leads_to_its_command(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    np.savez(tmp_path / "best.npz", np.zeros(3))
    for path in (tmp_path, tmp_path / "best.npz"):
        with pytest.raises(mpscnn.UnsupportedError, match="stopped training; its command with --resume"):
            mpscnn.load(path)


def test_folders_as_models(tmp_path: Path) -> None:
    for name, message in (
        (
            "net.mlmodelc",
            r"a compiled Core ML model without .*\(model\.mil\): give the .mlmodel or .mlpackage",
        ),
        (
            "digits",
            f"`mpscnn convert {re.escape(shlex.quote(str(tmp_path / 'digits')))} deep_mnist.safetensors",
        ),
        ("other", "is a folder; expected a model file"),
    ):
        (tmp_path / name).mkdir()
        if name == "digits":
            network = deep_mnist()
            network.initialize_weights()
            export_deep_mnist(network, tmp_path / name)
        with pytest.raises(mpscnn.UnsupportedError, match=message):
            mpscnn.load(tmp_path / name)


def test_files_and_folders_that_look_like_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory has files and folders whose names no model has."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my folder").mkdir()
    (tmp_path / "model.ckpt.index").touch()
    tflite_file(tmp_path / "colours")
    for name, message in (
        ("model.ckpt", r"is a checkpoint of TensorFlow; give its index: model\.ckpt\.index"),
        ("my folder", "my folder: is a folder; expected a model file"),
        (".", "is a folder"),
        ("colours", r"is a TensorFlow Lite file; rename it to colours\.tflite"),
    ):
        with pytest.raises(mpscnn.UnsupportedError, match=message):
            mpscnn.load(name)
    mpscnn.load("digits").network.save(tmp_path / "own.safetensors")
    (tmp_path / "own.safetensors").rename(tmp_path / "own model")
    assert len(mpscnn.load("own model").labels or ()) == 10
    (tmp_path / "digits").mkdir()
    assert mpscnn.load("digits").name == "digits"  # a model's name has priority over a folder


def test_commands_in_messages_are_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command in a message works when it is copied."""
    monkeypatch.chdir(tmp_path)
    photo = save_photo(tmp_path / "red.png", "red")
    for name in ("my colours.tflite", "-colours.tflite"):
        tflite_file(tmp_path / name)
        assert call("classify", f"--model={name}", str(photo)) == 1
        advice = capsys.readouterr().err
        command = shlex.split(advice.partition("say it: ")[2].partition(" (")[0])
        assert command[:2] == ["mpscnn", "convert"]
        assert call(*command[1:-1], "unit", "--overwrite") == 0
        capsys.readouterr()
        assert call("info", f"./{name}") == 0
        assert f"--{command[-2].lstrip('-')} NAME" in capsys.readouterr().out
        assert call("classify", "--model", "model.safetensors", str(photo)) == 0
        capsys.readouterr()


def test_urls_are_not_models() -> None:
    with pytest.raises(mpscnn.ParameterError, match="is a URL, which is not fetched: download the file"):
        mpscnn.load("https://example.org/net.onnx")
