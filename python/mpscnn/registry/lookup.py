"""Find a model's file by name: in the package, in MPSCNN_MODELS, in the cache, and at the publisher."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mpscnn._private.files import is_file, is_folder
from mpscnn._private.model_name import MODEL_SUFFIX, is_path
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.toolkit import converter
from mpscnn.errors import DownloadError, ParameterError, WeightsError
from mpscnn.registry.cache import (
    difference,
    hold_lock,
    instructions,
    model_directories,
    source_path,
)
from mpscnn.registry.catalogue import CATALOGUE
from mpscnn.registry.converted_file import is_intact, replace_converted, warn_of_damage
from mpscnn.registry.entry import Entry, all_names, converted_path
from mpscnn.registry.local_files import (
    cached_file,
    directories,
    packaged_file,
    provided_file,
    ready_file,
)
from mpscnn.registry.published_file import PublishedFile

if TYPE_CHECKING:
    # Networking is imported only for a download, so that loading a local model stays fast.
    from mpscnn.registry.download import Client

__all__ = ["find", "lead_of", "models", "names", "prepare"]


def models() -> list[Entry]:
    """Return the models that mpscnn knows by name, the bundled one first."""
    return list(CATALOGUE)


@accept_foreign_arguments
def names() -> list[str]:
    """Return the names that `find` accepts, without aliases: the catalogue's, then those of local model files."""
    known = [entry.name for entry in CATALOGUE]
    folders = filter(is_folder, directories())
    found = [path for folder in folders for path in folder.glob("*" + MODEL_SUFFIX) if is_file(path)]
    local = {path.stem for path in found}
    return known + sorted(name for name in local if _entry(name) is None and _is_name(name))


def find(name: str, *, download: bool = True) -> Path:
    """Return the model file (.safetensors) for a registry name.

    It is searched in the package, in the folders of MPSCNN_MODELS (NAME.safetensors, or the publisher's original files,
    which are then converted), in the cache, and, if `download` is True, at the publisher. Downloaded files are checked
    and converted once.

    Raises ParameterError for an unknown name, WeightsError for a local file that is not the published one, and
    DownloadError if a file is missing and cannot be downloaded or stored.
    """
    entry = _entry(name)
    if entry is None and not _is_name(name):
        raise ParameterError(
            f"{name!r} is not a model name: those have up to 100 letters, digits, '_', '-' and '.', and "
            f"no file suffix."
        )
    if ready := ready_file(all_names(entry) if entry else (name,)):
        return ready
    if entry is None:
        raise ParameterError(_unknown(name))
    return prepare(entry, download=download)


def prepare(entry: Entry, *, download: bool = True, client: Client | None = None) -> Path:
    """Return the converted model of an entry from the cache. If it is not there, convert the publisher's files.

    If the file in the cache is damaged, a RuntimeWarning says so, and it is made again.
    """
    if entry.bundled:
        raise WeightsError(
            f"{packaged_file(entry.name)} is missing: this installation of mpscnn is incomplete."
        )
    provided = {file: path for file in entry.files if (path := provided_file(file))}
    for file, path in provided.items():
        _check(path, file)
    target = converted_path(entry, converter().CONVERTER_VERSION)
    if is_intact(target):
        return target
    if not download:
        _require_local(entry, provided)
    with hold_lock(target):
        # Another process may have converted it while this one waited for the lock.
        if is_intact(target):
            return target
        warn_of_damage(target)
        paths = _obtain_all(entry, provided, client)
        with replace_converted(target) as temporary:
            converter().convert_files(
                [paths[file] for file in entry.sources],
                temporary,
                labels=None if entry.labels is None else paths[entry.labels],
                preprocess=entry.preprocess or None,
                name=entry.name,
                dtype=entry.dtype,
                information={"license": entry.licence, "source": entry.publisher},
            )
    return target


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", text, re.ASCII) is not None and not is_path(text)


def _entry(name: str) -> Entry | None:
    return next((entry for entry in CATALOGUE if name in all_names(entry)), None)


def _check(path: Path, file: PublishedFile) -> None:
    try:
        wrong = difference(path, file)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from error
    if wrong:
        raise WeightsError(
            f"{path} is not the published {file.name}: it has {wrong}. Remove or rename it; to use a file of "
            f"your own, convert it with `mpscnn convert`."
        )


def _missing(entry: Entry, provided: dict[PublishedFile, Path]) -> list[PublishedFile]:
    return [file for file in entry.files if file not in provided and not cached_file(file)]


def _require_local(entry: Entry, provided: dict[PublishedFile, Path]) -> None:
    if missing := _missing(entry, provided):
        places = "\n".join(instructions(file) for file in missing)
        raise DownloadError(f"{entry.name} is not on this machine and must not be downloaded.\n{places}")


def _obtain_all(
    entry: Entry, provided: dict[PublishedFile, Path], client: Client | None
) -> dict[PublishedFile, Path]:
    paths = dict(provided)
    for file in entry.files:
        try:
            paths[file] = paths.get(file) or _obtain(file, client)
        except DownloadError as error:
            # Users who download one file by hand also need to know about the other missing files.
            others = [other for other in _missing(entry, provided) if other != file]
            raise DownloadError("\n".join([str(error), *map(instructions, others)])) from error
    return paths


def _obtain(file: PublishedFile, client: Client | None) -> Path:
    path = source_path(file)
    with hold_lock(path):
        if cached_file(file):
            _check(path, file)
        else:
            from mpscnn.registry.download import Client

            (client or Client()).download(file, path)
    return path


#: The names by which torchvision and Keras mean trained weights of a network.
_TRAINED = ("default", "imagenet", "coco", "pretrained")


def lead_of(name: str) -> str:
    """Return a sentence, after a space, on what a name that mpscnn does not know may mean; "" if there is none."""
    import difflib

    aliases = [alias for entry in CATALOGUE for alias in entry.aliases]
    close = difflib.get_close_matches(name, [*names(), *aliases], n=3, cutoff=0.5)
    guess = f" Did you mean {' or '.join(close)}?" if close else ""
    from mpscnn import models

    if name in (*names(), *aliases):
        guess = f" mpscnn.load({name!r}) loads the model of this name."
    elif callable(getattr(models, name, None)) and name in models.__all__:
        guess = f" mpscnn.models.{name}(weights) builds it, with weights from a file of PyTorch or arrays."
    elif name.lower().startswith("yolo"):
        guess = (
            f" `yolo export model={name}.pt format=onnx` of Ultralytics writes a file that mpscnn.load reads."
        )
    elif name.lower() in _TRAINED or name.lower().startswith("imagenet1k"):
        guess = (
            " mpscnn.load(NAME) has trained weights, and weights=FILE takes those that "
            "torch.save(module.state_dict(), FILE) writes."
        )
    return guess


def _unknown(name: str) -> str:
    searched = ", ".join(str(directory) for directory in model_directories()) or "not set"
    return (
        f"unknown model {name!r}.{lead_of(name)} Known: {', '.join(names())} (`mpscnn models` describes them). "
        f"Files named {name}{MODEL_SUFFIX} are looked for in the directories of MPSCNN_MODELS ({searched})."
    )
