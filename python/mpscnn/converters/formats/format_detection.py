"""Recognise a file with an unknown suffix by its first bytes or its suffix, and say what to do with it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from mpscnn._private.files import convert_read_errors, exists, is_file, is_folder, require_regular
from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn._private.printable import quote_path
from mpscnn.converters.formats.records import ARCHIVE, FORMATS
from mpscnn.converters.opening.archives import ARCHIVE_ERRORS
from mpscnn.errors import UnsupportedError, WeightsError

_FROM_ONNX = "export the network it was made of as ONNX, which is read"
_TORCH_EXPORT = "in Python: mpscnn.from_torch(torch.export.load(FILE))"
_PHOTO = "a photo, not a model: the model is named by --model, photos without an option"
_ENOUGH = 64
_ARCHIVE = b"PK\x03\x04"
_SAFETENSORS = re.compile(rb".{8}\{", re.DOTALL)  # the size of the header, and the header, which is JSON

#: How files of the formats that are read are recognised by their contents.
_MARKS = [mark for one in (*FORMATS, ARCHIVE) for mark in one.marks]
#: Other formats by their first bytes: the name of the format, and the remedy.
_NEVER_READ = (
    (
        re.compile(rb"version https://git-lfs"),
        "a pointer of Git LFS, not the file itself",
        "`git lfs pull` fetches it",
    ),
    (
        re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE),
        "a web page, not the file itself",
        "download it again",
    ),
    (re.compile(rb"\x1f\x8b"), "compressed by gzip", "`gunzip` it first"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "compressed by bzip2", "`bunzip2` it first"),
    (re.compile(rb"\xfd7zXZ\0"), "compressed by xz", "`unxz` it first"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "compressed by Zstandard", "`unzstd` it first"),
    (re.compile(rb"\x04\x22\x4d\x18"), "compressed by LZ4", "`unlz4` it first"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "an archive of 7-Zip", "unpack it first"),
    (re.compile(rb"Rar!\x1a\x07"), "an archive of RAR", "unpack it first"),
    (re.compile(rb"7767517\n"), "a network of ncnn", _FROM_ONNX),
    (re.compile(rb"(\xef\xbb\xbf)?<\?xml"), "an XML file, as OpenVINO writes", _FROM_ONNX),
    (re.compile(rb"ftrt"), "a TensorRT engine", _FROM_ONNX),
    (re.compile(rb"GGUF"), "a GGUF file", "such networks are not convolutional ones"),
    (re.compile(rb"\x93NUMPY"), "an array of NumPy", "weights go into a network by Network.load_weights"),
    (re.compile(rb"\xff\xd8\xff|\x89PNG\r|GIF8|RIFF....WEBP|BM....\0{4}", re.DOTALL), _PHOTO, ""),
)
#: More formats by their first bytes. The last one is ambiguous: readable files may begin with these bytes, too.
_OTHERS = (
    *_NEVER_READ,
    (re.compile(rb"\x80[\x02-\x05]"), "a pickle", "save weights by torch.save(module.state_dict(), FILE)"),
)
#: Other formats by their suffix: folders, and files whose first bytes are not enough.
_SUFFIXES = {
    ".mnn": ("a network of MNN", _FROM_ONNX),
    ".param": ("a network of ncnn", _FROM_ONNX),
    ".bin": (
        "weights alone, as of ncnn, OpenVINO or MPSCNN",
        f"{_FROM_ONNX}; raw float32 goes into a network by Network.load_raw_weights",
    ),
    ".xml": ("a network of OpenVINO", _FROM_ONNX),
    ".engine": ("a TensorRT engine", _FROM_ONNX),
    ".trt": ("a TensorRT engine", _FROM_ONNX),
    ".pdmodel": ("a network of PaddlePaddle", _FROM_ONNX),
    ".pdiparams": ("weights of PaddlePaddle", _FROM_ONNX),
    ".weights": ("weights of Darknet", _FROM_ONNX),
    ".ckpt": ("a checkpoint", "save its weights by torch.save(module.state_dict(), FILE.pth)"),
}


def refuse_other_formats(path: Path) -> None:
    """Raise an error that says what a file or folder is. Return only for a file that begins like a safetensors file.

    This is for paths that no reader accepts by their name, and for model files, whose contents may have another format.

    Raises:
        UnsupportedError: the format is known, with or without a reader; the message says what to do. WeightsError: the
            path cannot be read, or its format is not known.
    """
    index = path.with_name(f"{path.name}.index") if path.name else path
    if not exists(path) and is_file(index):
        raise UnsupportedError(f"{path}: is a checkpoint of TensorFlow; give its index: {index}")
    with convert_read_errors(path, WeightsError):
        found = _of_folder(path) if is_folder(path) else _of_file(path, _beginning(path))
    if found is not None:
        what, remedy = found
        raise UnsupportedError(f"{path}: is {what}" + (f"; {remedy}" if remedy else ""))


def refuse_other_contents(path: Path) -> None:
    """Raise an error if a file has the suffix of a readable format but is plainly something else (HTML, Git LFS, ...).

    Raises:
        UnsupportedError: says what the file is, and what to do. WeightsError: it is empty, or cannot be read.
    """
    with convert_read_errors(path, WeightsError):
        beginning = _beginning(path)
    for pattern, what, remedy in _NEVER_READ:
        if pattern.match(beginning):
            raise UnsupportedError(f"{path}: is {what}" + (f"; {remedy}" if remedy else ""))


def format_by_contents(path: Path) -> tuple[str, str] | None:
    """Return the format and the right suffix of a file in a known format; None if its bytes show no known format.

    Raises WeightsError for a file that cannot be read.
    """
    with convert_read_errors(path, WeightsError):
        beginning = _beginning(path)
    if beginning.startswith(_ARCHIVE):
        return _format_of_archive(_names_in(path) or [])
    if _SAFETENSORS.match(beginning):
        return "a safetensors file", MODEL_SUFFIX
    return next(((mark.what, mark.suffix) for mark in _MARKS if mark.begins(beginning)), None)


_TRAINING = (
    "the state of a stopped training",
    "its command with --resume continues it, and Ctrl-C or `kill` writes the best network so far",
)


def _beginning(path: Path) -> bytes:
    require_regular(path, WeightsError)
    with path.open("rb") as stream:
        beginning = stream.read(_ENOUGH)
    if not beginning:
        raise WeightsError(f"{path}: is empty (0 bytes)")
    return beginning


def _of_folder(path: Path) -> tuple[str, str]:
    from mpscnn.models.deep_mnist import is_deep_mnist  # imports all models, which files do not need

    if is_deep_mnist(path):
        command = f"mpscnn convert {quote_path(path)} deep_mnist.safetensors --preprocess mnist"
        return "a folder with the raw files of Deep MNIST", f"make a model file of it: `{command}`"
    if is_file(path / "model.json"):
        return "a folder with a model of TensorFlow.js", f"give its description: {path / 'model.json'}"
    if is_file(path / "run.json"):
        return _TRAINING
    return _SUFFIXES.get(path.suffix.lower(), ("a folder", "expected a model file"))


def _of_file(path: Path, beginning: bytes) -> tuple[str, str] | None:
    for mark in _MARKS:
        if mark.begins(beginning):
            return mark.what, _rename(path, mark.suffix)
    if beginning.startswith(_ARCHIVE):
        return _of_archive(path)
    for pattern, what, remedy in _OTHERS:
        if pattern.match(beginning):
            return what, remedy
    if _SAFETENSORS.match(beginning):
        return None
    if path.suffix.lower() == MODEL_SUFFIX:
        raise WeightsError(
            f"{path}: is not a model file: its header is damaged, or it is of an unknown format"
        )
    if found := _SUFFIXES.get(path.suffix.lower()):
        return found
    raise WeightsError(f"{path}: is not a model file, nor of a format that `mpscnn convert` reads")


def _of_archive(path: Path) -> tuple[str, str]:
    names = _names_in(path)
    if names is None:
        return "a damaged zip archive", ""
    if found := _format_of_archive(names):
        return found[0], _rename(path, found[1])
    if names and all(name.endswith(".npy") for name in names):
        if is_file(path.with_name("run.json")):
            return _TRAINING
        return "an archive of NumPy arrays", "weights go into a network by Network.load_weights"
    if any(name.endswith("/archive_format") for name in names):
        return "a program of torch.export", _TORCH_EXPORT.replace("FILE", repr(str(path)))
    return "a zip archive", "give the model file in it"


def _names_in(path: Path) -> list[str] | None:
    """Return the files in an archive; None for a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except ARCHIVE_ERRORS:
        return None


def _format_of_archive(names: list[str]) -> tuple[str, str] | None:
    return next(((mark.what, mark.suffix) for mark in _MARKS if mark.is_archive_of(names)), None)


def _rename(path: Path, suffix: str) -> str:
    return f"rename it to {path.stem.removesuffix(suffix)}{suffix}"
