"""Convert files of other frameworks once, and keep the model files in a cache by the contents of the sources."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from mpscnn._private.files import reading, require_regular
from mpscnn._private.literals import StoredTypeName
from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn.converters import CONVERTER_VERSION, convert_files, read_network
from mpscnn.converters import verdict as proof
from mpscnn.converters.contents import refuse_other_formats
from mpscnn.converters.formats import files_of, is_foreign, named_by_file, reader_of
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network
from mpscnn.registry.cache import cache_directory, exclusive, first_file, replacing

__all__ = ["CONVERTER_VERSION", "convert_files", "converted", "kept_type"]

_CHUNK = 1 << 20
# In a model file's header, where each weight ends.
_ENDS = re.compile(rb'"data_offsets":\s*\[\d+,\s*(\d{1,18})\]')


def converted(name: str, *, fold: bool = True) -> str:
    """Return the path of the model file of a file in another framework's format; the same path for a model file.

    A new one is compared with the file on the file's own engine, where that is installed. If they differ, the cache
    keeps the verdict, and a RuntimeWarning reports it each time.

    The cache's name of it holds the SHA-256 of all files that it is made of and of the suffix, and the converters'
    version, so that a changed file is converted again; of files of weights that of their name, too, which may say what
    network it is. So is one whose result in the cache was cut short. Weights are kept as float32.

    Raises:
        UnsupportedError: layers that mpscnn lacks, a missing package, or an unknown format; the message has the
            remedy. WeightsError: a file is missing or
            damaged. DownloadError: the cache cannot be written.
    """
    path = Path(name)
    foreign = is_foreign(path)
    if not foreign or path.suffix.lower() == MODEL_SUFFIX:
        refuse_other_formats(path)
    if not foreign:
        return name
    reader_of([path])  # before other files that this one names are looked for
    with reading(path, WeightsError):
        digest = _digest(files_of(path), path.name if named_by_file(path) else path.suffix.lower())
    kind = "" if fold else "-apart"
    target = cache_directory() / "models" / f"{digest}-v{CONVERTER_VERSION}{kind}.safetensors"
    if not _is_whole(target):
        with exclusive(target):
            # Another process may have made it while this one waited.
            if not _is_whole(target):
                network = read_network([path], fold=fold)
                _keep_verdict(target, path, fold=fold)
                with replacing(target) as temporary:
                    network.save(temporary, dtype=kept_type(network), information={"source": path.name})
    if first_file([_verdict_path(target)]):
        with reading(_verdict_path(target), WeightsError):
            verdict = _verdict_path(target).read_text(encoding="utf-8", errors="replace")
        warnings.warn(
            f"{path}: the network that it was converted to does not compute what the file does; its answers may be "
            f"wrong ({verdict})",
            RuntimeWarning,
            stacklevel=5,  # the caller of `mpscnn.load`
        )
    return str(target)


def _verdict_path(target: Path) -> Path:
    """Return where the cache keeps the difference of a model file from its source.

    There is no file if they are equal.
    """
    return target.with_suffix(".verdict")


def _keep_verdict(target: Path, path: Path, *, fold: bool) -> None:
    """Compare the network that is made of a file with the file, and keep the verdict if they differ."""
    verdict = proof.proven(path, fold=fold)
    if verdict.failed:
        warnings.warn(f"{path}: {verdict.sentence}", RuntimeWarning, stacklevel=6)
    _verdict_path(target).unlink(missing_ok=True)
    if verdict.differs:
        with replacing(_verdict_path(target)) as temporary:
            temporary.write_text(verdict.sentence, encoding="utf-8")


def _is_whole(target: Path) -> bool:
    """Return True if there is a model file as long as its header says: a full disk or a crash may have cut it."""
    if not first_file([target]):
        return False
    with reading(target, WeightsError), target.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        size = target.stat().st_size
        header = stream.read(length) if length <= size else b""
    ends = [int(end) for end in _ENDS.findall(header)]
    return len(header) == length > 0 and size == 8 + length + max(ends, default=0)


def _digest(paths: Sequence[Path], name: str) -> str:
    found = hashlib.sha256(name.encode(errors="surrogateescape"))
    for path in paths:
        part = hashlib.sha256()
        require_regular(path, WeightsError)
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                part.update(chunk)
        found.update(part.digest())
    return found.hexdigest()


def kept_type(network: Network) -> StoredTypeName | None:
    """Return the type that saves a network's weights unchanged: integers, which precision "int8" needs, or floats."""
    from mpscnn.graph.model_file import has_integers

    return None if has_integers(network) else "float32"
