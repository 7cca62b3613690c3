"""Choose the reader of a model file by its suffix and contents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mpscnn._private.files import is_folder
from mpscnn._private.model_name import MODEL_SUFFIX, holds_network
from mpscnn.converters.opening.format_detection import (
    SAVED_MODEL,
    format_by_contents,
    is_saved_model,
    refuse_other_contents,
    refuse_other_formats,
)
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.coreai.archive import is_archived, unpacked
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

Reader = Callable[[list[Path], ReadOptions], "Network"]


def find_reader(paths: Sequence[Path]) -> Reader:
    """Return the reader of these files.

    Raises UnsupportedError for an unknown suffix, for files of different formats, and for a file whose contents do not
    have the format of its suffix; WeightsError for a file that cannot be read.
    """
    suffixes = {path.suffix.lower() for path in paths}
    readers = {_reader_for(path) for path in paths}
    reader = readers.pop()
    if reader is None:
        refuse_other_formats(paths[0])
    if reader is None or readers:
        given = ", ".join(sorted(suffix or "(none)" for suffix in suffixes))
        raise UnsupportedError(f"cannot convert files with the suffix {given}; known: {', '.join(_READERS)}")
    for path in paths:
        if is_saved_model(path) or path.suffix.lower() in _UNMARKED:
            refuse_other_contents(path / SAVED_MODEL if is_saved_model(path) else path)
            continue
        if is_package(path):
            continue
        found = format_by_contents(path)
        if found is None:
            refuse_other_contents(path)
            continue
        what, suffix = found
        is_named_so = (suffix == MODEL_SUFFIX) == (path.suffix.lower() == MODEL_SUFFIX)
        if _READERS.get(suffix) is not reader or not is_named_so:
            raise UnsupportedError(f"{path}: is {what}; rename it to {path.stem}{suffix}")
    return reader


#: The key of a tensor's attribute that names the file of its elements (onnx.proto, TensorProto.external_data).
_LOCATION = b"location"
#: The number of bytes up to which a file is searched for this key, which is faster than parsing it.
_SEARCHED = 1 << 26


def _reader_for(path: Path) -> Reader | None:
    if path.suffix.lower() == _ARCHIVE:
        return _read_archived if is_archived(path) else None
    return _read_tensorflow if is_saved_model(path) else _READERS.get(path.suffix.lower())


def is_foreign(path: Path) -> bool:
    """Return True for a file of another framework.

    The suffix decides. Files that end in .safetensors may be of this library or of PyTorch, so their header is read.
    """
    suffix = path.suffix.lower()
    return _reader_for(path) is not None and not (suffix == MODEL_SUFFIX and holds_network(path))


def is_package(path: Path) -> bool:
    """Return True if a path is a folder that is one model file of another framework's format."""
    return is_folder(path) and (path.suffix.lower() in _FOLDERS or is_saved_model(path))


def model_files(path: Path) -> list[Path]:
    """Return all files that a network is read from: the given one and its companions, such as external weights."""
    if is_saved_model(path):
        return _network_files(path)
    if is_package(path):
        return _FOLDERS[path.suffix.lower()](path)
    others = _COMPANIONS.get(path.suffix.lower())
    return [path, *(others(path) if others else [])]


def named_by_file(path: Path) -> bool:
    """Return True if the format stores weights only, so that the file's name may tell the architecture."""
    return _READERS.get(path.suffix.lower()) is _read_pytorch


def refuse_damaged(path: Path) -> None:
    """Raise the error of a file whose description is damaged, without reading its weights.

    Formats whose other files are named in their description are not opened here, because `model_files` opens them.
    """
    from mpscnn.converters.reading.caffe.file import read_caffe
    from mpscnn.converters.reading.coreai.asset import open_asset
    from mpscnn.converters.reading.coreml.compiled import read_compiled
    from mpscnn.converters.reading.coreml.file import read_coreml
    from mpscnn.converters.reading.keras.file import read_keras
    from mpscnn.converters.reading.pytorch.state_dict import read_state_dict
    from mpscnn.converters.reading.tensorflow.file import refuse_damaged as refuse_damaged_graph
    from mpscnn.converters.reading.tflite.file import read_tflite

    opened: dict[Reader | None, Callable[[Path], object]] = {
        _read_caffe: read_caffe,
        _read_coreai: open_asset,
        _read_compiled: read_compiled,
        _read_coreml: read_coreml,
        _read_keras: read_keras,
        _read_pytorch: read_state_dict,
        _read_tensorflow: refuse_damaged_graph,
        _read_tflite: read_tflite,
    }
    if read := opened.get(_reader_for(path)):
        read(path)


