"""Which reader takes which file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpscnn._private.model_name import MODEL_SUFFIX, holds_network
from mpscnn.errors import UnsupportedError

if TYPE_CHECKING:
    from mpscnn.graph.network import Network


@dataclass(frozen=True)
class ReadOptions:
    """What a caller may say about a file.

    Attributes:
        name: the network's.
        size: (height, width) of an image input that the file leaves free; None: it stays free, or is what the
            architecture was made for where the file only holds weights.
    """

    name: str
    size: tuple[int, int] | None = None


Reader = Callable[[list[Path], ReadOptions], "Network"]


def reader_of(paths: Sequence[Path]) -> Reader:
    """The reader of these files. Raises UnsupportedError for an unknown suffix, and for several formats at once."""
    suffixes = {path.suffix.lower() for path in paths}
    if len(suffixes) != 1 or not suffixes <= set(_READERS):
        given = ", ".join(sorted(suffix or "(none)" for suffix in suffixes))
        raise UnsupportedError(f"cannot convert files with the suffix {given}; known: {', '.join(_READERS)}")
    return _READERS[suffixes.pop()]


def is_foreign(path: Path) -> bool:
    """Whether a file is of another framework's format: by its suffix, and by its header where that is ours, too."""
    suffix = path.suffix.lower()
    return suffix in _READERS and not (suffix == MODEL_SUFFIX and holds_network(path))


def files_of(path: Path) -> list[Path]:
    """All files that a network is read from: the one that is named, and those that belong to it."""
    others = _COMPANIONS.get(path.suffix.lower())
    return [path, *(others(path) if others else [])]


def _read_tflite(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.tflite.file import read_tflite
    from mpscnn.converters.tflite.reader import convert

    return convert([read_tflite(path) for path in paths], options.name, options.size)


def _read_pytorch(paths: list[Path], options: ReadOptions) -> Network:
    from mpscnn.converters.pytorch.reader import read_pytorch

    return read_pytorch(paths, options.name, options.size)


# Imported when used: each needs its format's own package.
_READERS: dict[str, Reader] = {
    ".tflite": _read_tflite,
    ".pth": _read_pytorch,
    ".pt": _read_pytorch,
    ".safetensors": _read_pytorch,
}
# Of formats with more than one file: which others belong to one.
_COMPANIONS: dict[str, Callable[[Path], list[Path]]] = {}
