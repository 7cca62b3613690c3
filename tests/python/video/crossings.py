"""Draw crossings of objects, find them with faults, and score tracks with trackeval 1.3.0.

`python tests/python/video/crossings.py` prints the identity switches, pairs and identity F1 of each drawing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mpscnn.apps.video.tracker import Tracker
from mpscnn.training.scenes.average_precision import overlaps_of
from mpscnn.vision.box import Box
from mpscnn.vision.found_object import Detection

SEEDS = range(8)
FRAMES = 90
SIZE = (640, 480)

Truth = list[tuple[int, Box]]


def crossings(seed: int) -> Iterator[tuple[Truth, list[Detection]]]:
    """Yield frames in which three objects go to the right, three to the left and two down, each with its speed.

    Their ways cross. Of two objects that overlap by more than a half, the one at the back is not found; if they overlap
    less, its score is low. Edges have noise of 2% of a side, and 1% of the objects are missed.
    """
    draw = np.random.default_rng(seed)
    sides = draw.uniform((36, 60), (56, 100), (8, 2))
    lanes = np.array([90, 210, 330, 120, 240, 360])
    starts = np.concatenate(
        (
            np.stack((draw.uniform(20, 80, 3), lanes[:3] + draw.uniform(-20, 20, 3)), 1),
            np.stack((draw.uniform(560, 620, 3), lanes[3:] + draw.uniform(-20, 20, 3)), 1),
            np.stack((draw.uniform((200, 380), (260, 440)), draw.uniform(30, 60, 2)), 1),
        )
    )
    speeds = np.zeros((8, 2))
    speeds[:3, 0], speeds[3:6, 0] = draw.uniform(4, 6, 3), -draw.uniform(4, 6, 3)
    speeds[6:, 1] = draw.uniform(3, 4.5, 2)
    for frame in range(FRAMES):
        centres = starts + frame * speeds
        boxes = np.concatenate((centres - sides / 2, centres + sides / 2), 1)
        inside = np.all((centres > 0) & (centres < SIZE), 1)
        truth: Truth = [(i, Box(*boxes[i].tolist())) for i in range(8) if inside[i]]
        common = np.triu(overlaps_of(boxes, boxes), 1)
        hidden = np.where(inside[:, None] & inside, common, 0).max(0)
        found = []
        for i, box in truth:
            score = draw.uniform(0.7, 0.95) if hidden[i] < 0.2 else draw.uniform(0.2, 0.45)
            noise = draw.normal(0, 0.02, 4) * np.tile(sides[i], 2)
            if hidden[i] <= 0.5 and draw.random() > 0.01:
                found.append(Detection("car", float(score), Box(*(np.array(box) + noise).tolist()), 0))
        yield truth, sorted(found, key=lambda one: -one.score)


def trackeval_scores(seed: int) -> tuple[int, int, float]:
    """Return the identity switches, the matches and the identity F1 that trackeval 1.3.0 computes."""
    import trackeval

    tracker = Tracker(0.5)
    truths, tracks, similarities = [], [], []
    for truth, found in crossings(seed):
        tracked = tracker.update(found)
        truths.append(np.array([i for i, _ in truth], int))
        tracks.append(np.array([(one.track or 0) - 1 for one in tracked], int))
        boxes = [
            np.array([*rows], float).reshape(-1, 4)
            for rows in ((b for _, b in truth), (o.box for o in tracked))
        ]
        similarities.append(overlaps_of(*boxes))
    data = {
        "gt_ids": truths,
        "tracker_ids": tracks,
        "similarity_scores": similarities,
        "num_gt_ids": 8,
        "num_tracker_ids": int(max(map(np.max, tracks))) + 1,
        "num_gt_dets": sum(map(len, truths)),
        "num_tracker_dets": sum(map(len, tracks)),
        "num_timesteps": FRAMES,
    }
    clear = trackeval.metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    identity = trackeval.metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    return int(clear["IDSW"]), int(clear["CLR_TP"]), round(float(identity["IDF1"]), 4)


if __name__ == "__main__":
    print([trackeval_scores(seed) for seed in SEEDS])
