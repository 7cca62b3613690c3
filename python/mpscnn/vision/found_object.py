"""Hold one object that a detector has found on a photo."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mpscnn._private.other_names import Expected
from mpscnn._private.printable import printable
from mpscnn.vision.box import Box
from mpscnn.vision.object_mask import ObjectMask

if TYPE_CHECKING:
    from mpscnn import _core


class Point(NamedTuple):
    """A point in pixels of the upright photo. It may be outside of the photo."""

    x: float
    y: float


class Keypoint(NamedTuple):
    """A point of an object in pixels of the upright photo, and the probability that it is visible."""

    x: float
    y: float
    score: float


@dataclass(frozen=True)
class Detection(Expected):
    """A detected object: its class, its probability (0 to 1) and its box."""

    _other_names = (
        ("index", "class_id cls"),
        ("track", "id tracker_id track_id"),
        ("corners", "xyxyxyxy"),
        ("keypoints", "landmarks"),
        ("label", "identifier name class_name"),
        ("box", "bbox"),
        ("score", "conf"),
    )

    label: str
    score: float
    box: Box
    """The box in pixels of the upright photo. For a `Detector`, in fractions of the network's input."""
    index: int
    """The number of the class, not counting a background class."""
    corners: tuple[Point, ...] = ()
    """The four corners of a rotated box in pixels of the upright photo, clockwise. `box` encloses them."""
    keypoints: tuple[Keypoint, ...] = ()
    """The points that the model knows of an object, such as its joints, in the model's order."""
    mask: ObjectMask | None = field(default=None, compare=False, repr=False)
    """The pixels that belong to the object; None if the model computes no masks."""
    track: int | None = None
    """The identity of the object in a video, from 1 on; None without `track=True`."""

    @property
    def angle(self) -> float | None:
        """The angle of a rotated box in radians: from the photo's x axis to the first side, clockwise as seen."""
        if not self.corners:
            return None
        first, second = self.corners[:2]
        return math.atan2(second.y - first.y, second.x - first.x)

    @property
    def confidence(self) -> float:
        """An alias of `score`."""
        return self.score

    @property
    def xyxy(self) -> Box:
        """An alias of `box`."""
        return self.box

    def __repr__(self) -> str:
        edges = ", ".join(f"{edge:.4g}" for edge in self.box)
        track = "" if self.track is None else f"#{self.track} "
        return f"<Detection: {track}{printable(self.label)} {self.score:.1%} at ({edges})>"


def detection_of(found: _core._Found, label: str) -> Detection:
    """Return an object that the core has found, with this label."""
    _, index, score, box, _, (corners, keypoints, mask) = found
    return Detection(
        label,
        score,
        Box(*box),
        index,
        tuple(Point(*one) for one in corners),
        tuple(Keypoint(*one) for one in keypoints),
        None if mask is None else ObjectMask(mask),
    )
