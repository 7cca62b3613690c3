"""Convert files of other frameworks once, and keep the results in a cache whose key is a hash of the source files."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpscnn._private.files import convert_read_errors, exists, read_content, require_regular
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.literals import StoredTypeName
from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn.converters import CONVERTER_VERSION, convert_files, read_network
from mpscnn.converters.finishing.photo_input import PhotoNote, WeightNote
from mpscnn.converters.formats.format_detection import refuse_other_formats
from mpscnn.converters.formats.readers import (
    format_of_files,
    is_foreign,
    model_files,
    named_by_file,
    refuse_damaged,
)
from mpscnn.converters.opening.file_bytes import total_size
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network
from mpscnn.registry.cache import CacheError, cache_directory, first_file, hold_lock, replace_file
from mpscnn.registry.converted_file import is_intact, replace_converted, warn_of_damage

if TYPE_CHECKING:
    from mpscnn.graph.weight_layout import OwnWeights

__all__ = ["CONVERTER_VERSION", "convert_cached", "convert_files", "fold_state", "kept_type"]

_CHUNK = 1 << 20
_LARGE = 1 << 26  # the number of bytes from which a file is opened before it is hashed


def convert_cached(name: str, *, fold: bool = True, note_photos: bool = True, record: str = "") -> str:
    """Convert a file of another framework, or find it in the cache, and return the path of the resulting model file.

    A path that is already a model file is returned unchanged.

    The network is not compared with the file on another engine: `mpscnn convert` and `mpscnn compare` do that.

    The file's name in the cache consists of a SHA-256 over all source files and the suffix, the converters' version and
    `fold`, so a changed file is converted again. If a file has only weights, the hash is over its name instead of the
    suffix, because the name may tell the architecture. Weights are kept as float32, or as integers if the network is
    quantised. If the checksum of a file in the cache shows that it is damaged, it is converted again, and a
    RuntimeWarning says so.

    If the cache cannot be written, the file is converted once for each process, into a temporary folder that is deleted
    when the process ends. A RuntimeWarning says so.

    If the preprocessing of photos is a guess, because timm has weights of the network for several normalisations, a
    RuntimeWarning says so at each call, unless `note_photos` is False. The conversion itself warns of weights that are
    kept in another type than in the file.

    The model file says where it is from: `record`, which is then a part of the name in the cache; or the source that
    the file states; or the name of the file.

    Raises:
        UnsupportedError: layers that mpscnn lacks, a missing package, or an unknown format; the message has the remedy.
        WeightsError: a file is missing or damaged, or changes while it is read.
        DownloadError: neither the cache nor the system's folder for temporary files can be written.
    """
    path = Path(name)
    foreign = is_foreign(path)
    if not foreign or path.suffix.lower() == MODEL_SUFFIX:
        refuse_other_formats(path)
    if not foreign:
        return name
    format_of_files([path])  # raises for unknown formats, before companion files are searched
    with convert_read_errors(path, WeightsError):
        files = model_files(path)
    _refuse_damaged(path, files)
    digest = _digest_of(path, files)
    kind = "" if fold else "-apart"
    if record:
        kind += f"-{hashlib.sha256(record.encode()).hexdigest()[:16]}"
    target = cache_directory() / "models" / f"{digest}-v{CONVERTER_VERSION}{kind}.safetensors"
    try:
        note = _converted(path, files, digest, target, fold, record)
    except CacheError as error:
        target = _folder_of_process(os.getpid()) / target.name
        if not exists(target):
            warn_caller(f"{error} {path} is converted for this process only.")
        note = _converted(path, files, digest, target, fold, record)
    if note_photos and note:
        warn_caller(f"{path}: {note}")
    return str(target)


def _converted(path: Path, files: Sequence[Path], digest: str, target: Path, fold: bool, record: str) -> str:
    """Convert a file to `target` unless that exists, and return the note on the preprocessing of photos."""
    note = _kept_note(target)
    if note is not None:
        return note
    with hold_lock(target):
        # Another process may have converted the file while this one waited for the lock.
        note = _kept_note(target)
        if note is not None:
            return note
        warn_of_damage(target)
        network = read_network([path], fold=fold)
        if _digest_of(path, files) != digest:
            raise WeightsError(f"{path}: it or a file next to it changed while it was read: load it again")
        notes = [text for text in network.notes if isinstance(text, PhotoNote)]
        note = "; ".join(notes) if network.preprocess else ""
        _keep(_note_path(target), note)
        texts = {"source": path.name, **network.information, **({"source": record} if record else {})}
        with replace_converted(target) as temporary:
            try:
                network.save(temporary, dtype=kept_type(network), information=texts)
            except WeightsError as error:  # the disk is full
                raise CacheError(
                    f"cannot write the cache: {error}. Set MPSCNN_CACHE to a directory that can be written."
                ) from error
        for weights in network.notes:
            if isinstance(weights, WeightNote):
                warn_caller(f"{path}: {weights}")
    return note


@cache
def _folder_of_process(process: int) -> Path:
    """Return a folder for converted files that this process deletes at its end. Forked processes have their own."""
    try:
        folder = tempfile.mkdtemp(prefix="mpscnn-")
    except OSError as error:
        raise CacheError(f"cannot write a folder for temporary files: {error}") from error

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return Path(folder)


def _refuse_damaged(path: Path, files: Sequence[Path]) -> None:
    """Raise the error of a large file whose description is damaged, before the file is hashed, which takes long."""
    with convert_read_errors(path, WeightsError):
        if total_size(files) > _LARGE:
            refuse_damaged(path)


def _kept_note(target: Path) -> str | None:
    """Return the note beside a model file in the cache; None if one of the two is damaged."""
    try:
        note = _kept(_note_path(target))
    except WeightsError:  # zero bytes, as a crash of the machine leaves them
        return None
    return note if is_intact(target) else None


def _note_path(target: Path) -> Path:
    """Return the path of the notes on the preprocessing of photos. The file does not exist if there are none."""
    return target.with_suffix(".note")


def _kept(path: Path) -> str:
    """Return the text of a file, or "" if there is no file."""
    if not first_file([path]):
        return ""
    return read_content(path, WeightsError, _CHUNK, is_text=True).decode(errors="replace")


def _keep(path: Path, text: str) -> None:
    """Write a text to a file, or remove the file if the text is empty."""
    path.unlink(missing_ok=True)
    if text:
        with replace_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _digest_of(path: Path, files: Sequence[Path]) -> str:
    """Return the hash of all files that a network is read from, which names it in the cache."""
    return _digest(files, path.name if named_by_file(path) else path.suffix.lower())


def _digest(paths: Sequence[Path], name: str) -> str:
    found = hashlib.sha256(name.encode(errors="surrogateescape"))
    for path in paths:
        part = hashlib.sha256()
        with convert_read_errors(path, WeightsError):
            require_regular(path, WeightsError)
            stream = path.open("rb")
        with stream, convert_read_errors(path, WeightsError):
            while chunk := stream.read(_CHUNK):
                part.update(chunk)
        found.update(part.digest())
    return found.hexdigest()


def fold_state(weights: Mapping[str, Any], architecture: str) -> OwnWeights:
    """Return the weights of a network of `mpscnn.models` for a state dict of PyTorch."""
    from mpscnn.converters.reading.pytorch.given_weights import fold_state as folded

    return folded(weights, architecture)


def kept_type(network: Network) -> StoredTypeName | None:
    """Return the `dtype` for `Network.save` that keeps weights unchanged: None for quantised networks, or float32.

    Quantised networks keep their integers, because precision "int8" needs them.
    """
    from mpscnn.graph.quantized import has_integers

    return None if has_integers(network) else "float32"
