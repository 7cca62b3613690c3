"""Test the sentence on whether a training has converged."""

from __future__ import annotations

import pytest

from mpscnn.training.recorded import Record, convergence


def records(losses: list[float], best: set[int], phase: str = "last blocks") -> list[Record]:
    return [
        Record(phase, number, 1.0, 0.5, loss, 0.5, number in best, 1e-3, 1.0)
        for number, loss in enumerate(losses, 1)
    ]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            records([3, 2, 1.5, 1.2], {1, 2, 3, 4}),
            "not converged: the validation loss still falls in epoch 4 of 4",
        ),
        (records([3, 2, 1.5, 1.6, 1.7], {1, 2, 3}), "stopped improving at epoch 3 of 5"),
        # The best of the last epochs may be luck if the loss has risen before.
        (records([3, 1, 1.5, 1.6], {1, 2, 4}), "epoch 4 of 4 is the best one; more epochs may help"),
        (
            records([3.0] * 19 + [2.9], {1, 19}),
            "not converged: the validation loss still falls in epoch 20 of 20",
        ),
        (records([1, 2, 3], set()), "no epoch of the last phase improved the result"),
        (records([1], {1}), ""),
        ([], ""),
        (records([9, 8], {1, 2}, "last layer") + records([3, 4], {1}), "stopped improving at epoch 1 of 2"),
    ],
)
def test_the_sentence_says_whether_more_epochs_help(made: list[Record], said: str) -> None:
    assert convergence(made).startswith(said)
    assert said or not convergence(made)
