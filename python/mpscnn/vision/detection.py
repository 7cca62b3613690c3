"""Hold the result of a detector: objects on photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.printable import printable
from mpscnn._private.report import Cell
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.vision.box import Box
from mpscnn.vision.found_object import Detection
from mpscnn.vision.object_mask import ObjectMask
from mpscnn.vision.photo_result import PhotoResult, refuse_name

if TYPE_CHECKING:
    from PIL import Image as PillowImage

__all__ = ["Detection", "Detections"]


class Boxes(np.ndarray[Any, np.dtype[np.float32]]):
    """The array of boxes of `Detections`. Its errors lead from the attributes of boxes in other frameworks."""

    if not TYPE_CHECKING:  # type checkers would accept every name

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"the boxes have no attribute {name!r}; they are an array with left, top, right and bottom in pixels, "
                "and Detections has scores, indices and labels"
            )


@dataclass(frozen=True, repr=False)
class Detections(PhotoResult, Sequence[Detection]):
    """The objects on one photo, the most probable first, and information about the computation."""

    _other_names: ClassVar[tuple[tuple[str, str], ...]] = (
        ("labels", "names class_names"),
        ("scores", "conf"),
        ("masks", "segments"),
        ("indices", "class_ids cls"),
        ("photo", "orig_img"),
    )

    detections: tuple[Detection, ...]
    photo_size: tuple[int, int]
    """(width, height) of the upright photo, to which the boxes refer."""
    device: str
    precision: str
    reason: str
    milliseconds: float
    photo: Any = field(default=None, compare=False)
    """The photo that the caller gave, or its pixels if it cannot be read again. `draw` and `show` use it."""
    photo_checksum: int | None = field(default=None, compare=False, kw_only=True, repr=False)
    """A checksum of `photo` if it is an array: `draw` refuses an array that was written again."""
    columns: ClassVar[tuple[str, ...]] = ("label", "index", "score", *Box._fields)

    @property
    def boxes(self) -> NDArray[np.float32]:
        """The boxes (n, 4): left, top, right and bottom in pixels of the upright photo."""
        return np.array([entry.box for entry in self], np.float32).reshape(-1, 4).view(Boxes)

    @property
    def scores(self) -> NDArray[np.float32]:
        """The probabilities (n,), the highest first."""
        return np.array([entry.score for entry in self], np.float32)

    xyxy = boxes
    confidence = scores

    @property
    def labels(self) -> list[str]:
        """The label of each object."""
        return [entry.label for entry in self]

    @property
    def corners(self) -> NDArray[np.float32]:
        """The corners (n, 4, 2) of rotated boxes: x and y in pixels. (0, 4, 2) for models without rotated boxes."""
        return np.array([one.corners for one in self if one.corners], np.float32).reshape(-1, 4, 2)

    @property
    def keypoints(self) -> NDArray[np.float32]:
        """The keypoints (n, points, 3): x and y in pixels, and the probability. (n, 0, 3) for models without them."""
        points = [one.keypoints for one in self]
        return np.array(points, np.float32).reshape(len(self), len(points[0]) if points else 0, 3)

    @property
    def masks(self) -> list[ObjectMask | None]:
        """The mask of each object; None for models without masks."""
        return [one.mask for one in self]

    def filter(self, wanted: Callable[[Detection], Any]) -> Detections:
        """Return the objects for which a function is true, such as `lambda one: one.label == "cat"`.

        Raises ParameterError for anything but a function.
        """
        if not callable(wanted):
            raise ParameterError(
                f"filter: wanted must be a function of a Detection, such as lambda one: one.score > 0.5, got {wanted!r}"
            )
        return replace(self, detections=tuple(filter(wanted, self)))

    @property
    def indices(self) -> NDArray[np.int64]:
        """The numbers of the classes (n,)."""
        return np.array([entry.index for entry in self], np.int64)

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return a row for each object."""
        return [(entry.label, entry.index, entry.score, *entry.box) for entry in self]

    def _found(self) -> dict[str, Any]:
        width, height = self.photo_size
        return {
            "width": width,
            "height": height,
            "detections": [
                {
                    "label": entry.label,
                    "index": entry.index,
                    "score": entry.score,
                    "box": [round(edge, 2) for edge in entry.box],
                    **_details(entry, self.photo_size),
                }
                for entry in self
            ],
        }

    @overload
    def __getitem__(self, index: int) -> Detection: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Detection]: ...
    @overload
    def __getitem__(self, index: NDArray[np.bool_]) -> Detections: ...
    def __getitem__(
        self, index: int | slice | NDArray[np.bool_]
    ) -> Detection | Sequence[Detection] | Detections:
        if isinstance(index, np.ndarray) and index.dtype == np.bool_:
            if index.shape != (len(self),):
                raise ShapeError(f"a mask must have the shape ({len(self)},), got {index.shape}")
            chosen = [one for one, wanted in zip(self, index, strict=True) if wanted]
            return replace(self, detections=tuple(chosen))
        refuse_name(index, "boxes, scores and labels")
        return self.detections[index]

    def __iter__(self) -> Iterator[Detection]:
        return iter(self.detections)

    def __len__(self) -> int:
        return len(self.detections)

    @accept_foreign_arguments
    def draw(self, photo: Any = None) -> PillowImage.Image:
        """Return the photo with boxes and labels.

        Args:
            photo: the photo, see `mpscnn.photo.open_photo`; None: the one that was given to the model.

        Raises:
            ShapeError: the photo has another size.
            ImageError: the photo cannot be read any more, its array was written again, or there is none.
        """
        from mpscnn.vision.box_drawing import draw_boxes
        from mpscnn.vision.visualize import result_picture

        picture = result_picture(photo, self.photo, self.photo_checksum)
        if picture.size != self.photo_size:
            raise ShapeError(
                f"the photo has {picture.width} x {picture.height} pixels, its detections are for "
                f"{self.photo_size[0]} x {self.photo_size[1]}"
            )
        return draw_boxes(picture, self.detections)

    @accept_foreign_arguments
    def show(self, photo: Any = None) -> None:
        """Open `draw(photo)` in the system's picture viewer."""
        self.draw(photo).show()

    def __repr__(self) -> str:
        shown = (
            ", ".join(f"{entry.label} {entry.score:.1%}" for entry in self.detections[:3]) or "nothing found"
        )
        more = f" and {len(self) - 3} more" if len(self) > 3 else ""
        return f"<Detections: {printable(shown)}{more}; {self.milliseconds:.2f} ms on {self.device} ({self.precision})>"

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import table
        from mpscnn.vision.visualize import html_result

        rows = [(entry.label, f"{entry.score:.1%}", *(f"{edge:.0f}" for edge in entry.box)) for entry in self]
        return html_result(self, table(("class", "score", *Box._fields), rows, right=range(1, 6)))


def _details(entry: Detection, photo_size: tuple[int, int]) -> dict[str, Any]:
    """Return the corners, keypoints and mask of an object for `Detections.to_dict`."""
    details: dict[str, Any] = {}
    if entry.corners:
        details["corners"] = [[round(number, 2) for number in point] for point in entry.corners]
    if entry.keypoints:
        details["keypoints"] = [[round(x, 2), round(y, 2), score] for x, y, score in entry.keypoints]
    if entry.mask is not None:
        details["segmentation"] = entry.mask.to_coco(photo_size)
    return details
