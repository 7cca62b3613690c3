"""Draw a random variant of a photo: cropped, mirrored, with other colours, or mixed with another photo."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import is_finite_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.settings import as_json
from mpscnn.errors import Error, ImageError, ParameterError
from mpscnn.vision.photo import Photo, open_photo
from mpscnn.vision.visualize import upright_picture

if TYPE_CHECKING:
    from PIL import Image as PillowImage

__all__ = ["Augmentation", "Mixing", "PhotoFile", "PhotoReader", "chosen_augmentation", "mix", "rotate"]

#: The values of fields of an augmentation that change nothing. All other fields change nothing at 0.
_UNCHANGED = {"crop": 1.0, "aspect": 1.0, "shrink": 1.0}
#: The limits of fields. All other fields are from 0 to 1.
_LIMITS = {"crop": (0.01, 1.0), "aspect": (1.0, 4.0), "shrink": (1.0, 4.0), "rotation": (0.0, 180.0)}


class CheckedRanges:
    """Base class of dataclasses with ranges of random changes, which are checked. True means a field's default."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            low, high = _LIMITS.get(field.name, (0.0, 1.0))
            value: Any = getattr(self, field.name)
            if isinstance(value, bool) and field.default:
                value = field.default if value else _UNCHANGED.get(field.name, 0.0)
                object.__setattr__(self, field.name, value)
            if not is_finite_number(value) or not low <= value <= high:
                raise ParameterError(f"augmentation: {field.name} must be {low:g} to {high:g}, got {value!r}")


@dataclass(frozen=True)
class Augmentation(CheckedRanges):
    """The range of random variants of a photo.

    Args:
        flip: the share of variants that are mirrored.
        crop: the smallest share of the photo's area that a variant shows; 1: all of it.
        aspect: the largest factor by which a variant's aspect ratio differs from the photo's.
        brightness, contrast, saturation: the largest change of each, as a share; 0: none.
        rotation: the largest angle in degrees by which a variant is rotated, to either side; 0: none.
        mixup: the share of variants that are added to another photo, with shares of both classes as labels.
        cutmix: the share of variants in which a rectangle of another photo replaces a part, with shares of both classes
            as labels.

    True stands for the default of a number that is not 0 by default, and False for no change of this kind.

    Raises:
        ParameterError: a number is out of its range, or `mixup` and `cutmix` add up to more than 1.
    """

    flip: float = 0.5
    crop: float = 0.6
    aspect: float = 1.2
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    rotation: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mixes > 1:
            raise ParameterError(
                f"augmentation: mixup and cutmix must add up to at most 1, got {self.mixup} and {self.cutmix}"
            )

    @property
    def mixes(self) -> float:
        """The share of variants that are mixed with another photo."""
        return self.mixup + self.cutmix

    def draw_mixing(self, random: np.random.Generator) -> Mixing | None:
        """Return whether and how a variant is mixed with another photo."""
        if not self.mixes:
            return None
        drawn = random.random()
        return "mixup" if drawn < self.mixup else "cutmix" if drawn < self.mixes else None


class View(NamedTuple):
    """The part of a photo that a variant shows, in shares of the photo, and how the variant is turned."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0
    is_flipped: bool = False
    degrees: float = 0.0

    def places(self, points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """Return where points of the photo are in the variant: shares of width and height, (points, 2).

        Args:
            points: x and y of each point, in shares of the upright photo.
            size: (height, width) of the variant.
        """
        x, y = ((points - (self.left, self.top)) / (self.width, self.height)).T
        if self.is_flipped:
            x = 1 - x
        cosine, sine = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        along, down = (x - 0.5) * size[1], (y - 0.5) * size[0]
        x, y = (cosine * along + sine * down) / size[1] + 0.5, (cosine * down - sine * along) / size[0] + 0.5
        return np.stack([x, y], -1).astype(np.float32)


Kind = TypeVar("Kind")


def chosen_augmentation(kind: type[Kind], augment: Any) -> Kind | None:
    """Return what `augment=` of a training chooses: True is the default range of this kind, and False none.

    Raises ParameterError for anything else.
    """
    if isinstance(augment, kind):
        return augment
    if not isinstance(augment, (bool, np.bool_)):
        raise ParameterError(
            f"augment must be True, False or an mpscnn.{kind.__name__} here, which has "
            f"{', '.join(f'{name}=' for name in kind.__annotations__)}; got {augment!r:.100}"
        )
    return kind() if augment else None


Augmentation.__init__ = accept_foreign_arguments(Augmentation.__init__)  # type: ignore[method-assign]


class Light(Protocol):
    """The largest changes of brightness, contrast and saturation, as shares."""

    @property
    def brightness(self) -> float: ...
    @property
    def contrast(self) -> float: ...
    @property
    def saturation(self) -> float: ...


class PhotoFile:
    """The file of a photo. It is decoded once, also for several variants. One thread may use it."""

    def __init__(self, path: str) -> None:
        self.path = path

    @cached_property
    def photo(self) -> Photo:
        """The opened photo. Raises ImageError with the file's name."""
        return open_photo(self.path)

    @cached_property
    def _picture(self) -> PillowImage.Image:
        return upright_picture(self.path)

    def picture(self) -> PillowImage.Image:
        """Return the upright photo as a new Pillow image. Raises ImageError with the file's name."""
        return self._picture.copy()


