"""Find files of the Hugging Face hub by names such as hf://owner/name@revision/file, with its own package's cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from mpscnn._private.cache_folder import cache_directory
from mpscnn._private.files import exists, is_folder, replace_folder
from mpscnn._private.installation import install_command
from mpscnn._private.json_text import parse_json
from mpscnn._private.printable import printable
from mpscnn.errors import DownloadError, Error, ParameterError, UnsupportedError
from mpscnn.registry.cache import hold_lock

_SCHEME = re.compile(r"hf:/{1,2}")  # pathlib makes one slash of two
_NO_PARTS = ("", ".", "..")  # they would lead to other folders of the cache, and other pages of the hub
_PART = r"(?!\.{1,2}(?:[@/]|\Z))[\w.-]+"
_NAME = re.compile(rf"({_PART})/({_PART})(?:@([^@/]+))?(?:/(.+))?", re.ASCII)
_TIMM = re.compile(rf"timm/{_PART}(@[^@/]+)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_FORM = "hf://OWNER/NAME[@REVISION][/FILE]"
_FILES, _FOLDERS = (".safetensors", ".onnx", ".tflite"), (".mlpackage", ".aimodel")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
_FIRST_CHOICE = "model.safetensors"
_CONFIG = "config.json"
_CHUNK = 1 << 20
_MAX_SHOWN = 8  # the maximum number of files that a message names


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on this machine.

    Attributes:
        path: the file, or the folder that is a model.
        record: the name with the commit, and the SHA-256 of the file. For a folder, it is over those of its files.
    """

    path: Path
    record: str


@dataclass(frozen=True)
class _Repository:
    """Holds the parts of a name. `text` is the name, for messages."""

    text: str
    name: str
    revision: str | None
    file: str


def is_hub_name(text: str) -> bool:
    """Return True for hf://..., and for timm/NAME unless there is such a file."""
    if _SCHEME.match(text):
        return True
    is_file_name = text.lower().endswith((*_FILES, *_FOLDERS, *_PICKLES))
    return _TIMM.fullmatch(text) is not None and not is_file_name and not exists(Path(text))


def model_name(text: str) -> str:
    """Return the name of a repository without its owner, and that of a file without its suffix if one is named.

    Raises ParameterError if the name has another form.
    """
    repository = _parsed(text)
    name = repository.name.partition("/")[2]
    return f"{name}-{PurePosixPath(repository.file).stem}" if repository.file else name


def find_on_hub(text: str) -> HubFile:
    """Return a model of the hub, which is downloaded unless the cache of huggingface_hub has it.

    Without a file, the repository's model.safetensors is taken, or its only model. Tokens, mirrors and the offline mode
    are those of huggingface_hub. A config.json next to a safetensors file is kept next to it.

    Raises:
        ParameterError: the name has another form, or the repository has no such file or several models.
        UnsupportedError: huggingface_hub is not installed, or the weights are a pickle.
        DownloadError: there is no such repository or revision, it needs a token, or the hub cannot be reached.
    """
    repository = _parsed(text)
    if find_spec("huggingface_hub") is None:
        raise UnsupportedError(f"{text}: the hub needs huggingface_hub: {install_command('hub')}")
    with _sentences(repository):
        commit, files = _listed(repository)
        file = _chosen(repository, list(files))
        record = f"hf://{repository.name}@{commit}/{file}"
        if PurePosixPath(file).suffix.lower() in _FOLDERS or file.lower().endswith(".onnx"):
            path, digest = _copied(repository, commit, file, files)
        else:
            path, digest = _downloaded(repository, commit, file, files)
            if file.endswith(".safetensors"):
                config = str(PurePosixPath(file).with_name(_CONFIG))
                if config in files:
                    _downloaded(repository, commit, config, files)
    return HubFile(path, f"{record} (SHA-256 {digest})")


