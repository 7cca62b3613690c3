"""Follow objects from frame to frame, as ByteTrack does.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", 2022. It differs in two points: an
identity keeps its class, and similarities are not multiplied by scores, since detectors have different thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mpscnn.apps.video.assignment import best_pairs
from mpscnn.apps.video.motion import Motion
from mpscnn.training.scenes.average_precision import overlaps_of
from mpscnn.vision.found_object import Detection

#: The lowest score of a box that continues a track.
LOWEST_SCORE = 0.1
#: The smallest IoU with a predicted box: for probable boxes, for improbable ones, and for tracks seen once.
_PROBABLE, _IMPROBABLE, _SEEN_ONCE = 0.2, 0.5, 0.3
#: A track begins with a score that is higher than the threshold by this, or halfway to 1 if that is less.
_MARGIN = 0.1
#: A track that is not found in more than this number of frames ends.
_LONGEST_GAP = 30
#: Two tracks with a larger IoU follow the same object.
_SAME = 0.85


@dataclass
class _Track:
    label: int
    """The number of the class."""
    identity: int | None
    age: int = 0
    missed: int = 0


class Tracker:
    """Gives the objects of consecutive frames identities: 1, 2, 3 and so on.

    Args:
        score_threshold: the smallest score of a box that begins a track, from 0 to 1. Boxes with lower scores, from
            `LOWEST_SCORE` on, only continue tracks.
    """

    def __init__(self, score_threshold: float) -> None:
        self._threshold = score_threshold
        self._tracks: list[_Track] = []
        self._motion = Motion()
        self._begun = False
        self._last = 0

    def update(self, found: Sequence[Detection]) -> list[Detection]:
        """Return the objects of the next frame that belong to a track, in their order, with their `track`.

        A track that begins after the first frame has an identity once it is found in a second frame.
        """
        boxes = np.array([one.box for one in found], np.float64).reshape(-1, 4)
        scores = np.array([one.score for one in found])
        probable = scores >= self._threshold
        gone = np.array([track.missed > 0 for track in self._tracks], bool)
        known = np.array([track.identity is not None for track in self._tracks], bool)
        self._motion.predict(gone)
        classes = np.array([one.index for one in found], np.int64)
        same = np.array([track.label for track in self._tracks], np.int64)[:, None] == classes
        likeness = np.where(same, overlaps_of(self._motion.boxes(), boxes), 0.0)

        pairs: dict[int, int] = {}
        free = np.ones(len(found), bool)
        for rows, columns, least in (
            (known, probable, _PROBABLE),
            (known & ~gone, ~probable, _IMPROBABLE),
            (~known, probable, _SEEN_ONCE),
        ):
            rows = rows & ~np.isin(np.arange(len(rows)), list(pairs))
            for number, box in best_pairs(np.where(rows[:, None] & (columns & free), likeness, -1.0), least):
                pairs[number], free[box] = box, False
        matched = sorted(pairs)
        self._motion.correct(matched, boxes[[pairs[number] for number in matched]])
        self._age(pairs)
        of_box = {box: self._tracks[number] for number, box in pairs.items()}
        self._end()
        least = min(self._threshold + _MARGIN, (self._threshold + 1) / 2) if self._begun else self._threshold
        fresh = np.flatnonzero(free & (scores >= least))
        for box in fresh.tolist():
            track = _Track(found[box].index, None if self._begun else self._next())
            self._tracks.append(track)
            of_box[box] = track
        self._motion.add(boxes[fresh])
        self._begun = True
        return [
            replace(found[box], track=track.identity)
            for box, track in sorted(of_box.items(), key=lambda entry: entry[0])
            if track.identity is not None
        ]

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _age(self, pairs: dict[int, int]) -> None:
        """Count the frames of tracks, and give those an identity that are found for the second time."""
        for number, track in sorted(enumerate(self._tracks), key=lambda entry: pairs.get(entry[0], 0)):
            track.age += 1
            track.missed = 0 if number in pairs else track.missed + 1
            if number in pairs and track.identity is None:
                track.identity = self._next()

    def _end(self) -> None:
        """Remove tracks that were not found for long, those seen once, and lost ones on an object that has another."""
        kept = np.array(
            [track.missed <= (0 if track.identity is None else _LONGEST_GAP) for track in self._tracks],
            bool,
        )
        lost = np.array([track.missed > 0 for track in self._tracks], bool)
        places = self._motion.boxes()
        for row, column in np.argwhere(overlaps_of(places[lost], places[~lost]) > _SAME):
            old, new = int(np.flatnonzero(lost)[row]), int(np.flatnonzero(~lost)[column])
            if self._tracks[old].label == self._tracks[new].label:
                kept[old if self._tracks[old].age <= self._tracks[new].age else new] = False
        self._tracks = [track for track, stays in zip(self._tracks, kept, strict=True) if stays]
        self._motion.keep(kept)
