"""Read what users give as photos: paths, folders, patterns, URLs, an ImageFolder, or lists of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_whole_number
from mpscnn._private.arrays import unchanging
from mpscnn._private.files import exists, is_folder
from mpscnn.errors import ImageError, ParameterError, UnsupportedError
from mpscnn.vision.photo_formats import STREAMS, VIDEO_SUFFIXES, suffix_of
from mpscnn.vision.photo_list import is_pattern, is_url, photo_paths

if TYPE_CHECKING:
    from mpscnn.graph.network import Network

__all__ = [
    "input_array",
    "is_one_photo",
    "is_photo",
    "one_photo",
    "photo_as_input",
    "photos_for",
    "require_no_video",
    "several_photos",
]

_NUMBERS = (int, float, list, tuple)
_CHANNELS = (1, 3, 4)  # of a photo (height, width, channels)


def several_photos(given: Any) -> list[Any] | None:
    """Return the photos of a folder, a pattern, an ImageFolder, a list or tuple, or an array of 4 axes.

    Folders and patterns in a list are replaced by their photos. Return None for anything else, which is one photo.

    Raises:
        ImageError: a folder or pattern has no photos, or cannot be read.
    """
    if hasattr(given, "paths") and hasattr(
        given, "targets"
    ):  # an ImageFolder, of mpscnn or with the same attributes
        return list(given.paths)
    if isinstance(given, (str, os.PathLike)):
        return _found(given)
    if isinstance(given, np.ndarray) and given.dtype.kind in "UO" and given.ndim == 1:
        given = given.tolist()  # names of photos, as pandas has them
    if isinstance(given, (list, tuple)) and not (given and isinstance(given[0], _NUMBERS)):
        return [photo for one in given for photo in _listed(one)]
    return list(given) if getattr(given, "ndim", 0) == 4 else None


def photos_for(what: str, given: Any) -> Iterable[Any]:
    """Return photos or arrays for a function whose errors begin with `what`. One photo is a list of one.

    Arrays of an iterator are copied, because it may write the next one into the same memory.

    Raises:
        ImageError: as for `several_photos` and `require_no_video`. ParameterError: the value is neither photos nor
            iterable.
    """
    several = several_photos(given)
    if several is not None:
        return several
    if is_one_photo(given) and (is_photo(given) or np.asarray(given).dtype.kind in "iu"):
        return [given]
    require_no_video(given)
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise ParameterError(
            f"{what} must be photos, a list of arrays or photos, a folder, a pattern or an ImageFolder, got {given!r}"
        )
    return map(_unchanging, given) if isinstance(given, Iterator) else given


def _unchanging(given: Any) -> Any:
    """Return an array of which nobody has the memory, or a mapping or sequence of such arrays; anything else as is."""
    if isinstance(given, np.ndarray):
        return unchanging(given)
    if isinstance(given, Mapping):
        return {name: _unchanging(value) for name, value in given.items()}
    return [*map(_unchanging, given)] if isinstance(given, (list, tuple)) else given


def is_one_photo(given: Any) -> bool:
    """Return True for a path, the bytes of a file, a Pillow image or an array (height, width, channels)."""
    if isinstance(given, (str, os.PathLike, bytes)) or type(given).__module__.startswith("PIL."):
        return True
    return getattr(given, "ndim", 0) == 3 and given.shape[-1] in _CHANNELS


def one_photo(photo: Any) -> Any:
    """Return a photo as `mpscnn.photo.open_photo` takes it: a URL becomes the path of the downloaded file.

    Raises:
        ImageError: as for `require_no_video`. DownloadError: the URL cannot be downloaded.
    """
    require_no_video(photo)
    if not isinstance(photo, (str, os.PathLike)) or not is_url(name := os.fspath(photo)):
        return photo
    from mpscnn.registry.url_file import cached_file  # it imports ssl

    return cached_file(name)


def require_no_video(photo: Any) -> None:
    """Raise ImageError, with the call that reads it, if a photo is the name of a video or the number of a camera."""
    camera = photo.removeprefix("camera:") if isinstance(photo, str) else photo
    if is_whole_number(camera) or (isinstance(photo, str) and camera.isdecimal() and not exists(photo)):
        raise ImageError(f"{photo} is not a photo; mpscnn.video('camera:{camera}', model) reads a camera")
    if not isinstance(photo, (str, os.PathLike)):
        return
    name = os.fspath(photo)
    if isinstance(name, str) and (suffix_of(name) in VIDEO_SUFFIXES or name.startswith(STREAMS)):
        raise ImageError(f"{name} is a video, not a photo; mpscnn.video({name!r}, model) reads it")


def is_photo(image: Any) -> bool:
    """Return True for a path, the bytes of a file or a Pillow image, and False for an array or nested numbers."""
    is_array = (hasattr(image, "__array_interface__") or hasattr(image, "__dlpack__")) and not isinstance(
        image, (str, bytes, os.PathLike)
    )
    return not (is_array or isinstance(image, _NUMBERS)) or type(image).__module__.startswith("PIL.")


def input_array(what: str, network: Network, shape: tuple[int | None, ...], image: Any) -> NDArray[Any]:
    """Return a photo, several photos or an array as an array for a network's input of this shape.

    If the network takes photos, integers are pixels of photos: one (height, width[, channels]), or several (n, height,
    width, channels). Floats are the input itself. Errors begin with `what`.

    Raises:
        ImageError: a photo cannot be read, its integers are not of 8 or 16 bits, or floats are pixels from 0 to 255.
        UnsupportedError: as for `photo_as_input`.
    """
    if is_photo(image):
        return photo_as_input(what, network, shape, image)
    given = np.asarray(image)
    if network.preprocess is None or len(network.inputs) != 1 or len(shape) != 4 or None in shape[1:]:
        return given
    if given.dtype.kind in "iu" and given.ndim in (2, 3, 4) and given.size:
        photos = given if given.ndim == 4 else [given]
        return np.concatenate([photo_as_input(what, network, shape, photo) for photo in photos])
    if given.dtype.kind == "f":
        from mpscnn.vision.preprocessing import require_prepared

        require_prepared(given, network.preprocess)
    return given


def photo_as_input(
    what: str, network: Network, shape: tuple[int | None, ...], photo: Any
) -> NDArray[np.float32]:
    """Return a photo as a network's input of this shape, (1, height, width, channels). Errors begin with `what`.

    Raises:
        UnsupportedError: the network does not say how photos become inputs. ImageError: the photo cannot be read.
    """
    if network.preprocess is None or len(shape) != 4 or None in shape[1:]:
        raise UnsupportedError(
            f"{what}: network {network.name!r} does not say how a photo becomes its input {shape}: give arrays"
        )
    from mpscnn.vision.preprocessing import preprocess

    height, width, channels = (int(extent or 0) for extent in shape[1:])
    return preprocess(one_photo(photo), (height, width), network.preprocess, channels=channels)


def _listed(photo: Any) -> list[Any]:
    found = _found(photo) if isinstance(photo, (str, os.PathLike)) else None
    return [photo] if found is None else found


def _found(given: str | os.PathLike[Any]) -> list[Any] | None:
    """Return the photos of a folder or pattern; None if it is neither."""
    name = os.fspath(given)
    if not isinstance(name, str) or is_url(name) or not (is_pattern(name) or is_folder(name)):
        return None
    paths, failures = photo_paths([name])
    if failures:
        raise failures[0]
    return list(paths)
