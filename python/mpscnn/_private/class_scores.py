"""Recognise the scores of a classifier by the shapes of a network's outputs."""

from __future__ import annotations

from collections.abc import Sequence


def score_count(outputs: Sequence[Sequence[int | None]]) -> int | None:
    """Return the number of scores that a classifier computes for a photo; None for outputs of other networks.

    A classifier has one output. It is (n, classes), or an image of one pixel, (n, 1, 1, classes), as in networks whose
    last layer is a convolution.

    Args:
        outputs: the shapes of the outputs, with the batch first and None for free extents.
    """
    if len(outputs) != 1 or len(outputs[0]) < 2 or any(extent != 1 for extent in outputs[0][1:-1]):
        return None
    return outputs[0][-1]
