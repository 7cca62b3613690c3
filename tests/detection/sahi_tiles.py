"""Print the constants of test_tiles.py, which sahi 0.12.8 computes: `python tests/detection/sahi_tiles.py`."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

#: Boxes in fractions of a tile with their class and score, (left, top, right, bottom, class, score).
BOXES = np.random.default_rng(82).uniform(0, 1, (5, 6))
BOXES[:, 2:4] = np.minimum(1.0, BOXES[:, :2] + 0.15 + 0.35 * BOXES[:, 2:4])
BOXES[:, 4] = BOXES[:, 4] > 0.6
BOXES = BOXES.round(4)
BOXES[:, 5] = 0.2 + 0.7 * BOXES[:, 5]
#: Width and height of a photo, side and overlap of its tiles, the score threshold, and whether each class is apart.
CASES = (
    (70, 50, 32, 0.25, 0.15, True),
    (70, 50, 32, 0.25, 0.15, False),
    (70, 50, 32, 0.0, 0.05, True),
    (41, 90, 40, 0.5, 0.3, True),
)


def sahi_result(width: int, height: int, side: int, overlap: float, threshold: float, apart: bool) -> Any:
    """Return what SAHI finds on a photo of which each tile has the same boxes."""
    from sahi.models.base import DetectionModel
    from sahi.predict import get_sliced_prediction
    from sahi.prediction import ObjectPrediction

    class Constant(DetectionModel):  # type: ignore[misc]
        def check_dependencies(self, *_: Any) -> None:
            pass

        def load_model(self) -> None:
            self.category_mapping = {0: "cat", 1: "dog"}

        def perform_inference(self, image: Any) -> None:
            self._original_predictions = image.shape

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = None, full_shape_list: Any = None
        ) -> None:
            high, wide = self._original_predictions[:2]
            shift = shift_amount_list[0] if isinstance(shift_amount_list[0], list) else shift_amount_list
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=[one[0] * wide, one[1] * high, one[2] * wide, one[3] * high],
                        category_id=int(one[4]),
                        category_name=str(int(one[4])),
                        score=float(one[5]),
                        shift_amount=shift,
                        full_shape=[height, width],
                    )
                    for one in BOXES
                    if one[5] >= threshold
                ]
            ]

    found = get_sliced_prediction(
        np.zeros((height, width, 3), np.uint8),
        Constant(confidence_threshold=threshold, device="cpu"),
        slice_height=side,
        slice_width=side,
        overlap_height_ratio=overlap,
        overlap_width_ratio=overlap,
        postprocess_class_agnostic=not apart,
        verbose=0,
    ).object_prediction_list
    rows = [(one.category.id, round(one.score.value, 4), *one.bbox.to_xyxy()) for one in found]
    return sorted([tuple(round(float(number), 3) for number in row) for row in rows])


if __name__ == "__main__":
    for case in CASES:
        rows = "; ".join(" ".join(f"{number:g}" for number in row) for row in sahi_result(*case))
        print(
            f"    {case}: [",
            *(f"        {part!r}" for part in textwrap.wrap(f"{rows};", 96, drop_whitespace=False)),
            "    ],",
            sep="\n",
        )