def known_elsewhere(file: HubFile) -> str:
    """Return a sentence on other packages for weights whose network mpscnn does not know; "" if nothing is known."""
    try:
        config = parse_json(file.path.with_name(_CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    architecture = config.get("architecture") if isinstance(config, dict) else None
    if not isinstance(architecture, str):
        return ""
    shown = printable(architecture[:80])
    if find_spec("timm") is None or find_spec("torch") is None:
        return f"timm may know its network {shown}: pip install torch timm, and give its module to mpscnn.from_torch"
    timm: Any = import_module("timm")
    if not timm.is_model(architecture):
        return f"timm {timm.__version__} does not know its network {shown} either"
    name = file.record.removeprefix("hf://").partition("@")[0]
    return (
        f"timm knows its network {shown}: "
        f"mpscnn.from_torch(timm.create_model('hf-hub:{name}', pretrained=True).eval(), ...) reads it"
    )


def _parsed(text: str) -> _Repository:
    found = _NAME.fullmatch(_SCHEME.sub("", text, count=1))
    if found is None or ".." in (found[4] or "").split("/"):
        raise ParameterError(f"{text}: expected {_FORM}")
    revision = None if found[3] is None else unquote(found[3])
    if revision is not None and not set(revision.split("/")).isdisjoint(_NO_PARTS):
        raise ParameterError(
            f"{text}: its revision {printable(revision)} is no name of a branch, tag or commit"
        )
    return _Repository(text, f"{found[1]}/{found[2]}", revision, (found[4] or "").rstrip("/"))


@contextmanager
def _sentences(repository: _Repository) -> Iterator[None]:
    """Raise a DownloadError with a way forward for the errors of huggingface_hub."""
    from huggingface_hub import errors

    text, name = repository.text, repository.name
    try:
        yield
    except errors.GatedRepoError as error:
        raise DownloadError(
            f"{text}: {name} asks for an agreement: accept it on its page, then log in with `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(
            f"{text}: the hub has no repository {name}, or it is private: log in with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise DownloadError(f"{text}: {name} has no revision {repository.revision}") from error
    except errors.LocalEntryNotFoundError as error:
        raise DownloadError(
            f"{text}: the hub does not answer, or not as expected, and its cache on this machine lacks the file"
        ) from error
    except Error:
        raise
    except Exception as error:
        # Names that the hub states may be no names of files, and its client for HTTP has kinds of errors of its own.
        if type(error).__module__ == "builtins" and not isinstance(error, (OSError, ValueError)):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DownloadError(f"{text}: the hub cannot be read: {printable(reason)}") from error


def _settings() -> dict[str, Any]:
    """Return the place of the hub, if the user has set another one."""
    return {"endpoint": os.environ.get("HF_ENDPOINT") or None}


def _listed(repository: _Repository) -> tuple[str, Mapping[str, str | None]]:
    """Return the commit of a repository, and its files with their SHA-256 where the hub states it."""
    import huggingface_hub
    from huggingface_hub import errors

    try:
        info = huggingface_hub.HfApi(**_settings()).model_info(
            repository.name, revision=repository.revision, files_metadata=True
        )
    except errors.HfHubHTTPError:
        raise
    except Exception as error:  # the errors of its client for HTTP are those of another package
        folder = _kept_snapshot(repository)
        if folder is None:
            raise errors.LocalEntryNotFoundError(str(error)) from error
        found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not is_folder(path))
        return folder.name, dict.fromkeys(sorted(found))
    hashes = {
        one.rfilename: one.lfs.sha256 if one.lfs else None
        for one in info.siblings or []
        if not {"..", "/"} & set(PurePosixPath(one.rfilename).parts)
    }
    commit = str(info.sha)
    if not _COMMIT.fullmatch(commit):  # it becomes the name of a folder
        raise DownloadError(f"{repository.text}: the hub states the commit {printable(commit[:80])!r}")
    return commit, hashes


def _kept_snapshot(repository: _Repository) -> Path | None:
    """Return the folder of a repository in the cache of huggingface_hub; None if it has none."""
    from huggingface_hub import constants

    place = Path(constants.HF_HUB_CACHE) / f"models--{repository.name.replace('/', '--')}"
    revision = repository.revision or "main"
    try:
        commit = (place / "refs" / revision).read_text("utf-8").strip()
    except (OSError, ValueError):
        commit = revision
    folder = place / "snapshots" / commit
    return folder if is_folder(folder) else None


def _chosen(repository: _Repository, files: list[str]) -> str:
    """Return the file or folder that a name means."""
    models = [name for name in files if name.lower().endswith(_FILES)]
    for name in files:
        parts = PurePosixPath(name).parts
        ends = [place for place, part in enumerate(parts) if part.lower().endswith(_FOLDERS)]
        if ends and (folder := "/".join(parts[: ends[0] + 1])) not in models:
            models.append(folder)
    pickles = [name for name in files if name.lower().endswith(_PICKLES)]
    wanted, text = repository.file, repository.text
    if wanted.lower().endswith(_PICKLES) or (not wanted and not models and pickles):
        raise UnsupportedError(
            f"{text}: {wanted or pickles[0]} is a pickle, which can run code when it is read, so it is not loaded from "
            "the hub: take a repository or a revision with .safetensors or .onnx"
        )
    if wanted:
        if wanted in models:
            return wanted
        raise ParameterError(f"{text}: the repository has no model {wanted}; {_named(models)}")
    if _FIRST_CHOICE in models:
        return _FIRST_CHOICE
    if len(models) != 1:
        raise ParameterError(f"{text}: name the file, as in {_FORM}; {_named(models)}")
    return models[0]


def _named(models: list[str]) -> str:
    if not models:
        return f"it has no model that mpscnn reads ({', '.join((*_FILES, *_FOLDERS))})"
    more = f" and {len(models) - _MAX_SHOWN} more" if len(models) > _MAX_SHOWN else ""
    return f"its models are {', '.join(map(printable, models[:_MAX_SHOWN]))}{more}"


def _downloaded(
    repository: _Repository, commit: str, file: str, files: Mapping[str, str | None]
) -> tuple[Path, str]:
    """Return a file in the cache of huggingface_hub, and its SHA-256, which is compared with the hub's."""
    import huggingface_hub

    # The cache then knows the commit of the revision, which is needed where the hub does not answer.
    for revision in (repository.revision, commit):
        path = Path(huggingface_hub.hf_hub_download(repository.name, file, revision=revision, **_settings()))
        if commit in path.parts:
            break  # the revision has not moved meanwhile
    made = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            made.update(chunk)
    digest = made.hexdigest()
    if (stated := files[file]) and stated != digest:
        raise DownloadError(
            f"{repository.text}: {path} has the SHA-256 {digest}, and the hub states {stated}: delete it"
        )
    return path, digest


def _copied(
    repository: _Repository, commit: str, file: str, files: Mapping[str, str | None]
) -> tuple[Path, str]:
    """Return a model of several files in mpscnn's cache. That of huggingface_hub has links in place of files.

    The files are those of the folder, or those whose names begin with that of an ONNX file: its external data.
    """
    is_file = file in files
    inner = sorted(name for name in files if name.startswith(file if is_file else f"{file}/"))
    parts = {name: _downloaded(repository, commit, name, files) for name in inner}
    digest = hashlib.sha256("".join(one for _, one in parts.values()).encode()).hexdigest()
    place = cache_directory() / "hub" / repository.name.replace("/", "--") / commit / digest
    with hold_lock(place):
        if not is_folder(place):
            with replace_folder(place, DownloadError) as made:
                for name, (path, _) in parts.items():
                    target = Path(made) / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
    return place / file, parts[file][1] if is_file else digest