class PhotoReader:
    """Converts photos to float32 inputs (height, width, channels). Several threads may use it.

    Args:
        size: (height, width).
        preprocess: as for `mpscnn.preprocess`.
        channels: 3, or 1 for gray.
    """

    def __init__(self, size: tuple[int, int], preprocess: str | Mapping[str, Any], channels: int) -> None:
        self.shape = (size[0], size[1], channels)
        self._text = as_json("preprocess", preprocess)
        described: dict[str, Any] = json.loads(_core.describe_preprocess(self._text, channels))
        mean, scale = (np.asarray(described[name], np.float32) for name in ("mean", "scale"))
        self._black, self._range = -mean * scale, np.float32(255) * scale

    @property
    def settings(self) -> tuple[tuple[int, int, int], str]:
        """The inputs' shape and the preprocessing."""
        return self.shape, self._text

    def read(
        self,
        file: PhotoFile,
        output: NDArray[np.float32],
        augmentation: Augmentation | None,
        random: np.random.Generator,
        transform: Callable[[Any], Any] | None = None,
    ) -> View:
        """Write a photo, or a random variant, into `output`. Raises ImageError with the file's name.

        Returns what the variant shows. If the file has an EXIF orientation and there is no `transform`, this is in
        shares of the pixels as they are stored.

        `transform` is called with the upright photo as a Pillow image, before the augmentation.
        """
        if transform is None:
            photo = file.photo
        else:
            given = transform(file.picture())
            if given is None:
                raise ImageError(f"{file.path}: transform returned None; it must return the changed photo")
            photo = open_photo(given)
        if augmentation is None:
            self.convert(photo, output)
            return View()
        part, view = _part(photo, augmentation, random)
        self.convert(part, output)
        if is_flipped := bool(random.random() < augmentation.flip):
            output[:] = output[:, ::-1].copy()
        degrees = 0.0
        if augmentation.rotation:
            degrees = float(random.uniform(-augmentation.rotation, augmentation.rotation))
            output[:] = rotate(output, degrees)
        self.relight(output, augmentation, random)
        return view._replace(is_flipped=is_flipped, degrees=degrees)

    def convert(self, photo: Photo, output: NDArray[np.float32]) -> None:
        """Write the pixels of an opened photo into `output`. Raises ImageError with the file's name."""
        try:
            _core.preprocess(photo.core, self._text, output)
        except Error as error:  # the settings are valid, so the photo is the cause
            raise ImageError(f"{photo.name}: {error}") from error

    def relight(self, view: NDArray[np.float32], augmentation: Light, random: np.random.Generator) -> None:
        """Change brightness, contrast and saturation. Results are limited to the range from black to white."""
        factors = [
            1 + float(random.uniform(-reach, reach))
            for reach in (augmentation.brightness, augmentation.contrast, augmentation.saturation)
        ]
        if factors == [1, 1, 1]:
            return
        brightness, contrast, saturation = map(np.float32, factors)
        light = (view - self._black) / self._range * brightness
        light = light.mean() * (1 - contrast) + light * contrast
        gray = light.mean(axis=-1, keepdims=True)
        view[:] = np.clip(gray + (light - gray) * saturation, 0, 1) * self._range + self._black


def _part(photo: Photo, augmentation: Augmentation, random: np.random.Generator) -> tuple[Photo, View]:
    """Return a random rectangle of the photo, and its place."""
    height, width = photo.pixels.shape[:2]
    area = float(random.uniform(augmentation.crop, 1))
    shape = float(np.exp(random.uniform(-1, 1) * math.log(augmentation.aspect)))
    rows = min(max(round(height * math.sqrt(area / shape)), 1), height)
    columns = min(max(round(width * math.sqrt(area * shape)), 1), width)
    top, left = int(random.integers(0, height - rows + 1)), int(random.integers(0, width - columns + 1))
    if (rows, columns) == (height, width):
        return photo, View()
    pixels = np.ascontiguousarray(photo.pixels[top : top + rows, left : left + columns])
    return replace(photo, pixels=pixels), View(left / width, top / height, columns / width, rows / height)


Mixing = Literal["mixup", "cutmix"]
#: Both parameters of the beta distribution from which mixup draws the share of a photo (Zhang et al. 2018, ImageNet).
_MIXUP_BETA = 0.2


def rotate(view: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """Return an image (height, width, channels) rotated about its centre, counterclockwise.

    Pixels are interpolated linearly. Beyond the edges, the pixels of the edges are repeated.
    """
    height, width = view.shape[:2]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rows -= (height - 1) / 2
    columns -= (width - 1) / 2
    y = np.clip(cosine * rows + sine * columns + (height - 1) / 2, 0, height - 1)
    x = np.clip(cosine * columns - sine * rows + (width - 1) / 2, 0, width - 1)
    top, left = y.astype(np.intp), x.astype(np.intp)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, along = (y - top)[..., None], (x - left)[..., None]
    upper = view[top, left] * (1 - along) + view[top, right] * along
    lower = view[bottom, left] * (1 - along) + view[bottom, right] * along
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def mix(
    view: NDArray[np.float32], other: NDArray[np.float32], kind: Mixing, random: np.random.Generator
) -> float:
    """Mix another image of the same shape into an image, in place. Return the share of the first one.

    Args:
        view: the image that is changed, (height, width, channels).
        other: the other image.
        kind: "mixup": the images are added with a random share each (Zhang et al. 2018). "cutmix": a random rectangle
            of the other image replaces that of the first one (Yun et al. 2019).
        random: the generator of the share and the place.
    """
    if kind == "mixup":
        share = float(random.beta(_MIXUP_BETA, _MIXUP_BETA))
        view *= np.float32(share)
        view += np.float32(1 - share) * other
        return share
    height, width = view.shape[:2]
    side = math.sqrt(1 - float(random.random()))
    rows, columns = round(side * height), round(side * width)
    top, left = int(random.integers(0, height - rows + 1)), int(random.integers(0, width - columns + 1))
    view[top : top + rows, left : left + columns] = other[top : top + rows, left : left + columns]
    return float(1 - rows * columns / (height * width))