def _read_tflite(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.tflite.file import read_tflite
    from mpscnn.converters.reading.tflite.reader import convert

    return convert([read_tflite(path, options.signature) for path in paths], options)


def _timm_config(path: Path) -> list[Path]:
    from mpscnn.converters.reading.pytorch.timm_config import CONFIG, read_timm_config

    return [path.with_name(CONFIG)] if read_timm_config(path) else []


def _read_pytorch(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.pytorch.reader import read_pytorch

    options.refuse_choices(paths[0])
    return read_pytorch(paths, options.name, options.size, options.architecture, fold=options.fold)


def _read_onnx(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.onnx.file import read_onnx
    from mpscnn.converters.reading.onnx.reader import convert

    return convert(read_onnx(_only(paths)), options)


def _external_data(path: Path) -> list[Path]:
    """Return the files with weights of an ONNX file. A small file is only parsed if it can name one."""
    if 0 < path.stat().st_size <= _SEARCHED and _LOCATION not in path.read_bytes():
        return []
    from mpscnn.converters.reading.onnx.file import read_onnx

    return read_onnx(path).external_files()


def _read_keras(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.keras.file import read_keras
    from mpscnn.converters.reading.keras.reader import convert

    return convert(read_keras(_only(paths)), options)


def _read_caffe(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.caffe.file import read_caffe
    from mpscnn.converters.reading.caffe.reader import convert

    return convert(read_caffe(*paths), options)


def _caffe_files(path: Path) -> list[Path]:
    from mpscnn.converters.reading.caffe.file import companions

    return companions(path)


def _read_coreml(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.coreml.file import read_coreml
    from mpscnn.converters.reading.coreml.reader import convert

    return convert(read_coreml(_only(paths)), options)


def _read_compiled(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.coreml.compiled import read_compiled
    from mpscnn.converters.reading.coreml.reader import convert

    return convert(read_compiled(_only(paths)), options)


def _compiled_files(path: Path) -> list[Path]:
    from mpscnn.converters.reading.coreml.compiled import compiled_files

    return compiled_files(path)


def _package_files(path: Path) -> list[Path]:
    from mpscnn.converters.reading.coreml.file import package_files

    return package_files(path)


def _read_tensorflow(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.tensorflow.file import read_tensorflow
    from mpscnn.converters.reading.tensorflow.reader import convert

    return convert(read_tensorflow(_only(paths), options), options)


def _read_slim(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.tensorflow.bundle import Bundle
    from mpscnn.converters.reading.tensorflow.slim import convert

    options.refuse_choices(paths[0])
    return convert(Bundle(_only(paths)), options)


def _read_web(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.tensorflow.web import read_web

    return read_web(_only(paths), options)


def _web_files(path: Path) -> list[Path]:
    from mpscnn.converters.reading.tensorflow.web import web_files

    return web_files(path)


def _bundle_files(path: Path) -> list[Path]:
    from mpscnn.converters.reading.tensorflow.bundle import Bundle

    return Bundle(path).files()[1:]


def _network_files(path: Path) -> list[Path]:
    from mpscnn.converters.reading.tensorflow.file import network_files

    return network_files(path)


def _read_coreai(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.reading.coreai.asset import open_asset
    from mpscnn.converters.reading.coreai.program import read_program
    from mpscnn.converters.reading.coreai.reader import convert

    asset = open_asset(_only(paths))
    return convert(asset, read_program(asset), options)


def _read_archived(paths: list[Path], options: ReadOptions) -> Network:
    path = _only(paths)
    if options.name == path.stem:  # which ends in the suffix of the asset
        options = replace(options, name=Path(path.stem).stem)
    with unpacked(path) as asset:
        return _read_coreai([asset], options)


def _asset_files(path: Path) -> list[Path]:
    from mpscnn.converters.reading.coreai.asset import asset_files

    return asset_files(path)


def _only(paths: list[Path]) -> Path:
    """Return the only file. Raises UnsupportedError for several files, because this format cannot be joined."""
    if len(paths) != 1:
        raise UnsupportedError(
            f"{paths[1]}: {paths[1].suffix} files cannot be joined; convert them one by one"
        )
    return paths[0]


_ARCHIVE = ".zip"
# Formats whose first bytes cannot be told from those of other formats.
_UNMARKED = (".pb", ".index", ".json", _ARCHIVE)
# The suffixes of folders that are models.
_PACKAGE, _COMPILED, _ASSET = ".mlpackage", ".mlmodelc", ".aimodel"
_FOLDERS = {_PACKAGE: _package_files, _COMPILED: _compiled_files, _ASSET: _asset_files}
# The readers by suffix. Their modules are imported when they are called, because some need additional packages.
_READERS: dict[str, Reader] = {
    ".onnx": _read_onnx,
    ".tflite": _read_tflite,
    ".pth": _read_pytorch,
    ".pt": _read_pytorch,
    ".safetensors": _read_pytorch,
    ".h5": _read_keras,
    ".hdf5": _read_keras,
    ".keras": _read_keras,
    ".caffemodel": _read_caffe,
    ".prototxt": _read_caffe,
    ".mlmodel": _read_coreml,
    _PACKAGE: _read_coreml,
    _COMPILED: _read_compiled,
    _ASSET: _read_coreai,
    ".pb": _read_tensorflow,
    ".index": _read_slim,
    ".json": _read_web,
}
# For formats with more than one file: the other files that belong to one.
_COMPANIONS: dict[str, Callable[[Path], list[Path]]] = {
    ".pth": _timm_config,
    ".pt": _timm_config,
    ".safetensors": _timm_config,
    ".onnx": _external_data,
    ".caffemodel": _caffe_files,
    ".prototxt": _caffe_files,
    ".pb": lambda path: _network_files(path)[1:],
    ".index": _bundle_files,
    ".json": _web_files,
}
