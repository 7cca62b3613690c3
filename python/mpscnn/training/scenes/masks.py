"""Read photos with masks, whose pixels are class numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import convert_read_errors, is_file, is_folder, require_regular
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.names import shown_names
from mpscnn.errors import ImageError
from mpscnn.training.scenes.class_names import NAME_FILES, names_beside
from mpscnn.training.scenes.labelled import LabelledPhoto, fail, labelled_photo_paths
from mpscnn.training.scenes.shapes import drawn
from mpscnn.training.scenes.source import read_objects
from mpscnn.training.scenes.views import upright
from mpscnn.training.split_folders import TRAIN, VALIDATION
from mpscnn.vision.photo import Photo, exif_orientation
from mpscnn.vision.photo_file import read_image
from mpscnn.vision.photo_samples import raw_mode
from mpscnn.vision.segmentation import UNSEEN

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

#: The difference to 0 and 255 that JPEG makes of black and white.
_NOISE = 48
#: The names of lossy compressions in TIFF files.
_LOSSY = ("jpeg", "tiff_jpeg", "webp")
Color = tuple[int, int, int]
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
#: The difference of the samples for neighbouring class numbers, by Pillow's name of their layout in the file.
_STEPS = {"1": 1, "L": 1, "L;2": 85, "L;4": 17}


@dataclass(frozen=True)
class MaskedPhoto:
    """The paths of a photo and of its mask.

    Attributes:
        path: the photo.
        mask: the mask, or the place of the annotations in `drawn`.
        white: the class of pixels with 255; `UNSEEN`: they are ignored.
    """

    path: str
    mask: str
    white: int = UNSEEN
    drawn: LabelledPhoto | None = None
    """The objects whose outlines are the mask; None: `mask` is a picture. Class 0 is the background."""

    def numbers(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the class of each pixel of a photo of this (width, height), with `UNSEEN` for ignored ones.

        Raises the errors of `read_mask`.
        """
        if self.drawn is not None:
            return mask_of_outlines(self.drawn, size)
        found = read_mask(self.mask)
        return found if self.white == UNSEEN else np.where(found == UNSEEN, np.uint8(self.white), found)


class MaskColors:
    """Checks that a number stands for the same colour in all masks, and that black is not above white.

    Tools that reduce pictures to a palette number the colours of each picture anew.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Color, str]] = {}

    def add(self, path: str, colors: Mapping[int, Color]) -> None:
        """Take the colours of a mask's numbers. Raises ImageError if a number has another colour in another mask."""
        if (colors.get(0), colors.get(1)) == (_WHITE, _BLACK):
            raise ImageError(
                f"{path}: its palette has white as 0 and black as 1. The background is 0: swap the numbers"
            )
        for number, color in colors.items():
            known, other = self._known.setdefault(number, (color, path))
            if known != color:
                raise ImageError(
                    f"{path}: the number {number} has the colour {color} here and {known} in {other}. Each picture has "
                    "a palette of its own, so its numbers are not those of classes: save all masks with one palette"
                )


@dataclass(frozen=True)
class MaskedPhotos:
    """The names of all classes, and photos with their masks. Class 0 is mostly the background.

    Attributes:
        labels: the names.
        photos: the photos for training, or all if `held` is None.
        held: the photos for validation that the annotations state; None: they state none.
    """

    labels: tuple[str, ...]
    photos: tuple[MaskedPhoto, ...]
    held: tuple[MaskedPhoto, ...] | None = None


