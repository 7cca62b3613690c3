"""Read photos with masks, whose pixels are class numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import convert_read_errors, is_file, is_folder, require_regular
from mpscnn._private.names import shown_names
from mpscnn.errors import ImageError
from mpscnn.training.scenes.class_names import names_beside
from mpscnn.training.scenes.labelled import fail, labelled_photo_paths
from mpscnn.training.scenes.views import upright
from mpscnn.vision.photo import Photo, exif_orientation
from mpscnn.vision.photo_file import read_image
from mpscnn.vision.photo_samples import raw_mode
from mpscnn.vision.segmentation import UNSEEN

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

#: The names of lossy compressions in TIFF files.
_LOSSY = ("jpeg", "tiff_jpeg", "webp")
#: The difference of the samples for neighbouring class numbers, by Pillow's name of their layout in the file.
_STEPS = {"1": 1, "L": 1, "L;2": 85, "L;4": 17}


@dataclass(frozen=True)
class MaskedPhoto:
    """The paths of a photo and of its mask."""

    path: str
    mask: str


@dataclass(frozen=True)
class MaskedPhotos:
    """The names of all classes, and photos with their masks. Class 0 is mostly the background."""

    labels: tuple[str, ...]
    photos: tuple[MaskedPhoto, ...]


def read_masks(folder: Path, masks: Path) -> MaskedPhotos:
    """Return the photos of a folder that have a mask of the same name in another folder.

    The names of the classes are the lines of a file classes.txt in the folder of the masks or next to it. Without such
    a file they are "background", "class 1" and so on, up to the largest number in a mask.

    Args:
        folder: the folder with the photos.
        masks: the folder with PNG files whose pixels are class numbers, in a palette or in gray. 255 is ignored.

    Raises:
        ParameterError: a photo has no mask, a mask has a class without a name, or there are no names and the numbers
            of the classes have gaps. ImageError: a mask or the folder cannot be read.
    """
    if not is_folder(masks):
        fail(masks, "is not a folder of masks")
    paths, failures = labelled_photo_paths(folder)
    if failures:
        raise failures[0]
    photos = []
    for path in paths:
        mask = (masks / Path(path).relative_to(folder)).with_suffix(".png")
        if not is_file(mask):
            fail(path, f"has no mask; expected is {str(mask)!r}")
        photos.append(MaskedPhoto(path, str(mask)))
    return MaskedPhotos(_class_names(masks, photos), tuple(photos))


def _class_names(masks: Path, photos: Sequence[MaskedPhoto]) -> tuple[str, ...]:
    """Return the names of all classes. Raises ParameterError if the numbers in the masks do not fit them."""
    named = names_beside(masks)
    found = {0}
    for photo in photos:
        found.update(np.unique(read_mask(photo.mask)).tolist())
        largest = max(found - {UNSEEN})
        if named is not None and largest >= len(named):
            fail(
                photo.mask,
                f"has the class {largest}, but there are {len(named)} classes: {shown_names(named)}",
            )
    largest = max(found - {UNSEEN})
    if named is None and (absent := sorted({*range(largest)} - found)):
        fail(
            masks,
            f"the masks have the class {largest}, but not {shown_names([str(number) for number in absent])}: "
            "number the classes without gaps, or name all of them in a classes.txt",
        )
    labels = named or ["background", *(f"class {number}" for number in range(1, largest + 1))]
    if len(labels) < 2:
        fail(
            masks,
            "the masks have no other class than 0. Pixels of 255 are ignored, so the class of masks in black and white "
            "is 1, not 255",
        )
    return tuple(labels)


def read_mask(path: str | Path) -> NDArray[np.uint8]:
    """Return the class numbers (height, width) of a picture with a palette or in gray, turned as its EXIF block says.

    Raises ImageError for a picture of another kind, one that does not keep class numbers, or one that cannot be read.
    """
    steps: list[int] = []
    with convert_read_errors(path, ImageError):
        require_regular(path, ImageError)
        with Path(path).open("rb") as file:
            try:
                picture = read_image(
                    file, Path(path).stat().st_size, prepare=lambda image: steps.append(_step(image, path))
                )
            except ImageError:
                raise
            except Exception as error:  # decoders raise many kinds
                raise ImageError(f"{path}: is damaged or cut off: {error}") from error
    if picture is None:
        raise ImageError(f"{path}: is no picture; a mask has class numbers, in a palette or in gray")
    numbers: NDArray[np.uint8] = np.asarray(picture, np.uint8) // np.uint8(steps[0])
    return upright(Photo(numbers, "gray8", exif_orientation(picture), str(path))).pixels


def _step(picture: ImageFile, path: object) -> int:
    """Return the difference of the samples for neighbouring class numbers. Pillow scales gray of few bits to 0 to 255.

    Raises ImageError for an opened picture that does not keep class numbers.
    """
    if picture.mode not in ("1", "P", "L"):
        raise ImageError(
            f"{path}: is a picture of mode {picture.mode}; a mask has class numbers, in a palette or in gray"
        )
    if picture.format == "JPEG" or picture.info.get("compression") in _LOSSY:
        raise ImageError(
            f"{path}: is compressed as JPEG, which does not keep class numbers: save masks as PNG"
        )
    layout = raw_mode(picture)
    is_plain = (
        picture.mode == "P" or picture.format == "GIF"
    )  # GIF's numbers of gray are those of its palette
    step = 1 if is_plain else _STEPS.get(layout)
    if step is None or (picture.format == "PPM" and picture.tile[0][0] != "raw"):
        raise ImageError(
            f"{path}: has gray samples of another range than 0 to 255 ({layout}), which are scaled: save masks as PNG"
        )
    return step
