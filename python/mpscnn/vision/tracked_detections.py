"""Hold the objects of a video's frame, with their identities and the numbers of those that crossed a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.report import Cell
from mpscnn.vision.box import Line
from mpscnn.vision.detection import Detections

if TYPE_CHECKING:
    from PIL import Image as PillowImage


class Crossings(NamedTuple):
    """How often objects crossed a line, as seen from its first end to its second."""

    left: int
    """Crossings from the right-hand side to the left-hand side."""
    right: int
    """Crossings from the left-hand side to the right-hand side."""


@dataclass(frozen=True, repr=False)
class TrackedDetections(Detections):
    """The objects on one frame that belong to tracks. `filter` and masks keep the counts."""

    _other_names = (("tracks", "id ids tracker_id track_ids"),)

    counts: Mapping[str, Crossings] = field(default_factory=dict, kw_only=True)
    """The crossings of the line so far, by the label of the class; empty without a line."""
    count_line: Line | None = field(default=None, kw_only=True)
    """The line whose crossings are counted."""
    columns = (*Detections.columns, "track")

    @property
    def tracks(self) -> NDArray[np.int64]:
        """The identities (n,)."""
        return np.array([one.track for one in self], np.int64)

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return a row for each object."""
        return [(*row, one.track) for row, one in zip(super().rows(), self, strict=True)]

    def _found(self) -> dict[str, Any]:
        found = super()._found()
        for entry, one in zip(found["detections"], self, strict=True):
            entry["track"] = one.track
        if self.count_line is None:
            return found
        return {**found, "counts": {label: ends._asdict() for label, ends in self.counts.items()}}

    @accept_foreign_arguments
    def draw(self, photo: Any = None) -> PillowImage.Image:
        """Return the frame with boxes, labels, identities, the line, and its counts. See `Detections.draw`."""
        from mpscnn.vision.box_drawing import draw_count_line

        picture = super().draw(photo)
        if self.count_line is not None:
            draw_count_line(picture, self.count_line, counts_text(self.counts))
        return picture


def counts_text(counts: Mapping[str, Crossings]) -> str:
    """Return the crossings of a line in words."""
    return "; ".join(
        f"{label}: {number.left} to the left, {number.right} to the right" for label, number in counts.items()
    )