def mask_of_outlines(photo: LabelledPhoto, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the mask of a photo with the size (width, height): 0, or the class number of the object plus 1.

    Crowds are `UNSEEN`. Raises ParameterError if the annotations are for another size.
    """
    if photo.size is not None and photo.size not in ((0, 0), size):
        fail(
            photo.place,
            f"has {photo.size[0]} x {photo.size[1]} pixels, but its upright photo {size[0]} x {size[1]}: annotate the "
            "photos as they are",
        )
    shapes = [shape for shape in photo.shapes or () if shape is not None]
    for bits in (shape.bitmap for shape in shapes):
        if bits is not None and (bits.width > size[0] + 1 or bits.height > size[1] + 1):
            fail(
                photo.place,
                f"the pixels of an object are {bits.width} x {bits.height}, but the upright photo has {size[0]} x "
                f"{size[1]}: annotate the photos as they are",
            )
    kinds = photo.classes + 1
    if photo.crowds is not None:
        kinds = np.where(photo.crowds, UNSEEN, kinds)
    return drawn(shapes, kinds.tolist(), size, (1, 1) if photo.size is not None else size)


def has_outlines(place: Path) -> bool:
    """Return True for a file of annotations, or a folder with some and without pictures."""
    if not is_folder(place):
        return is_file(place)
    names = (*NAME_FILES, "readme.txt")
    found = [
        one
        for suffix in ("txt", "json", "xml")
        for one in place.rglob(f"*.{suffix}")
        if one.name not in names
    ]
    return bool(found) and not any(place.rglob("*.png"))


def read_outlines(folder: Path | None, annotations: Path) -> MaskedPhotos:
    """Return the photos of annotations whose objects have outlines. The classes are the background and theirs.

    Raises the errors of `read_objects`. ParameterError: an object is only a box.
    """
    found = read_objects(folder, annotations)
    require_outlines(found.photos)
    if len(found.labels) >= UNSEEN - 1:
        fail(annotations, f"has {len(found.labels)} classes; masks have at most {UNSEEN - 2}")
    held = found.photos_of(VALIDATION)
    return MaskedPhotos(
        ("background", *found.labels),
        tuple(map(masked_by_outlines, found.photos_of(TRAIN) or found.photos)),
        None if held is None else tuple(map(masked_by_outlines, held)),
    )


def masked_by_outlines(photo: LabelledPhoto) -> MaskedPhoto:
    """Return a photo whose mask is drawn of the outlines of its objects."""
    return MaskedPhoto(photo.path, photo.place, drawn=photo)


def require_outlines(photos: Iterable[LabelledPhoto]) -> None:
    """Raise ParameterError for an object that is only a box."""
    for photo in photos:
        shapes = photo.shapes or (None,) * len(photo.classes)
        if None in shapes:
            fail(
                photo.place,
                f"the object {shapes.index(None) + 1} is only a box; a segmenter needs outlines: polygons or masks",
            )


def read_masks(folder: Path | None, masks: Path) -> MaskedPhotos:
    """Return the photos of a folder that have a mask of the same name in another folder.

    The names of the classes are the lines of a file classes.txt in the folder of the masks or next to it. Without such
    a file they are "background", "class 1" and so on, up to the largest number in a mask.

    Args:
        folder: the folder with the photos; None: those of a data.yaml.
        masks: annotations with outlines (see `read_outlines`), or the folder with PNG files whose pixels are class
            numbers, in a palette or in gray. 255 is ignored. If there are no other numbers than 0 and 255, 255 is the
            class 1.

    Raises:
        ParameterError: a photo has no mask, a mask has a class without a name, or there are no names and the numbers
            of the classes have gaps. ImageError: a mask or the folder cannot be read, or a number has two colours.

    Warns: RuntimeWarning if 255 is taken as the class 1.
    """
    if has_outlines(masks):
        return read_outlines(folder, masks)
    if folder is None:
        fail(masks, "masks need the folder with the photos; only a data.yaml names it")
    if not is_folder(masks):
        fail(masks, "is not a folder of masks, and no file of annotations with outlines")
    paths, failures = labelled_photo_paths(folder)
    if failures:
        raise failures[0]
    photos = []
    for path in paths:
        mask = (masks / Path(path).relative_to(folder)).with_suffix(".png")
        if not is_file(mask):
            fail(path, f"has no mask; expected is {str(mask)!r}")
        photos.append(MaskedPhoto(path, str(mask)))
    labels, white = _class_names(masks, photos)
    return MaskedPhotos(labels, tuple(replace(photo, white=white) for photo in photos))


def _class_names(masks: Path, photos: Sequence[MaskedPhoto]) -> tuple[tuple[str, ...], int]:
    """Return the names of all classes, and the class of 255.

    Raises ParameterError if the numbers in the masks do not fit the names.
    """
    named = names_beside(masks)
    found = {0}
    colors = MaskColors()
    for photo in photos:
        numbers, palette = mask_with_colors(photo.mask)
        colors.add(photo.mask, palette)
        values = np.unique(numbers).tolist()
        found.update(values)
        largest = max(found - {UNSEEN})
        if named is not None and largest >= len(named):
            fail(
                photo.mask,
                f"has the class {largest}, but there are {len(named)} classes: {shown_names(named)}"
                f"{noise_hint(values)}",
            )
    if found == {0, UNSEEN}:
        if named is not None and len(named) != 2:
            fail(masks, black_and_white_text(len(named)))
        warn_of_black_and_white(masks)
        return tuple(named or ("background", "class 1")), 1
    largest = max(found - {UNSEEN})
    if named is None and (absent := sorted({*range(largest)} - found)):
        fail(
            masks,
            f"the masks have the class {largest}, but not {shown_names([str(number) for number in absent])}: "
            f"number the classes without gaps, or name all of them in a classes.txt{noise_hint(found)}",
        )
    labels = named or ["background", *(f"class {number}" for number in range(1, largest + 1))]
    if len(labels) < 2:
        fail(masks, "the masks have no other class than 0")
    return tuple(labels), UNSEEN


def black_and_white_text(classes: int) -> str:
    """Return the error for masks in black and white if there are not two classes."""
    return (
        f"the masks have no other numbers than 0 and 255, and there are {classes} classes. Masks in black and white "
        "are for two classes: write the number of the class in place of 255. If 255 means pixels to ignore, there is "
        "nothing else than the class 0"
    )


def warn_of_black_and_white(masks: object) -> None:
    """Warn that 255 is taken as the class 1."""
    warn_caller(
        f"{masks}: the masks have no other numbers than 0 and 255, so 255 is the class 1. Otherwise it is for pixels "
        "to ignore",
    )


def noise_hint(values: Iterable[int]) -> str:
    """Return the end of a message about numbers of a mask in black and white that was a JPEG file; "" for others."""
    given = set(values)
    is_noise = len(given) > 2 and all(value < _NOISE or value > UNSEEN - _NOISE for value in given)
    if not is_noise or max(given) <= UNSEEN - _NOISE or min(given) >= _NOISE:
        return ""
    return (
        "; all numbers are near 0 and 255, as in black and white with the noise of JPEG: save numpy.where(mask > 127, "
        "1, 0) as PNG"
    )


def read_mask(path: str | Path) -> NDArray[np.uint8]:
    """Return the class numbers of `mask_with_colors`."""
    return mask_with_colors(path)[0]


def mask_with_colors(path: str | Path) -> tuple[NDArray[np.uint8], dict[int, Color]]:
    """Return the class numbers (height, width) of a picture with a palette or in gray, turned as its EXIF block says.

    The second result is the palette's colour of each number that occurs; {} for gray.

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
    turned = upright(Photo(numbers, "gray8", exif_orientation(picture), str(path))).pixels
    entries = (picture.getpalette("RGB") if picture.mode == "P" else None) or []
    colors = list(zip(entries[::3], entries[1::3], entries[2::3], strict=True))
    used = np.unique(turned).tolist() if colors else []
    return turned, {number: colors[number] for number in used if number < len(colors)}


def _step(picture: ImageFile, path: object) -> int:
    """Return the difference of the samples for neighbouring class numbers. Pillow scales gray of few bits to 0 to 255.

    Raises ImageError for an opened picture that does not keep class numbers.
    """
    if picture.mode not in ("1", "P", "L"):
        raise ImageError(
            f"{path}: is a picture of mode {picture.mode}; a mask has class numbers, in a palette or in gray. Write "
            "the number of its class in place of each colour, as uint8"
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
