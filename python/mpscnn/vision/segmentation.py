"""The result of a segmentation: a class for every pixel of a photo."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_finite_number
from mpscnn._private.arrays import AsArray
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected
from mpscnn._private.printable import printable
from mpscnn._private.report import Cell
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.vision.photo_result import PhotoResult

if TYPE_CHECKING:
    from PIL import Image as PillowImage

#: The label of pixels that the preprocessing cropped away. Pascal VOC uses it for pixels that are ignored.
UNSEEN = 255


@dataclass(frozen=True)
class Area(Expected):
    """The part of a photo that belongs to one class."""

    _other_names = (("index", "class_id cls"),)

    label: str
    index: int
    pixels: int
    fraction: float
    """The share of the whole photo, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Segmentation(PhotoResult, AsArray):
    """The class of every pixel of a photo, and information about the computation.

    `np.asarray(result)` is `labels`.
    """

    _other_names = (("names", "class_names"),)

    labels: NDArray[np.uint8]
    """The class numbers (height, width) of the upright photo; `UNSEEN` for pixels that were cropped away."""
    names: tuple[str, ...]
    """The names of the classes: `names[labels[row, column]]`."""
    device: str
    precision: str
    reason: str
    milliseconds: float
    scores: NDArray[np.float32] | None = None
    """The network's scores (height, width, classes), NaN where the label is `UNSEEN`; None if not requested."""
    photo: Any = None
    """The photo that the caller gave, or its pixels if it cannot be read again. `draw` and `show` use it."""
    photo_checksum: int | None = field(default=None, compare=False, kw_only=True, repr=False)
    """A checksum of `photo` if it is an array: `draw` refuses an array that was written again."""
    columns = ("label", "index", "pixels", "fraction")

    @property
    def areas(self) -> list[Area]:
        """The classes on the photo, the largest first."""
        counts = np.bincount(self.labels.reshape(-1), minlength=256)[: len(self.names)]
        found = [index for index in np.argsort(-counts, kind="stable").tolist() if counts[index]]
        total = self.labels.size
        return [
            Area(self.names[index], index, int(counts[index]), int(counts[index]) / total) for index in found
        ]

    def _as_array(self) -> NDArray[np.uint8]:
        return self.labels

    def __iter__(self) -> Iterator[Area]:
        """Iterate over `areas`."""
        return iter(self.areas)

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return a row for each class on the photo."""
        return [(area.label, area.index, area.pixels, area.fraction) for area in self.areas]

    def _found(self) -> dict[str, Any]:
        height, width = self.labels.shape
        return {"width": width, "height": height, "areas": [asdict(area) for area in self.areas]}

    def mask(self, label: str | int) -> NDArray[np.bool_]:
        """Return which pixels belong to a class, given by name or number.

        Raises ParameterError for an unknown class.
        """
        if isinstance(label, str):
            if label not in self.names:
                from mpscnn._private.names import did_you_mean

                raise ParameterError(f"there is no class {label!r}{did_you_mean(label, self.names)}")
            label = self.names.index(label)
        try:
            index = -1 if isinstance(label, bool) else operator.index(label)
        except TypeError:
            index = -1
        if not 0 <= index < len(self.names):
            raise ParameterError(f"classes have the numbers 0 to {len(self.names) - 1}, got {label!r}")
        return np.equal(self.labels, index)

    @accept_foreign_arguments
    def draw(self, photo: Any = None, *, opacity: float = 0.6, legend: bool = True) -> PillowImage.Image:
        """Return the photo with its classes in colours, and a legend below.

        The colours are Pascal VOC's. The class "background" and cropped pixels stay unchanged.

        Args:
            photo: the photo, see `mpscnn.photo.open_photo`; None: the one that was given to the model, or a black
                picture if there is none.
            opacity: the opacity of the colours, 0 to 1.
            legend: whether to list the classes below, with their share of the photo.

        Raises:
            ShapeError: the photo has another size.
            ParameterError: the opacity is out of its range.
            ImageError: the photo cannot be read any more, or its array was written again.
        """
        from mpscnn.vision.pixels import require_pillow
        from mpscnn.vision.visualize import add_legend, class_colors, result_picture

        require_pillow("drawing")
        from PIL import Image

        has_photo = photo is not None or self.photo is not None
        if not is_finite_number(opacity) or not 0.0 <= opacity <= 1.0:
            raise ParameterError(f"opacity must be from 0 to 1, got {opacity!r}")
        height, width = self.labels.shape
        if has_photo:
            picture = result_picture(photo, self.photo, self.photo_checksum)
        else:
            picture = Image.new("RGB", (width, height))
        if picture.size != (width, height):
            raise ShapeError(
                f"the photo has {picture.width} x {picture.height} pixels, its labels are for {width} x {height}"
            )
        colors = class_colors(256)
        alpha = np.full(256, opacity if has_photo else 1.0)
        for index, name in enumerate(self.names):
            if name == "background":
                alpha[index] = 0.0
        alpha[UNSEEN] = 0.0
        shares = Image.fromarray((alpha * 255).astype(np.uint8)[self.labels])
        picture.paste(Image.fromarray(colors[self.labels]), mask=shares)
        if not legend:
            return picture
        entries = []
        for area in self.areas:
            red, green, blue = colors[area.index].tolist()
            if alpha[area.index]:
                entries.append((f"{area.label} {area.fraction:.1%}", (red, green, blue)))
        return add_legend(picture, entries)

    def label_picture(self) -> PillowImage.Image:
        """Return the labels as a picture with a palette, like Pascal VOC's masks: its pixels are class numbers."""
        from PIL import Image

        from mpscnn.vision.visualize import class_colors

        picture = Image.fromarray(self.labels).convert("P")
        picture.putpalette(class_colors(256).tobytes())
        return picture

    @accept_foreign_arguments
    def show(self, photo: Any = None) -> None:
        """Open `draw(photo)` in the system's picture viewer."""
        self.draw(photo).show()

    def __repr__(self) -> str:
        height, width = self.labels.shape
        largest = ", ".join(f"{area.label} {area.fraction:.1%}" for area in self.areas[:3]) or "nothing seen"
        return (
            f"<Segmentation {width} x {height}: {printable(largest)}; {self.milliseconds:.2f} ms on {self.device} "
            f"({self.precision})>"
        )

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import table
        from mpscnn.vision.visualize import html_result

        rows = [(area.label, f"{area.pixels:,}", f"{area.fraction:.1%}") for area in self.areas]
        return html_result(self, table(("class", "pixels", "share"), rows, right=(1, 2)))
